package scout_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/process"
	"github.com/robson/robson/services/command/internal/scout"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// shaky is a world of which each kind of read fails so often before it works.
type shaky struct {
	*worldtest.World
	strategies, positions, signals, instruments atomic.Int32
}

var errAway = fault.New(fault.Unavailable, "AWAY", "it is away")

func (s *shaky) GetStrategy(ctx context.Context, in *projectorv1.GetStrategyRequest, opts ...grpc.CallOption) (*projectorv1.GetStrategyResponse, error) {
	if s.strategies.Add(-1) >= 0 {
		return nil, errAway
	}
	return s.World.GetStrategy(ctx, in, opts...)
}

func (s *shaky) GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest, opts ...grpc.CallOption) (*projectorv1.GetPositionResponse, error) {
	if s.positions.Add(-1) >= 0 {
		return nil, errAway
	}
	return s.World.GetPosition(ctx, in, opts...)
}

func (s *shaky) ListSignals(ctx context.Context, in *projectorv1.ListSignalsRequest, opts ...grpc.CallOption) (*projectorv1.ListSignalsResponse, error) {
	if s.signals.Add(-1) >= 0 {
		return nil, errAway
	}
	return s.World.ListSignals(ctx, in, opts...)
}

func (s *shaky) GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest, opts ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error) {
	if s.instruments.Add(-1) >= 0 {
		return nil, errAway
	}
	return s.World.GetInstrument(ctx, in, opts...)
}

// alone runs a scout without a process manager: nobody answers its signals, and a test tells it of positions.
func (b *testBundle) alone(t *testing.T, world *shaky, config scout.Config) *scout.Scout {
	t.Helper()
	config.RetryDelay, config.RetryDelayMax = time.Millisecond, 5*time.Millisecond
	watching, err := scout.New(slog.New(slog.DiscardHandler), clock.System(), scout.Deps{Log: b.World, State: world, Market: world, Alerts: b.alerts}, config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { watching.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return watching
}

// look tells the scout how a position stands.
func (b *testBundle) look(t *testing.T, watching *scout.Scout, position string) {
	t.Helper()
	watching.Look(t.Context(), b.Tenant, b.Position(position), 0, nil)
}

// Every read fails, more often than it is told at once; the signal is there all the same, and nothing is hindered any more.
func TestScout_reads_until_it_can(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	world := &shaky{World: b.World}
	for _, fails := range []*atomic.Int32{&world.strategies, &world.positions, &world.signals, &world.instruments} {
		fails.Store(4)
	}
	watching := b.alone(t, world, scout.Config{})
	position := b.armed(t, long)
	b.look(t, watching, position)
	b.path(crossing...)
	b.until(t, 1, "TECHNICAL_STOP_ANALYZED")
	require.Eventually(t, func() bool { return len(b.alerts.List(b.Tenant)) == 0 }, 10*time.Second, time.Millisecond, "%v", b.alerts)
	require.Eventually(t, func() bool {
		prices := watching.Prices(b.Tenant)
		return len(prices) == 1 && prices[0].GetPrice() == "95400" && prices[0].GetSymbol() == worldtest.Symbol
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, watching.Prices(uuid.New()), "another tenant's markets are its own")

	// Its signal waits, so no other is made, whatever the market does.
	b.path(crossing...)
	require.Eventually(t, func() bool { return watching.Prices(b.Tenant)[0].GetSequence() == 15 }, 10*time.Second, time.Millisecond)
	require.Len(t, b.of("SIGNAL_DETECTED"), 1)
}

// A position that is told of before the log knows of it, or that is gone, is not watched for any more.
func TestScout_forgets_what_is_not_there(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	watching := b.alone(t, &shaky{World: b.World}, scout.Config{})
	gone := b.Position(b.armed(t, long))
	gone.PositionId = uuid.NewString()
	watching.Look(t.Context(), b.Tenant, gone, 0, nil)
	require.Eventually(t, func() bool { return len(watching.Prices(b.Tenant)) == 1 }, 10*time.Second, time.Millisecond)
	b.path(crossing...)
	require.Eventually(t, func() bool { return len(watching.Prices(b.Tenant)) == 0 }, 10*time.Second, time.Millisecond)
	require.Empty(t, b.of("SIGNAL_DETECTED"))
	require.Empty(t, b.alerts.List(b.Tenant))
}

// What a position was armed with may be older than the detector: it is told, and nobody waits for it.
func TestScout_tells_of_settings_that_it_cannot_read(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	watching := b.alone(t, &shaky{World: b.World}, scout.Config{})
	id := uuid.NewString()
	require.NoError(t, b.Record("position:"+id, b.Now(), event.Wrap(&eventv1.PositionArmed{
		PositionId: id, AccountId: b.account, StrategyId: b.strategy, Symbol: worldtest.Symbol, Side: long, Capital: "10000", RiskPercent: "0.5",
		TrailingMode: eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS, DetectorConfig: map[string]string{"speed": "high"}, ArmedAt: b.Position(b.armed(t, short)).GetArmedAt(),
	})))
	b.look(t, watching, id)
	require.Eventually(t, func() bool {
		alerts := b.alerts.List(b.Tenant)
		return len(alerts) == 1 && strings.Contains(alerts[0], "read what it was armed with")
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, watching.Prices(b.Tenant))
	_, err := b.DisarmPosition(b.call(t), &commandv1.DisarmPositionRequest{PositionId: id})
	require.NoError(t, err)
	b.look(t, watching, id)
	require.Empty(t, b.alerts.List(b.Tenant), "nothing is wanted of it any more")
}

// A market in which no position waits any more is not followed, and is followed again for the next one.
func TestScout_follows_a_market_as_long_as_somebody_waits(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	watching := b.alone(t, &shaky{World: b.World}, scout.Config{})
	for range 3 {
		position := b.armed(t, long)
		b.look(t, watching, position)
		require.Eventually(t, func() bool {
			prices := watching.Prices(b.Tenant)
			return len(prices) == 1 && prices[0].GetSequence() > 0 || b.Tick("95000") == 0
		}, 10*time.Second, time.Millisecond)
		_, err := b.DisarmPosition(b.call(t), &commandv1.DisarmPositionRequest{PositionId: position})
		require.NoError(t, err)
		b.look(t, watching, position)
		require.Empty(t, watching.Prices(b.Tenant))
	}
	require.Empty(t, b.alerts.List(b.Tenant))
}

// One market more than may be followed is told of.
func TestScout_follows_so_many_markets(t *testing.T) {
	t.Parallel()
	b := setup(t, "ma_cross", nil)
	b.alerts = &process.Alerts{}
	watching := b.alone(t, &shaky{World: b.World}, scout.Config{FeedsMax: 1})
	position := b.Position(b.armed(t, long))
	watching.Look(t.Context(), b.Tenant, position, 0, nil)
	require.Eventually(t, func() bool { return len(watching.Prices(b.Tenant)) == 1 }, 10*time.Second, time.Millisecond)
	position.AccountId = uuid.NewString()
	watching.Look(t.Context(), b.Tenant, position, 0, nil)
	require.Eventually(t, func() bool { return len(b.alerts.List(b.Tenant)) == 1 }, 10*time.Second, time.Millisecond)
	require.Len(t, watching.Prices(b.Tenant), 1)
}
