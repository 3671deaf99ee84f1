package worldtest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Symbol is what the venue trades, with the rules of domain S1 and a fee of 0.1 % taken from what is received.
const Symbol = "BTCUSDT"

// start is the venue's clock at its first tick.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Behaviour is what the venue does with an order that is sent to it.
type Behaviour int

// What the venue can do.
const (
	// FillAll fills a market order at the last price, and lets a stop rest.
	FillAll Behaviour = iota
	// FillHalf fills half and cancels the rest.
	FillHalf
	// FillHalfAndRest fills half and leaves the rest live.
	FillHalfAndRest
	// Reject refuses.
	Reject
	// Rest leaves the order live without a fill.
	Rest
)

// price is one tick.
type price struct {
	sequence int64
	value    decimal.Decimal
	at       time.Time
}

// level is a part of the book's depth.
type level struct{ quantity, price decimal.Decimal }

// resting is an order that lives at the venue.
type resting struct {
	order *projection.Order
	left  decimal.Decimal
}

// venue is the outside world; one lock makes its doings serial, as a matching engine's are.
type venue struct {
	mu        sync.Mutex
	ticks     []price
	changed   chan struct{}
	behaves   []Behaviour
	levels    []level
	live      map[uuid.UUID]*resting
	trades    int
	sent      map[uuid.UUID]int
	executing []error
	// streaming are errors for the next price streams, broken counts how often all of them were cut, and forgotten is
	// the last tick that is not told any more.
	streaming []error
	broken    int
	forgotten int64
}

func newVenue(value string) venue {
	return venue{
		ticks:   []price{{sequence: 1, value: decimal.RequireFromString(value), at: start}},
		changed: make(chan struct{}), live: map[uuid.UUID]*resting{}, sent: map[uuid.UUID]int{},
	}
}

func (v *venue) last() price { return v.ticks[len(v.ticks)-1] }

// Behave says what the venue does with the next orders, one each; after them it fills.
func (w *World) Behave(behaviours ...Behaviour) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.venue.behaves = append(w.venue.behaves, behaviours...)
}

// Depth makes the next orders that fill eat these levels, quantity and price, before the rest of them fills at the last
// price.
func (w *World) Depth(levels ...[2]string) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	for _, l := range levels {
		w.venue.levels = append(w.venue.levels, level{decimal.RequireFromString(l[0]), decimal.RequireFromString(l[1])})
	}
}

// FailExecute makes the next calls to Execute answer errors, before they do anything.
func (w *World) FailExecute(errs ...error) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.venue.executing = append(w.venue.executing, errs...)
}

// Now is the venue's time.
func (w *World) Now() time.Time {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	return w.venue.last().at
}

// Sent is how often each order was sent.
func (w *World) Sent() map[uuid.UUID]int {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	counts := map[uuid.UUID]int{}
	for id, count := range w.venue.sent {
		counts[id] = count
	}
	return counts
}

// Tick moves the market a minute on to a price, and fills the stops that it hits. It gives the tick's sequence.
func (w *World) Tick(value string) int64 {
	v := &w.venue
	v.mu.Lock()
	defer v.mu.Unlock()
	next := price{sequence: v.last().sequence + 1, value: decimal.RequireFromString(value), at: v.last().at.Add(time.Minute)}
	v.ticks = append(v.ticks, next)
	for _, order := range v.live {
		stop := order.order.StopPrice
		if !stop.Valid || order.order.Side == "sell" && next.value.GreaterThan(stop.Decimal) || order.order.Side == "buy" && next.value.LessThan(stop.Decimal) {
			continue
		}
		w.must(w.trade(order, order.left, next.value))
	}
	v.signal()
	return next.sequence
}

func (w *World) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("the venue could not report: %v", err))
	}
}

// GetInstrument implements the connector.
func (w *World) GetInstrument(_ context.Context, in *connectorv1.GetInstrumentRequest, _ ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error) {
	if in.GetSymbol() != Symbol {
		return nil, fault.InvalidField("symbol", "is unknown to the venue")
	}
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	last := w.venue.last()
	return &connectorv1.GetInstrumentResponse{
		Instrument: &connectorv1.Instrument{
			Symbol: Symbol, BaseAsset: "BTC", QuoteAsset: "USDT", Trading: true, StepSize: "0.00001", MinQuantity: "0.00001",
			MaxQuantity: "9000", TickSize: "0.01", MinNotional: "5", MinNotionalAppliesToMarket: true,
		},
		LastPrice: last.value.String(), MarketTime: timestamppb.New(last.at), Sequence: last.sequence, TakerFeeRate: "0.001",
	}, nil
}

// Execute implements the connector: it claims and sends once, cancels, or tells how the order stands.
func (w *World) Execute(_ context.Context, in *connectorv1.ExecuteRequest, _ ...grpc.CallOption) (*connectorv1.ExecuteResponse, error) {
	v := &w.venue
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.executing) > 0 {
		err := v.executing[0]
		v.executing = v.executing[1:]
		return nil, err
	}
	w.mu.Lock()
	intent, err := one[*projection.Intent](w, projection.IntentKey(uuid.MustParse(in.GetIntentId())))
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if intent.IntentType == "cancel" {
		if order := v.live[intent.CancelsOrderID.UUID]; order != nil {
			return &connectorv1.ExecuteResponse{}, w.canceled(order)
		}
		return &connectorv1.ExecuteResponse{}, nil
	}
	order, err := w.claim(intent)
	if err != nil || order == nil {
		return &connectorv1.ExecuteResponse{}, err
	}
	v.sent[order.order.OrderID]++
	return &connectorv1.ExecuteResponse{Sent: true}, w.behave(order)
}

// claim records ORDER_SUBMITTED; nil if it was claimed before. A refused claim ends the intent.
func (w *World) claim(intent *projection.Intent) (*resting, error) {
	id := event.OrderID(intent.IntentID, 1)
	w.mu.Lock()
	known := w.rows[projection.OrderKey(id)] != nil
	account, err := one[*projection.Account](w, projection.AccountKey(intent.AccountID))
	w.mu.Unlock()
	if known || err != nil {
		return nil, err
	}
	roles := map[string]eventv1.ReduceIntent{
		"entry": eventv1.ReduceIntent_REDUCE_INTENT_ENTRY, "exit": eventv1.ReduceIntent_REDUCE_INTENT_EXIT,
		"insurance_stop": eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE,
	}
	submitted := &eventv1.OrderSubmitted{
		OrderId: id.String(), AccountId: intent.AccountID.String(), PositionId: intent.PositionID.UUID.String(), IntentId: intent.IntentID.String(),
		ClientOrderId: intent.ClientOrderID, Symbol: intent.Symbol, ReduceIntent: roles[intent.IntentType], Attempt: 1, Quantity: intent.Quantity.String(),
		Side:      eventv1.Side(event.EnumNumber(eventv1.Side(0).Descriptor(), intent.Side)),
		OrderType: eventv1.OrderType(event.EnumNumber(eventv1.OrderType(0).Descriptor(), intent.OrderType)),
		Product:   eventv1.Product(event.EnumNumber(eventv1.Product(0).Descriptor(), account.Product)),
	}
	if intent.StopPrice.Valid {
		submitted.StopPrice = intent.StopPrice.Decimal.String()
	}
	if err := w.Record("order:"+id.String(), w.venue.last().at, event.Wrap(submitted)); err != nil {
		if fault.Is(err, fault.Refused) {
			return nil, w.endUnsent(intent, "claim_refused")
		}
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	order, err := one[*projection.Order](w, projection.OrderKey(id))
	return &resting{order: order, left: intent.Quantity}, err
}

// behave does with an order what the script says.
func (w *World) behave(order *resting) error {
	behaviour := FillAll
	if len(w.venue.behaves) > 0 {
		behaviour = w.venue.behaves[0]
		w.venue.behaves = w.venue.behaves[1:]
	}
	if behaviour == Reject {
		return w.report(order, event.Wrap(&eventv1.OrderRejected{
			OrderId: order.order.OrderID.String(), AccountId: order.order.AccountID.String(), Symbol: Symbol,
			Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, Reason: "Account has insufficient balance for requested action.",
		}))
	}
	w.venue.live[order.order.OrderID] = order
	half := order.left.Mul(decimal.New(5, -1)).Truncate(5)
	switch {
	case behaviour == FillHalf:
		if err := w.trade(order, half, w.venue.last().value); err != nil {
			return err
		}
		return w.canceled(order)
	case behaviour == FillHalfAndRest:
		return w.trade(order, half, w.venue.last().value)
	case behaviour == Rest || order.order.StopPrice.Valid:
		return nil
	}
	for order.left.IsPositive() {
		next := level{order.left, w.venue.last().value}
		if len(w.venue.levels) > 0 {
			next, w.venue.levels = w.venue.levels[0], w.venue.levels[1:]
		}
		if err := w.trade(order, next.quantity, next.price); err != nil {
			return err
		}
	}
	return nil
}

// trade fills part of an order at a price.
func (w *World) trade(order *resting, quantity, price decimal.Decimal) error {
	v, row := &w.venue, order.order
	v.trades++
	quote := quantity.Mul(price)
	fee, asset, feeQuote := quote.Mul(decimal.New(1, -3)), "USDT", quote.Mul(decimal.New(1, -3))
	if row.Side == "buy" {
		fee, asset = quantity.Mul(decimal.New(1, -3)), "BTC"
	}
	if order.left = order.left.Sub(quantity); order.left.IsZero() {
		delete(v.live, row.OrderID)
	}
	return w.report(order, event.Wrap(&eventv1.FillReceived{
		FillId: uuid.NewString(), AccountId: row.AccountID.String(), OrderId: row.OrderID.String(), PositionId: row.PositionID.UUID.String(),
		ClientOrderId: row.ClientOrderID, ExchangeOrderId: exchangeID(row), ExchangeTradeId: strconv.Itoa(v.trades), Symbol: Symbol,
		Side:      eventv1.Side(event.EnumNumber(eventv1.Side(0).Descriptor(), row.Side)),
		FillPrice: price.String(), FillQuantity: quantity.String(), QuoteQuantity: quote.String(),
		Fee: fee.String(), FeeAsset: asset, FeeQuote: feeQuote.String(), FilledAt: timestamppb.New(v.last().at), Source: eventv1.Source_SOURCE_WS,
	}))
}

func exchangeID(row *projection.Order) string { return row.OrderID.String()[:8] }

func (w *World) canceled(order *resting) error {
	delete(w.venue.live, order.order.OrderID)
	return w.report(order, event.Wrap(&eventv1.OrderCanceled{
		OrderId: order.order.OrderID.String(), AccountId: order.order.AccountID.String(), Symbol: Symbol,
		ExchangeOrderId: exchangeID(order.order), CumFilledQuantity: order.order.Quantity.Sub(order.left).String(),
		CanceledBy: eventv1.CanceledBy_CANCELED_BY_US, Source: eventv1.Source_SOURCE_WS,
	}))
}

func (w *World) report(order *resting, payload *eventv1.Payload) error {
	return w.Record("order:"+order.order.OrderID.String(), w.venue.last().at, payload)
}

// EndIntent implements the connector.
func (w *World) EndIntent(_ context.Context, in *connectorv1.EndIntentRequest, _ ...grpc.CallOption) (*connectorv1.EndIntentResponse, error) {
	w.venue.mu.Lock()
	defer w.venue.mu.Unlock()
	w.mu.Lock()
	intent, err := one[*projection.Intent](w, projection.IntentKey(uuid.MustParse(in.GetIntentId())))
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if intent.Status != projection.IntentPending {
		return nil, fault.New(fault.Refused, "INTENT_CLAIMED", "intent %s has been claimed", intent.IntentID)
	}
	return &connectorv1.EndIntentResponse{}, w.endUnsent(intent, in.GetReason())
}

func (w *World) endUnsent(intent *projection.Intent, reason string) error {
	id := event.OrderID(intent.IntentID, 1)
	return w.Record("order:"+id.String(), w.venue.last().at, event.Wrap(&eventv1.OrderRejected{
		OrderId: id.String(), AccountId: intent.AccountID.String(), Symbol: intent.Symbol, IntentId: intent.IntentID.String(),
		ClientOrderId: intent.ClientOrderID, Stage: eventv1.RejectStage_REJECT_STAGE_LOCAL, Reason: reason,
	}))
}

// ResolveOrder implements the connector.
func (w *World) ResolveOrder(context.Context, *connectorv1.ResolveOrderRequest, ...grpc.CallOption) (*connectorv1.ResolveOrderResponse, error) {
	return &connectorv1.ResolveOrderResponse{}, nil
}
