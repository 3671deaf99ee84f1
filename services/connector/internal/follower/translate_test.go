package follower

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

var num = decimal.RequireFromString

// told is what one report becomes, recorded twice: the second time changes nothing.
func (b *bench) told(tr *translator, r venue.Report) []*eventv1.Event {
	b.t.Helper()
	before := len(b.books.Events())
	for range 2 {
		facts, err := tr.facts(b.ctx, r)
		require.NoError(b.t, err)
		_, err = b.books.Ledger().Record(b.ctx, facts...)
		require.NoError(b.t, err)
		if r.Position == nil && r.Movement == nil {
			require.NotEmpty(b.t, facts)
		}
	}
	return b.books.Events()[before:]
}

func types(events []*eventv1.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.GetEventType())
	}
	return out
}

func orderReport(kind venue.ExecutionType, id uuid.UUID, change func(*venue.Execution)) venue.Report {
	x := &venue.Execution{Type: kind, Order: venue.Order{
		Symbol: "BTCUSDT", OrderID: 5001, ClientOrderID: venue.ClientOrderID(event.ClientOrderID(id)), Status: venue.StatusNew,
		Side: venue.Buy, Type: venue.Market, Quantity: num("0.06666"), CreatedAt: projectiontest.Start, UpdatedAt: projectiontest.Start.Add(time.Minute),
	}}
	if change != nil {
		change(x)
	}
	return venue.Report{Cursor: 7, Time: projectiontest.Start.Add(time.Hour), Execution: x}
}

func trade(quantity, fee, asset string) *venue.Trade {
	return &venue.Trade{
		Symbol: "BTCUSDT", TradeID: 9, OrderID: 5001, Side: venue.Buy, Price: num("95000"), Quantity: num(quantity),
		QuoteQuantity: num("95000").Mul(num(quantity)), Fee: num(fee), FeeAsset: asset, Time: projectiontest.Start.Add(time.Second),
	}
}

func TestTranslator_Executions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	claim := b.books.Events("ORDER_SUBMITTED")[0]
	tr := b.translator(projectiontest.Spot)

	for _, c := range []struct {
		name   string
		report venue.Report
		want   string
		check  func(*eventv1.Payload)
	}{
		{"new", orderReport(venue.ExecutionNew, order, nil), "ORDER_ACKED", func(p *eventv1.Payload) {
			require.Equal(t, "5001", p.GetOrderAcked().GetExchangeOrderId())
			require.Equal(t, "NEW", p.GetOrderAcked().GetExchangeStatus())
			require.Equal(t, eventv1.Source_SOURCE_WS, p.GetOrderAcked().GetSource())
		}},
		{"trade, fee in base", orderReport(venue.ExecutionTrade, order, func(x *venue.Execution) {
			x.Trade, x.Order.Status = trade("0.02", "0.00002", "BTC"), venue.StatusPartiallyFilled
		}), "FILL_RECEIVED", func(p *eventv1.Payload) {
			require.Equal(t, "1.9", p.GetFillReceived().GetFeeQuote(), "valued at the fill's price")
			require.Equal(t, "9", p.GetFillReceived().GetExchangeTradeId())
			require.NotEmpty(t, p.GetFillReceived().GetPositionId())
		}},
		{"canceled by us", orderReport(venue.ExecutionCanceled, order, func(x *venue.Execution) {
			x.Order.Status, x.Order.CancelID, x.Order.Executed = venue.StatusCanceled, fact.CancelID(order), num("0.02")
		}), "ORDER_CANCELED", func(p *eventv1.Payload) {
			require.Equal(t, eventv1.CanceledBy_CANCELED_BY_US, p.GetOrderCanceled().GetCanceledBy())
			require.Equal(t, "0.02", p.GetOrderCanceled().GetCumFilledQuantity())
		}},
	} {
		events := b.told(tr, c.report)
		require.Equal(t, []string{c.want}, types(events), c.name)
		require.Equal(t, claim.GetTraceId(), events[0].GetTraceId(), "%s: a fact keeps the trace of its order", c.name)
		require.Equal(t, claim.GetEventId(), events[0].GetCausationId(), "%s: a fact is caused by the claim", c.name)
		require.Equal(t, "order:"+order.String(), events[0].GetStreamKey())
		c.check(events[0].GetPayload())
	}
	require.Len(t, tr.claims, 1, "the claim is read once")
}

func TestTranslator_Expired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	events := b.told(b.translator(projectiontest.Spot), orderReport(venue.ExecutionExpired, order, func(x *venue.Execution) {
		x.Order.Status, x.Order.ExpiryReason = venue.StatusExpired, "INSUFFICIENT_LIQUIDITY"
	}))
	require.Equal(t, []string{"ORDER_EXPIRED"}, types(events))
	require.Equal(t, "INSUFFICIENT_LIQUIDITY", events[0].GetPayload().GetOrderExpired().GetExpiryReason())
}

func TestTranslator_WhoCanceled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		change func(*venue.Order)
		want   eventv1.CanceledBy
	}{
		"exchange": {func(o *venue.Order) { o.CanceledBy = venue.CanceledByExchange }, eventv1.CanceledBy_CANCELED_BY_EXCHANGE},
		"user":     {func(o *venue.Order) { o.CancelID = "web_1" }, eventv1.CanceledBy_CANCELED_BY_USER},
	} {
		order := projectiontest.ID(name)
		facts, err := b.translator(projectiontest.Spot).facts(b.ctx, orderReport(venue.ExecutionCanceled, order, func(x *venue.Execution) {
			x.Order.Status = venue.StatusCanceled
			c.change(&x.Order)
		}))
		require.NoError(t, err)
		require.Equal(t, c.want, facts[0].Payload.(*eventv1.OrderCanceled).GetCanceledBy(), name)
	}
}

// An order under our prefix that nobody here claimed is recorded as what it is; its origin is its own.
func TestTranslator_NeverClaimed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := uuid.New()
	tr := b.translator(projectiontest.Spot)
	events := b.told(tr, orderReport(venue.ExecutionNew, order, nil))
	require.Equal(t, "ORDER_ACKED", events[0].GetEventType())
	require.Empty(t, events[0].GetCausationId())
	events = b.told(tr, orderReport(venue.ExecutionRejected, order, func(x *venue.Execution) { x.Order.Status = venue.StatusRejected }))
	require.Equal(t, "ORDER_REJECTED", events[0].GetEventType())
	require.Empty(t, tr.claims, "it may be claimed yet: it is looked for again")
	require.False(t, b.books.Row(order).Known)
}

// S20: what somebody does by hand is told, never adopted.
func TestTranslator_Foreign(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tr := b.translator(projectiontest.Spot)
	byHand := func(x *venue.Execution) { x.Order.ClientOrderID = "web_1" }
	events := b.told(tr, orderReport(venue.ExecutionNew, uuid.Nil, byHand))
	require.Equal(t, []string{"DISCREPANCY_DETECTED"}, types(events))
	unknown := events[0].GetPayload().GetDiscrepancyDetected()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER, unknown.GetKind())
	require.Equal(t, "exchange_order:BTCUSDT/5001", unknown.GetEntity())
	require.Equal(t, "web_1", unknown.GetActual()["client_order_id"])

	events = b.told(tr, orderReport(venue.ExecutionTrade, uuid.Nil, func(x *venue.Execution) {
		byHand(x)
		x.Trade = trade("0.02", "0.00002", "BTC")
	}))
	require.Equal(t, []string{"DISCREPANCY_DETECTED"}, types(events), "the order is told once")
	unknown = events[0].GetPayload().GetDiscrepancyDetected()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_TRADE, unknown.GetKind())
	require.Equal(t, "exchange_trade:BTCUSDT/5001/9", unknown.GetEntity())
	require.Equal(t, "0.02", unknown.GetActual()["quantity"])
	require.Empty(t, b.told(tr, orderReport(venue.ExecutionCanceled, uuid.Nil, byHand)))
	require.Empty(t, b.books.Events("ORDER_ACKED", "FILL_RECEIVED", "ORDER_CANCELED"))
}

func TestTranslator_Money(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tr := b.translator(projectiontest.Spot)
	at := projectiontest.Start.Add(time.Hour)
	events := b.told(tr, venue.Report{Cursor: 3, Time: at, Position: &venue.AccountPosition{Balances: []venue.Balance{
		{Wallet: "spot", Asset: "BTC", Free: num("1.50")}, {Wallet: "spot", Asset: "USDT", Free: num("90"), Locked: num("10")},
	}}})
	require.Equal(t, []string{"BALANCE_SAMPLED", "BALANCE_SAMPLED"}, types(events))
	sample := events[1].GetPayload().GetBalanceSampled()
	require.Equal(t, []string{"90", "10", "100"}, []string{sample.GetFree(), sample.GetLocked(), sample.GetTotal()})
	require.Equal(t, eventv1.SampleSource_SAMPLE_SOURCE_WS_ACCOUNT_POSITION, sample.GetSource())
	require.Equal(t, at, sample.GetSampledAt().AsTime())

	for kind, want := range map[venue.MovementKind]eventv1.AdjustmentKind{
		venue.Deposit: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT, venue.Withdrawal: eventv1.AdjustmentKind_ADJUSTMENT_KIND_WITHDRAWAL,
		"gift": eventv1.AdjustmentKind_ADJUSTMENT_KIND_UNKNOWN,
	} {
		at = at.Add(time.Second)
		events = b.told(tr, venue.Report{Cursor: 4, Time: at, Movement: &venue.Movement{Wallet: "spot", Asset: "USDT", Delta: num("-5.0"), Kind: kind}})
		require.Equal(t, []string{"BALANCE_ADJUSTED"}, types(events))
		require.Equal(t, want, events[0].GetPayload().GetBalanceAdjusted().GetKind())
		require.Equal(t, "-5", events[0].GetPayload().GetBalanceAdjusted().GetDelta())
	}
}

func TestTranslator_Loans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Short("p"))
	claim := b.books.Events("ORDER_SUBMITTED")[0]
	tr := b.translator(projectiontest.Margin)
	loan := venue.Loan{
		Kind: venue.Borrow, Symbol: "BTCUSDT", Asset: "BTC", Amount: num("0.5"), Principal: num("0.5"), TranID: 11,
		ClientOrderID: venue.ClientOrderID(event.ClientOrderID(order)),
	}
	events := b.told(tr, venue.Report{Cursor: 5, Time: projectiontest.Start, Loan: &loan})
	require.Equal(t, []string{"MARGIN_BORROWED"}, types(events))
	borrowed := events[0].GetPayload().GetMarginBorrowed()
	require.Equal(t, order.String(), borrowed.GetOrderId())
	require.Equal(t, eventv1.BorrowVia_BORROW_VIA_ORDER_SIDE_EFFECT, borrowed.GetVia())
	require.Equal(t, claim.GetEventId(), events[0].GetCausationId())

	repaid := loan
	repaid.Kind, repaid.TranID, repaid.Amount, repaid.Interest = venue.Repay, 12, num("0.51"), num("0.01")
	events = b.told(tr, venue.Report{Cursor: 6, Time: projectiontest.Start, Loan: &repaid})
	require.Equal(t, []string{"MARGIN_REPAID"}, types(events))
	require.Equal(t, "0.01", events[0].GetPayload().GetMarginRepaid().GetInterest())

	byHand := loan
	byHand.TranID, byHand.ClientOrderID = 13, ""
	events = b.told(tr, venue.Report{Cursor: 8, Time: projectiontest.Start, Loan: &byHand})
	require.Empty(t, events[0].GetPayload().GetMarginBorrowed().GetOrderId())
	require.Equal(t, eventv1.BorrowVia_BORROW_VIA_EXPLICIT, events[0].GetPayload().GetMarginBorrowed().GetVia())
}

// What is not understood stops the follower: it is never passed over.
func TestTranslator_NotUnderstood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	for want, report := range map[string]venue.Report{
		"says nothing that is known":    {Cursor: 1},
		"execution type":                orderReport("REPLACED", order, nil),
		"is NEW in a report of its end": orderReport(venue.ExecutionCanceled, order, nil),
		"without the trade":             orderReport(venue.ExecutionTrade, order, nil),
	} {
		_, err := b.translator(projectiontest.Spot).facts(b.ctx, report)
		require.ErrorContains(t, err, want)
	}
}
