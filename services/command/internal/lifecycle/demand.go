package lifecycle

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Demand is the step by which a position is left because an event demands it, a panic for one: an armed position is
// disarmed, a position that is entered or entering exits. It is nil when nothing is left to do: the position is being
// left or has ended.
func Demand(s State, cause Cause, reason eventv1.ExitReason) *Step {
	name := "demand/" + event.EnumText(reason) + "/" + s.Position.ID
	switch {
	case s.Position.State == Armed:
		step := decide(name, cause, event.Wrap(&eventv1.PositionDisarmed{
			PositionId: s.Position.ID, Reason: eventv1.DisarmReason_DISARM_REASON_USER, DisarmedAt: timestamppb.New(s.MarketTime),
		}), s.MarketTime)
		return &step
	case s.Position.State == Closed || s.exiting():
		return nil
	}
	payload := event.Wrap(&eventv1.ExitTriggered{
		PositionId: s.Position.ID, Reason: reason, TriggerPrice: s.Price.String(),
		Quantity: nonNegative(s.Position.Open).String(), TriggeredAt: timestamppb.New(s.MarketTime),
	})
	if s.Position.TrailingStop.IsPositive() {
		payload.GetExitTriggered().StopPrice = s.Position.TrailingStop.String()
	}
	step := decide(name, cause, payload, s.MarketTime)
	return &step
}
