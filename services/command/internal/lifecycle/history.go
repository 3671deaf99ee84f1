package lifecycle

import (
	"time"

	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Cause is an event that makes a step due.
type Cause struct {
	EventID    string
	Position   int64
	TraceID    string
	WorkflowID string
	OccurredAt time.Time
	IngestedAt time.Time
}

// Fill is one trade of an order.
type Fill struct {
	Cause
	Quantity decimal.Decimal
	Price    decimal.Decimal
}

// OrderHistory is what happened to one order.
type OrderHistory struct {
	// Quantity is what was claimed; zero until then.
	Quantity decimal.Decimal
	Fills    []Fill
	// Ended is the first event after which the order could do no more.
	Ended *Cause
	// Told is what the order had filled by its end, as the venue said; its last fills may come after it.
	Told decimal.Decimal
}

// incomplete says whether fills are missing that the venue counted when the order ended.
func (o *OrderHistory) incomplete() bool { return o.Told.GreaterThan(o.filled()) }

// filled is the sum of the fills.
func (o *OrderHistory) filled() decimal.Decimal {
	var sum decimal.Decimal
	for _, fill := range o.Fills {
		sum = sum.Add(fill.Quantity)
	}
	return sum
}

// History is the part of a position's past that names causes: the first event of each kind, which is the same for
// every reader however much of the log came after it.
type History struct {
	Opened *Cause
	// StopSet is the last event that set the stop, and StopByUser whether a user's command did.
	StopSet    *Cause
	StopByUser bool
	// ExitTriggered is the last event that triggered an exit, and ExitReason why.
	ExitTriggered *Cause
	ExitReason    eventv1.ExitReason
	// Intents holds the INTENT_CREATED of each intent.
	Intents map[string]Cause
	// Orders holds each order whose stream was read, claimed or not.
	Orders map[string]*OrderHistory
}

// NewHistory is an empty past.
func NewHistory() *History {
	return &History{Intents: map[string]Cause{}, Orders: map[string]*OrderHistory{}}
}

// Order is the history of one order; empty for an order of which nothing is known.
func (h *History) Order(id string) *OrderHistory {
	order, ok := h.Orders[id]
	if !ok {
		order = &OrderHistory{}
		h.Orders[id] = order
	}
	return order
}

// UserPriceEvent begins the price_event_id of a stop that a user moved.
const UserPriceEvent = "command:"

// Apply adds one event of the position's stream or of one of its orders' streams. Events of one stream come in order.
func (h *History) Apply(event *eventv1.Event) {
	cause := CauseOf(event)
	switch kind := event.GetPayload().GetKind().(type) {
	case *eventv1.Payload_PositionOpened:
		h.Opened, h.StopSet = &cause, &cause
	case *eventv1.Payload_TrailingStopUpdated:
		id := kind.TrailingStopUpdated.GetPriceEventId()
		h.StopSet = &cause
		h.StopByUser = len(id) >= len(UserPriceEvent) && id[:len(UserPriceEvent)] == UserPriceEvent
	case *eventv1.Payload_ExitTriggered:
		h.ExitTriggered, h.ExitReason = &cause, kind.ExitTriggered.GetReason()
	case *eventv1.Payload_IntentCreated:
		h.Intents[kind.IntentCreated.GetIntentId()] = cause
	case *eventv1.Payload_OrderSubmitted:
		order := h.Order(kind.OrderSubmitted.GetOrderId())
		order.Quantity = amount(kind.OrderSubmitted.GetQuantity())
		order.endIfFilled()
	case *eventv1.Payload_FillReceived:
		order := h.Order(kind.FillReceived.GetOrderId())
		order.Fills = append(order.Fills, fillOf(cause, kind.FillReceived))
		order.endIfFilled()
	case *eventv1.Payload_OrderRejected:
		h.Order(kind.OrderRejected.GetOrderId()).end(cause)
	case *eventv1.Payload_OrderCanceled:
		h.Order(kind.OrderCanceled.GetOrderId()).endWith(cause, kind.OrderCanceled.GetCumFilledQuantity())
	case *eventv1.Payload_OrderExpired:
		h.Order(kind.OrderExpired.GetOrderId()).endWith(cause, kind.OrderExpired.GetCumFilledQuantity())
	}
}

func (o *OrderHistory) end(cause Cause) {
	if o.Ended == nil {
		o.Ended = &cause
	}
}

func (o *OrderHistory) endWith(cause Cause, told string) {
	o.end(cause)
	o.Told = decimal.Max(o.Told, amount(told))
}

func (o *OrderHistory) endIfFilled() {
	if len(o.Fills) > 0 && o.Quantity.IsPositive() && o.filled().GreaterThanOrEqual(o.Quantity) {
		o.end(o.Fills[len(o.Fills)-1].Cause)
	}
}

func fillOf(cause Cause, fill *eventv1.FillReceived) Fill {
	if fill.GetFilledAt() != nil {
		cause.OccurredAt = fill.GetFilledAt().AsTime()
	}
	return Fill{
		Cause: cause, Quantity: amount(fill.GetFillQuantity()), Price: amount(fill.GetFillPrice()),
	}
}

// CauseOf names an event as a cause.
func CauseOf(event *eventv1.Event) Cause {
	return Cause{
		EventID: event.GetEventId(), Position: event.GetPosition(),
		TraceID: event.GetTraceId(), WorkflowID: event.GetWorkflowId(),
		OccurredAt: event.GetOccurredAt().AsTime(), IngestedAt: event.GetIngestedAt().AsTime(),
	}
}

// amount reads a decimal of a stored event, whose form the log has checked; an absent one is zero.
func amount(text string) decimal.Decimal {
	value, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Zero
	}
	return value
}

// latest is the cause with the highest position; nil ones are left out.
func latest(causes ...*Cause) *Cause {
	var last *Cause
	for _, cause := range causes {
		if cause != nil && (last == nil || cause.Position > last.Position) {
			last = cause
		}
	}
	return last
}
