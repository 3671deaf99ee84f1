package monitor_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/monitor"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/server"
	"github.com/robson/robson/services/command/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	long  = eventv1.PositionSide_POSITION_SIDE_LONG
	short = eventv1.PositionSide_POSITION_SIDE_SHORT
	step  = eventv1.TrailingMode_TRAILING_MODE_STEP

	patience = 10 * time.Second
)

// buffer is a log that many goroutines write to.
type buffer struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(line)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

// testBundle is a world with a server, and monitors that the test starts and tells what there is.
type testBundle struct {
	*worldtest.World
	*server.Server
	account string
	alerts  *process.Alerts
	logged  *buffer
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{World: worldtest.New("95000"), alerts: &process.Alerts{}, logged: &buffer{}}
	account, err := b.Begin(eventv1.Product_PRODUCT_ISOLATED_MARGIN, "10000", &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
		CapitalBase: "10000", MaxOpenPositions: 3,
	})
	require.NoError(t, err)
	b.account = account
	made, err := server.New(clock.System(), server.Deps{Appender: b.World, Commands: b.World, State: b.World, Market: b.World}, server.Config{})
	require.NoError(t, err)
	b.Server = made
	return b
}

// run starts a monitor; stop ends it.
func (b *testBundle) run(t *testing.T, config monitor.Config) (made *monitor.Monitor, stop func()) {
	t.Helper()
	config.CheckpointEvery, config.RetryDelay, config.RetryDelayMax = time.Millisecond, time.Millisecond, 5*time.Millisecond
	logger := slog.New(slog.NewTextHandler(b.logged, nil))
	made, err := monitor.New(logger, clock.System(), monitor.Deps{Log: b.World, State: b.World, Prices: b.World, Alerts: b.alerts}, config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { made.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return made, stop
}

func (b *testBundle) call(t *testing.T) context.Context {
	t.Helper()
	ctx := identity.WithTenant(identity.With(t.Context(), identity.Identity{Subject: "ana"}), b.Tenant)
	return correlation.With(ctx, correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
}

// enter opens S1 or its mirror, its entry not sent.
func (b *testBundle) enter(t *testing.T, side eventv1.PositionSide, mode eventv1.TrailingMode) string {
	t.Helper()
	request := &commandv1.OpenPositionRequest{
		AccountId: b.account, Symbol: worldtest.Symbol, Side: side, EntryPrice: "95000", TechnicalStop: "93500", TrailingMode: mode,
	}
	if side == short {
		request.TechnicalStop = "96500"
	}
	answer, err := b.OpenPosition(b.call(t), request)
	require.NoError(t, err)
	require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict())
	return answer.GetPositionId()
}

// open opens S1 or its mirror, filled and opened.
func (b *testBundle) open(t *testing.T, side eventv1.PositionSide, mode eventv1.TrailingMode) string {
	t.Helper()
	id := b.enter(t, side, mode)
	require.NoError(t, b.Fill(t.Context(), id))
	require.NoError(t, b.Open(id))
	return id
}

// look tells a monitor how a position stands, as the process manager does.
func (b *testBundle) look(t *testing.T, to *monitor.Monitor, id string) {
	t.Helper()
	var stopSet *lifecycle.Cause
	for _, known := range b.Events() {
		opened, moved := known.GetPayload().GetPositionOpened(), known.GetPayload().GetTrailingStopUpdated()
		if opened.GetPositionId() == id || moved.GetPositionId() == id {
			cause := lifecycle.CauseOf(known)
			stopSet = &cause
		}
	}
	market, err := b.GetInstrument(t.Context(), &connectorv1.GetInstrumentRequest{AccountId: b.account, Symbol: worldtest.Symbol})
	require.NoError(t, err)
	to.Look(t.Context(), b.Tenant, b.Position(id), market.GetSequence(), stopSet)
}

// reached waits until a monitor has handled a tick to its end.
func (b *testBundle) reached(t *testing.T, m *monitor.Monitor, sequence int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		prices := m.Prices(b.Tenant)
		return len(prices) == 1 && prices[0].GetSequence() >= sequence && prices[0].GetPrice() != ""
	}, patience, time.Millisecond, "alerts %v", b.alerts)
}

// tick moves the market and waits for the monitors.
func (b *testBundle) tick(t *testing.T, price string, monitors ...*monitor.Monitor) {
	t.Helper()
	sequence := b.Tick(price)
	for _, m := range monitors {
		b.reached(t, m, sequence)
	}
}

// steps tells what the log holds of stops moved and exits triggered.
func (b *testBundle) steps() []string {
	steps := []string{}
	for _, known := range b.Events() {
		if moved := known.GetPayload().GetTrailingStopUpdated(); moved != nil {
			steps = append(steps, fmt.Sprintf("%s to %s at %s", moved.GetPreviousStop(), moved.GetNewStop(), moved.GetTriggerPrice()))
		}
		if exit := known.GetPayload().GetExitTriggered(); exit != nil {
			steps = append(steps, fmt.Sprintf("exit at %s, stop %s", exit.GetTriggerPrice(), exit.GetStopPrice()))
		}
	}
	return steps
}

func TestMonitor_Trails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		side  eventv1.PositionSide
		mode  eventv1.TrailingMode
		ticks []string
		want  []string
	}{
		{
			"S6 long, continuous, exit on touch", long, 0,
			[]string{"95500", "96000", "95800", "97000", "96200", "95500"},
			[]string{"93500 to 94000 at 95500", "94000 to 94500 at 96000", "94500 to 95500 at 97000", "exit at 95500, stop 95500"},
		},
		{
			"S6 mirrored short", short, 0,
			[]string{"94500", "94000", "94200", "93000", "93800", "94500"},
			[]string{"96500 to 96000 at 94500", "96000 to 95500 at 94000", "95500 to 94500 at 93000", "exit at 94500, stop 94500"},
		},
		{
			"long by steps", long, step,
			[]string{"95500", "96499.99", "96500", "97999.99", "98000", "96600", "96500"},
			[]string{"93500 to 95000 at 96500", "95000 to 96500 at 98000", "exit at 96500, stop 96500"},
		},
		{
			"short by steps", short, step,
			[]string{"93500.01", "93500", "90000", "92000", "92000.01"},
			[]string{"96500 to 95000 at 93500", "95000 to 92000 at 90000", "exit at 92000, stop 92000"},
		},
		{"S6 a gap through the stop", long, 0, []string{"92000"}, []string{"exit at 92000, stop 93500"}},
		{"a gap through a short's stop", short, 0, []string{"99000.5"}, []string{"exit at 99000.5, stop 96500"}},
		{"nothing more once it is left", long, 0, []string{"93500", "90000", "99000"}, []string{"exit at 93500, stop 93500"}},
		{"not a cent before it", long, 0, []string{"93500.01"}, []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m, _ := b.run(t, monitor.Config{})
			b.look(t, m, b.open(t, test.side, test.mode))
			for _, price := range test.ticks {
				b.tick(t, price, m)
			}
			require.Equal(t, test.want, b.steps())
			require.Empty(t, b.alerts.List(b.Tenant))
		})
	}
}

// Each step is caused by the event that set the stop, and names the tick that led to it.
func TestMonitor_Causes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _ := b.run(t, monitor.Config{})
	b.look(t, m, b.open(t, long, 0))
	for _, price := range []string{"95500", "97000", "95000"} {
		b.tick(t, price, m)
	}
	var before *eventv1.Event
	for _, known := range b.Events() {
		switch kind := known.GetPayload().GetKind().(type) {
		case *eventv1.Payload_PositionOpened:
			before = known
		case *eventv1.Payload_TrailingStopUpdated:
			require.Equal(t, before.GetEventId(), known.GetCausationId())
			require.Equal(t, before.GetTraceId(), known.GetTraceId())
			require.Regexp(t, "^BTCUSDT/[23]$", kind.TrailingStopUpdated.GetPriceEventId())
			before = known
		case *eventv1.Payload_ExitTriggered:
			require.Equal(t, before.GetEventId(), known.GetCausationId())
			require.Equal(t, "0.06659334", kind.ExitTriggered.GetQuantity())
			before = nil
		}
	}
	require.Nil(t, before, "%v", b.Types())
}

// Ticks between the first fill and the event that says so are neither lost nor taken out of their order, however many
// they are.
func TestMonitor_OpenedLate(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]monitor.Config{"all are kept": {}, "most are forgotten and fetched again": {TicksKept: 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m, _ := b.run(t, config)
			id := b.enter(t, long, 0)
			b.look(t, m, id)
			b.tick(t, "80000", m) // before the fill: says nothing
			b.tick(t, "95000", m)
			require.NoError(t, b.Fill(t.Context(), id))
			b.look(t, m, id)
			for _, price := range []string{"95500", "97000", "96000", "95900", "95800", "95700", "95600", "95510", "96100"} {
				b.tick(t, price, m)
			}
			require.NoError(t, b.Open(id))
			require.Empty(t, b.steps())
			b.look(t, m, id)
			require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 95500 at 97000"}, b.steps())
			b.tick(t, "95500", m)
			require.Equal(t, "exit at 95500, stop 95500", b.steps()[2])
		})
	}
	t.Run("the stop was hit meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{TicksKept: 2})
		id := b.enter(t, long, 0)
		b.look(t, m, id)
		require.NoError(t, b.Fill(t.Context(), id))
		for _, price := range []string{"93400", "95000", "95100", "95200", "95300", "95400"} {
			b.tick(t, price, m)
		}
		require.NoError(t, b.Open(id))
		b.look(t, m, id)
		require.Equal(t, []string{"exit at 93400, stop 93500"}, b.steps())
	})
}

// A market that is replaced by another, whose clock stands before the old one's, leaves nothing behind.
func TestMonitor_AnotherMarket(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _ := b.run(t, monitor.Config{})
	begun := b.Now()
	b.look(t, m, b.enter(t, long, 0))
	b.tick(t, "97000", m)
	b.tick(t, "95000", m)
	b.reached(t, m, b.ReloadPrices("95000", begun))
	id := b.open(t, short, 0)
	b.look(t, m, id)
	require.Empty(t, b.steps(), "97000 would have hit the short's stop, after its entry by the old market's clock")
	b.tick(t, "96500", m)
	require.Equal(t, []string{"exit at 96500, stop 96500"}, b.steps())
}

// Two replicas that see the same ticks write each event once.
func TestMonitor_TwoReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, _ := b.run(t, monitor.Config{})
	two, _ := b.run(t, monitor.Config{})
	id := b.open(t, long, 0)
	b.look(t, one, id)
	b.look(t, two, id)
	for _, price := range []string{"95500", "96000", "97000", "96500", "95500"} {
		b.tick(t, price, one, two)
	}
	require.Equal(t, []string{
		"93500 to 94000 at 95500", "94000 to 94500 at 96000", "94500 to 95500 at 97000", "exit at 95500, stop 95500",
	}, b.steps())

	t.Run("one far behind the other", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ahead, _ := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, ahead, id)
		opened := b.Position(id)
		for _, price := range []string{"95500", "97000", "96000"} {
			b.tick(t, price, ahead)
		}
		behind, _ := b.run(t, monitor.Config{})
		cause := lifecycle.CauseOf(b.Events()[slices.Index(b.Types(), "POSITION_OPENED")])
		behind.Look(t.Context(), b.Tenant, opened, 1, &cause)
		b.tick(t, "95800", ahead, behind)
		b.tick(t, "95500", ahead, behind)
		require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 95500 at 97000", "exit at 95500, stop 95500"}, b.steps())
	})
}

func TestMonitor_Restart(t *testing.T) {
	t.Parallel()
	const checkpoint = "prices/%s/" + worldtest.Symbol
	t.Run("goes on where it was, over what happened meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, stop := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		b.tick(t, "95500", m)
		require.Eventually(t, func() bool { return b.Checkpoint(fmt.Sprintf(checkpoint, b.account)) == 2 }, patience, time.Millisecond)
		stop()
		for _, price := range []string{"97000", "95400", "96000"} {
			b.Tick(price)
		}
		m, _ = b.run(t, monitor.Config{})
		b.look(t, m, id)
		b.reached(t, m, 5)
		require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 95500 at 97000", "exit at 95400, stop 95500"}, b.steps())
	})
	t.Run("ticks handled before change nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, stop := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		for _, price := range []string{"94000", "97000", "96000"} {
			b.tick(t, price, m)
		}
		stop()
		m, _ = b.run(t, monitor.Config{})
		b.look(t, m, id)
		b.tick(t, "95600", m)
		require.Equal(t, []string{"93500 to 95500 at 97000"}, b.steps())
	})
	t.Run("ticks that the venue has no more are missed, and said to be", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, stop := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		b.tick(t, "95500", m)
		stop()
		for _, price := range []string{"97000", "96000", "96100"} {
			b.Tick(price)
		}
		b.ForgetPrices(4)
		m, _ = b.run(t, monitor.Config{})
		b.look(t, m, id)
		b.reached(t, m, 5)
		require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 94600 at 96100"}, b.steps())
		require.Contains(t, b.logged.String(), "prices are missing before a tick")
	})
}

func TestMonitor_Faults(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "DOWN", "down")
	t.Run("a feed that fails is taken up where it ended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.FailPrices(down, down, down)
		m, _ := b.run(t, monitor.Config{})
		b.look(t, m, b.open(t, long, 0))
		b.tick(t, "95500", m)
		b.BreakPrices()
		b.FailPrices(down, down)
		b.Tick("96000")
		b.Tick("95900")
		b.tick(t, "97000", m)
		require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 94500 at 96000", "94500 to 95500 at 97000"}, b.steps())
		require.Empty(t, b.alerts.List(b.Tenant), "the alert ends with the fault")
		require.Contains(t, b.logged.String(), "stream prices")
	})
	t.Run("what cannot be written is written later, before the next tick", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		b.look(t, m, b.open(t, long, 0))
		b.Fail(down, down, down)
		b.Tick("95500")
		b.tick(t, "97000", m)
		require.Equal(t, []string{"93500 to 94000 at 95500", "94000 to 95500 at 97000"}, b.steps())
		require.Empty(t, b.alerts.List(b.Tenant))
		require.Contains(t, b.logged.String(), "write what a tick leads to")
	})
	t.Run("an alert ends with what it was about", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		b.Fail(slices.Repeat([]error{down}, 1000)...)
		sequence := b.Tick("93500")
		require.Eventually(t, func() bool { return len(b.alerts.List(b.Tenant)) > 0 }, patience, time.Millisecond)
		// A user leaves the position while the monitor cannot.
		require.Eventually(t, func() bool {
			_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
			return err == nil
		}, patience, time.Microsecond)
		b.reached(t, m, sequence)
		require.Len(t, b.steps(), 1)
		require.Empty(t, b.alerts.List(b.Tenant))
	})
	t.Run("a stop that somebody moved is read anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: id, NewStop: "94800"})
		require.NoError(t, err)
		b.tick(t, "95500", m) // would move it to 94000, if it stood where the monitor thinks
		b.tick(t, "97000", m)
		require.Equal(t, []string{"93500 to 94800 at 95000", "94800 to 95500 at 97000"}, b.steps())
	})
	t.Run("a position that was left is let go", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		b.look(t, m, id)
		_, err := b.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
		require.NoError(t, err)
		b.tick(t, "90000", m)
		require.Equal(t, []string{"exit at 95000, stop 93500"}, b.steps())
		b.look(t, m, id)
		b.tick(t, "89000", m)
		require.Len(t, b.steps(), 1)
	})
}

func TestMonitor_Bounds(t *testing.T) {
	t.Parallel()
	t.Run("no more markets than it may", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{FeedsMax: 1})
		b.look(t, m, b.open(t, long, 0))
		m.Look(t.Context(), b.Tenant, &projectorv1.Position{
			AccountId: uuid.NewString(), Symbol: "ETHUSDT", State: projectorv1.PositionState_POSITION_STATE_ACTIVE,
		}, 1, nil)
		require.Len(t, m.Prices(b.Tenant), 1)
		require.Len(t, b.alerts.List(b.Tenant), 1)
		require.Contains(t, b.alerts.List(b.Tenant)[0], "ETHUSDT")
	})
	t.Run("a market is followed from the entry on, and another tenant's not told", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		armed, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: worldtest.Symbol, Side: short})
		require.NoError(t, err)
		b.look(t, m, armed.GetPositionId())
		require.Empty(t, m.Prices(b.Tenant))
		b.look(t, m, b.enter(t, long, 0))
		require.Len(t, m.Prices(b.Tenant), 1)
		require.Equal(t, b.account, m.Prices(b.Tenant)[0].GetAccountId())
		require.Empty(t, m.Prices(uuid.New()))
	})
	t.Run("a row that cannot be read is alerted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		m, _ := b.run(t, monitor.Config{})
		id := b.open(t, long, 0)
		row := b.Position(id)
		row.TrailingStopPrice = "x"
		m.Look(t.Context(), b.Tenant, row, 1, nil)
		require.Len(t, b.alerts.List(b.Tenant), 1)
		b.look(t, m, id)
		require.Empty(t, b.alerts.List(b.Tenant))
	})
}
