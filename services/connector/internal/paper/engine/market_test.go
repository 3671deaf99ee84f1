package engine

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestEngine_Prices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.LastPrice("BTCUSDT")
	require.ErrorIs(t, err, venue.ErrNoPrice)
	_, err = b.LastPrice("NOPE")
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	b.market(BookConfig{SpreadTicks: 2}, "1", "2", "3", "4")
	b.tick(2)
	prices, err := b.Prices(t.Context(), "BTCUSDT", 1, 10)
	require.NoError(t, err)
	require.Len(t, prices, 2)
	require.Equal(t, "3", prices[1].Price.String())
	require.Equal(t, "3.02", prices[1].Ask.String())
	require.Equal(t, "paper/BTCUSDT/3", prices[1].EventID)
	newest, err := b.Prices(t.Context(), "BTCUSDT", 0, 10)
	require.NoError(t, err)
	require.EqualValues(t, 3, newest[0].Sequence)
	require.False(t, newest[0].Gap)
	b.reopen()
	afterRestart, err := b.Prices(t.Context(), "BTCUSDT", 1, 10)
	require.NoError(t, err)
	require.Len(t, afterRestart, 2, "no price is lost by a restart")
	for n := range afterRestart {
		require.False(t, afterRestart[n].Gap)
		require.Equal(t, prices[n].Price.String(), afterRestart[n].Price.String())
		require.Equal(t, prices[n].Ask.String(), afterRestart[n].Ask.String())
		require.Equal(t, prices[n].EventID, afterRestart[n].EventID)
		require.Equal(t, prices[n].MarketTime, afterRestart[n].MarketTime)
	}
	market, err := b.Market("BTCUSDT")
	require.NoError(t, err)
	require.EqualValues(t, 1, market.Left)
	b.tick(10)
	market, err = b.Market("BTCUSDT")
	require.NoError(t, err)
	require.Zero(t, market.Left)
	again, err := b.Advance(t.Context(), "BTCUSDT", 2)
	require.NoError(t, err)
	require.Equal(t, market, again, "a market that is further already stays")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Advance(canceled, "BTCUSDT", 99)
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Advance(t.Context(), "NOPE", 99)
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	require.Equal(t, "4", market.Last.Price.String(), "it stands still at the last price")
	// A new path goes on counting, and the prices of the old one are none of its own.
	b.market(BookConfig{}, "7", "8")
	last, err := b.LastPrice("BTCUSDT")
	require.NoError(t, err)
	require.EqualValues(t, 5, last.Sequence)
	b.tick(1)
	for _, restart := range []func(){func() {}, b.reopen} {
		restart()
		left, err := b.Prices(t.Context(), "BTCUSDT", 1, 10)
		require.NoError(t, err)
		require.Len(t, left, 2)
		require.EqualValues(t, 5, left[0].Sequence)
		require.True(t, left[0].Gap)
		require.False(t, left[1].Gap)
		left, err = b.Prices(t.Context(), "BTCUSDT", 1, 1)
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
	ahead, err := b.Prices(t.Context(), "BTCUSDT", 99, 10)
	require.NoError(t, err)
	require.Len(t, ahead, 1)
	require.EqualValues(t, 6, ahead[0].Sequence)
	require.True(t, ahead[0].Gap)
}

// A walk is made again after a restart as far as prices are kept, whatever else was loaded before it.
func TestEngine_Prices_WalkAfterRestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.market(BookConfig{}, "7", "8")
	walk := feed.Source{Walk: &feed.Walk{Seed: 7, Start: dec("95000"), StepTicks: 50, Interval: time.Second, StartTime: start, Ticks: 500}}
	_, err := b.Load("BTCUSDT", BookConfig{}, walk, "walk")
	require.NoError(t, err)
	b.tick(300)
	before, err := b.Prices(t.Context(), "BTCUSDT", 1, 1000)
	require.NoError(t, err)
	b.reopen()
	after, err := b.Prices(t.Context(), "BTCUSDT", 1, 1000)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for n := range after {
		after[n].Time = before[n].Time
	}
	want, err := json.Marshal(before)
	require.NoError(t, err)
	got, err := json.Marshal(after)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
	earlier, err := b.Prices(t.Context(), "BTCUSDT", 0, 10)
	require.NoError(t, err)
	require.False(t, earlier[0].Gap)
}

func TestEngine_Load_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := feed.Source{Script: []feed.ScriptTick{{Time: start, Price: dec("95000")}}}
	for want, book := range map[string]BookConfig{
		"spread":       {SpreadTicks: -1},
		"latency":      {LatencyTicks: 1001},
		"tick volume":  {TickVolume: dec("-1")},
		"levels":       {Depth: make([]Level, 51)},
		"quantity 0":   {Depth: []Level{{}}},
		"offset of -1": {Depth: []Level{{dec("1"), -1}}},
		"greater than": {Depth: []Level{{dec("1"), 5}, {dec("1"), 5}}},
	} {
		_, err := b.Load("BTCUSDT", book, path, "")
		require.ErrorContains(t, err, want)
	}
	_, err := b.Load("NOPE", BookConfig{}, path, "")
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	_, err = b.Load("BTCUSDT", BookConfig{}, feed.Source{}, "")
	require.ErrorContains(t, err, "exactly one")
	_, err = b.Load("BTCUSDT", BookConfig{}, feed.Source{Script: []feed.ScriptTick{{Time: start, Price: dec("1000000.01")}}}, "")
	require.ErrorContains(t, err, "must lie within")
	b.market(BookConfig{}, "95000")
	b.fund(spot, "USDT", "1000")
	b.place(spot, limit("a", venue.Buy, "0.01", "90000"))
	_, err = b.Load("BTCUSDT", BookConfig{}, path, "")
	require.ErrorIs(t, err, ErrOpenOrders)
}

func TestEngine_Deposit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		balance, err := b.Deposit(spot, "one", "spot", "USDT", dec("5"))
		require.NoError(t, err)
		require.Equal(t, "5", balance.Free.String())
	}
	_, err := b.Deposit(spot, "two", "isolated:BTCUSDT", "USDT", dec("1"))
	require.ErrorIs(t, err, ErrAccount)
	for _, amount := range []string{"0", "-1", "0.000000001", "1000000000000000"} {
		_, err := b.Deposit(spot, "two", "spot", "USDT", dec(amount))
		require.ErrorIs(t, err, ErrAmount, amount)
	}
	b.reopen()
	b.holds(spot, "USDT", "5+0")
}

// Two deposits of one amount in one moment are two: what tells them apart is when they cleared.
func TestEngine_Deposit_Distinct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"one", "two", "three"} {
		_, err := b.Deposit(spot, id, "spot", "USDT", dec("5"))
		require.NoError(t, err)
	}
	reports, _, err := b.Reports(t.Context(), spot, 0, 10)
	require.NoError(t, err)
	cleared := map[time.Time]bool{}
	var last time.Time
	for _, r := range reports {
		if r.Movement != nil {
			cleared[r.Time] = true
		}
		require.False(t, r.Time.Before(last), "a balance is not older than what is in it")
		last = r.Time
	}
	require.Len(t, cleared, 3)
}

// A balance sheet and a later change never carry the same time, or the older of the two could pass for the newer.
func TestEngine_Balances_Time(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "5")
	sheet, err := b.Balances(spot)
	require.NoError(t, err)
	b.fund(spot, "BTC", "1")
	reports, _, err := b.Reports(t.Context(), spot, 2, 10)
	require.NoError(t, err)
	require.True(t, reports[0].Time.After(sheet.Time))
}

// The venue's clock does not go back when the machine's does, not even over a restart.
func TestEngine_Time(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Advance(time.Hour)
	b.market(BookConfig{}, "95000")
	require.NoError(t, b.Close())
	b.clock = clock.NewFake(start)
	b.open()
	now, err := b.Engine.Time()
	require.NoError(t, err)
	require.Equal(t, start.Add(time.Hour), now)
}

func TestEngine_RunMarkets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.market(BookConfig{}, "1", "2", "3")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.RunMarkets(ctx) }()
	_, err := b.Pace("BTCUSDT", 100*time.Millisecond)
	require.NoError(t, err)
	seen := int64(1)
	for seen < 3 {
		b.clock.WaitFor(1)
		b.clock.Advance(10 * time.Millisecond)
		last, err := b.LastPrice("BTCUSDT")
		require.NoError(t, err)
		require.GreaterOrEqual(t, last.Sequence, seen)
		seen = last.Sequence
	}
	cancel()
	require.NoError(t, <-done)
}
