package demo

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func TestMakePlan(t *testing.T) {
	t.Parallel()
	path := []int64{1000, 1000, 1010, 1020, 1030, 1040, 1015, 1000, 1000, 998, 997, 996, 995, 994, 993, 992, 991, 985, 980}
	p, err := makePlan(decimals(path))
	require.NoError(t, err)
	require.Equal(t, 0, decimal.New(980, 0).Cmp(p.long.stop), "2 %% below the entry at 1000, found %s", p.long.stop)
	require.Equal(t, 1, p.long.entryTick)
	require.Equal(t, 6, p.long.exitTick)
	require.Greater(t, p.short.entryTick, p.long.exitTick)
	require.Greater(t, p.short.closeTick-p.short.entryTick, shortTicksMin-1)
}

func TestMakePlan_quiet_market_has_no_scene(t *testing.T) {
	t.Parallel()
	_, err := makePlan(decimals([]int64{1000, 1000, 1000, 1000}))
	require.ErrorIs(t, err, errNoScene)
	require.ErrorContains(t, err, "a long that leaves by its trailing stop")
}

func decimals(path []int64) []decimal.Decimal {
	out := make([]decimal.Decimal, len(path))
	for i, p := range path {
		out[i] = decimal.New(p, 0)
	}
	return out
}
