package server

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// s1 asks for S1.
func (b *testBundle) s1() *commandv1.OpenPositionRequest {
	return &commandv1.OpenPositionRequest{
		AccountId: b.accountID(), Symbol: "BTCUSDT", Side: eventv1.PositionSide_POSITION_SIDE_LONG,
		EntryPrice: "95000", TechnicalStop: "93500",
	}
}

func TestServer_OpenPosition(t *testing.T) {
	t.Parallel()
	t.Run("S1 armed, decided and intended in one append on what was read", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		answer, err := b.OpenPosition(b.call(t), b.s1())
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict())
		require.Equal(t, []string{"position_armed", "signal_detected", "decision_proposed", "risk_check_passed", "signal_accepted", "intent_created"}, b.types())
		require.Equal(t, "0.06666", answer.GetDecision().GetQuantity())
		require.Equal(t, "99.99", answer.GetDecision().GetPlannedRisk())
		require.Equal(t, "6332.7", answer.GetDecision().GetNotional())
		require.Equal(t, "risk", answer.GetDecision().GetQuantityLimit())
		require.Len(t, answer.GetDecision().GetChecks(), 14)
		require.Equal(t, int64(6), answer.GetOutcome().GetPosition())

		request := b.log.appends[0]
		require.Equal(t, int64(7), request.GetDecidedAt())
		require.True(t, request.GetStreams()[0].GetExpected().GetNoStream())
		same(t, []*eventlogv1.ReadRef{{Row: rowRisk, Id: b.accountID()}}, request.GetReads())
		for i, event := range request.GetStreams()[0].GetEvents() {
			require.Equal(t, marketTime, event.GetOccurredAt().AsTime())
			if i > 0 {
				require.Equal(t, int32(i-1), event.GetCausedBy())
			} else {
				require.Nil(t, event.CausedBy)
			}
		}
		intent := b.payloads()[5].GetIntentCreated()
		require.Equal(t, eventv1.OrderType_ORDER_TYPE_MARKET, intent.GetOrderType())
		require.Equal(t, eventv1.Side_SIDE_BUY, intent.GetSide())
		require.Equal(t, marketTime.Add(time.Hour), intent.GetExpiresAt().AsTime())
	})
	t.Run("a refusal is recorded, with every gate, and disarms", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.view.AccountRisk.OpenPositions = 3
		b.state.view.AccountRisk.DailyLossLimit = "200"
		b.state.view.Periods = []*projectorv1.PnLPeriod{
			{AccountId: b.accountID(), StrategyId: b.state.view.GetAccountRisk().GetStrategyId(), Period: "2026-11-23", NetPnl: "-150"},
			{AccountId: b.accountID(), StrategyId: b.state.view.GetAccountRisk().GetStrategyId(), Period: "2026-11", NetPnl: "-150"},
		}
		answer, err := b.OpenPosition(b.call(t), b.s1())
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, []string{"position_armed", "signal_detected", "decision_proposed", "risk_check_failed", "signal_rejected", "position_disarmed"}, b.types())
		failed := answer.GetOutcome().GetFailedChecks()
		require.Len(t, failed, 2)
		require.Equal(t, "max_open_positions", failed[0].GetName())
		require.Equal(t, "daily_loss_limit", failed[1].GetName())
		require.Equal(t, "-249.99", failed[1].GetValue())
		require.Equal(t, eventv1.DisarmReason_DISARM_REASON_RISK_REFUSED, b.payloads()[5].GetPositionDisarmed().GetReason())
	})
	t.Run("a dry run decides and writes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := b.s1()
		request.DryRun = true
		answer, err := b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_WOULD_ACCEPT, answer.GetOutcome().GetVerdict())
		require.Equal(t, "0.06666", answer.GetDecision().GetQuantity())
		require.Empty(t, answer.GetOutcome().GetEvents())
		request.Capital = "5"
		answer, err = b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_WOULD_REFUSE, answer.GetOutcome().GetVerdict())
		require.Equal(t, "min_notional", answer.GetOutcome().GetFailedChecks()[0].GetName())
		require.Empty(t, b.log.events)
	})
	t.Run("a short at the venue's last price with a limit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.view.Account.Product, b.state.view.Account.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "BTCUSDT"
		b.state.view.Balances[0].Wallet = "isolated:BTCUSDT"
		request := b.s1()
		request.Side, request.EntryPrice, request.TechnicalStop = eventv1.PositionSide_POSITION_SIDE_SHORT, "", "96500"
		_, err := b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, eventv1.Side_SIDE_SELL, b.payloads()[5].GetIntentCreated().GetSide())

		request.EntryPrice, request.OrderType = "95100.5", eventv1.OrderType_ORDER_TYPE_LIMIT
		_, err = b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
		intent := b.payloads()[11].GetIntentCreated()
		require.Equal(t, "95100.5", intent.GetPrice())
		require.Equal(t, eventv1.TimeInForce_TIME_IN_FORCE_GTC, intent.GetTimeInForce())
	})
}

func TestServer_OpenPosition_BadInput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*testBundle, *commandv1.OpenPositionRequest)
		field  string
		reason string
	}{
		{"stop missing", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.TechnicalStop = "" }, "technical_stop", ""},
		{"stop on the wrong side", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.TechnicalStop = "96000" }, "technical_stop", ""},
		{"stop equal to entry", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.TechnicalStop = "95000" }, "technical_stop", ""},
		{"over-precise stop", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.TechnicalStop = "93500.000000001" }, "technical_stop", ""},
		{"negative capital", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.Capital = "-1" }, "capital", ""},
		{"no number", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.EntryPrice = "much" }, "entry_price", ""},
		{"unknown symbol", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.Symbol = "NOSUCH" }, "symbol", ""},
		{"risk above the account's cap", func(_ *testBundle, r *commandv1.OpenPositionRequest) { r.RiskPercent = "1.01" }, "risk_percent", ""},
		{"limit without a price", func(_ *testBundle, r *commandv1.OpenPositionRequest) {
			r.OrderType, r.EntryPrice = eventv1.OrderType_ORDER_TYPE_LIMIT, ""
		}, "entry_price", ""},
		{"limit off the tick", func(_ *testBundle, r *commandv1.OpenPositionRequest) {
			r.OrderType, r.EntryPrice = eventv1.OrderType_ORDER_TYPE_LIMIT, "95000.001"
		}, "entry_price", ""},
		{"order type that does not enter", func(_ *testBundle, r *commandv1.OpenPositionRequest) {
			r.OrderType = eventv1.OrderType_ORDER_TYPE_STOP_LOSS
		}, "order_type", ""},
		{"another quote asset", func(b *testBundle, _ *commandv1.OpenPositionRequest) { b.state.view.Account.QuoteAsset = "EUR" }, "symbol", ""},
		{"strategy of another account", func(b *testBundle, _ *commandv1.OpenPositionRequest) {
			b.state.view.Strategy = &projectorv1.Strategy{AccountId: uuid.NewString(), IsEnabled: true}
		}, "strategy_id", ""},
		{"another pair than the margin account's", func(b *testBundle, _ *commandv1.OpenPositionRequest) {
			b.state.view.Account.Product, b.state.view.Account.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "ETHUSDT"
		}, "symbol", ""},
		{"short on spot", func(_ *testBundle, r *commandv1.OpenPositionRequest) {
			r.Side, r.TechnicalStop = eventv1.PositionSide_POSITION_SIDE_SHORT, "96500"
		}, "side", ""},
		{"duplicate position", func(b *testBundle, _ *commandv1.OpenPositionRequest) {
			b.held(projectorv1.PositionState_POSITION_STATE_ACTIVE)
		}, "", "DUPLICATE_POSITION"},
		{"disabled strategy", func(b *testBundle, _ *commandv1.OpenPositionRequest) {
			b.state.view.Strategy = &projectorv1.Strategy{AccountId: b.accountID()}
		}, "", "STRATEGY_DISABLED"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			request := b.s1()
			test.change(b, request)
			_, err := b.OpenPosition(b.call(t), request)
			if test.field != "" {
				field(t, err, test.field)
			} else {
				refusal(t, err, fault.Refused, test.reason)
			}
			require.Empty(t, b.log.events)
		})
	}
}

func TestServer_Idempotency(t *testing.T) {
	t.Parallel()
	t.Run("the same command again answers the first outcome, whatever the state has become", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx := b.call(t)
		first, err := b.OpenPosition(ctx, b.s1())
		require.NoError(t, err)
		b.state.view.AccountRisk.OpenPositions = 3
		second, err := b.OpenPosition(ctx, b.s1())
		require.NoError(t, err)
		require.True(t, second.GetOutcome().GetDuplicate())
		require.Equal(t, "first", second.GetOutcome().GetTraceId())
		same(t, first.GetDecision(), second.GetDecision())
		require.Equal(t, first.GetPositionId(), second.GetPositionId())
		same(t, first.GetOutcome().GetEvents(), second.GetOutcome().GetEvents())
		require.Len(t, b.log.events, 6)
	})
	t.Run("the same command with another request is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx := b.call(t)
		_, err := b.OpenPosition(ctx, b.s1())
		require.NoError(t, err)
		other := b.s1()
		other.Capital = "9999"
		_, err = b.OpenPosition(ctx, other)
		refusal(t, err, fault.Duplicate, "COMMAND_ID_REUSED")
		_, err = b.ArmPosition(ctx, &commandv1.ArmPositionRequest{AccountId: b.accountID(), Symbol: "BTCUSDT", Side: eventv1.PositionSide_POSITION_SIDE_LONG})
		refusal(t, err, fault.Duplicate, "COMMAND_ID_REUSED")
	})
	t.Run("a receipt that leads nowhere is corrupt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx := b.call(t)
		_, err := b.OpenPosition(ctx, b.s1())
		require.NoError(t, err)
		b.log.events[2].EventId = "other"
		_, err = b.OpenPosition(ctx, b.s1())
		refusal(t, err, fault.Corrupt, "RECEIPT_SHAPE")
	})
}

func TestServer_SubmitSignal(t *testing.T) {
	t.Parallel()
	armed := projectorv1.PositionState_POSITION_STATE_ARMED
	signal := func(position *projectorv1.Position) *commandv1.SubmitSignalRequest {
		return &commandv1.SubmitSignalRequest{PositionId: position.GetPositionId(), EntryPrice: "95000", TechnicalStop: "93500"}
	}
	t.Run("S11 a refused position stays armed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		position := b.held(armed)
		b.state.view.AccountRisk.OpenRisk = "99.99"
		b.state.view.Periods = []*projectorv1.PnLPeriod{
			{AccountId: b.accountID(), StrategyId: b.state.view.GetAccountRisk().GetStrategyId(), Period: "2026-11", NetPnl: "-250"},
		}
		answer, err := b.SubmitSignal(b.call(t), signal(position))
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, []string{"signal_detected", "decision_proposed", "risk_check_failed", "signal_rejected"}, b.types())
		require.Equal(t, "50.01", answer.GetOutcome().GetFailedChecks()[0].GetLimit())
		require.Equal(t, "99.99", answer.GetOutcome().GetFailedChecks()[0].GetValue())
		require.Equal(t, eventv1.SignalRejection_SIGNAL_REJECTION_RISK, b.payloads()[3].GetSignalRejected().GetReason())
		require.Len(t, b.log.appends[0].GetReads(), 2)
	})
	t.Run("accepted, under the given signal id", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := signal(b.held(armed))
		request.SignalId = uuid.NewString()
		answer, err := b.SubmitSignal(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, request.GetSignalId(), answer.GetSignalId())
		require.Equal(t, []string{"signal_detected", "decision_proposed", "risk_check_passed", "signal_accepted", "intent_created"}, b.types())
	})
	t.Run("a person's bad signal is an error, a detector's is recorded", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := signal(b.held(armed))
		request.TechnicalStop = "96000"
		_, err := b.SubmitSignal(b.call(t), request)
		field(t, err, "technical_stop")
		request.Detector = "ma_cross"
		answer, err := b.SubmitSignal(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, []string{"signal_detected", "signal_rejected"}, b.types())
	})
	t.Run("not armed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := signal(b.held(projectorv1.PositionState_POSITION_STATE_ACTIVE))
		_, err := b.SubmitSignal(b.call(t), request)
		refusal(t, err, fault.Refused, "POSITION_STATE")
		request.Detector = "ma_cross"
		_, err = b.SubmitSignal(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, eventv1.SignalRejection_SIGNAL_REJECTION_POSITION_NOT_ARMED, b.payloads()[1].GetSignalRejected().GetReason())
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := signal(b.held(armed))
		request.ExpiresAt = timestamppb.New(marketTime.Add(-time.Second))
		_, err := b.SubmitSignal(b.call(t), request)
		refusal(t, err, fault.Refused, "SIGNAL_EXPIRED")
	})
	t.Run("no such position, bad signal id", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.SubmitSignal(b.call(t), signal(&projectorv1.Position{PositionId: uuid.NewString()}))
		refusal(t, err, fault.NotFound, "ROW_UNKNOWN")
		request := signal(b.held(armed))
		request.SignalId = "x"
		_, err = b.SubmitSignal(b.call(t), request)
		field(t, err, "signal_id")
	})
}
