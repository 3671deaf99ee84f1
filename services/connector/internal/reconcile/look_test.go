package reconcile

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// through is a venue whose orders and trades are asked for through something else.
type through struct {
	venue.Venue
	trading func(venue.Trading) venue.Trading
}

func (v through) Account(ref venue.AccountRef) venue.Account {
	account := v.Venue.Account(ref)
	account.Trading = v.trading(account.Trading)
	return account
}

// over has the bench's venue asked through something else from now on.
func (b *bench) over(trading func(venue.Trading) venue.Trading) {
	b.t.Helper()
	var err error
	b.Manager, err = New(slog.New(slog.DiscardHandler), clock.System(), b.books.Ledger(), line.NewDesk(through{b.paper, trading}), Config{Young: time.Millisecond})
	require.NoError(b.t, err)
}

// late is a venue that lists no orders as often as it is told to. One test's run uses it, by one goroutine.
type late struct {
	venue.Trading
	left *int
}

func (l late) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	if *l.left > 0 {
		*l.left--
		return nil, nil
	}
	return l.Trading.Orders(ctx, symbol, from, limit)
}

func (b *bench) lists(none int) *int {
	b.t.Helper()
	b.over(func(t venue.Trading) venue.Trading { return late{t, &none} })
	return &none
}

// A venue that lists a trade before its order is asked again within the run.
func TestReconcile_TradeBeforeItsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	b.lists(2 * lagsMax) // a look that has to wait asks twice
	report := b.run()
	require.Equal(t, []string{"missed_ack auto_repaired", "missed_fill auto_repaired"}, b.kinds())
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	require.Zero(t, report.Skipped)
	require.Equal(t, []string{"balances: nothing to count from before this run"}, report.Notes)
	require.Empty(t, b.settled().Notes)
}

// One that goes on not listing it has the trade left to the next run; the rest of the run is done.
func TestReconcile_TradeWithoutOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place("by-hand", venue.Market, "0.01", "0")
	left := b.lists(1000)
	for range 2 {
		report := b.settled()
		require.Equal(t, 1, report.Skipped)
		require.Len(t, report.Notes, 2)
		require.Contains(t, report.Notes[0], "trade 1 of order 1, and not the order")
		require.Contains(t, report.Notes[1], "balances: not held against")
		require.Zero(t, report.Completed.GetBalancesChecked(), "the trade moved balances")
	}
	*left = 0
	b.run()
	require.Empty(t, b.settled().Notes)
	require.Equal(t, []string{"unknown_order needs_operator", "unknown_trade needs_operator"}, b.kinds())
}

// However much is listed after it, a trade that was left is listed again.
func TestReconcile_TradeLeftBehindOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 4 {
		b.place("by-hand", venue.Market, "0.01", "0")
	}
	b.over(func(t venue.Trading) venue.Trading { return hiding{t, 1} })
	b.config.Overlap = 1
	report := b.run()
	require.Equal(t, 1, report.Skipped)
	require.EqualValues(t, 3, report.Completed.GetUnknownOrders())
	b.over(func(t venue.Trading) venue.Trading { return t })
	b.config.Overlap = 1
	require.EqualValues(t, 1, b.run().Completed.GetUnknownOrders())
}

// hiding is a venue that never lists an order.
type hiding struct {
	venue.Trading
	order venue.OrderID
}

func (h hiding) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	page, err := h.Trading.Orders(ctx, symbol, from, limit)
	return slices.DeleteFunc(page, func(o venue.Order) bool { return o.OrderID == h.order }), err
}

// counting is a venue that something happens to before its orders are listed for the n-th time.
type counting struct {
	venue.Trading
	n      *int
	before func(n int)
}

func (c counting) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	*c.n++
	c.before(*c.n)
	return c.Trading.Orders(ctx, symbol, from, limit)
}

// What happens while a run looks once more, after a repair, is no difference: the book was read before, and the venue after.
func TestReconcile_TradeWhileItLooksAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	script := feed.Source{Script: []feed.ScriptTick{{Time: projectiontest.Start, Price: num("95000")}, {Time: projectiontest.Start.Add(time.Second), Price: num("90000")}}}
	_, err := b.paper.LoadMarket(t.Context(), "BTCUSDT", engine.BookConfig{}, script, "script")
	require.NoError(t, err)
	order := b.claimed(projectiontest.Long("p"))
	name := venue.ClientOrderID(event.ClientOrderID(order))
	b.place(string(name), venue.Limit, "0.06666", "90000")
	fills := func(look int) {
		if look != 3 { // two for what is missed, then one after it
			return
		}
		market, err := b.paper.MarketState(b.ctx, "BTCUSDT")
		require.NoError(t, err)
		_, err = b.paper.Advance(b.ctx, "BTCUSDT", market.Last.Sequence+1)
		require.NoError(t, err)
		lines := line.Lines{Account: b.paper.Account(b.ref), Market: b.paper.Market(), Ref: b.ref}
		at, err := lines.Trading.QueryOrder(b.ctx, "BTCUSDT", name)
		require.NoError(t, err)
		require.Equal(t, venue.StatusFilled, at.Status)
		trades, err := lines.Trades(b.ctx, at, nil)
		require.NoError(t, err)
		row, err := b.books.Ledger().Order(b.ctx, order.String(), 0)
		require.NoError(t, err)
		claimed, _, err := b.books.Ledger().Claimed(b.ctx, ledger.OrderOf(row))
		require.NoError(t, err)
		facts, err := lines.Facts(b.ctx, claimed, at, trades, fact.Stream)
		require.NoError(t, err)
		_, err = b.books.Ledger().Record(b.ctx, facts...)
		require.NoError(t, err)
	}
	looks := 0
	b.over(func(t venue.Trading) venue.Trading { return counting{t, &looks, fills} })
	b.run()
	require.Equal(t, []string{"missed_ack auto_repaired"}, b.kinds())
	require.Len(t, b.books.Events("FILL_RECEIVED"), 1)
	b.settled()
}
