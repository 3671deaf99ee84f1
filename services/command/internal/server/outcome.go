package server

import (
	"github.com/robson/robson/pkg/event"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// outcome tells a command's verdict and where it stands in the log. It follows from the events alone, so that a
// repeated command is answered as the first one was.
func (r *result) outcome() *commandv1.Outcome {
	outcome := &commandv1.Outcome{
		Verdict:   r.verdict(),
		CommandId: r.caller.commandID.String(),
		TraceId:   r.caller.traceID,
		Duplicate: r.duplicate,
		Position:  r.position,
		Conflicts: int32(r.conflicts), // bounded by the retries
	}
	for _, item := range r.events {
		outcome.FailedChecks = append(outcome.FailedChecks, item.payload.GetRiskCheckFailed().GetFailedChecks()...)
		if item.receipt == nil {
			continue
		}
		outcome.Events = append(outcome.Events, &commandv1.EventRef{
			EventId: item.receipt.GetEventId(), Position: item.receipt.GetPosition(),
			StreamKey: item.receipt.GetStreamKey(), Seq: item.receipt.GetSeq(), EventType: item.receipt.GetEventType(),
		})
	}
	return outcome
}

func (r *result) verdict() commandv1.Verdict {
	refused := false
	for _, item := range r.events {
		switch item.payload.GetKind().(type) {
		case *eventv1.Payload_RiskCheckFailed, *eventv1.Payload_SignalRejected, *eventv1.Payload_SignalExpired:
			refused = true
		}
	}
	switch {
	case r.dryRun && refused:
		return commandv1.Verdict_VERDICT_WOULD_REFUSE
	case r.dryRun:
		return commandv1.Verdict_VERDICT_WOULD_ACCEPT
	case refused:
		return commandv1.Verdict_VERDICT_REFUSED
	default:
		return commandv1.Verdict_VERDICT_ACCEPTED
	}
}

// decision tells the numbers of the decision among the events; nil if there is none.
func (r *result) decision() *commandv1.Decision {
	var decision *commandv1.Decision
	for _, item := range r.events {
		if proposed := item.payload.GetDecisionProposed(); proposed != nil {
			decision = &commandv1.Decision{
				DecisionId: proposed.GetDecisionId(), EntryPrice: proposed.GetEntryPrice(),
				TechnicalStopPrice: proposed.GetTechnicalStopPrice(), TechnicalStopDistance: proposed.GetTechnicalStopDistance(),
				MaxRiskAmount: proposed.GetMaxRiskAmount(), RawQuantity: proposed.GetRawQuantity(),
				Quantity: proposed.GetQuantity(), QuantityLimit: event.EnumText(proposed.GetQuantityLimit()),
				PlannedRisk: proposed.GetPlannedRisk(), Notional: proposed.GetNotional(),
			}
		}
		if decision == nil {
			continue
		}
		decision.Checks = append(decision.Checks, item.payload.GetRiskCheckPassed().GetChecksPerformed()...)
		decision.Checks = append(decision.Checks, item.payload.GetRiskCheckFailed().GetChecksPerformed()...)
	}
	return decision
}

// signal is the signal among the events; nil if there is none.
func (r *result) signal() *eventv1.SignalDetected {
	for _, item := range r.events {
		if signal := item.payload.GetSignalDetected(); signal != nil {
			return signal
		}
	}
	return nil
}
