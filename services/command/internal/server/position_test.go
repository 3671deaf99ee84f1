package server

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

const (
	stateArmed    = projectorv1.PositionState_POSITION_STATE_ARMED
	stateEntering = projectorv1.PositionState_POSITION_STATE_ENTERING
	stateActive   = projectorv1.PositionState_POSITION_STATE_ACTIVE
	stateExiting  = projectorv1.PositionState_POSITION_STATE_EXITING
	stateClosed   = projectorv1.PositionState_POSITION_STATE_CLOSED
)

func TestServer_ArmPosition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.state.view.Strategy = &projectorv1.Strategy{
		StrategyId: uuid.NewString(), AccountId: b.accountID(), IsEnabled: true, RiskPercent: "0.5",
		TrailingMode: eventv1.TrailingMode_TRAILING_MODE_STEP,
	}
	answer, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
		AccountId: b.accountID(), StrategyId: b.state.view.GetStrategy().GetStrategyId(), Symbol: "BTCUSDT",
		Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "2500",
	})
	require.NoError(t, err)
	armed := b.payloads()[0].GetPositionArmed()
	require.Equal(t, answer.GetPositionId(), armed.GetPositionId())
	require.Equal(t, "2500", armed.GetCapital())
	require.Equal(t, "0.5", armed.GetRiskPercent())
	require.Equal(t, eventv1.TrailingMode_TRAILING_MODE_STEP, armed.GetTrailingMode())
}

func TestServer_DisarmPosition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	request := &commandv1.DisarmPositionRequest{PositionId: b.held(stateArmed).GetPositionId()}
	_, err := b.DisarmPosition(b.call(t), request)
	require.NoError(t, err)
	require.Equal(t, eventv1.DisarmReason_DISARM_REASON_USER, b.payloads()[0].GetPositionDisarmed().GetReason())
	b.state.view.Position.State = stateActive
	_, err = b.DisarmPosition(b.call(t), request)
	refusal(t, err, fault.Refused, "POSITION_STATE")
}

func TestServer_ClosePosition(t *testing.T) {
	t.Parallel()
	for _, state := range []projectorv1.PositionState{stateEntering, stateActive, projectorv1.PositionState_POSITION_STATE_ERROR} {
		b := setup(t)
		position := b.held(state)
		answer, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: position.GetPositionId()})
		require.NoError(t, err)
		require.False(t, answer.GetAlreadyExiting())
		triggered := b.payloads()[0].GetExitTriggered()
		require.Equal(t, eventv1.ExitReason_EXIT_REASON_USER_CLOSE, triggered.GetReason())
		require.Equal(t, "0.06659334", triggered.GetQuantity())
		require.Equal(t, "95000", triggered.GetTriggerPrice())
		same(t, rowPosition, b.log.appends[0].GetReads()[0].GetRow())
	}
	t.Run("S9 a second one is told of the exit under way, and writes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		position := b.held(stateExiting)
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: position.GetPositionId()})
		refusal(t, err, fault.Corrupt, "EXIT_UNKNOWN")
		trigger := &eventv1.Event{
			EventId: "x", Position: 6, Seq: 5, StreamKey: "position:" + position.GetPositionId(), EventType: "EXIT_TRIGGERED", TraceId: "the exit's",
			Payload: event.Wrap(&eventv1.ExitTriggered{Reason: eventv1.ExitReason_EXIT_REASON_TRAILING_STOP}),
		}
		b.log.stream = []*eventv1.Event{{Payload: event.Wrap(&eventv1.IntentCreated{})}, trigger}
		answer, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: position.GetPositionId()})
		require.NoError(t, err)
		require.True(t, answer.GetAlreadyExiting())
		require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict())
		require.Equal(t, int64(6), answer.GetOutcome().GetPosition())
		require.Equal(t, "the exit's", answer.GetOutcome().GetTraceId())
		same(t, []*commandv1.EventRef{{
			EventId: "x", Position: 6, Seq: 5, StreamKey: trigger.GetStreamKey(), EventType: "EXIT_TRIGGERED",
		}}, answer.GetOutcome().GetEvents())
		require.Empty(t, b.log.events)
	})
	for _, state := range []projectorv1.PositionState{stateArmed, stateClosed} {
		b := setup(t)
		position := b.held(state)
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: position.GetPositionId()})
		refusal(t, err, fault.Refused, "POSITION_STATE")
	}
}

func TestServer_MoveStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, stop string
		side       eventv1.PositionSide
		state      projectorv1.PositionState
		reason     string
	}{
		{"up for a long", "94000", eventv1.PositionSide_POSITION_SIDE_LONG, stateActive, ""},
		{"not lower for a long", "93500", eventv1.PositionSide_POSITION_SIDE_LONG, stateActive, "STOP_NOT_BETTER"},
		{"not onto the market", "95000", eventv1.PositionSide_POSITION_SIDE_LONG, stateActive, "STOP_WOULD_TRIGGER"},
		{"down for a short", "96000", eventv1.PositionSide_POSITION_SIDE_SHORT, stateActive, ""},
		{"not higher for a short", "96600", eventv1.PositionSide_POSITION_SIDE_SHORT, stateActive, "STOP_NOT_BETTER"},
		{"not onto the market for a short", "95000", eventv1.PositionSide_POSITION_SIDE_SHORT, stateActive, "STOP_WOULD_TRIGGER"},
		{"not while exiting", "94000", eventv1.PositionSide_POSITION_SIDE_LONG, stateExiting, "POSITION_STATE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			position := b.held(test.state)
			position.Side = test.side
			if test.side == eventv1.PositionSide_POSITION_SIDE_SHORT {
				position.TrailingStopPrice = "96500"
			}
			ctx := b.call(t)
			answer, err := b.MoveStop(ctx, &commandv1.MoveStopRequest{PositionId: position.GetPositionId(), NewStop: test.stop})
			if test.reason != "" {
				refusal(t, err, fault.Refused, test.reason)
				return
			}
			require.NoError(t, err)
			moved := b.payloads()[0].GetTrailingStopUpdated()
			require.Equal(t, test.stop, moved.GetNewStop())
			require.Equal(t, position.GetTrailingStopPrice(), moved.GetPreviousStop())
			require.Equal(t, "command:"+answer.GetOutcome().GetCommandId(), moved.GetPriceEventId())
		})
	}
	b := setup(t)
	_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: b.held(stateActive).GetPositionId(), NewStop: "-1"})
	field(t, err, "new_stop")
}

func TestServer_CancelOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.state.order = &projectorv1.Order{
		OrderId: uuid.NewString(), AccountId: b.accountID(), PositionId: uuid.NewString(), Symbol: "BTCUSDT", Quantity: "0.01",
		Side: eventv1.Side_SIDE_SELL, OrderType: eventv1.OrderType_ORDER_TYPE_STOP_LOSS,
		Status: projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED,
	}
	request := &commandv1.CancelOrderRequest{OrderId: b.state.order.GetOrderId()}
	answer, err := b.CancelOrder(b.call(t), request)
	require.NoError(t, err)
	intent := b.payloads()[0].GetIntentCreated()
	require.Equal(t, answer.GetIntentId(), intent.GetIntentId())
	require.Equal(t, request.GetOrderId(), intent.GetCancelsOrderId())
	require.Equal(t, "position:"+b.state.order.GetPositionId(), b.log.appends[0].GetStreams()[0].GetStreamKey())

	b.state.order.Status = projectorv1.OrderStatus_ORDER_STATUS_FILLED
	_, err = b.CancelOrder(b.call(t), request)
	refusal(t, err, fault.Refused, "ORDER_ENDED")
}

func TestServer_Panic(t *testing.T) {
	t.Parallel()
	t.Run("lists what is to be closed, once per occasion", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.held(stateExiting)
		armed, active := b.held(stateArmed), b.held(stateActive)
		other := b.held(stateActive)
		other.Symbol = "ETHUSDT"
		answer, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID(), Note: "fire"})
		require.NoError(t, err)
		require.Equal(t, []string{armed.GetPositionId(), active.GetPositionId(), other.GetPositionId()}, answer.GetPositionIds())
		limit := b.payloads()[0].GetRiskLimitExceeded()
		require.Equal(t, eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE, limit.GetAction())
		require.Equal(t, eventv1.LimitName_LIMIT_NAME_OPERATOR, limit.GetLimitName())
		require.Len(t, limit.GetPeriod(), 32)

		answer, err = b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID(), Symbol: "ETHUSDT"})
		require.NoError(t, err)
		require.Equal(t, []string{other.GetPositionId()}, answer.GetPositionIds())
		require.NotEqual(t, limit.GetPeriod(), b.payloads()[1].GetRiskLimitExceeded().GetPeriod())
	})
	t.Run("more positions than one event can list", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 250 {
			b.held(stateActive)
		}
		answer, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID()})
		require.NoError(t, err)
		require.Len(t, answer.GetPositionIds(), 250)
		require.Len(t, b.log.events, 3)
	})
	t.Run("nothing open still halts entries", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		answer, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.accountID()})
		require.NoError(t, err)
		require.Empty(t, answer.GetPositionIds())
		require.Len(t, b.log.events, 1)
	})
}
