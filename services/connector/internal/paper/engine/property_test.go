package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// step is one request of a random history.
type step struct {
	ref    venue.AccountRef
	order  venue.NewOrder
	cancel venue.ClientOrderID
	ticks  int
	pause  time.Duration
}

func drawStep(t *rapid.T) step {
	s := step{pause: time.Duration(rapid.IntRange(0, 50).Draw(t, "pause")) * time.Millisecond}
	s.ref = rapid.SampledFrom([]venue.AccountRef{spot, iso}).Draw(t, "account")
	id := venue.ClientOrderID(fmt.Sprintf("id%d", rapid.IntRange(0, 9).Draw(t, "id")))
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		s.ticks = rapid.IntRange(1, 5).Draw(t, "ticks")
	case 1:
		s.cancel = id
	default:
		o := venue.NewOrder{Symbol: "BTCUSDT", ClientOrderID: id}
		o.Side = rapid.SampledFrom([]venue.Side{venue.Buy, venue.Sell}).Draw(t, "side")
		o.Type = rapid.SampledFrom([]venue.OrderType{venue.Market, venue.Limit, venue.StopLoss, venue.StopLossLimit}).Draw(t, "type")
		o.Quantity = decimal.New(rapid.Int64Range(1, 300).Draw(t, "quantity"), -4)
		price := func(label string) decimal.Decimal {
			return decimal.New(rapid.Int64Range(9_900_00, 10_100_00).Draw(t, label), -2)
		}
		if o.Type.HasPrice() {
			o.Price = price("price")
			o.TimeInForce = rapid.SampledFrom([]venue.TimeInForce{venue.GTC, venue.IOC, venue.FOK}).Draw(t, "tif")
		}
		if o.Type.IsStop() {
			o.StopPrice = price("stop")
		}
		if s.ref.Product == venue.IsolatedMargin {
			o.SideEffect = rapid.SampledFrom([]venue.SideEffect{"", venue.MarginBuy, venue.AutoRepay}).Draw(t, "effect")
		}
		s.order = o
	}
	return s
}

// play runs a history in a new directory and gives the engine's state as bytes.
func play(t *rapid.T, dir string, book BookConfig, steps []step, each func(*Engine)) string {
	clk := clock.NewFake(start)
	e, err := Open(dir, clk, DefaultTiming)
	require.NoError(t, err)
	for _, ref := range []venue.AccountRef{spot, iso} {
		config := NewAccountConfig(ref)
		config.HourlyInterest = dec("0.00001")
		require.NoError(t, e.Configure(config))
		for _, asset := range []string{"USDT", "BTC"} {
			_, err := e.Deposit(ref, asset, config.wallet(), asset, dec("300"))
			require.NoError(t, err)
		}
	}
	walk := &feed.Walk{Seed: 7, Start: dec("10000"), StepTicks: 2000, Interval: 20 * time.Minute, StartTime: start}
	_, err = e.Load("BTCUSDT", book, feed.Source{Walk: walk}, "walk")
	require.NoError(t, err)
	for _, s := range steps {
		clk.Advance(s.pause)
		switch {
		case s.ticks > 0:
			_, err := e.Advance(t.Context(), "BTCUSDT", e.s.Symbols["BTCUSDT"].Last.Sequence+int64(s.ticks))
			require.NoError(t, err)
		case s.cancel != "":
			_, err = e.Cancel(s.ref, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: s.cancel})
			require.False(t, venue.IsUncertain(err), "%v", err)
		default:
			s.order.Stamp = clk.Now()
			_, err = e.Place(s.ref, s.order)
			require.False(t, venue.IsUncertain(err), "%v", err)
		}
		each(e)
	}
	bytes := stateBytes(t, e)
	require.NoError(t, e.Close())
	return bytes
}

func stateBytes(t *rapid.T, e *Engine) string {
	raw, err := json.Marshal(e.s)
	require.NoError(t, err)
	return string(raw)
}

// checkBooks requires what must hold after every request: nothing negative, what is locked is locked by open orders,
// and an order's sums are those of its trades.
func checkBooks(t *rapid.T, e *Engine) {
	for _, account := range e.s.Accounts {
		locked := map[string]decimal.Decimal{}
		for key, o := range account.Orders {
			executed, quote := decimal.Zero, decimal.Zero
			for _, trade := range account.Trades[key] {
				executed, quote = executed.Add(trade.Quantity), quote.Add(trade.QuoteQuantity)
			}
			require.True(t, executed.Equal(o.Executed) && quote.Equal(o.CumQuote), "order %s", key)
			require.False(t, o.Remaining().IsNegative())
			require.Equal(t, o.Remaining().IsZero(), o.Status == venue.StatusFilled)
			if !o.Status.IsOpen() {
				require.True(t, o.Locked.IsZero(), "order %s is over and holds %s", key, o.Locked)
			}
			locked[o.LockAsset] = locked[o.LockAsset].Add(o.Locked)
		}
		for _, b := range account.Balances {
			for _, amount := range []decimal.Decimal{b.Free, b.Locked, b.Borrowed, b.Interest} {
				require.False(t, amount.IsNegative(), "%+v", b)
			}
			require.True(t, b.Locked.Equal(locked[b.Asset]), "%s: %s locked, orders hold %s", b.Asset, b.Locked, locked[b.Asset])
		}
	}
}

// Random histories: the books are right after each request, the same history gives the same bytes, and what the journal
// remembers, with and without a snapshot, is what was.
func TestEngine_RandomHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		book := BookConfig{
			SpreadTicks:  rapid.Int64Range(0, 10).Draw(t, "spread"),
			LatencyTicks: rapid.Int64Range(0, 2).Draw(t, "latency"),
			TickVolume:   decimal.New(rapid.Int64Range(0, 50).Draw(t, "volume"), -4),
			Depth:        []Level{{dec("0.005"), 0}, {dec("0.01"), 50}, {dec("0.02"), 200}},
		}
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(t, "steps")
		compactAt := rapid.IntRange(0, len(steps)).Draw(t, "compact")
		dirs := [2]string{tempDir(t), tempDir(t)}
		first := play(t, dirs[0], book, steps, func(e *Engine) { checkBooks(t, e) })
		n := 0
		second := play(t, dirs[1], book, steps, func(e *Engine) {
			if n++; n == compactAt {
				require.NoError(t, e.journal.Compact([]byte(stateBytes(t, e))))
			}
		})
		require.Equal(t, first, second)
		for _, dir := range dirs {
			e, err := Open(dir, clock.NewFake(start), DefaultTiming)
			require.NoError(t, err)
			require.Equal(t, first, stateBytes(t, e))
			require.Len(t, e.s.Symbols["BTCUSDT"].open, len(e.s.Accounts[spot.Key].openOrders(""))+len(e.s.Accounts[iso.Key].openOrders("")))
			require.NoError(t, e.Close())
		}
	})
}

func tempDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "paper-engine-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
