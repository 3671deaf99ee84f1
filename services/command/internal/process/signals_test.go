package process_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/server"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// armed arms a long position of no strategy.
func (b *testBundle) armed(t *testing.T) string {
	t.Helper()
	answer, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: worldtest.Symbol, Side: long})
	require.NoError(t, err)
	return answer.GetPositionId()
}

// detected records a detector's signal, good for five minutes of the market's, and gives its id.
func (b *testBundle) detected(t *testing.T, position string) string {
	t.Helper()
	id := uuid.NewString()
	require.NoError(t, b.Record("position:"+position, b.Now(), event.Wrap(&eventv1.SignalDetected{
		SignalId: id, PositionId: position, Symbol: worldtest.Symbol, Side: long, EntryPrice: "95000", StopLoss: "93500",
		Detector: "ma_cross", DetectedAt: timestamppb.New(b.Now()), ExpiresAt: timestamppb.New(b.Now().Add(5 * time.Minute)),
	})))
	return id
}

// halt halts the account's entries, as a loss of the day does.
func (b *testBundle) halt(t *testing.T) string {
	t.Helper()
	period := b.Now().Format(time.DateOnly)
	require.NoError(t, b.Record("account:"+b.account, b.Now(), event.Wrap(&eventv1.RiskLimitExceeded{
		AccountId: b.account, LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Limit: "150", Value: "151",
		Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: period,
	})))
	return period
}

// still requires that a signal waits, for as long as it takes to look at it a good many times.
func (b *testBundle) still(t *testing.T, signal string) {
	t.Helper()
	for range 20 {
		_, err := b.GetSignal(t.Context(), &projectorv1.GetSignalRequest{SignalId: signal})
		require.NoError(t, err)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED, b.Signal(signal).GetStatus())
	}
}

func TestManager_Signals(t *testing.T) {
	t.Parallel()
	t.Run("accepted: the position enters, in the run of the signal", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t)
		position := b.armed(t)
		signal := b.detected(t, position)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED, b.Signal(signal).GetStatus())
		require.Equal(t, signal, b.Position(position).GetEntrySignalId())
		var accepted, intended *eventv1.Event
		for _, known := range b.Events() {
			if known.GetPayload().GetDecisionProposed() != nil {
				accepted = known
			}
			if known.GetPayload().GetIntentCreated().GetIntentType() == eventv1.IntentType_INTENT_TYPE_ENTRY {
				intended = known
			}
		}
		require.Equal(t, b.cause(t, signal), accepted.GetCausationId(), "the answer is caused by the signal")
		require.True(t, intended.GetPayload().GetIntentCreated().GetExpiresAt().AsTime().Equal(b.Signal(signal).GetExpiresAt().AsTime()),
			"the entry is good for as long as the signal")
		b.noTwice(t)
	})
	t.Run("waits while entries are halted, and expires", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.halt(t)
		b.run(t)
		position := b.armed(t)
		signal := b.detected(t, position)
		for range 5 {
			b.Tick("95000")
		}
		b.still(t, signal)
		b.Tick("95000")
		b.until(t, 1, "SIGNAL_EXPIRED")
		b.settle(t)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_EXPIRED, b.Signal(signal).GetStatus())
		require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, b.Position(position).GetState())
		require.Zero(t, b.count("DECISION_PROPOSED"))
	})
	t.Run("waits while entries are halted, and is accepted when they are not any more", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		period := b.halt(t)
		b.run(t)
		signal := b.detected(t, b.armed(t))
		b.still(t, signal)
		_, err := b.ResetRiskLimit(b.call(t), &commandv1.ResetRiskLimitRequest{
			AccountId: b.account, LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Period: period, Note: "reviewed",
		})
		require.NoError(t, err)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED, b.Signal(signal).GetStatus())
	})
	t.Run("nobody was there in time", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		signal := b.detected(t, b.armed(t))
		for range 6 {
			b.Tick("95000")
		}
		b.run(t)
		b.until(t, 1, "SIGNAL_EXPIRED")
		b.settle(t)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_EXPIRED, b.Signal(signal).GetStatus())
	})
	t.Run("its position is disarmed while it waits", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.halt(t)
		b.run(t)
		position := b.armed(t)
		signal := b.detected(t, position)
		b.still(t, signal)
		_, err := b.DisarmPosition(b.call(t), &commandv1.DisarmPositionRequest{PositionId: position})
		require.NoError(t, err)
		b.until(t, 1, "SIGNAL_REJECTED")
		require.Equal(t, "position_not_armed", b.Signal(signal).GetRejectionReason())
	})
	t.Run("what hinders the answer is alerted and tried again", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		position := b.armed(t)
		signal := b.detected(t, position)
		away := fault.New(fault.Unavailable, "AWAY", "the log is away")
		b.Fail(away, away, away, away)
		b.run(t)
		b.until(t, 1, "SIGNAL_ACCEPTED")
		b.settle(t)
		require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED, b.Signal(signal).GetStatus())
		require.Empty(t, b.alerts.List(b.Tenant))
	})
	t.Run("signals that were decided on before signals were closed are left alone", func(t *testing.T) {
		t.Parallel()
		now := setup(t, spot)
		now.open(t, long)
		b := setup(t, spot)
		b.World = worldtest.New("95000")
		b.Tenant = now.Tenant
		for _, known := range now.Events() {
			switch known.GetPayload().GetKind().(type) {
			case *eventv1.Payload_SignalAccepted, *eventv1.Payload_IntentCreated:
			default:
				require.NoError(t, b.Record(known.GetStreamKey(), known.GetOccurredAt().AsTime(), known.GetPayload()))
			}
		}
		b.world = &mortal{World: b.World, left: -1}
		made, err := server.New(clock.System(), server.Deps{Appender: b.World, Commands: b.World, State: b.World, Market: b.World}, server.Config{})
		require.NoError(t, err)
		b.Server = made
		before := len(b.Events())
		b.run(t)
		b.settle(t)
		require.Len(t, b.Events(), before)
		require.Empty(t, b.alerts.List(b.Tenant))
	})
	t.Run("two replicas answer once", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t)
		first, firstStop := b.manager, b.stop
		b.run(t)
		require.NotSame(t, first, b.manager)
		b.detected(t, b.armed(t))
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Equal(t, 1, b.count("SIGNAL_ACCEPTED"))
		require.Equal(t, 1, b.count("DECISION_PROPOSED"))
		b.noTwice(t)
		firstStop()
	})
}

// cause is the event that brought a signal.
func (b *testBundle) cause(t *testing.T, signal string) string {
	t.Helper()
	for _, known := range b.Events() {
		if known.GetPayload().GetSignalDetected().GetSignalId() == signal {
			return known.GetEventId()
		}
	}
	t.Fatalf("no signal %s", signal)
	return ""
}

func TestNew_refuses_a_signal_that_is_never_looked_at(t *testing.T) {
	t.Parallel()
	_, err := process.New(slog.New(slog.DiscardHandler), clock.System(), process.Deps{}, process.Config{SignalLook: -1})
	require.ErrorContains(t, err, "SignalLook")
}
