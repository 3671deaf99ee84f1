package projectiontest

import (
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Claim claims the order of an intent's attempt.
func (l *Log) Claim(intentID uuid.UUID, attempt int32) *eventv1.OrderSubmitted {
	intent := l.Intent(intentID)
	id := event.OrderID(intentID, attempt)
	payload := &eventv1.OrderSubmitted{
		OrderId: id.String(), AccountId: intent.AccountID.String(), PositionId: intent.PositionID.UUID.String(),
		IntentId: intentID.String(), ClientOrderId: event.ClientOrderID(id), Symbol: intent.Symbol,
		Side:      eventv1.Side(eventv1.Side_value["SIDE_"+upper(intent.Side)]),
		OrderType: eventv1.OrderType(eventv1.OrderType_value["ORDER_TYPE_"+upper(intent.OrderType)]),
		Quantity:  intent.Quantity.String(), Attempt: attempt, Product: eventv1.Product_PRODUCT_SPOT,
		ReduceIntent: map[string]eventv1.ReduceIntent{
			"entry": eventv1.ReduceIntent_REDUCE_INTENT_ENTRY, "exit": eventv1.ReduceIntent_REDUCE_INTENT_EXIT,
			"insurance_stop": eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE,
		}[intent.IntentType],
	}
	if intent.AccountID == Margin {
		payload.Product = eventv1.Product_PRODUCT_ISOLATED_MARGIN
	}
	if intent.Price.Valid {
		payload.Price = intent.Price.Decimal.String()
	}
	if intent.StopPrice.Valid {
		payload.StopPrice = intent.StopPrice.Decimal.String()
	}
	return payload
}

// Trade is what a venue tells of a trade. What is empty is made up.
type Trade struct {
	ID       string
	Price    string
	Quantity string
	Fee      string
	FeeAsset string
	// FeeQuote is Fee at Price for a fee in BTC, and Fee itself for one in USDT.
	FeeQuote string
}

// Fill reports a trade of an order. The order need not be claimed.
func (l *Log) Fill(intent *projection.Intent, attempt int32, t Trade) *eventv1.FillReceived {
	id := event.OrderID(intent.IntentID, attempt)
	quote := dec(t.Price).Mul(dec(t.Quantity))
	if t.Fee == "" {
		t.Fee, t.FeeAsset, t.FeeQuote = "0", "USDT", "0"
	}
	if t.FeeQuote == "" {
		switch t.FeeAsset {
		case "USDT":
			t.FeeQuote = t.Fee
		case "BTC":
			t.FeeQuote = dec(t.Fee).Mul(dec(t.Price)).String()
		}
	}
	return &eventv1.FillReceived{
		FillId: ID("fill " + id.String() + "/" + t.ID).String(), AccountId: intent.AccountID.String(), OrderId: id.String(),
		PositionId: intent.PositionID.UUID.String(), ClientOrderId: event.ClientOrderID(id), ExchangeOrderId: ExchangeID(id),
		ExchangeTradeId: t.ID, Symbol: intent.Symbol, Side: eventv1.Side(eventv1.Side_value["SIDE_"+upper(intent.Side)]),
		FillPrice: t.Price, FillQuantity: t.Quantity, QuoteQuantity: quote.String(), Fee: t.Fee, FeeAsset: t.FeeAsset,
		FeeQuote: t.FeeQuote, FilledAt: l.stamp(), Source: eventv1.Source_SOURCE_WS,
	}
}

// ExchangeID is the id that the venue gives an order.
func ExchangeID(order uuid.UUID) string { return "x" + order.String()[:8] }

// Ack reports that the venue knows an order.
func (l *Log) Ack(intent *projection.Intent, attempt int32) *eventv1.OrderAcked {
	id := event.OrderID(intent.IntentID, attempt)
	return &eventv1.OrderAcked{
		OrderId: id.String(), AccountId: intent.AccountID.String(), Symbol: intent.Symbol, ClientOrderId: event.ClientOrderID(id),
		ExchangeOrderId: ExchangeID(id), ExchangeStatus: "NEW", TransactTime: l.stamp(), Source: eventv1.Source_SOURCE_REST,
	}
}

// Canceled reports the end of an order that was canceled after some of it had filled.
func (l *Log) Canceled(intent *projection.Intent, attempt int32, filled string) *eventv1.OrderCanceled {
	id := event.OrderID(intent.IntentID, attempt)
	return &eventv1.OrderCanceled{
		OrderId: id.String(), AccountId: intent.AccountID.String(), Symbol: intent.Symbol, ExchangeOrderId: ExchangeID(id),
		CumFilledQuantity: filled, CanceledBy: eventv1.CanceledBy_CANCELED_BY_US, Source: eventv1.Source_SOURCE_REST,
	}
}

// Expired reports the end of an order that the venue ended.
func (l *Log) Expired(intent *projection.Intent, attempt int32, filled string) *eventv1.OrderExpired {
	id := event.OrderID(intent.IntentID, attempt)
	return &eventv1.OrderExpired{
		OrderId: id.String(), AccountId: intent.AccountID.String(), Symbol: intent.Symbol, ExchangeOrderId: ExchangeID(id),
		ExchangeStatus: "EXPIRED", ExpiryReason: "INSUFFICIENT_LIQUIDITY", CumFilledQuantity: filled, Source: eventv1.Source_SOURCE_REST,
	}
}

// Rejected reports a definitive refusal by the venue.
func (l *Log) Rejected(intent *projection.Intent, attempt int32) *eventv1.OrderRejected {
	id, code := event.OrderID(intent.IntentID, attempt), int32(-2010)
	return &eventv1.OrderRejected{
		OrderId: id.String(), AccountId: intent.AccountID.String(), Symbol: intent.Symbol, IntentId: intent.IntentID.String(),
		ClientOrderId: event.ClientOrderID(id), Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, ErrorCode: &code, Reason: "insufficient balance",
	}
}

// EndedUnsent ends an intent before it was sent.
func (l *Log) EndedUnsent(intent *projection.Intent) *eventv1.OrderRejected {
	payload := l.Rejected(intent, 1)
	payload.Stage, payload.ErrorCode, payload.Reason = eventv1.RejectStage_REJECT_STAGE_LOCAL, nil, "expired"
	return payload
}

// Uncertain records that nobody knows what became of a request to place or to cancel an order.
func (l *Log) Uncertain(intent *projection.Intent, attempt int32, operation string) *eventv1.ExchangeStateUncertain {
	id := event.OrderID(intent.IntentID, attempt)
	return &eventv1.ExchangeStateUncertain{
		AccountId: intent.AccountID.String(), RequestId: ID("request " + id.String()).String(), Request: eventv1.VenueRequest(eventv1.VenueRequest_value["VENUE_REQUEST_"+upper(operation)]),
		OrderId: id.String(), ClientOrderId: event.ClientOrderID(id), Cause: eventv1.UncertainCause_UNCERTAIN_CAUSE_TIMEOUT,
		RequestTimestamp: l.stamp(), RecvWindowMs: 5000,
	}
}

// Opened opens a position with the first fill of its entry.
func (l *Log) Opened(p Plan, price, quantity string) *eventv1.PositionOpened {
	distance := dec(p.Entry).Sub(dec(p.Stop)).Abs()
	return &eventv1.PositionOpened{
		PositionId: p.PositionID().String(), AccountId: p.Account.String(), StrategyId: p.strategyText(), Symbol: p.Symbol,
		Side: p.Side, EntryOrderId: event.OrderID(p.EntryID(), 1).String(), EntryPrice: price, EntryQuantity: quantity,
		TechnicalStopPrice: p.Stop, TechnicalStopDistance: distance.String(), TrailingStopPrice: p.Stop, OpenedAt: l.stamp(),
	}
}

// StopMoved moves a position's stop.
func (l *Log) StopMoved(p Plan, from, to, extreme string) *eventv1.TrailingStopUpdated {
	return &eventv1.TrailingStopUpdated{
		PositionId: p.PositionID().String(), PreviousStop: from, NewStop: to, FavorableExtreme: extreme, TriggerPrice: extreme,
		PriceEventId: "tick", ObservedAt: l.stamp(),
	}
}

// Leaving triggers the exit of all that is open.
func (l *Log) Leaving(p Plan, reason eventv1.ExitReason) *eventv1.ExitTriggered {
	open := "0"
	if position := l.Position(p.PositionID()); position != nil && position.CurrentQuantity.IsPositive() {
		open = position.CurrentQuantity.String()
	}
	return &eventv1.ExitTriggered{PositionId: p.PositionID().String(), Reason: reason, Quantity: open, TriggeredAt: l.stamp()}
}

// StopHit triggers the exit at a price that reached the stop.
func (l *Log) StopHit(p Plan, trigger, stop string) *eventv1.ExitTriggered {
	payload := l.Leaving(p, eventv1.ExitReason_EXIT_REASON_TRAILING_STOP)
	payload.TriggerPrice, payload.StopPrice = trigger, stop
	return payload
}

// Closed closes a position with the numbers of its sums.
func (l *Log) Closed(p Plan, reason eventv1.ExitReason) *eventv1.PositionClosed {
	position := l.Position(p.PositionID())
	exits := make([]string, len(position.ExitOrderIDs))
	for i, id := range position.ExitOrderIDs {
		exits[i] = id.String()
	}
	dust := position.CurrentQuantity
	if dust.IsNegative() {
		dust = dec("0")
	}
	return &eventv1.PositionClosed{
		PositionId: p.PositionID().String(), ExitOrderIds: exits, ExitPrice: position.ExitPrice.Decimal.String(),
		ClosedQuantity: position.ExitQuantity.String(), DustQuantity: dust.String(), RealizedPnl: position.Realized().String(),
		TotalFees: position.TotalFees.String(), NetPnl: position.Realized().Sub(position.TotalFees).String(),
		ExitReason: reason, ClosedAt: l.stamp(),
	}
}

// Sample reports an asset of an account's spot wallet.
func (l *Log) Sample(id, asset, free string) *eventv1.BalanceSampled {
	return &eventv1.BalanceSampled{
		SampleId: ID("sample " + id).String(), AccountId: Spot.String(), Wallet: "spot", Asset: asset, Free: free, Locked: "0",
		Total: free, SampledAt: timestamppb.New(l.Now), Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT,
	}
}

func upper(text string) string { return strings.ToUpper(text) }
