package scout_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/scout"
	"github.com/robson/robson/services/command/internal/server"
	"github.com/robson/robson/services/command/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	long  = eventv1.PositionSide_POSITION_SIDE_LONG
	short = eventv1.PositionSide_POSITION_SIDE_SHORT
)

// testBundle is a world in memory with a server; run adds a replica of what works of its own accord.
type testBundle struct {
	*worldtest.World
	*server.Server
	account  string
	strategy string
	alerts   *process.Alerts
}

// settings cross averages of 2 and 4 minutes, with the stop a percent away.
func settings() map[string]string {
	return map[string]string{
		"interval": "1m", "fast": "2", "slow": "4", "stop_lookback": "5", "stop_method": "percent", "stop_percent": "1", "signal_ttl": "5m",
	}
}

// setup makes a world with a strategy that is enabled.
func setup(t *testing.T, strategyType string, change func(*eventv1.RiskConfig, map[string]string)) *testBundle {
	t.Helper()
	b := &testBundle{World: worldtest.New("95000"), alerts: &process.Alerts{}}
	var err error
	b.account, err = b.Begin(eventv1.Product_PRODUCT_ISOLATED_MARGIN, "10000", &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
		CapitalBase: "10000", MaxOpenPositions: 3,
	})
	require.NoError(t, err)
	b.Server, err = server.New(clock.System(), server.Deps{Appender: b.World, Commands: b.World, State: b.World, Market: b.World}, server.Config{})
	require.NoError(t, err)
	risk, config := &eventv1.RiskConfig{RiskPercent: "0.5"}, settings()
	if change != nil {
		change(risk, config)
	}
	answer, err := b.RegisterStrategy(b.call(t), &commandv1.RegisterStrategyRequest{
		AccountId: b.account, StrategyName: "crosses", StrategyType: strategyType, DetectorConfig: config, RiskConfig: risk,
	})
	require.NoError(t, err)
	b.strategy = answer.GetStrategyId()
	_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: b.strategy})
	require.NoError(t, err)
	return b
}

func (b *testBundle) call(t *testing.T) context.Context {
	t.Helper()
	ctx := identity.WithTenant(identity.With(t.Context(), identity.Identity{Subject: "ana"}), b.Tenant)
	return correlation.With(ctx, correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
}

// armed arms a position for the strategy.
func (b *testBundle) armed(t *testing.T, side eventv1.PositionSide) string {
	t.Helper()
	answer, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
		AccountId: b.account, StrategyId: b.strategy, Symbol: worldtest.Symbol, Side: side,
	})
	require.NoError(t, err)
	return answer.GetPositionId()
}

// run starts a replica; stop ends it.
func (b *testBundle) run(t *testing.T) (stop func()) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	watching, err := scout.New(logger, clock.System(), scout.Deps{Log: b.World, State: b.World, Market: b.World, Alerts: b.alerts},
		scout.Config{RetryDelay: time.Millisecond, RetryDelayMax: 5 * time.Millisecond})
	require.NoError(t, err)
	manager, err := process.New(logger, clock.System(), process.Deps{
		Log: b.World, State: b.World, Connector: b.World, Watch: process.Watchers{watching}, Signals: b.Server, Alerts: b.alerts,
	}, process.Config{
		TenantPoll: time.Millisecond, CheckpointEvery: time.Millisecond, RetryDelay: time.Millisecond, RetryDelayMax: 5 * time.Millisecond,
		SignalLook: time.Millisecond, Lifecycle: lifecycle.Settings{RetryDelay: time.Nanosecond, RetryDelayMax: time.Nanosecond},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { manager.Run(ctx); done <- struct{}{} }()
	go func() { watching.Run(ctx); done <- struct{}{} }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

// path moves the market a minute at a time. One that crosses up closes with the minute after the last.
func (b *testBundle) path(prices ...string) {
	for _, price := range prices {
		b.Tick(price)
	}
}

// crossing closes a minute that crosses up at 95400, and stands there.
var crossing = []string{"95100", "95000", "94900", "94800", "94700", "95400", "95400"}

// until waits until the log holds so many events of a type.
func (b *testBundle) until(t *testing.T, count int, eventType string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := b.Wait(ctx, func([]*eventv1.Event) bool { return len(b.of(eventType)) >= count })
	require.NoError(t, err, "waiting for %d %s in %v, alerts %v", count, eventType, b.Types(), b.alerts.List(b.Tenant))
}

// of are the events of a type.
func (b *testBundle) of(eventType string) []*eventv1.Event {
	return slices.DeleteFunc(b.Events(), func(known *eventv1.Event) bool { return known.GetEventType() != eventType })
}

// signals are those of a position, the newest first.
func (b *testBundle) signals(t *testing.T, position string) []*projectorv1.Signal {
	t.Helper()
	answer, err := b.ListSignals(t.Context(), &projectorv1.ListSignalsRequest{PositionId: position})
	require.NoError(t, err)
	return answer.GetSignals()
}

func TestScout_a_cross_opens_the_position(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	b.run(t)
	position := b.armed(t, long)
	b.path(crossing...)
	b.until(t, 1, "POSITION_OPENED")

	signal := b.signals(t, position)[0]
	require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_ACCEPTED, signal.GetStatus())
	detected := b.of("SIGNAL_DETECTED")[0]
	payload := detected.GetPayload().GetSignalDetected()
	require.Equal(t, []string{"ma_cross", "95400", "94446"}, []string{payload.GetDetector(), payload.GetEntryPrice(), payload.GetStopLoss()})
	require.Equal(t, "1m", payload.GetMarketRef().GetInterval())
	require.Equal(t, payload.GetDetectedAt().AsTime(), payload.GetMarketRef().GetOpenTime().AsTime().Add(time.Minute))
	require.Equal(t, payload.GetExpiresAt().AsTime(), payload.GetDetectedAt().AsTime().Add(5*time.Minute))
	stop := b.of("TECHNICAL_STOP_ANALYZED")[0].GetPayload().GetTechnicalStopAnalyzed()
	require.Equal(t, []string{"percent", "94446", "954", "1", "low"},
		[]string{stop.GetMethod(), stop.GetTechnicalStopPrice(), stop.GetDistance(), stop.GetDistancePct(), stop.GetConfidence()})
	require.Equal(t, "94446", b.Position(position).GetTechnicalStopPrice())

	run := detected.GetWorkflowId()
	require.NotEmpty(t, run)
	for _, eventType := range []string{"TECHNICAL_STOP_ANALYZED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED"} {
		require.Equal(t, run, b.of(eventType)[0].GetWorkflowId(), "%s is of the run", eventType)
	}
	for id, count := range b.Sent() {
		require.Equal(t, 1, count, "order %s", id)
	}
	require.Empty(t, b.alerts.List(b.Tenant))
}

// A run ends with its signal; the position stays armed and the next cross is of the next run.
func TestScout_a_stop_out_of_bounds_is_rejected(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", func(risk *eventv1.RiskConfig, _ map[string]string) { risk.StopMaxPct = "0.5" })
	b.run(t)
	position := b.armed(t, long)
	b.path(crossing...)
	b.until(t, 1, "SIGNAL_REJECTED")
	require.Equal(t, "stop_bounds", b.signals(t, position)[0].GetRejectionReason())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, b.Position(position).GetState())
	require.Empty(t, b.of("DECISION_PROPOSED"))

	b.path(crossing...)
	b.until(t, 2, "SIGNAL_REJECTED")
	detected := b.of("SIGNAL_DETECTED")
	require.Len(t, detected, 2)
	require.NotEqual(t, detected[0].GetWorkflowId(), detected[1].GetWorkflowId())
	require.Equal(t, detected[1].GetWorkflowId(), b.of("SIGNAL_REJECTED")[1].GetWorkflowId())
}

// While a limit halts entries the signal waits, and no other one is made; nobody clears the limit in time.
func TestScout_a_signal_that_nobody_may_act_on_expires(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	require.NoError(t, b.Record("account:"+b.account, b.Now(), event.Wrap(&eventv1.RiskLimitExceeded{
		AccountId: b.account, LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Limit: "1000", Value: "1001",
		Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: b.Now().Format(time.DateOnly),
	})))
	b.run(t)
	position := b.armed(t, long)
	b.path(crossing...)
	b.until(t, 1, "TECHNICAL_STOP_ANALYZED")
	require.Equal(t, projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED, b.signals(t, position)[0].GetStatus())
	b.path("95400", "95400", "95400", "95400", "95400", "95400")
	b.until(t, 1, "SIGNAL_EXPIRED")
	require.Equal(t, b.of("SIGNAL_DETECTED")[0].GetWorkflowId(), b.of("SIGNAL_EXPIRED")[0].GetWorkflowId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, b.Position(position).GetState())
	require.Empty(t, b.of("DECISION_PROPOSED"))
}

func TestScout_two_replicas_make_a_signal_once(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", func(risk *eventv1.RiskConfig, _ map[string]string) { risk.StopMaxPct = "0.5" })
	b.run(t)
	b.run(t)
	b.armed(t, long)
	for crosses := 1; crosses <= 3; crosses++ {
		b.path(crossing...)
		b.until(t, crosses, "SIGNAL_REJECTED")
	}
	require.Len(t, b.of("SIGNAL_DETECTED"), 3)
	require.Len(t, b.of("SIGNAL_REJECTED"), 3)
	require.Empty(t, b.alerts.List(b.Tenant))
}

// The candles from before a replica began are read again; a cross that came to pass while none was there is acted on as
// long as its signal is good, and no longer.
func TestScout_goes_back_for_its_candles(t *testing.T) {
	t.Parallel()
	t.Run("the cross is yet to come", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing[:5]...)
		b.run(t)
		b.path(crossing[5:]...)
		b.until(t, 1, "POSITION_OPENED")
	})
	t.Run("the cross has just been", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing...)
		b.path("95400", "95400")
		b.run(t)
		b.until(t, 1, "POSITION_OPENED")
	})
	t.Run("the cross has long been, or was before the position was armed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing...)
		b.path("95400", "95400", "95400", "95400", "95400", "95400")
		late := b.armed(t, short)
		b.run(t)
		b.path("95400", "95400", "95400", "94000", "94000") // crosses down
		b.until(t, 1, "POSITION_OPENED")
		require.Len(t, b.of("SIGNAL_DETECTED"), 1)
		require.Equal(t, late, b.of("SIGNAL_DETECTED")[0].GetPayload().GetSignalDetected().GetPositionId())
	})
}

// A position that was to wait for ten minutes is disarmed after them, and not before a signal of it has ended.
func TestScout_a_position_waits_no_longer_than_it_was_to(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", func(risk *eventv1.RiskConfig, config map[string]string) { config["armed_for"] = "10m" })
	require.NoError(t, b.Record("account:"+b.account, b.Now(), event.Wrap(&eventv1.RiskLimitExceeded{
		AccountId: b.account, LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Limit: "1000", Value: "1001",
		Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: b.Now().Format(time.DateOnly),
	})))
	b.run(t)
	b.run(t)
	position := b.armed(t, long)
	b.path(crossing...) // 7 minutes; the signal waits for another 5
	b.until(t, 1, "SIGNAL_DETECTED")
	b.path("95400", "95400", "95400", "95400") // 11
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, b.Position(position).GetState())
	b.path("95400", "95400")
	b.until(t, 1, "SIGNAL_EXPIRED")
	b.path("95400")
	b.until(t, 1, "POSITION_DISARMED")
	require.Len(t, b.of("POSITION_DISARMED"), 1)
	require.Equal(t, "expired", b.Position(position).GetDisarmReason())
}

func TestScout_faults(t *testing.T) {
	t.Parallel()
	away := fault.New(fault.Unavailable, "AWAY", "it is away")
	t.Run("the log is away when a signal is written", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing...)
		b.Fail(away, away, away)
		b.run(t)
		b.until(t, 1, "POSITION_OPENED")
		require.Empty(t, b.alerts.List(b.Tenant))
	})
	t.Run("prices break off, before and after they began", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.FailPrices(away, away, away)
		b.armed(t, long)
		b.run(t)
		b.path(crossing[:4]...)
		b.BreakPrices()
		b.path(crossing[4:]...)
		b.until(t, 1, "POSITION_OPENED")
		require.Len(t, b.of("SIGNAL_DETECTED"), 1)
	})
	t.Run("nothing rests on candles of which the venue has forgotten some", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing[:4]...)
		b.ForgetPrices(3)
		b.path(crossing[4:]...)
		b.run(t)
		b.path("95400", "95400", "95300", "95200", "95100", "95900", "95900") // whole candles again
		b.until(t, 1, "POSITION_OPENED")
		require.Equal(t, "95900", b.of("SIGNAL_DETECTED")[0].GetPayload().GetSignalDetected().GetEntryPrice())
	})
	t.Run("the log refuses a signal: it is told, and the next one is written", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "ma_cross", nil)
		b.armed(t, long)
		b.path(crossing...)
		b.Fail(fault.New(fault.Refused, "NO", "not this one"))
		b.run(t)
		require.Eventually(t, func() bool { return len(b.alerts.List(b.Tenant)) == 1 }, 10*time.Second, time.Millisecond)
		b.path(crossing...)
		b.until(t, 1, "POSITION_OPENED")
		require.Empty(t, b.alerts.List(b.Tenant))
	})
}

// What is not armed for the built-in detector is not watched for.
func TestScout_watches_for_nobody_else(t *testing.T) {
	t.Parallel()
	b := setup(t, "bot", func(_ *eventv1.RiskConfig, config map[string]string) { config["anything"] = "goes" })
	b.run(t)
	b.FailPrices(fault.New(fault.Unavailable, "AWAY", "nobody should ask"))
	position := b.armed(t, long)
	b.path(crossing...)
	_, err := b.DisarmPosition(b.call(t), &commandv1.DisarmPositionRequest{PositionId: position})
	require.NoError(t, err)
	b.until(t, 1, "POSITION_DISARMED")
	require.Empty(t, b.of("SIGNAL_DETECTED"))
	require.Empty(t, b.alerts.List(b.Tenant))
}

func TestNew_refuses_what_cannot_be_meant(t *testing.T) {
	t.Parallel()
	for _, config := range []scout.Config{
		{TicksBack: -1}, {FeedsMax: -1}, {RetryDelay: -1}, {RetryDelay: time.Minute, RetryDelayMax: time.Second},
	} {
		_, err := scout.New(slog.New(slog.DiscardHandler), clock.System(), scout.Deps{}, config)
		require.Error(t, err)
	}
}
