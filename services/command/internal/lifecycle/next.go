package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// Short names of the contract's intents and roles.
const (
	entryIntent  = eventv1.IntentType_INTENT_TYPE_ENTRY
	exitIntent   = eventv1.IntentType_INTENT_TYPE_EXIT
	stopIntent   = eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP
	cancelIntent = eventv1.IntentType_INTENT_TYPE_CANCEL
	entryRole    = eventv1.ReduceIntent_REDUCE_INTENT_ENTRY
	exitRole     = eventv1.ReduceIntent_REDUCE_INTENT_EXIT
	stopRole     = eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE
)

// Next tells what a position lacks. An empty answer means that there is nothing to do until something happens.
// Steps of one answer do not depend on each other.
func Next(s State) []Step {
	switch s.Position.State {
	case Armed:
		return disarm(s)
	case Entering, Active, Exiting, Failed:
	default:
		return nil
	}
	if opened := open(s); opened != nil {
		return opened
	}
	if s.exiting() {
		return unique(leave(s))
	}
	if triggered := stopFilled(s); triggered != nil {
		return triggered
	}
	return unique(append(append(enter(s), protect(s)...), cancels(s)...))
}

// unique leaves out the second of two equal steps.
func unique(steps []Step) []Step {
	seen := map[string]bool{}
	return slices.DeleteFunc(steps, func(step Step) bool {
		again := seen[step.Name]
		seen[step.Name] = true
		return again
	})
}

// disarm gives up an armed position whose strategy was disabled.
func disarm(s State) []Step {
	if s.Disabled == nil {
		return nil
	}
	payload := event.Wrap(&eventv1.PositionDisarmed{
		PositionId: s.Position.ID,
		Reason:     eventv1.DisarmReason_DISARM_REASON_STRATEGY_DISABLED,
		DisarmedAt: timestamppb.New(s.Disabled.OccurredAt),
	})
	return []Step{decide("disarm/"+s.Position.ID, *s.Disabled, payload, s.Disabled.OccurredAt)}
}

// open records the first entry fill, once. A position in error that was filled is opened too: only then it has a stop.
func open(s State) []Step {
	intent := s.newest(entryIntent)
	if s.Position.State != Entering && (s.Position.State != Failed || s.exiting()) || s.History.Opened != nil || intent == nil {
		return nil
	}
	fills := s.History.Order(intent.OrderID).Fills
	if len(fills) == 0 {
		return nil
	}
	first, position := fills[0], s.Position
	payload := event.Wrap(&eventv1.PositionOpened{
		PositionId: position.ID, AccountId: position.AccountID, StrategyId: position.StrategyID,
		Symbol: position.Symbol, Side: position.Side, EntryOrderId: intent.OrderID,
		EntryPrice: first.Price.String(), EntryQuantity: first.Quantity.String(),
		TechnicalStopPrice:    position.TechnicalStop.String(),
		TechnicalStopDistance: position.TechnicalDistance.String(),
		TrailingStopPrice:     position.TechnicalStop.String(),
		OpenedAt:              timestamppb.New(first.OccurredAt),
	})
	return []Step{decide("position_opened", first.Cause, payload, first.OccurredAt)}
}

// enter sends the entry and sees it through. A position in error does not enter.
func enter(s State) []Step {
	intent := s.newest(entryIntent)
	if intent == nil {
		return nil
	}
	if s.unsent(intent) {
		if s.Position.State == Failed {
			return []Step{endUnsent(intent)}
		}
		return []Step{execute(intent)}
	}
	if order := s.live(intent); order != nil {
		if order.Unresolved {
			return []Step{resolve(order)}
		}
		return nil
	}
	ended := s.ended(intent)
	if ended == nil || s.Position.EntryQuantity.IsPositive() || len(s.History.Order(intent.OrderID).Fills) > 0 {
		return nil
	}
	if order := s.order(intent.OrderID); order != nil && s.History.Order(order.ID).incomplete() {
		return []Step{resolve(order)} // It was filled; the fills are still to come.
	}
	payload := event.Wrap(&eventv1.PositionClosed{
		PositionId: s.Position.ID, ExitPrice: "0", ClosedQuantity: "0", DustQuantity: "0",
		RealizedPnl: "0", TotalFees: "0", NetPnl: "0",
		ExitReason: eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED, ClosedAt: timestamppb.New(ended.OccurredAt),
	})
	return []Step{decide("position_closed", *ended, payload, ended.OccurredAt)}
}

// stopFilled turns the resting stop's first fill into the exit that it is.
func stopFilled(s State) []Step {
	for _, order := range s.Orders {
		fills := s.History.Order(order.ID).Fills
		if order.Role != stopRole || len(fills) == 0 {
			continue
		}
		first := fills[0]
		payload := event.Wrap(&eventv1.ExitTriggered{
			PositionId: s.Position.ID, Reason: eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP,
			TriggerPrice: first.Price.String(), StopPrice: s.Position.TrailingStop.String(),
			Quantity: nonNegative(s.Position.Open).String(), TriggeredAt: timestamppb.New(first.OccurredAt),
		})
		return []Step{decide("exit_triggered/"+order.ID, first.Cause, payload, first.OccurredAt)}
	}
	return nil
}

// cancels carries out the cancels that somebody asked for, as long as their order lives.
func cancels(s State) []Step {
	var steps []Step
	for i := range s.Orders {
		order := &s.Orders[i]
		intent := canceler(s, order.ID)
		if order.Ended || intent == nil {
			continue
		}
		steps = append(steps, execute(intent))
		if order.Unresolved {
			steps = append(steps, resolve(order))
		}
	}
	return steps
}

// canceler finds the newest intent to cancel an order.
func canceler(s State, orderID string) *Intent {
	for i := len(s.Intents) - 1; i >= 0; i-- {
		if s.Intents[i].Type == cancelIntent && s.Intents[i].CancelsOrderID == orderID {
			return &s.Intents[i]
		}
	}
	return nil
}

// cancel is the step that is due to have a live order canceled: the intent to, once; then its execution.
func cancel(s State, order *Order, cause Cause, reason string) []Step {
	if canceler(s, order.ID) != nil {
		return nil // cancels executes it
	}
	key, known := s.History.Intents[order.IntentID]
	if !known {
		key = cause
	}
	name := "cancel/" + order.ID
	intent := newIntent(s, key.EventID, name, cancelIntent)
	intent.Side, intent.OrderType, intent.Quantity = order.Side, order.Type, order.Quantity.String()
	intent.CancelsOrderId, intent.Reason = order.ID, reason
	step := decide(name, cause, event.Wrap(intent), s.MarketTime)
	step.Key = key.EventID
	return []Step{step}
}

// failures counts the newest intents of a type that ended without a fill, and tells when the last of them ended.
func failures(s State, kind eventv1.IntentType) (count int, last time.Time) {
	for i := len(s.Intents) - 1; i >= 0; i-- {
		intent := &s.Intents[i]
		if intent.Type != kind {
			continue
		}
		history := s.History.Order(intent.OrderID)
		if history.Ended == nil || len(history.Fills) > 0 || canceler(s, intent.OrderID) != nil {
			return count, last
		}
		if count == 0 {
			last = history.Ended.IngestedAt
		}
		count++
	}
	return count, last
}

// holdBack delays a step after failures of its kind, for ever but ever more slowly, and alerts when they repeat.
func holdBack(s State, kind eventv1.IntentType, step Step) Step {
	count, last := failures(s, kind)
	if count == 0 {
		return step
	}
	delay := s.Settings.RetryDelayMax
	if shift := count - 1; shift < 20 && s.Settings.RetryDelay<<shift < delay {
		delay = s.Settings.RetryDelay << shift
	}
	step.NotBefore = last.Add(delay)
	if count >= s.Settings.AlertAfter {
		step.Alert = fmt.Sprintf("position %s: %s failed %d times in a row", s.Position.ID, step.Name, count)
	}
	return step
}

func nonNegative(value decimal.Decimal) decimal.Decimal { return decimal.Max(decimal.Zero, value) }

// exitSide is the side of an order that leaves a position.
func exitSide(side eventv1.PositionSide) eventv1.Side {
	if side == engine.Short {
		return eventv1.Side_SIDE_BUY
	}
	return eventv1.Side_SIDE_SELL
}
