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
	"github.com/robson/robson/services/connector/internal/line"
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
