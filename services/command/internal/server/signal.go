package server

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/rows"
)

// SubmitSignal implements commandv1.TradingServiceServer.
func (s *Server) SubmitSignal(ctx context.Context, in *commandv1.SubmitSignalRequest) (*commandv1.SubmitSignalResponse, error) {
	call := calling{
		entryPrice: in.GetEntryPrice(), stop: in.GetTechnicalStop(), detector: in.GetDetector(), signalExpires: in.GetExpiresAt(),
		entryExpiresAt: in.GetExpiresAt(),
	}
	if call.detector == "" {
		call.detector = manualDetector
	}
	req := request{method: commandv1.TradingService_SubmitSignal_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		call.signalID = who.derive("signal")
		if in.GetSignalId() != "" {
			id, err := uuid.Parse(in.GetSignalId())
			if err != nil {
				return nil, fault.InvalidField("signal_id", "must be a UUID")
			}
			call.signalID = id
		}
		at, position, err := s.lookAt(ctx, in.GetPositionId())
		if err != nil {
			return nil, err
		}
		return s.answerSignal(at, who, position, call)
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.SubmitSignalResponse{
		Outcome: res.outcome(), Decision: res.decision(),
		PositionId: res.signal().GetPositionId(), SignalId: res.signal().GetSignalId(),
	}, nil
}

// armedAs is what a position was armed with.
func armedAs(position *projectorv1.Position) *eventv1.PositionArmed {
	return &eventv1.PositionArmed{
		PositionId: position.GetPositionId(), AccountId: position.GetAccountId(), StrategyId: position.GetStrategyId(),
		Symbol: position.GetSymbol(), Side: position.GetSide(), Capital: position.GetCapital(), RiskPercent: position.GetRiskPercent(),
	}
}

// answerSignal decides on a signal that comes with the call. A person's mistake is an error; a detector's is recorded.
func (s *Server) answerSignal(at *situation, who caller, position *projectorv1.Position, call calling) (*plan, error) {
	armed := armedAs(position)
	signal, err := s.signal(at, armed, call)
	if err != nil {
		return nil, err
	}
	var payloads []*eventv1.Payload
	if call.detector == manualDetector {
		if err := acceptable(at, position, signal, call); err != nil {
			return nil, err
		}
		payloads, _, err = s.decide(at, who, armed, signal, call)
	} else {
		payloads, err = s.answer(at, who, position, signal, call)
	}
	if err != nil {
		return nil, err
	}
	return planned(at, armed, append([]*eventv1.Payload{detectedPayload(armed, signal, call, at.now)}, payloads...)), nil
}

// planned appends the answer to a signal to its position, guarded by all that it rests on.
func planned(at *situation, armed *eventv1.PositionArmed, payloads []*eventv1.Payload) *plan {
	made := &plan{decidedAt: at.view.GetAsOf()}
	made.read(rowPosition, armed.GetPositionId())
	made.read(rowRisk, armed.GetAccountId())
	made.read(rowStrategy, armed.GetStrategyId())
	made.add(positionStream(armed.GetPositionId()), exists(), at.now, payloads...)
	return made
}

// acceptable refuses a person's signal on which nothing can be decided.
func acceptable(at *situation, position *projectorv1.Position, signal engine.Signal, call calling) error {
	if position.GetState() != projectorv1.PositionState_POSITION_STATE_ARMED {
		return wrongState(position, "a signal needs an armed position")
	}
	if _, err := sensible(at, signal, call.orderType); err != nil {
		return err
	}
	if expired(at, call) {
		return fault.New(fault.Refused, "SIGNAL_EXPIRED", "signal %s expired at %s, it is %s at the venue",
			call.signalID, call.signalExpires.AsTime().Format(time.RFC3339), at.now.Format(time.RFC3339))
	}
	return nil
}

// expired says whether a signal is stale by the venue's time.
func expired(at *situation, call calling) bool {
	return call.signalExpires != nil && call.signalExpires.AsTime().Before(at.now)
}

// answer tells the events with which a detector's signal ends: expired, rejected with its reason, or decided on.
func (s *Server) answer(
	at *situation, who caller, position *projectorv1.Position, signal engine.Signal, call calling,
) ([]*eventv1.Payload, error) {
	armed := armedAs(position)
	if expired(at, call) {
		return []*eventv1.Payload{expiredPayload(armed, call)}, nil
	}
	reason, err := unfit(at, position, signal, call)
	if err != nil {
		return nil, err
	}
	if reason != eventv1.SignalRejection_SIGNAL_REJECTION_UNSPECIFIED {
		return []*eventv1.Payload{rejectedPayload(armed, call, reason)}, nil
	}
	payloads, _, err := s.decide(at, who, armed, signal, call)
	return payloads, err
}

// unfit says why a detector's signal leads to no decision at all; unspecified if it does.
func unfit(at *situation, position *projectorv1.Position, signal engine.Signal, call calling) (eventv1.SignalRejection, error) {
	id, err := uuid.Parse(position.GetPositionId())
	if err != nil {
		return 0, fault.Wrap(err, fault.Corrupt, "ROW_ID", "read position id %q", position.GetPositionId())
	}
	strategy := at.view.GetStrategy()
	switch {
	case position.GetState() != projectorv1.PositionState_POSITION_STATE_ARMED:
		return eventv1.SignalRejection_SIGNAL_REJECTION_POSITION_NOT_ARMED, nil
	case strategy != nil && !strategy.GetIsEnabled():
		return eventv1.SignalRejection_SIGNAL_REJECTION_STRATEGY_DISABLED, nil
	case duplicates(at.view, position.GetSymbol(), position.GetSide(), id) > 0:
		return eventv1.SignalRejection_SIGNAL_REJECTION_DUPLICATE, nil
	}
	reason, err := sensible(at, signal, call.orderType)
	switch {
	case fault.Is(err, fault.Invalid):
		return reason, nil // The request of a detector is its signal: what is wrong with it is recorded.
	case err != nil:
		return 0, err
	}
	reader := &rows.Reader{}
	least := reader.AmountOr(strategy.GetStopMinPct(), stopMinPercent)
	most := reader.AmountOr(strategy.GetStopMaxPct(), stopMaxPercent)
	if !engine.WithinBounds(signal, least, most) {
		return eventv1.SignalRejection_SIGNAL_REJECTION_STOP_BOUNDS, reader.Err
	}
	return eventv1.SignalRejection_SIGNAL_REJECTION_UNSPECIFIED, reader.Err
}
