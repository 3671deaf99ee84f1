package demo

import (
	"os"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/pkg/testkit"
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

func TestMakePlan_takes_less_where_there_is_no_better(t *testing.T) {
	t.Parallel()
	path := []int64{1000, 1000, 1001, 979, 978, 978, 978, 978, 978, 978, 978, 978, 978, 978, 978}
	p, err := makePlan(decimals(path))
	require.NoError(t, err, "a long that loses and a short that earns nothing show as much")
	require.Equal(t, 3, p.long.exitTick)
}

// TestMakePlan_finds_its_scenes in recorded data and in the path that stands in for it, and keeps to what it promises.
func TestMakePlan_finds_its_scenes(t *testing.T) {
	t.Parallel()
	for name, klines := range map[string]func(t *testing.T) []market.Kline{
		"hours":     func(t *testing.T) []market.Kline { return recorded(t, "btcusdt-1h-2020-04-30.json") },
		"minutes":   func(t *testing.T) []market.Kline { return recorded(t, "btcusdt-1m-2020-05-06.json") },
		"synthetic": func(*testing.T) []market.Kline { return synthetic() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prices := market.Prices(klines(t))
			p, err := makePlan(prices)
			require.NoError(t, err)
			entry, exit := prices[p.long.entryTick], prices[p.long.exitTick]
			require.True(t, p.long.stop.LessThan(entry))
			require.Greater(t, p.short.entryTick, p.long.exitTick)
			require.GreaterOrEqual(t, p.short.closeTick-p.short.entryTick, shortTicksMin)
			require.Less(t, p.short.closeTick, len(prices))
			extreme := decimal.Max(prices[p.long.entryTick], prices[p.long.entryTick+1:p.long.exitTick]...)
			span := entry.Sub(p.long.stop)
			require.True(t, exit.LessThanOrEqual(extreme.Sub(span)), "the stop is hit")
			if name != "minutes" { // which hold no such long that pays
				require.True(t, exit.GreaterThan(extreme.Sub(span).Sub(span.Div(restingShare))), "the resting stop behind it is not")
			}
			t.Logf("long %d to %d (%s to %s), short %d to %d (%s to %s)", p.long.entryTick, p.long.exitTick, entry, exit,
				p.short.entryTick, p.short.closeTick, prices[p.short.entryTick], prices[p.short.closeTick])
		})
	}
}

func TestSynthetic_is_the_same_everywhere(t *testing.T) {
	t.Parallel()
	bars := synthetic()
	require.Len(t, bars, syntheticBars)
	require.Equal(t, bars, synthetic())
	for i, bar := range bars {
		require.True(t, bar.Low.LessThanOrEqual(decimal.Min(bar.Open, bar.Close)) && bar.High.GreaterThanOrEqual(decimal.Max(bar.Open, bar.Close)), "bar %d", i)
		require.True(t, bar.Low.Mod(priceTick).IsZero() && bar.High.Mod(priceTick).IsZero())
	}
	require.Equal(t, "8625", bars[0].Open.String())
}

func TestCheckMarketData(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckMarketData(t.Context(), Auto), "what auto finds is found when the demo runs")
	require.ErrorContains(t, CheckMarketData(t.Context(), "/nowhere.json"), "/nowhere.json")
	quiet := t.TempDir() + "/quiet.json"
	require.NoError(t, os.WriteFile(quiet, []byte(`[[1,"10","10","10","10","1",2],[3,"10","10","10","10","1",4]]`), 0o600))
	require.ErrorIs(t, CheckMarketData(t.Context(), quiet), errNoScene)
}

func recorded(t *testing.T, name string) []market.Kline {
	t.Helper()
	f, err := os.Open(testkit.MarketData(t, name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	klines, err := market.ReadKlines(f)
	require.NoError(t, err)
	return klines
}

func decimals(path []int64) []decimal.Decimal {
	out := make([]decimal.Decimal, len(path))
	for i, p := range path {
		out[i] = decimal.New(p, 0)
	}
	return out
}
