package lifecycle

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// leave brings an exit to its end: first nothing but exits may live, then what is open is sold or bought back at the
// market, again and again until only dust is left.
func leave(s State) []Step {
	if waiting, steps := clear(s); waiting {
		return steps
	}
	newest := s.newest(exitIntent)
	if s.unsent(newest) {
		return []Step{execute(newest)}
	}
	if order := s.live(newest); order != nil {
		steps := cancels(s)
		if order.Unresolved {
			steps = append(steps, resolve(order))
		}
		return steps
	}
	missing, until := incomplete(s)
	if engine.IsDust(s.Position.Open, s.Price, s.Instrument) {
		return append(missing, held(closePosition(s), until)...)
	}
	return append(missing, held(exit(s), until)...)
}

// incomplete asks for the fills that the venue counted and that have not come. An exit waits for them, lest it sells what
// is sold already; but not for ever.
func incomplete(s State) (steps []Step, until time.Time) {
	for i := range s.Orders {
		history := s.History.Order(s.Orders[i].ID)
		if history.Ended == nil || !history.incomplete() {
			continue
		}
		steps = append(steps, resolve(&s.Orders[i]))
		if last := history.Ended.IngestedAt.Add(s.Settings.FillsWait); last.After(until) {
			until = last
		}
	}
	return steps, until
}

// held holds steps back until a time.
func held(steps []Step, until time.Time) []Step {
	for i := range steps {
		if steps[i].NotBefore.Before(until) {
			steps[i].NotBefore = until
		}
	}
	return steps
}

// clear ends every intent and order of the position that is not an exit, and says whether the exit has to wait for it.
func clear(s State) (waiting bool, steps []Step) {
	for i := range s.Intents {
		intent := &s.Intents[i]
		if (intent.Type == entryIntent || intent.Type == stopIntent) && s.unsent(intent) {
			waiting, steps = true, append(steps, endUnsent(intent))
		}
	}
	for i := range s.Orders {
		order := &s.Orders[i]
		if order.Ended || order.Role == exitRole {
			continue
		}
		waiting = true
		if s.History.ExitTriggered != nil {
			steps = append(steps, cancel(s, order, *s.History.ExitTriggered, "exit")...)
		}
	}
	return waiting, append(steps, cancels(s)...)
}

// exit intends to leave what is open now. It is caused by the trigger, or by the end of the exit before it that did not
// leave all; so whoever looks for what came of a command to close finds the exit, whatever had to be cleared away first.
// It is named by whatever came last before the way was clear, the end of an order in the way too.
func exit(s State) []Step {
	cause := s.History.ExitTriggered
	last := cause
	for i := range s.Intents {
		if s.Intents[i].OrderID == "" {
			continue
		}
		ended := s.History.Order(s.Intents[i].OrderID).Ended
		last = latest(last, ended)
		if s.Intents[i].Type == exitIntent {
			cause = latest(cause, ended)
		}
	}
	quantity := exitQuantity(s)
	if last == nil || !quantity.IsPositive() {
		return nil
	}
	if cause == nil {
		cause = last
	}
	const name = "exit"
	intent := newIntent(s, last.EventID, name, exitIntent)
	intent.Side, intent.OrderType = exitSide(s.Position.Side), eventv1.OrderType_ORDER_TYPE_MARKET
	intent.Quantity, intent.Reason = quantity.String(), event.EnumText(s.History.ExitReason)
	step := decide(name, *cause, event.Wrap(intent), s.MarketTime)
	step.Key = last.EventID
	return []Step{holdBack(s, exitIntent, step)}
}

// closePosition settles a position of which only dust is left.
func closePosition(s State) []Step {
	position, cause := s.Position, s.History.ExitTriggered
	var exitOrders []string
	for i := range s.Orders {
		order := &s.Orders[i]
		history := s.History.Order(order.ID)
		cause = latest(cause, history.Ended)
		for j := range history.Fills {
			cause = latest(cause, &history.Fills[j].Cause)
		}
		if order.Role != entryRole && len(history.Fills) > 0 {
			exitOrders = append(exitOrders, order.ID)
		}
	}
	if cause == nil {
		return nil
	}
	settled := engine.Settle(engine.Ledger{
		Side: position.Side, EntryQuantity: position.EntryQuantity, EntryCost: position.EntryCost,
		ExitQuantity: position.ExitQuantity, ExitProceeds: position.ExitProceeds,
		ExitBaseFee: position.ExitBaseFee, ExitBaseFeeCost: position.ExitBaseFeeCost,
		Fees: position.TotalFees, Open: position.Open,
	})
	payload := event.Wrap(&eventv1.PositionClosed{
		PositionId: position.ID, ExitOrderIds: exitOrders,
		ExitPrice: settled.ExitPrice.String(), ClosedQuantity: settled.ClosedQuantity.String(),
		DustQuantity: nonNegative(settled.Dust).String(), RealizedPnl: settled.Gross.String(),
		TotalFees: settled.Fees.String(), NetPnl: settled.Net.String(),
		ExitReason: s.History.ExitReason, ClosedAt: timestamppb.New(cause.OccurredAt),
	})
	return []Step{decide("position_closed", *cause, payload, cause.OccurredAt)}
}
