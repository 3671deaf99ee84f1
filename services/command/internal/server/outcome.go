package server

import (
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
		Conflicts: int32(r.conflicts), //nolint:gosec // bounded by the retries
	}
	for _, event := range r.events {
		outcome.FailedChecks = append(outcome.FailedChecks, event.payload.GetRiskCheckFailed().GetFailedChecks()...)
		if event.receipt == nil {
			continue
		}
		outcome.Events = append(outcome.Events, &commandv1.EventRef{
			EventId: event.receipt.GetEventId(), Position: event.receipt.GetPosition(),
			StreamKey: event.receipt.GetStreamKey(), Seq: event.receipt.GetSeq(), EventType: event.receipt.GetEventType(),
		})
	}
	return outcome
}

func (r *result) verdict() commandv1.Verdict {
	refused := false
	for _, event := range r.events {
		switch event.payload.GetKind().(type) {
		case *eventv1.Payload_RiskCheckFailed, *eventv1.Payload_SignalRejected:
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
	for _, event := range r.events {
		if proposed := event.payload.GetDecisionProposed(); proposed != nil {
			decision = &commandv1.Decision{
				DecisionId: proposed.GetDecisionId(), EntryPrice: proposed.GetEntryPrice(),
				TechnicalStopPrice: proposed.GetTechnicalStopPrice(), TechnicalStopDistance: proposed.GetTechnicalStopDistance(),
				MaxRiskAmount: proposed.GetMaxRiskAmount(), RawQuantity: proposed.GetRawQuantity(),
				Quantity: proposed.GetQuantity(), QuantityLimit: quantityLimitName(proposed.GetQuantityLimit()),
				PlannedRisk: proposed.GetPlannedRisk(), Notional: proposed.GetNotional(),
			}
		}
		if decision == nil {
			continue
		}
		decision.Checks = append(decision.Checks, event.payload.GetRiskCheckPassed().GetChecksPerformed()...)
		decision.Checks = append(decision.Checks, event.payload.GetRiskCheckFailed().GetChecksPerformed()...)
	}
	return decision
}

// signal is the signal among the events; nil if there is none.
func (r *result) signal() *eventv1.SignalDetected {
	for _, event := range r.events {
		if signal := event.payload.GetSignalDetected(); signal != nil {
			return signal
		}
	}
	return nil
}

// quantityLimitName is how people read what bounded a quantity.
func quantityLimitName(limit eventv1.QuantityLimit) string {
	switch limit {
	case eventv1.QuantityLimit_QUANTITY_LIMIT_MARGIN:
		return "margin"
	case eventv1.QuantityLimit_QUANTITY_LIMIT_MAX_QTY:
		return "max_qty"
	default:
		return "risk"
	}
}
