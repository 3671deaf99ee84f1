package server

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Every reason for which a detector's signal leads to no decision, against a log that checks and folds by the real rules.
func TestServer_SubmitSignal_records_why_a_detectors_signal_is_rejected(t *testing.T) {
	t.Parallel()
	detected := func(position string) *commandv1.SubmitSignalRequest {
		return &commandv1.SubmitSignalRequest{PositionId: position, EntryPrice: "95000", TechnicalStop: "93500", Detector: "bot"}
	}
	tests := []struct {
		name   string
		signal func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest
		events []string
		reason string
	}{
		{"wrong side", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			request.TechnicalStop = "95000.01"
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "wrong_side"},
		{"the market is past the stop", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			b.Tick("93400")
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "wrong_side"},
		{"stop too tight", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			request.TechnicalStop = "94905.01" // 0.0999 %
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "stop_bounds"},
		{"stop too wide", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			request.TechnicalStop = "85499.99" // 10.00001 %
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "stop_bounds"},
		{"the market has run away from the stop", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			b.Tick("95300.01") // 1800.01 at risk where 1500 was planned
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "stop_bounds"},
		{"position not armed", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			return detected(b.entering(t))
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "position_not_armed"},
		{"strategy disabled", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			strategy := b.strategy(t, true)
			request := detected(b.armed(t, strategy))
			_, err := b.DisableStrategy(b.call(t), &commandv1.DisableStrategyRequest{StrategyId: strategy, Reason: "review"})
			require.NoError(t, err)
			return request
		}, []string{"SIGNAL_DETECTED", "SIGNAL_REJECTED"}, "strategy_disabled"},
		{"risk", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account})
			require.NoError(t, err)
			return request
		}, []string{"SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_FAILED", "SIGNAL_REJECTED"}, "risk"},
		{"the bounds are inclusive", func(t *testing.T, b *worldBundle) *commandv1.SubmitSignalRequest {
			request := detected(b.armed(t, ""))
			request.TechnicalStop = "94905" // 0.1 %
			return request
		}, []string{"SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newWorld(t, spot, generous())
			request := test.signal(t, b)
			before := len(b.Types())
			answer, err := b.SubmitSignal(b.call(t), request)
			require.NoError(t, err)
			require.Equal(t, test.events, b.Types()[before:])
			signal := b.Signal(answer.GetSignalId())
			require.Equal(t, test.reason, signal.GetRejectionReason())
			status, verdict := projectorv1.SignalStatus_SIGNAL_STATUS_REJECTED, commandv1.Verdict_VERDICT_REFUSED
			if test.reason == "" {
				status, verdict = projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED, commandv1.Verdict_VERDICT_ACCEPTED
			}
			require.Equal(t, status, signal.GetStatus())
			require.Equal(t, verdict, answer.GetOutcome().GetVerdict())
		})
	}
}

// The view shows another position of the symbol and side: it was opened after this one was armed.
func TestServer_SubmitSignal_rejects_a_duplicate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	position := b.held(projectorv1.PositionState_POSITION_STATE_ARMED)
	b.state.view.OpenPositions = append(b.state.view.OpenPositions, &projectorv1.Position{
		PositionId: uuid.NewString(), Symbol: position.GetSymbol(), Side: position.GetSide(),
	})
	_, err := b.SubmitSignal(b.call(t), &commandv1.SubmitSignalRequest{
		PositionId: position.GetPositionId(), EntryPrice: "95000", TechnicalStop: "93500", Detector: "bot",
		ExpiresAt: timestamppb.New(marketTime.Add(time.Hour)),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"signal_detected", "signal_rejected"}, b.types())
	require.Equal(t, eventv1.SignalRejection_SIGNAL_REJECTION_DUPLICATE, b.payloads()[1].GetSignalRejected().GetReason())
}
