package server

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// answerStep names the append that ends a waiting signal.
const answerStep = "signal_answered"

// Answer decides on a signal that waits in the log, of the tenant of the context: it is accepted, rejected with its
// reason, or expired. While the account's entries are halted it goes on waiting, for the limit may be cleared or its
// period may end before the signal does. It tells whether the signal still waits, and how long, by the venue's time, it
// is still good for. The append is named by SIGNAL_DETECTED, so two replicas that answer end in the same log.
func (s *Server) Answer(ctx context.Context, detected lifecycle.Cause, signalID string) (bool, time.Duration, error) {
	var waits bool
	var left time.Duration
	who := caller{
		tenantID: identity.Tenant(ctx).String(), commandID: lifecycle.CommandID(detected.EventID, answerStep),
		traceID: detected.TraceID, cause: detected,
	}
	step := attempt{method: "answer a signal", digest: lifecycle.StepDigest(detected.EventID, answerStep)}
	_, err := s.committer.decideAnew(ctx, who, step, func(ctx context.Context, who caller) (*plan, error) {
		waits = false
		found, err := s.state.GetSignal(ctx, &projectorv1.GetSignalRequest{SignalId: signalID, MinPosition: detected.Position})
		if err != nil {
			return nil, fmt.Errorf("read signal %s: %w", signalID, err)
		}
		row := found.GetSignal()
		if !rows.Waiting(row) {
			return &plan{decidedAt: found.GetAsOf()}, nil
		}
		at, position, err := s.lookAt(ctx, row.GetPositionId())
		if err != nil {
			return nil, err
		}
		signal, call, err := waiting(row)
		if err != nil {
			return nil, err
		}
		if held(at, position) && !expired(at, call) {
			waits, left = true, goodFor(at, call)
			return &plan{decidedAt: at.view.GetAsOf()}, nil
		}
		payloads, err := s.answer(at, who, position, signal, call)
		if err != nil {
			return nil, err
		}
		return planned(at, armedAs(position), payloads), nil
	})
	return waits, left, err
}

// goodFor is how long a signal may still wait; one that never expires, as long as one can say.
func goodFor(at *situation, call calling) time.Duration {
	if call.signalExpires == nil {
		return math.MaxInt64
	}
	return call.signalExpires.AsTime().Sub(at.now)
}

// waiting reads a signal's row. It enters at the market, and its entry is good for as long as the signal is.
func waiting(row *projectorv1.Signal) (engine.Signal, calling, error) {
	id, err := uuid.Parse(row.GetSignalId())
	if err != nil {
		return engine.Signal{}, calling{}, fault.Wrap(err, fault.Corrupt, "ROW_ID", "read signal id %q", row.GetSignalId())
	}
	reader := &rows.Reader{}
	signal := engine.Signal{Side: row.GetSide(), Entry: reader.Amount(row.GetEntryPrice()), Stop: reader.Amount(row.GetStopLoss())}
	return signal, calling{
		signalID: id, detector: row.GetDetector(), orderType: eventv1.OrderType_ORDER_TYPE_MARKET,
		signalExpires: row.GetExpiresAt(), entryExpiresAt: row.GetExpiresAt(),
	}, reader.Err
}

// held says whether nothing but a halt of the account's or the strategy's entries stands between an armed position and a
// decision on its signal.
func held(at *situation, position *projectorv1.Position) bool {
	strategy := at.view.GetStrategy()
	if position.GetState() != projectorv1.PositionState_POSITION_STATE_ARMED || strategy != nil && !strategy.GetIsEnabled() {
		return false
	}
	all := append(halts(at.view.GetAccountRisk()), halts(at.view.GetStrategyRisk())...)
	return len(engine.ActiveHalts(all, at.now)) > 0
}
