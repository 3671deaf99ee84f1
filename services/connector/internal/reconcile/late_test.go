package reconcile

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// holdingBack is a venue that does not list one trade.
type holdingBack struct {
	venue.Trading
	trade venue.TradeID
}

func (h holdingBack) without(trades []venue.Trade) []venue.Trade {
	return slices.DeleteFunc(trades, func(t venue.Trade) bool { return t.TradeID == h.trade })
}

func (h holdingBack) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	trades, err := h.Trading.Trades(ctx, symbol, from, limit)
	return h.without(trades), err
}

func (h holdingBack) OrderTrades(ctx context.Context, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	trades, err := h.Trading.OrderTrades(ctx, symbol, id)
	return h.without(trades), err
}

// A trade that the venue lists only after later ones is told of as open, is taken in when it comes, and then said to be late. Balances that
// it has moved are not counted from before it is in the log: that it comes would be a mismatch.
func TestReconcile_LateTrade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	b.place("by-hand", venue.Market, "0.01", "0")
	b.over(func(t venue.Trading) venue.Trading { return holdingBack{t, 1} })
	report := b.run()
	require.Contains(t, b.kinds(), "quantity_mismatch needs_operator", "the venue's trades are not what it says of the order")
	require.EqualValues(t, 3, report.Completed.GetUnresolved(), "the order by hand and its trade, too")

	b.over(func(t venue.Trading) venue.Trading { return t })
	report = b.run()
	late := b.evidence()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL, late.GetKind())
	require.Equal(t, map[string]string{"fill": "recorded", "late": "due by the run that saw trade 2"}, late.GetExpected())
	require.Len(t, report.Completed.GetResolvedIds(), 1)
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	require.EqualValues(t, 2, b.settled().Completed.GetUnresolved())
	require.EqualValues(t, 2, b.settled().Completed.GetBalancesChecked())
	require.NotContains(t, b.kinds(), "balance_mismatch needs_operator")
}

// A fill that comes after its position was closed is recorded on its order, does not open the position again, and is for an operator.
func TestReconcile_FillAfterTheClose(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	order := b.claimed(p)
	placed := b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	b.books.Do(t, func(l *projectiontest.Log) error {
		ended := l.Expired(l.Intent(p.EntryID()), 1, "0")
		ended.ExchangeOrderId = fmt.Sprint(placed.Order.OrderID)
		if _, err := l.Append(ended); err != nil {
			return err
		}
		_, err := l.Append(l.Closed(p, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED))
		return err
	})
	b.run()
	require.Contains(t, b.kinds(), "missed_fill auto_repaired")
	late := b.evidence()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION, late.GetKind())
	require.Equal(t, map[string]string{"late_fill": "0.06666"}, late.GetActual())
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	row := b.position(p)
	require.Equal(t, projection.PositionClosed, row.State)
	require.True(t, row.CurrentQuantity.IsZero())
	require.EqualValues(t, 1, b.settled().Completed.GetUnresolved())
	require.Equal(t, []string{late.GetDiscrepancyId()}, b.run(late.GetDiscrepancyId()).Completed.GetResolvedIds())
	require.Zero(t, b.settled().Completed.GetUnresolved())
}

// What could not be looked at is said, up to a bound.
func TestReconcile_Notes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	report := b.run()
	require.Equal(t, []string{
		"order:" + order.String() + ": the venue does not know it, and may still take it in: left to the next run",
		"balances: not held against a book that lacks what the venue does not list yet, or what was left to the next run",
	}, report.Notes)
	full := &run{notes: make([]string, notesMax)}
	full.note("one more")
	require.Len(t, full.notes, notesMax)
}
