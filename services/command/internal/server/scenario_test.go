package server

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// S1 and others like it, through the server into a log that computes each decision again.
func TestServer_Sizing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, capital, percent, entry, stop                string
		side                                               eventv1.PositionSide
		quantity, risk, notional, distance, raw, boundedBy string
		failed                                             []string
	}{
		{
			name: "S1", entry: "95000", stop: "93500",
			quantity: "0.06666", risk: "99.99", notional: "6332.7", distance: "1500", raw: "0.066666666666666667", boundedBy: "risk",
		},
		{
			name: "S1b capped by the capital", entry: "95000", stop: "94900",
			quantity: "0.10526", risk: "10.526", notional: "9999.7", distance: "100", raw: "1", boundedBy: "margin",
		},
		{
			name: "S1c too tight", entry: "95000", stop: "94910",
			quantity: "0.10526", risk: "9.4734", notional: "9999.7", distance: "90", raw: "1.111111111111111111", boundedBy: "margin",
			failed: []string{"stop_distance_bounds"},
		},
		{
			name: "S1c too wide", entry: "95000", stop: "85000",
			quantity: "0.01", risk: "100", notional: "950", distance: "10000", raw: "0.01", boundedBy: "risk",
			failed: []string{"stop_distance_bounds"},
		},
		{
			name: "S1c exactly 0.1 %", entry: "95000", stop: "94905",
			quantity: "0.10526", risk: "9.9997", notional: "9999.7", distance: "95", raw: "1.052631578947368421", boundedBy: "margin",
		},
		{
			name: "S1c exactly 10 %", entry: "95000", stop: "85500",
			quantity: "0.01052", risk: "99.94", notional: "999.4", distance: "9500", raw: "0.010526315789473684", boundedBy: "risk",
		},
		{
			name: "S1e not rounded up", capital: "5", entry: "95000", stop: "93500",
			quantity: "0.00003", risk: "0.045", notional: "2.85", distance: "1500", raw: "0.000033333333333333", boundedBy: "risk",
			failed: []string{"min_notional"},
		},
		{
			name: "a short", entry: "95000", stop: "96500", side: short,
			quantity: "0.06666", risk: "99.99", notional: "6332.7", distance: "1500", raw: "0.066666666666666667", boundedBy: "risk",
		},
		{
			name: "half a percent of less", capital: "2500.5", percent: "0.5", entry: "95000.01", stop: "93999.99",
			quantity: "0.0125", risk: "12.50025", notional: "1187.500125", distance: "1000.02", raw: "0.012502249955000900", boundedBy: "risk",
		},
		{
			name: "not even a step", capital: "0.1", entry: "95000", stop: "93500",
			quantity: "0", risk: "0", notional: "0", distance: "1500", raw: "0.000000666666666667", boundedBy: "risk",
			failed: []string{"quantity_below_min", "min_notional"},
		},
		{
			name: "more than there is", capital: "20000", entry: "95000", stop: "93500",
			quantity: "0.13333", risk: "199.995", notional: "12666.35", distance: "1500", raw: "0.133333333333333333", boundedBy: "risk",
			failed: []string{"insufficient_balance"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newWorld(t, margin, generous())
			request := b.s1(max(test.side, long))
			request.Capital, request.RiskPercent, request.EntryPrice, request.TechnicalStop = test.capital, test.percent, test.entry, test.stop
			answer, err := b.OpenPosition(b.call(t), request)
			require.NoError(t, err)
			decision, refused := answer.GetDecision(), []string(nil)
			for _, check := range answer.GetOutcome().GetFailedChecks() {
				refused = append(refused, check.GetName())
			}
			require.Equal(t, test.failed, refused)
			require.Equal(t, test.quantity, decision.GetQuantity())
			require.Equal(t, test.risk, decision.GetPlannedRisk())
			require.Equal(t, test.notional, decision.GetNotional())
			require.Equal(t, test.distance, decision.GetTechnicalStopDistance())
			require.Equal(t, strings.TrimRight(test.raw, "0"), strings.TrimRight(decision.GetRawQuantity(), "0"))
			require.Equal(t, test.boundedBy, decision.GetQuantityLimit())
			if len(test.failed) > 0 {
				require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
				require.Zero(t, count(b, "INTENT_CREATED"))
				require.Equal(t, "risk_refused", b.Position(answer.GetPositionId()).GetDisarmReason())
				return
			}
			require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict())
			require.Equal(t, 1, count(b, "INTENT_CREATED"))
		})
	}
}

// S11 by rows that say what was lost and what is at risk.
func TestServer_S11(t *testing.T) {
	t.Parallel()
	lost := func(b *testBundle, day, month string) {
		risk := b.state.view.GetAccountRisk()
		b.state.view.Periods = []*projectorv1.PnLPeriod{
			{AccountId: risk.GetAccountId(), StrategyId: risk.GetStrategyId(), Period: "2026-11-23", NetPnl: day},
			{AccountId: risk.GetAccountId(), StrategyId: risk.GetStrategyId(), Period: "2026-11", NetPnl: month},
		}
	}
	signal := func(b *testBundle, percent string) *commandv1.SubmitSignalRequest {
		position := b.held(stateArmed)
		position.RiskPercent = percent
		return &commandv1.SubmitSignalRequest{PositionId: position.GetPositionId(), EntryPrice: "95000", TechnicalStop: "93500"}
	}
	t.Run("planned 49.50 fits into the 50.01 that is left", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.view.AccountRisk.OpenRisk = "99.99"
		lost(b, "0", "-250")
		answer, err := b.SubmitSignal(b.call(t), signal(b, "0.495"))
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict())
		require.Equal(t, "49.5", answer.GetDecision().GetPlannedRisk())
		require.Equal(t, "50.01", b.payloads()[2].GetRiskCheckPassed().GetBudgetRemaining())
	})
	t.Run("planned 50.00 lands exactly on the day's limit, 50.01 past it", func(t *testing.T) {
		t.Parallel()
		for percent, refused := range map[string]string{"0.5": "", "0.50015": "-200.01"} {
			b := setup(t)
			b.state.view.AccountRisk.DailyLossLimit = "200"
			lost(b, "-150", "-150")
			request := signal(b, percent)
			request.TechnicalStop = "94000"
			answer, err := b.SubmitSignal(b.call(t), request)
			require.NoError(t, err)
			if refused == "" {
				require.Equal(t, "50", answer.GetDecision().GetPlannedRisk())
				require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict(), answer.GetOutcome().GetFailedChecks())
				continue
			}
			require.Len(t, answer.GetOutcome().GetFailedChecks(), 1)
			require.Equal(t, "daily_loss_limit", answer.GetOutcome().GetFailedChecks()[0].GetName())
			require.Equal(t, refused, answer.GetOutcome().GetFailedChecks()[0].GetValue())
			require.Equal(t, "-200", answer.GetOutcome().GetFailedChecks()[0].GetLimit())
		}
	})
}

func TestServer_Refusals(t *testing.T) {
	t.Parallel()
	t.Run("an entry that has expired before it began", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		request := b.s1(long)
		request.EntryExpiresAt = timestamppb.New(b.Now())
		_, err := b.OpenPosition(b.call(t), request)
		field(t, err, "entry_expires_at")
		request.EntryExpiresAt = timestamppb.New(b.Now().Add(time.Second))
		_, err = b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
	})
	t.Run("a market without a price", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.market.price = "0"
		request := b.s1()
		request.EntryPrice = ""
		_, err := b.OpenPosition(b.call(t), request)
		refusal(t, err, fault.Refused, "NO_PRICE")
	})
	t.Run("a detector's stale signal is recorded", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		answer, err := b.SubmitSignal(b.call(t), &commandv1.SubmitSignalRequest{
			PositionId: b.armed(t, ""), EntryPrice: "95000", TechnicalStop: "93500", Detector: "ma_cross",
			ExpiresAt: timestamppb.New(b.Now().Add(-time.Second)),
		})
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, []string{"SIGNAL_DETECTED", "SIGNAL_EXPIRED"}, b.Types()[len(b.Types())-2:])
	})
	t.Run("a signal decides once", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		id := b.armed(t, "")
		request := &commandv1.SubmitSignalRequest{PositionId: id, SignalId: uuid.NewString(), EntryPrice: "95000", TechnicalStop: "94910"}
		answer, err := b.SubmitSignal(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, b.Position(id).GetState())
		_, err = b.SubmitSignal(b.call(t), request)
		refusal(t, err, fault.Refused, "SIGNAL_EXISTS")
	})
	t.Run("a strategy wider than its account", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		strategy := b.strategy(t, false)
		lower := generous()
		lower.RiskPercentMax = "0.25"
		_, err := b.RegisterAccount(b.call(t), &commandv1.RegisterAccountRequest{
			AccountId: b.account, Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: "a", QuoteAsset: "USDT",
			ApiKeyFingerprint: "f", RiskLimits: lower,
		})
		require.NoError(t, err)
		_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: strategy})
		refusal(t, err, fault.Refused, "SETTINGS_TOO_WIDE")
	})
	t.Run("a cap lowered under an enabled strategy bounds what it arms", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		strategy := b.strategy(t, true)
		lower := generous()
		lower.RiskPercentMax = "0.25"
		_, err := b.RegisterAccount(b.call(t), &commandv1.RegisterAccountRequest{
			AccountId: b.account, Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: "a", QuoteAsset: "USDT",
			ApiKeyFingerprint: "f", RiskLimits: lower,
		})
		require.NoError(t, err)
		require.Equal(t, "0.25", b.Position(b.armed(t, strategy)).GetRiskPercent())
	})
	t.Run("settings that mean the same change nothing", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		_, err := b.UpdateStrategy(b.call(t), &commandv1.UpdateStrategyRequest{
			StrategyId: b.strategy(t, true), RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.50", StopMinPct: "0.1"},
		})
		refusal(t, err, fault.Refused, "NOTHING_CHANGED")
	})
	t.Run("more than all of the capital", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.account = false
		request := b.registration()
		request.RiskLimits.RiskPercentMax = "100.01"
		_, err := b.RegisterAccount(b.call(t), request)
		field(t, err, "risk_limits.risk_percent_max")
	})
	t.Run("a strategy's halt is the account's for its positions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		strategy := uuid.NewString()
		b.state.view.Strategy = &projectorv1.Strategy{StrategyId: strategy, AccountId: b.accountID(), IsEnabled: true, RiskPercent: "1"}
		b.state.view.StrategyRisk = &projectorv1.Risk{StrategyId: strategy, Halts: map[string]string{"daily_loss|2026-11-23": "lost"}}
		request := b.s1()
		request.StrategyId = strategy
		answer, err := b.OpenPosition(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, "account_violated", answer.GetOutcome().GetFailedChecks()[0].GetName())
	})
	t.Run("an operator's long note", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account, Note: strings.Repeat("é", 512)})
		require.NoError(t, err)
		answer, err := b.OpenPosition(b.call(t), b.s1(long))
		require.NoError(t, err)
		require.Equal(t, "account_violated", answer.GetOutcome().GetFailedChecks()[0].GetName())
	})
	t.Run("capital of many decimals", func(t *testing.T) {
		t.Parallel()
		limits := generous()
		limits.CapitalBase, limits.MonthlyBudgetPercent = "10000.000000000000000001", "3.333333333333333333"
		b := newWorld(t, spot, limits)
		answer, err := b.OpenPosition(b.call(t), b.s1(long))
		require.NoError(t, err)
		require.Equal(t, "0.06666", answer.GetDecision().GetQuantity())
	})
	t.Run("a stop in error may be moved", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		position := b.held(projectorv1.PositionState_POSITION_STATE_ERROR)
		_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: position.GetPositionId(), NewStop: "94000"})
		require.NoError(t, err)
		position.ExitTriggers = 1
		_, err = b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: position.GetPositionId(), NewStop: "94000"})
		refusal(t, err, fault.Refused, "POSITION_STATE")
	})
	t.Run("a canceled order is not canceled again", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		order := b.resting(t)
		_, err := b.CancelOrder(b.call(t), &commandv1.CancelOrderRequest{OrderId: order})
		require.NoError(t, err)
		row, err := b.GetOrder(t.Context(), &projectorv1.GetOrderRequest{OrderId: order})
		require.NoError(t, err)
		require.NoError(t, b.Fill(t.Context(), row.GetOrder().GetPositionId()))
		_, err = b.CancelOrder(b.call(t), &commandv1.CancelOrderRequest{OrderId: order})
		refusal(t, err, fault.Refused, "ORDER_ENDED")
	})
	t.Run("an unknown symbol", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		_, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: "NOSUCH", Side: long})
		field(t, err, "symbol")
	})
}
