package reconcile

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// pages counts the pages that a venue was asked for. One test's run uses it, by one goroutine.
type pages struct {
	venue.Trading
	orders, trades *int
}

func (p pages) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	*p.orders++
	return p.Trading.Orders(ctx, symbol, from, limit)
}

func (p pages) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	*p.trades++
	return p.Trading.Trades(ctx, symbol, from, limit)
}

// The first run of an account that has long been used goes through all of it, page by page; the next one begins a little before its end.
func TestReconcile_LongUsed(t *testing.T) {
	t.Parallel()
	const used = 2*venue.PageMax + 50
	b := setup(t)
	for range used / 2 {
		b.place("by-hand", venue.Market, "0.0001", "0")
	}
	order := b.claimed(projectiontest.Long("p")) // and nothing about it comes by the stream
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	for range used - used/2 - 1 {
		b.place("by-hand", venue.Market, "0.0001", "0")
	}
	var orders, trades int
	b.over(func(t venue.Trading) venue.Trading { return pages{t, &orders, &trades} })
	report := b.run()
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	require.Len(t, b.books.Events("FILL_RECEIVED"), 1)
	require.EqualValues(t, used-1, report.Completed.GetUnknownOrders())
	require.EqualValues(t, 2*(used-1), report.Completed.GetUnresolved(), "each order by hand, and its trade")
	require.Equal(t, SymbolReport{Symbol: "BTCUSDT", ToTrade: used, ToOrder: used, Trades: used, Orders: used}, report.Symbols[0])
	require.GreaterOrEqual(t, orders, 3)
	require.GreaterOrEqual(t, trades, 3)

	report = b.settled()
	require.Equal(t, SymbolReport{Symbol: "BTCUSDT", FromTrade: used - 100, ToTrade: used, FromOrder: used - 100, ToOrder: used, Trades: 101, Orders: 101}, report.Symbols[0])
	require.Positive(t, report.Completed.GetBalancesChecked())
	require.NotContains(t, b.kinds(), "balance_mismatch needs_operator", "its trades explain what it holds")
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, report.Completed.GetStatus())
}
