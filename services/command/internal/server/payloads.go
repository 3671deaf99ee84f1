package server

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

func detectedPayload(armed *eventv1.PositionArmed, signal engine.Signal, call calling, at time.Time) *eventv1.Payload {
	return event.Wrap(&eventv1.SignalDetected{
		SignalId: call.signalID.String(), PositionId: armed.GetPositionId(), StrategyId: armed.GetStrategyId(),
		Symbol: armed.GetSymbol(), Side: armed.GetSide(), EntryPrice: signal.Entry.String(), StopLoss: signal.Stop.String(),
		Detector: call.detector, DetectedAt: timestamppb.New(at), ExpiresAt: call.signalExpires,
	})
}

func acceptedPayload(armed *eventv1.PositionArmed, call calling, decisionID string) *eventv1.Payload {
	return event.Wrap(&eventv1.SignalAccepted{
		SignalId: call.signalID.String(), PositionId: armed.GetPositionId(), DecisionId: decisionID,
	})
}

func rejectedPayload(armed *eventv1.PositionArmed, call calling, reason eventv1.SignalRejection) *eventv1.Payload {
	return event.Wrap(&eventv1.SignalRejected{
		SignalId: call.signalID.String(), PositionId: armed.GetPositionId(), Reason: reason,
	})
}

func expiredPayload(armed *eventv1.PositionArmed, call calling) *eventv1.Payload {
	return event.Wrap(&eventv1.SignalExpired{
		SignalId: call.signalID.String(), PositionId: armed.GetPositionId(), ExpiredAt: call.signalExpires,
	})
}

func proposed(
	who caller, armed *eventv1.PositionArmed, call calling, in engine.Input, decision engine.Decision,
) *eventv1.DecisionProposed {
	proposal := &eventv1.DecisionProposed{
		DecisionId: who.derive("decision").String(), PositionId: armed.GetPositionId(), SignalId: call.signalID.String(),
		StrategyId: armed.GetStrategyId(), Symbol: armed.GetSymbol(), Side: armed.GetSide(),
		EntryPrice: in.Signal.Entry.String(), TechnicalStopPrice: in.Signal.Stop.String(),
		TechnicalStopDistance: decision.Distance.String(), Capital: in.Policy.Capital.String(),
		RiskPercent: in.Policy.RiskPercent.String(), MaxRiskAmount: decision.MaxRisk.String(),
		RawQuantity: decision.RawQuantity.String(), Quantity: decision.Quantity.String(),
		QuantityLimit: decision.Limit, PlannedRisk: decision.PlannedRisk.String(), Notional: decision.Notional.String(),
		StepSize: in.Instrument.StepSize.String(), DecidedAt: timestamppb.New(in.Now),
	}
	if failed := decision.Failed(); len(failed) > 0 {
		proposal.RejectedReason = failed[0].Name
	}
	return proposal
}

func checkPassed(who caller, armed *eventv1.PositionArmed, decisionID string, decision engine.Decision) *eventv1.Payload {
	return event.Wrap(&eventv1.RiskCheckPassed{
		CheckId: who.derive("check").String(), DecisionId: decisionID,
		AccountId: armed.GetAccountId(), StrategyId: armed.GetStrategyId(), ChecksPerformed: riskChecks(decision.Checks),
		ExposureBefore: decision.ExposureBefore.String(), ExposureAfter: decision.ExposureAfter.String(),
		BudgetRemaining: decision.BudgetRemaining.String(),
	})
}

func checkFailed(who caller, armed *eventv1.PositionArmed, decisionID string, decision engine.Decision) *eventv1.Payload {
	failed := decision.Failed()
	names := make([]string, len(failed))
	for i, check := range failed {
		names[i] = check.Name
	}
	severity := eventv1.Severity_SEVERITY_WARNING
	if decision.AccountBreach {
		severity = eventv1.Severity_SEVERITY_CRITICAL
	}
	return event.Wrap(&eventv1.RiskCheckFailed{
		CheckId: who.derive("check").String(), DecisionId: decisionID,
		AccountId: armed.GetAccountId(), StrategyId: armed.GetStrategyId(),
		ChecksPerformed: riskChecks(decision.Checks), FailedChecks: riskChecks(failed),
		ExposureBefore: decision.ExposureBefore.String(), ExposureAfter: decision.ExposureAfter.String(),
		BudgetRemaining: decision.BudgetRemaining.String(), Severity: severity,
		ViolationReason: strings.Join(names, ", "), AccountBreach: decision.AccountBreach,
	})
}

func riskChecks(checks []engine.Check) []*eventv1.RiskCheck {
	list := make([]*eventv1.RiskCheck, len(checks))
	for i, check := range checks {
		list[i] = &eventv1.RiskCheck{
			Name: check.Name, Limit: check.Limit.String(), Value: check.Value.String(), Passed: check.Passed, Message: check.Message,
		}
	}
	return list
}
