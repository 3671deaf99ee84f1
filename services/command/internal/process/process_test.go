package process_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/monitor"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/server"
	"github.com/robson/robson/services/command/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a command service on a world in memory: server, process manager and monitor.
type testBundle struct {
	*worldtest.World
	*server.Server
	// world is the world as the process that runs sees it.
	world   *mortal
	alerts  *process.Alerts
	manager *process.Manager
	monitor *monitor.Monitor
	account string
	stop    func()
}

func setup(t *testing.T, product eventv1.Product) *testBundle {
	t.Helper()
	b := &testBundle{World: worldtest.New("95000"), account: uuid.NewString()}
	b.world = &mortal{World: b.World, left: -1}
	made, err := server.New(clock.System(), server.Deps{Appender: b.World, Commands: b.World, State: b.World, Market: b.World}, server.Config{})
	require.NoError(t, err)
	b.Server = made
	wallet, pair := "spot", ""
	if product == eventv1.Product_PRODUCT_ISOLATED_MARGIN {
		wallet, pair = "isolated:BTCUSDT", worldtest.Symbol
	}
	_, err = b.CreateTenant(b.call(t), &commandv1.CreateTenantRequest{Name: "acme"})
	require.NoError(t, err)
	_, err = b.RegisterAccount(b.call(t), &commandv1.RegisterAccountRequest{
		AccountId: b.account, Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: product, Label: "a", QuoteAsset: "USDT",
		MarginSymbol: pair, ApiKeyFingerprint: "f", RiskLimits: &eventv1.RiskLimits{
			RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "150", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
			CapitalBase: "10000", MaxOpenPositions: 3,
		},
	})
	require.NoError(t, err)
	require.NoError(t, b.Record("account:"+b.account, b.Now(), event.Wrap(&eventv1.BalanceSampled{
		SampleId: uuid.NewString(), AccountId: b.account, Wallet: wallet, Asset: "USDT", Free: "10000", Locked: "0", Total: "10000",
		SampledAt: timestamppb.New(b.Now()), Source: eventv1.SampleSource_SAMPLE_SOURCE_REST_ACCOUNT,
	})))
	return b
}

// run starts process manager and monitor; stop ends them.
func (b *testBundle) run(t *testing.T, change ...func(*process.Config)) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	config := process.Config{
		TenantPoll: time.Millisecond, CheckpointEvery: time.Millisecond, RetryDelay: time.Millisecond, RetryDelayMax: 5 * time.Millisecond,
		SignalLook: time.Millisecond,
		Lifecycle:  lifecycle.Settings{RetryDelay: time.Nanosecond, RetryDelayMax: time.Nanosecond},
	}
	for _, c := range change {
		c(&config)
	}
	b.alerts = &process.Alerts{}
	var err error
	b.monitor, err = monitor.New(logger, clock.System(), monitor.Deps{Log: b.world, State: b.World, Prices: b.World, Alerts: b.alerts}, monitor.Config{
		CheckpointEvery: time.Millisecond, RetryDelay: time.Millisecond, RetryDelayMax: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	b.manager, err = process.New(logger, clock.System(), process.Deps{
		Log: b.world, State: b.World, Connector: b.world, Watch: b.monitor, Signals: b.Server, Alerts: b.alerts,
	}, config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	manager, stops := b.manager, b.monitor
	go func() { manager.Run(ctx); done <- struct{}{} }()
	go func() { stops.Run(ctx); done <- struct{}{} }()
	stopped := false
	b.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
			<-done
		}
	}
	t.Cleanup(b.stop)
}

func (b *testBundle) call(t *testing.T) context.Context {
	t.Helper()
	ctx := identity.WithTenant(identity.With(t.Context(), identity.Identity{Subject: "ana"}), b.Tenant)
	return correlation.With(ctx, correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
}

// open opens S1, or its mirror on a margin account, and gives the position.
func (b *testBundle) open(t *testing.T, side eventv1.PositionSide) string {
	t.Helper()
	stop := "93500"
	if side == eventv1.PositionSide_POSITION_SIDE_SHORT {
		stop = "96500"
	}
	answer, err := b.OpenPosition(b.call(t), &commandv1.OpenPositionRequest{
		AccountId: b.account, Symbol: worldtest.Symbol, Side: side, EntryPrice: "95000", TechnicalStop: stop,
	})
	require.NoError(t, err)
	require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict(), answer.GetOutcome().GetFailedChecks())
	return answer.GetPositionId()
}

// until waits until the log holds so many events of a type.
func (b *testBundle) until(t *testing.T, count int, eventType string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := b.Wait(ctx, func(events []*eventv1.Event) bool {
		found := 0
		for _, known := range events {
			if known.GetEventType() == eventType {
				found++
			}
		}
		return found >= count
	})
	require.NoError(t, err, "waiting for %d %s in %v, alerts %v", count, eventType, b.Types(), b.alerts.List(b.Tenant))
}

// count is how many events of a type the log holds.
func (b *testBundle) count(eventType string) int {
	found := 0
	for _, name := range b.Types() {
		if name == eventType {
			found++
		}
	}
	return found
}

// settle waits until everything in the log was reacted to and nothing is under way.
func (b *testBundle) settle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		reacted, busy := b.manager.Progress(b.Tenant)
		return busy == 0 && reacted == int64(len(b.Events()))
	}, 10*time.Second, time.Millisecond, "alerts %v, log %v", b.alerts, b.Types())
}

// tick moves the market and waits until the monitor has handled it and everything has settled.
func (b *testBundle) tick(t *testing.T, price string) {
	t.Helper()
	sequence := b.Tick(price)
	require.Eventually(t, func() bool {
		prices := b.monitor.Prices(b.Tenant)
		return len(prices) == 1 && prices[0].GetSequence() >= sequence
	}, 10*time.Second, time.Millisecond)
	b.settle(t)
}

// noTwice requires that no order was sent twice.
func (b *testBundle) noTwice(t *testing.T) {
	t.Helper()
	for id, count := range b.Sent() {
		require.Equal(t, 1, count, "order %s", id)
	}
}

const (
	long  = eventv1.PositionSide_POSITION_SIDE_LONG
	short = eventv1.PositionSide_POSITION_SIDE_SHORT
	spot  = eventv1.Product_PRODUCT_SPOT

	margin = eventv1.Product_PRODUCT_ISOLATED_MARGIN
)

func TestManager_S6(t *testing.T) {
	t.Parallel()
	b := setup(t, spot)
	b.run(t)
	id := b.open(t, long)
	b.until(t, 1, "POSITION_OPENED")
	b.settle(t)
	for _, price := range []string{"95500", "96000", "95800", "97000", "96200", "95500"} {
		b.tick(t, price)
	}
	b.until(t, 1, "POSITION_CLOSED")
	b.settle(t)

	var stops []string
	for _, known := range b.Events() {
		if moved := known.GetPayload().GetTrailingStopUpdated(); moved != nil {
			stops = append(stops, moved.GetNewStop())
		}
		if triggered := known.GetPayload().GetExitTriggered(); triggered != nil {
			stops = append(stops, "exit "+triggered.GetTriggerPrice()+" at "+triggered.GetStopPrice())
		}
	}
	require.Equal(t, []string{"94000", "94500", "95500", "exit 95500 at 95500"}, stops)
	position := b.Position(id)
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, position.GetState())
	require.Equal(t, "trailing_stop", position.GetExitReason())
	require.Equal(t, "0.00000334", position.GetDustQuantity())
	// 0.06659 x 500 = 33.295, less fees of 6.3327 and 6.359345
	require.Equal(t, "33.295", position.GetRealizedPnl())
	require.Equal(t, "12.692045", position.GetTotalFees())
	require.Equal(t, "20.602955", position.GetNetPnl())
	b.noTwice(t)
	require.Empty(t, b.alerts.List(b.Tenant))
	require.Eventually(t, func() bool { return b.Checkpoint("process-manager") == int64(len(b.Events())) }, 5*time.Second, time.Millisecond)
}

// S2 and S3: three fills with fees in the base asset, a trailed stop, the exit; every number, and the way back from the
// close to the command.
func TestManager_S3(t *testing.T) {
	t.Parallel()
	b := setup(t, spot)
	b.Depth([2]string{"0.02", "95000"}, [2]string{"0.03", "95010"}, [2]string{"0.01666", "95025.5"})
	b.run(t)
	id := b.open(t, long)
	b.until(t, 1, "POSITION_OPENED")
	b.settle(t)
	position := b.Position(id)
	require.Equal(t, "95010.873537353735373537", position.GetEntryPrice())
	require.Equal(t, "0.06666", position.GetEntryQuantity())
	require.Equal(t, "0.06659334", position.GetCurrentQuantity())
	require.Equal(t, "93500", position.GetTechnicalStopPrice())
	require.Equal(t, "1500", position.GetTechnicalStopDistance())
	b.tick(t, "98000")
	b.tick(t, "96500")
	b.until(t, 1, "POSITION_CLOSED")
	b.settle(t)

	position = b.Position(id)
	require.Equal(t, "trailing_stop", position.GetExitReason())
	require.Equal(t, "0.06659", position.GetExitQuantity())
	require.Equal(t, "96500", position.GetExitPrice())
	require.Equal(t, "0.00000334", position.GetDustQuantity())
	rounded := func(text string) string { return decimal.RequireFromString(text).RoundBank(8).String() }
	require.Equal(t, "99.16093115", rounded(position.GetRealizedPnl()))
	require.Equal(t, "12.75935983", position.GetTotalFees())
	require.Equal(t, "86.40157132", rounded(position.GetNetPnl()))
	require.Equal(t, 1, b.count("POSITION_OPENED"))

	events := map[string]*eventv1.Event{}
	var last *eventv1.Event
	for _, known := range b.Events() {
		events[known.GetEventId()] = known
		if known.GetPayload().GetPositionClosed() != nil {
			last = known
		}
	}
	require.Equal(t, "FILL_RECEIVED", events[last.GetCausationId()].GetEventType())
	for _, known := range b.Events() {
		switch known.GetEventType() {
		case "POSITION_OPENED", "TRAILING_STOP_UPDATED", "EXIT_TRIGGERED", "POSITION_CLOSED":
			require.NotEmpty(t, known.GetCausationId(), known.GetEventType())
			require.Less(t, events[known.GetCausationId()].GetPosition(), known.GetPosition())
		}
	}
}

func TestManager_Short(t *testing.T) {
	t.Parallel()
	b := setup(t, eventv1.Product_PRODUCT_ISOLATED_MARGIN)
	b.run(t)
	id := b.open(t, short)
	b.until(t, 1, "POSITION_OPENED")
	b.settle(t)
	b.tick(t, "94000")
	_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
	require.NoError(t, err)
	b.until(t, 1, "POSITION_CLOSED")
	b.settle(t)
	position := b.Position(id)
	require.Equal(t, "user_close", position.GetExitReason())
	require.Equal(t, "0.06672", position.GetExitQuantity())
	require.Equal(t, "0.00000672", position.GetDustQuantity())
	// cash 6332.7 - 6.3327 - 0.06672 x 94000, less the owed 0.00000672 at 95000
	require.Equal(t, "54.0489", position.GetNetPnl())
	b.noTwice(t)
}

func TestManager_Entries(t *testing.T) {
	t.Parallel()
	t.Run("half filled and canceled: held with the half, protected, stopped at the venue", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.FillHalf)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Equal(t, "0.03329667", b.Position(id).GetCurrentQuantity())
		b.stop() // the monitor is down: the stop at the venue is what is left
		b.Tick("93000")
		b.run(t)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		require.Equal(t, "insurance_stop", b.Position(id).GetExitReason())
	})
	t.Run("rejected: closed as entry_failed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.Reject)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		require.Equal(t, "entry_failed", b.Position(id).GetExitReason())
		require.Equal(t, "0", b.Position(id).GetNetPnl())
	})
	t.Run("closed by the user while half is filled and half is live", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.FillHalfAndRest)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
		require.NoError(t, err)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		types := b.Types()
		require.Less(t, slices.Index(types, "ORDER_CANCELED"), slices.Index(types[1:], "POSITION_CLOSED"))
		require.Equal(t, "0.03329", b.Position(id).GetExitQuantity())
	})
}

func TestManager_Cancels(t *testing.T) {
	t.Parallel()
	t.Run("an entry that rests, by the user: closed as entry_failed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.Rest)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "ORDER_SUBMITTED")
		b.settle(t)
		_, err := b.CancelOrder(b.call(t), &commandv1.CancelOrderRequest{OrderId: b.Position(id).GetEntryOrderId()})
		require.NoError(t, err)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		require.Equal(t, "entry_failed", b.Position(id).GetExitReason())
	})
	t.Run("the rest of an entry, by the user: what was filled is held and protected", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.FillHalfAndRest)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Equal(t, 1, b.count("ORDER_SUBMITTED"), "no resting stop before the entry is done")
		_, err := b.CancelOrder(b.call(t), &commandv1.CancelOrderRequest{OrderId: b.Position(id).GetEntryOrderId()})
		require.NoError(t, err)
		b.until(t, 2, "ORDER_SUBMITTED")
		b.settle(t)
		require.NotEmpty(t, b.Position(id).GetStopLossOrderId())
	})
	t.Run("the resting stop, by the user: another takes its place", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 2, "ORDER_SUBMITTED")
		b.settle(t)
		stop := b.Position(id).GetStopLossOrderId()
		_, err := b.CancelOrder(b.call(t), &commandv1.CancelOrderRequest{OrderId: stop})
		require.NoError(t, err)
		b.until(t, 3, "ORDER_SUBMITTED")
		b.settle(t)
		require.NotEqual(t, stop, b.Position(id).GetStopLossOrderId())
		require.Equal(t, 1, b.count("ORDER_CANCELED"))
	})
	t.Run("panic before anything was sent: ended unsent, closed with nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		id := b.open(t, long)
		_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account, Note: "fire"})
		require.NoError(t, err)
		b.run(t)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		require.Equal(t, "panic", b.Position(id).GetExitReason())
		require.Equal(t, "0", b.Position(id).GetNetPnl())
		require.Empty(t, b.Sent())
	})
}

func TestManager_Exits(t *testing.T) {
	t.Parallel()
	t.Run("rejected and half filled exits are followed by others until all is out", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.Behave(worldtest.FillAll, worldtest.FillAll, worldtest.Reject, worldtest.FillHalf)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
		require.NoError(t, err)
		b.until(t, 1, "POSITION_CLOSED")
		b.settle(t)
		require.Equal(t, "0.06659", b.Position(id).GetExitQuantity())
		require.Len(t, b.Position(id).GetExitOrderIds(), 2)
		b.noTwice(t)
	})
	t.Run("panic closes what is open, disarms what is armed, and halts", func(t *testing.T) {
		t.Parallel()
		b := setup(t, eventv1.Product_PRODUCT_ISOLATED_MARGIN)
		b.run(t)
		open := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		armed, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: worldtest.Symbol, Side: short})
		require.NoError(t, err)
		answer, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account, Note: "fire"})
		require.NoError(t, err)
		require.Len(t, answer.GetPositionIds(), 2)
		b.until(t, 1, "POSITION_CLOSED")
		b.until(t, 1, "POSITION_DISARMED")
		b.settle(t)
		require.Equal(t, "panic", b.Position(open).GetExitReason())
		require.Equal(t, "disarmed", b.Position(armed.GetPositionId()).GetExitReason())
		refused, err := b.OpenPosition(b.call(t), &commandv1.OpenPositionRequest{
			AccountId: b.account, Symbol: worldtest.Symbol, Side: long, EntryPrice: "95000", TechnicalStop: "93500",
		})
		require.NoError(t, err)
		require.Equal(t, "account_violated", refused.GetOutcome().GetFailedChecks()[0].GetName())
	})
	t.Run("a day's loss at its limit halts entries", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t, func(c *process.Config) { c.Lifecycle.NoInsuranceStop = true })
		b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		b.tick(t, "92000") // a gap through the stop
		b.until(t, 1, "POSITION_CLOSED")
		b.until(t, 1, "RISK_LIMIT_EXCEEDED")
		limit := b.Events()[slices.Index(b.Types(), "RISK_LIMIT_EXCEEDED")].GetPayload().GetRiskLimitExceeded()
		require.Equal(t, eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, limit.GetLimitName())
		require.Equal(t, "2026-11-23", limit.GetPeriod())
	})
	t.Run("a disabled strategy's armed positions are disarmed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t)
		strategy, err := b.RegisterStrategy(b.call(t), &commandv1.RegisterStrategyRequest{
			AccountId: b.account, StrategyName: "s", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"},
		})
		require.NoError(t, err)
		_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: strategy.GetStrategyId()})
		require.NoError(t, err)
		armed, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
			AccountId: b.account, StrategyId: strategy.GetStrategyId(), Symbol: worldtest.Symbol, Side: long,
		})
		require.NoError(t, err)
		_, err = b.DisableStrategy(b.call(t), &commandv1.DisableStrategyRequest{StrategyId: strategy.GetStrategyId(), Reason: "x"})
		require.NoError(t, err)
		b.until(t, 1, "POSITION_DISARMED")
		require.Equal(t, "strategy_disabled", b.Position(armed.GetPositionId()).GetDisarmReason())
	})
	t.Run("a moved stop is followed by the one at the venue", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.run(t)
		id := b.open(t, long)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: id, NewStop: "94000"})
		require.NoError(t, err)
		b.until(t, 1, "ORDER_CANCELED")
		b.until(t, 3, "ORDER_SUBMITTED")
		b.settle(t)
		intents := []string{}
		for _, known := range b.Events() {
			if intent := known.GetPayload().GetIntentCreated(); intent.GetIntentType() == eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP {
				intents = append(intents, intent.GetStopPrice())
			}
		}
		require.Equal(t, []string{"93350", "93850"}, intents)
	})
}

// Whenever the process dies, and with a second one beside it, the log ends the same and no order is sent twice.
func TestManager_RestartedAtEveryEvent(t *testing.T) {
	t.Parallel()
	want := func(b *testBundle, id string) []string {
		position := b.Position(id)
		return []string{position.GetState().String(), position.GetExitReason(), position.GetRealizedPnl(), position.GetNetPnl(), position.GetDustQuantity()}
	}
	play := func(t *testing.T, dieAt int) (*testBundle, string) {
		t.Helper()
		b := setup(t, spot)
		id := b.open(t, long)
		b.run(t)
		restart := func() {
			if len(b.Events()) >= dieAt && dieAt > 0 {
				b.stop()
				dieAt = 0
				b.run(t)
			}
		}
		require.Eventually(t, func() bool {
			restart()
			return slices.Contains(b.Types(), "POSITION_OPENED")
		}, 10*time.Second, time.Millisecond)
		b.settle(t)
		b.Tick("97000")
		require.Eventually(t, func() bool {
			restart()
			return slices.Contains(b.Types(), "TRAILING_STOP_UPDATED")
		}, 10*time.Second, time.Millisecond)
		b.settle(t)
		b.Tick("95500")
		require.Eventually(t, func() bool {
			restart()
			return slices.Contains(b.Types(), "POSITION_CLOSED")
		}, 10*time.Second, time.Millisecond, "%v", b.alerts)
		b.settle(t)
		b.noTwice(t)
		return b, id
	}
	whole, id := play(t, 0)
	expected := want(whole, id)
	for dieAt := 8; dieAt <= len(whole.Events()); dieAt += 2 {
		b, id := play(t, dieAt)
		require.Equal(t, expected, want(b, id), "died at %d", dieAt)
	}
}

func TestManager_TwoReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t, spot)
	b.run(t)
	stop := b.stop
	b.run(t) // a second one on the same world
	defer stop()
	id := b.open(t, long)
	b.until(t, 1, "POSITION_OPENED")
	b.settle(t)
	for _, price := range []string{"95500", "96000", "97000", "95500"} {
		b.tick(t, price)
	}
	b.until(t, 1, "POSITION_CLOSED")
	b.settle(t)
	counts := map[string]int{}
	for _, name := range b.Types() {
		counts[name]++
	}
	require.Equal(t, 1, counts["POSITION_OPENED"])
	require.Equal(t, 1, counts["EXIT_TRIGGERED"])
	require.Equal(t, 1, counts["POSITION_CLOSED"])
	require.Equal(t, 3, counts["TRAILING_STOP_UPDATED"])
	require.Equal(t, "20.602955", b.Position(id).GetNetPnl())
	b.noTwice(t)
}

func TestManager_Faults(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "DOWN", "down")
	t.Run("what fails is tried again, and alerted meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.FailExecute(down, down, down, down, down)
		b.run(t, func(c *process.Config) { c.AlertAfter = 1 })
		b.open(t, long)
		require.Eventually(t, func() bool { return len(b.alerts.List(b.Tenant)) > 0 }, 5*time.Second, time.Millisecond)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
		require.Empty(t, b.alerts.List(b.Tenant))
		require.Empty(t, b.alerts.List(uuid.New()), "alerts are nobody else's")
	})
	t.Run("conflicts are decided anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t, spot)
		b.open(t, long)
		// Two to claim and fill pass; the opening then conflicts twice and finds the log down once.
		conflict := fault.New(fault.Conflict, "ROW_CHANGED", "changed")
		b.Fail(nil, nil, conflict, conflict, down)
		b.run(t)
		b.until(t, 1, "POSITION_OPENED")
		b.settle(t)
	})
}

func TestManager_Progress_unknown(t *testing.T) {
	t.Parallel()
	m, err := process.New(slog.New(slog.DiscardHandler), clock.System(), process.Deps{}, process.Config{})
	require.NoError(t, err)
	reacted, busy := m.Progress(uuid.New())
	require.Zero(t, reacted)
	require.Zero(t, busy)
}
