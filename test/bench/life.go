package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// One position from arming to closing, as Robson's services append it: 10000 USDT at 1 % risk, bought in two fills at
// 95000, the stop trailed from 93500 to 96500, sold there. The service checks every number, so they are worked out here.
const (
	lifeSymbol = "BTCUSDT"
	entryPrice = "95000"
	firstStop  = "93500"
	lastStop   = "96500"
	quantity   = "0.06666"
)

// step is one append of a life.
type step func(l *life) *eventlogv1.AppendRequest

// lifeStep says which service appends it.
type lifeStep struct {
	service string
	make    step
}

// lifeSteps are in the order in which they happen.
var lifeSteps = []lifeStep{
	{asCommand, (*life).decide},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.claim(l.entry) }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.acked(l.entry) }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.filled(l.entry, 1, entryPrice, "0.03", "2.85") }},
	{asCommand, (*life).opened},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.filled(l.entry, 2, entryPrice, "0.03666", "3.4827") }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.balance("BTC", quantity) }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.balance("USDT", "43660.9673") }},
	{asCommand, (*life).trailed},
	{asCommand, (*life).protect},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.claim(l.stop) }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.acked(l.stop) }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.filled(l.stop, 1, lastStop, quantity, "6.43269") }},
	{asCommand, (*life).closed},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.balance("BTC", "0") }},
	{asConnector, func(l *life) *eventlogv1.AppendRequest { return l.balance("USDT", "50087.22461") }},
}

// intent is one of a life's intents with the order that carries it out.
type intent struct {
	id, order uuid.UUID
	// exchangeID is the venue's name for the order.
	exchangeID string
	side       eventv1.Side
	kind       eventv1.IntentType
	orderType  eventv1.OrderType
	reduces    eventv1.ReduceIntent
	stopPrice  string
}

func newIntent(template intent) intent {
	template.id = uuid.New()
	template.order = orderID(template.id, 1)
	template.exchangeID = strconv.FormatUint(uint64(template.id.ID()), 10)
	return template
}

// life is a position under way. It is lived by one worker.
type life struct {
	account, symbol, trace     string
	position, signal, decision string
	entry, stop                intent
	next                       int
	// pending is the append that is being tried; it is sent again as it is.
	pending *eventlogv1.AppendRequest
	// cause is the event that the next append follows from.
	cause string
}

func newLife(account, symbol string) *life {
	return &life{
		account: account, symbol: symbol, trace: uuid.NewString(), position: uuid.NewString(), signal: uuid.NewString(), decision: uuid.NewString(),
		entry: newIntent(intent{
			side: eventv1.Side_SIDE_BUY, kind: eventv1.IntentType_INTENT_TYPE_ENTRY, orderType: eventv1.OrderType_ORDER_TYPE_MARKET,
			reduces: eventv1.ReduceIntent_REDUCE_INTENT_ENTRY,
		}),
		stop: newIntent(intent{
			side: eventv1.Side_SIDE_SELL, kind: eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP, orderType: eventv1.OrderType_ORDER_TYPE_STOP_LOSS,
			reduces: eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE, stopPrice: lastStop,
		}),
	}
}

// living is a worker's call: the next step of its life, and of the next one when that has ended.
func living(c *client, log eventlogv1.AppendServiceClient, tenantID, account string) call {
	l := newLife(account, lifeSymbol)
	return func(ctx context.Context) (int, error) {
		if l.next == len(lifeSteps) {
			l = newLife(account, lifeSymbol)
		}
		at := lifeSteps[l.next]
		if l.pending == nil {
			l.pending = at.make(l)
			l.pending.CausationId = l.cause
		}
		out, err := appendOne(c.as(ctx, at.service, tenantID), log, l.pending)
		if err != nil {
			return 0, fmt.Errorf("step %d of an order's life: %w", l.next+1, err)
		}
		l.pending, l.cause = nil, out.GetEvents()[len(out.GetEvents())-1].GetEventId()
		l.next++
		return len(out.GetEvents()) + len(out.GetRaised()), nil
	}
}

// on is an append of decisions to the position's stream, each caused by the one before it.
func (l *life) on(expected *eventlogv1.Expected, payloads ...*eventv1.Payload) *eventlogv1.AppendRequest {
	stream := &eventlogv1.StreamAppend{StreamKey: "position:" + l.position, Expected: expected}
	for i, payload := range payloads {
		event := newEvent(payload)
		if i > 0 {
			cause := int32(i - 1)
			event.CausedBy = &cause
		}
		stream.Events = append(stream.Events, event)
	}
	return decided(l.trace, stream)
}

func (l *life) decide() *eventlogv1.AppendRequest {
	at, long := timestamppb.New(now()), eventv1.PositionSide_POSITION_SIDE_LONG
	return l.on(noStream,
		&eventv1.Payload{Kind: &eventv1.Payload_PositionArmed{PositionArmed: &eventv1.PositionArmed{
			PositionId: l.position, AccountId: l.account, Symbol: l.symbol, Side: long, Capital: "10000", RiskPercent: "1",
			TrailingMode: eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS, ArmedAt: at,
		}}},
		&eventv1.Payload{Kind: &eventv1.Payload_SignalDetected{SignalDetected: &eventv1.SignalDetected{
			SignalId: l.signal, PositionId: l.position, Symbol: l.symbol, Side: long, EntryPrice: entryPrice, StopLoss: firstStop,
			Detector: "bench", DetectedAt: at,
		}}},
		&eventv1.Payload{Kind: &eventv1.Payload_DecisionProposed{DecisionProposed: &eventv1.DecisionProposed{
			DecisionId: l.decision, PositionId: l.position, SignalId: l.signal, Symbol: l.symbol, Side: long,
			EntryPrice: entryPrice, TechnicalStopPrice: firstStop, TechnicalStopDistance: "1500", Capital: "10000", RiskPercent: "1",
			MaxRiskAmount: "100", RawQuantity: "0.066666666666666667", Quantity: quantity, QuantityLimit: eventv1.QuantityLimit_QUANTITY_LIMIT_RISK,
			PlannedRisk: "99.99", Notional: "6332.7", StepSize: "0.00001", DecidedAt: at,
		}}},
		&eventv1.Payload{Kind: &eventv1.Payload_RiskCheckPassed{RiskCheckPassed: &eventv1.RiskCheckPassed{
			CheckId: uuid.NewString(), DecisionId: l.decision, AccountId: l.account,
			ExposureBefore: "0", ExposureAfter: "6332.7", BudgetRemaining: "10000",
			ChecksPerformed: []*eventv1.RiskCheck{
				{Name: "total_exposure", Limit: "1000000", Value: "6332.7", Passed: true},
				{Name: "daily_loss", Limit: "1000000", Value: "0", Passed: true},
				{Name: "open_positions", Limit: "100", Value: "1", Passed: true},
			},
		}}},
		l.intended(l.entry, l.decision))
}

// intended is the intent as an event.
func (l *life) intended(i intent, decision string) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_IntentCreated{IntentCreated: &eventv1.IntentCreated{
		IntentId: i.id.String(), PositionId: l.position, AccountId: l.account, DecisionId: decision, IntentType: i.kind, Symbol: l.symbol,
		Side: i.side, OrderType: i.orderType, Quantity: quantity, StopPrice: i.stopPrice, ClientOrderId: clientOrderID(i.order), Reason: "bench",
	}}}
}

// claim is the send claim: the first event of the order's stream.
func (l *life) claim(i intent) *eventlogv1.AppendRequest {
	return decided(l.trace, &eventlogv1.StreamAppend{
		StreamKey: "order:" + i.order.String(), Expected: noStream,
		Events: []*eventlogv1.NewEvent{newEvent(&eventv1.Payload{Kind: &eventv1.Payload_OrderSubmitted{OrderSubmitted: &eventv1.OrderSubmitted{
			OrderId: i.order.String(), AccountId: l.account, PositionId: l.position, IntentId: i.id.String(), ClientOrderId: clientOrderID(i.order),
			Symbol: l.symbol, Side: i.side, OrderType: i.orderType, Quantity: quantity, StopPrice: i.stopPrice, ReduceIntent: i.reduces,
			Attempt: 1, Product: eventv1.Product_PRODUCT_SPOT,
		}}})},
	})
}

// told is a fact about an order.
func (l *life) told(i intent, command uuid.UUID, digest []byte, payload *eventv1.Payload) *eventlogv1.AppendRequest {
	return &eventlogv1.AppendRequest{
		CommandId: command.String(), RequestDigest: digest, TraceId: l.trace,
		Streams: []*eventlogv1.StreamAppend{{StreamKey: "order:" + i.order.String(), Expected: anyStream, Events: []*eventlogv1.NewEvent{newEvent(payload)}}},
	}
}

func (l *life) acked(i intent) *eventlogv1.AppendRequest {
	command := factCommand("ORDER_ACKED", l.account, l.symbol, "order", i.order.String(), "exchange_order", i.exchangeID)
	return l.told(i, command, factDigest("ORDER_ACKED"), &eventv1.Payload{Kind: &eventv1.Payload_OrderAcked{OrderAcked: &eventv1.OrderAcked{
		OrderId: i.order.String(), AccountId: l.account, Symbol: l.symbol, ClientOrderId: clientOrderID(i.order), ExchangeOrderId: i.exchangeID,
		ExchangeStatus: "NEW", TransactTime: timestamppb.New(now()), Source: eventv1.Source_SOURCE_REST,
	}}})
}

// filled is a trade of an order, with a fee in USDT.
func (l *life) filled(i intent, trade int, price, amount, fee string) *eventlogv1.AppendRequest {
	tradeID := i.exchangeID + strconv.Itoa(trade)
	side := map[eventv1.Side]string{eventv1.Side_SIDE_BUY: "buy", eventv1.Side_SIDE_SELL: "sell"}[i.side]
	command := factCommand("FILL_RECEIVED", l.account, l.symbol, "order", i.exchangeID, "trade", tradeID)
	digest := factDigest("FILL_RECEIVED",
		value{"fee", fee}, value{"fee_asset", "USDT"}, value{"fill_price", price}, value{"fill_quantity", amount}, value{"side", side})
	return l.told(i, command, digest, &eventv1.Payload{Kind: &eventv1.Payload_FillReceived{FillReceived: &eventv1.FillReceived{
		FillId: uuid.NewString(), AccountId: l.account, OrderId: i.order.String(), PositionId: l.position, ClientOrderId: clientOrderID(i.order),
		ExchangeOrderId: i.exchangeID, ExchangeTradeId: tradeID, Symbol: l.symbol, Side: i.side, FillPrice: price, FillQuantity: amount,
		QuoteQuantity: quotes[amount+"@"+price], Fee: fee, FeeAsset: "USDT", FeeQuote: fee, FilledAt: timestamppb.New(now()),
		Source: eventv1.Source_SOURCE_WS,
	}}})
}

// quotes are the products of a life's fills, worked out: money is no float.
var quotes = map[string]string{"0.03@95000": "2850", "0.03666@95000": "3482.7", "0.06666@96500": "6432.69"}

func (l *life) balance(asset, free string) *eventlogv1.AppendRequest {
	return sampleOf(l.account, asset, free, l.trace)
}

func (l *life) opened() *eventlogv1.AppendRequest {
	return l.on(anyStream, &eventv1.Payload{Kind: &eventv1.Payload_PositionOpened{PositionOpened: &eventv1.PositionOpened{
		PositionId: l.position, AccountId: l.account, Symbol: l.symbol, Side: eventv1.PositionSide_POSITION_SIDE_LONG,
		EntryOrderId: l.entry.order.String(), EntryPrice: entryPrice, EntryQuantity: "0.03", TechnicalStopPrice: firstStop,
		TechnicalStopDistance: "1500", TrailingStopPrice: firstStop, OpenedAt: timestamppb.New(now()),
	}}})
}

func (l *life) trailed() *eventlogv1.AppendRequest {
	return l.on(anyStream, &eventv1.Payload{Kind: &eventv1.Payload_TrailingStopUpdated{TrailingStopUpdated: &eventv1.TrailingStopUpdated{
		PositionId: l.position, PreviousStop: firstStop, NewStop: lastStop, FavorableExtreme: "98000", TriggerPrice: "98000",
		PriceEventId: l.symbol + "/1", ObservedAt: timestamppb.New(now()),
	}}})
}

func (l *life) protect() *eventlogv1.AppendRequest { return l.on(anyStream, l.intended(l.stop, "")) }

// closed leaves the position: the resting stop has filled, which triggered the exit and ended it at once.
func (l *life) closed() *eventlogv1.AppendRequest {
	at, reason := timestamppb.New(now()), eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP
	return l.on(anyStream,
		&eventv1.Payload{Kind: &eventv1.Payload_ExitTriggered{ExitTriggered: &eventv1.ExitTriggered{
			PositionId: l.position, Reason: reason, Quantity: "0", TriggeredAt: at,
		}}},
		&eventv1.Payload{Kind: &eventv1.Payload_PositionClosed{PositionClosed: &eventv1.PositionClosed{
			PositionId: l.position, ExitOrderIds: []string{l.stop.order.String()}, ExitPrice: lastStop, ClosedQuantity: quantity, DustQuantity: "0",
			RealizedPnl: "99.99", TotalFees: "12.76539", NetPnl: "87.22461", ExitReason: reason, ClosedAt: at,
		}}})
}
