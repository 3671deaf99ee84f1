package demo

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/pkg/testkit"
)

func TestMakePlan_finds_its_scenes_in_recorded_data(t *testing.T) {
	t.Parallel()
	f, err := os.Open(testkit.MarketData(t, "btcusdt-1h-2020-04-30.json"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	klines, err := market.ReadKlines(f)
	require.NoError(t, err)
	p, err := makePlan(market.Prices(klines))
	require.NoError(t, err)
	t.Logf("%+v", p)
	require.Greater(t, p.short.entryTick, p.long.exitTick)
}

func TestMakePlan_finds_its_scenes_in_the_synthetic_path(t *testing.T) {
	t.Parallel()
	p, err := makePlan(market.Prices(synthetic()))
	require.NoError(t, err)
	t.Logf("%+v", p)
}
