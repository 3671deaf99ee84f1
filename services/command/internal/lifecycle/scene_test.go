package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func d(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// scene plays a position's log: it appends events as the services would and keeps the rows as the fold would.
type scene struct {
	State
	position int64
}

// newScene is S1's position, entering, its entry intent not sent.
func newScene(side eventv1.PositionSide) *scene {
	stop := "93500"
	if side == engine.Short {
		stop = "96500"
	}
	s := &scene{State: State{
		History: NewHistory(),
		Position: Position{
			ID: uuid.NewString(), AccountID: uuid.NewString(), Symbol: "BTCUSDT", Side: side, State: Entering,
			TechnicalStop: d(stop), TechnicalDistance: d("1500"), TrailingStop: d(stop),
		},
		Instrument: engine.Instrument{
			Symbol: "BTCUSDT", BaseAsset: "BTC", QuoteAsset: "USDT", TickSize: d("0.01"), StepSize: d("0.00001"),
			MinQuantity: d("0.00001"), MaxQuantity: d("9000"), MinNotional: d("5"),
		},
		Price: d("95000"), MarketTime: start,
		Settings: Settings{
			StopBufferFraction: d("0.1"), StopReplaceFraction: d("0.5"),
			RetryDelay: time.Second, RetryDelayMax: time.Minute, AlertAfter: 3, FillsWait: 10 * time.Second,
		},
	}}
	s.intend(entryIntent)
	return s
}

func (s *scene) append(payload *eventv1.Payload) *eventv1.Event {
	s.position++
	at := start.Add(time.Duration(s.position) * time.Second)
	id := ulid.MustNew(ulid.Timestamp(at), nil)
	id[15] = byte(s.position)
	event := &eventv1.Event{
		EventId: id.String(), Position: s.position, Payload: payload, TraceId: "trace",
		OccurredAt: timestamppb.New(at), IngestedAt: timestamppb.New(at),
	}
	s.History.Apply(event)
	return event
}

// intend records an intent nobody has executed and gives its order id.
func (s *scene) intend(kind eventv1.IntentType) string {
	id := uuid.New()
	orderID := event.OrderID(id, 1).String()
	s.Intents = append(s.Intents, Intent{ID: id.String(), Type: kind, OrderID: orderID})
	s.append(event.Wrap(&eventv1.IntentCreated{IntentId: id.String(), IntentType: kind}))
	return orderID
}

// submit claims an intent's order.
func (s *scene) submit(orderID, quantity string, role eventv1.ReduceIntent) {
	intentID := ""
	for _, intent := range s.Intents {
		if intent.OrderID == orderID {
			intentID = intent.ID
		}
	}
	s.Orders = append(s.Orders, Order{ID: orderID, IntentID: intentID, Role: role, Quantity: d(quantity), Side: eventv1.Side_SIDE_SELL})
	s.append(event.Wrap(&eventv1.OrderSubmitted{OrderId: orderID, Quantity: quantity}))
}

// fill is a trade; its effect on the rows is the fold's.
func (s *scene) fill(orderID, quantity, price, fee, feeAsset string) {
	s.append(event.Wrap(&eventv1.FillReceived{
		OrderId: orderID, FillQuantity: quantity, FillPrice: price, Fee: fee, FeeAsset: feeAsset,
	}))
	order := s.order(orderID)
	order.Filled = order.Filled.Add(d(quantity))
	order.Ended = order.Ended || order.Filled.Equal(order.Quantity)
	position, value := &s.Position, d(quantity).Mul(d(price))
	baseFee, feeQuote := decimal.Zero, d(fee)
	if feeAsset == s.Instrument.BaseAsset {
		baseFee, feeQuote = d(fee), d(fee).Mul(d(price))
	}
	position.TotalFees = position.TotalFees.Add(feeQuote)
	if order.Role == entryRole {
		position.EntryQuantity, position.EntryCost = position.EntryQuantity.Add(d(quantity)), position.EntryCost.Add(value)
		position.Open = position.Open.Add(d(quantity)).Sub(baseFee)
		position.EntryDone = order.Ended
	} else {
		position.Open = position.Open.Sub(d(quantity)).Add(baseFee)
		position.ExitQuantity, position.ExitProceeds = position.ExitQuantity.Add(d(quantity)), position.ExitProceeds.Add(value)
		position.ExitBaseFee = position.ExitBaseFee.Add(baseFee)
		position.ExitBaseFeeCost = position.ExitBaseFeeCost.Add(baseFee.Mul(d(price)))
	}
}

func (s *scene) reject(orderID string) {
	s.append(event.Wrap(&eventv1.OrderRejected{OrderId: orderID}))
	s.over(orderID)
}

func (s *scene) canceled(orderID string) {
	s.append(event.Wrap(&eventv1.OrderCanceled{OrderId: orderID}))
	s.over(orderID)
}

// canceledWith is an end before the fills that the venue counts have come.
func (s *scene) canceledWith(orderID, told string) {
	s.append(event.Wrap(&eventv1.OrderCanceled{OrderId: orderID, CumFilledQuantity: told}))
	s.over(orderID)
}

func (s *scene) over(orderID string) {
	if order := s.order(orderID); order != nil {
		order.Ended = true
	} else {
		s.Orders = append(s.Orders, Order{ID: orderID, Ended: true, Role: s.roleOf(orderID)})
	}
	s.Position.EntryDone = s.Position.EntryDone || s.order(orderID).Role == entryRole
	for i := range s.Intents {
		s.Intents[i].Ended = s.Intents[i].Ended || s.Intents[i].OrderID == orderID
	}
}

func (s *scene) roleOf(orderID string) eventv1.ReduceIntent {
	roles := map[eventv1.IntentType]eventv1.ReduceIntent{entryIntent: entryRole, exitIntent: exitRole, stopIntent: stopRole}
	for _, intent := range s.Intents {
		if intent.OrderID == orderID {
			return roles[intent.Type]
		}
	}
	return eventv1.ReduceIntent_REDUCE_INTENT_UNSPECIFIED
}

// take performs a Decide as the log would and gives its payload.
func (s *scene) take(step Step) *eventv1.Payload {
	s.append(step.Payload)
	switch kind := step.Payload.GetKind().(type) {
	case *eventv1.Payload_PositionOpened:
		if s.Position.State == Entering {
			s.Position.State = Active
		}
	case *eventv1.Payload_ExitTriggered:
		s.Position.State, s.Position.ExitTriggers = Exiting, s.Position.ExitTriggers+1
	case *eventv1.Payload_PositionClosed, *eventv1.Payload_PositionDisarmed:
		s.Position.State = Closed
	case *eventv1.Payload_TrailingStopUpdated:
		s.Position.TrailingStop = d(kind.TrailingStopUpdated.GetNewStop())
	case *eventv1.Payload_IntentCreated:
		intent := kind.IntentCreated
		row := Intent{ID: intent.GetIntentId(), Type: intent.GetIntentType(), CancelsOrderID: intent.GetCancelsOrderId()}
		if row.Type != cancelIntent {
			row.OrderID = event.OrderID(uuid.MustParse(row.ID), 1).String()
		}
		s.Intents = append(s.Intents, row)
	}
	return step.Payload
}

// trigger triggers an exit.
func (s *scene) trigger(reason eventv1.ExitReason) {
	s.take(Step{Payload: event.Wrap(&eventv1.ExitTriggered{Reason: reason})})
}

// moveStop moves the trailing stop.
func (s *scene) moveStop(price, priceEvent string) {
	s.take(Step{Payload: event.Wrap(&eventv1.TrailingStopUpdated{
		NewStop: price, PriceEventId: priceEvent,
	})})
}

// enterFully fills the entry as S2 does and takes every step until the position is open.
func (s *scene) enterFully(t *testing.T) {
	t.Helper()
	entry := s.Intents[0].OrderID
	s.submit(entry, "0.06666", entryRole)
	if s.Position.Side == engine.Short {
		s.fill(entry, "0.06666", "95000", "6.3327", "USDT")
	} else {
		s.fill(entry, "0.02", "95000", "0.00002", "BTC")
		s.fill(entry, "0.03", "95010", "0.00003", "BTC")
		s.fill(entry, "0.01666", "95025.5", "0.00001666", "BTC")
	}
	s.take(s.only(t, "position_opened"))
}

// placeStop lets the resting stop be placed and gives its order id.
func (s *scene) placeStop(t *testing.T) string {
	t.Helper()
	intent := s.take(s.only(t, "insurance_stop")).GetIntentCreated()
	orderID := s.Intents[len(s.Intents)-1].OrderID
	s.submit(orderID, intent.GetQuantity(), stopRole)
	s.order(orderID).StopPrice = d(intent.GetStopPrice())
	return orderID
}

// only requires one step to be due and gives it.
func (s *scene) only(t *testing.T, name string) Step {
	t.Helper()
	steps := Next(s.State)
	require.Len(t, steps, 1, "%v", names(steps))
	require.Contains(t, steps[0].Name, name)
	return steps[0]
}

// quiet requires that nothing is due.
func (s *scene) quiet(t *testing.T) {
	t.Helper()
	require.Empty(t, names(Next(s.State)))
}

func names(steps []Step) []string {
	list := []string{}
	for _, step := range steps {
		list = append(list, fmt.Sprintf("%d %s", step.Action, step.Name))
	}
	return list
}
