package command_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command"
	"github.com/robson/robson/services/command/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	userToken    = "trader's token"
	readerToken  = "reader's token"
	serviceToken = "command's token"
	patience     = 20 * time.Second
)

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	return l
}

// reserve finds an address at which nobody listens.
func reserve(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func tokenFile(t *testing.T, tenant uuid.UUID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.json")
	user := func(token, name string, permissions ...string) identity.Entry {
		return identity.Entry{SHA256: identity.HashToken(token), Subject: name, Tenants: map[string][]string{tenant.String(): permissions}}
	}
	file := identity.File{Tokens: []identity.Entry{
		user(userToken, "ana", "read", "trade", "operate"),
		user(readerToken, "bob", "read"),
		{SHA256: identity.HashToken(serviceToken), Service: command.Name},
	}}
	require.NoError(t, file.Save(path))
	return path
}

// start runs the service until stop is called.
func start(t *testing.T, cfg command.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- command.Run(ctx, testkit.Logger(t), clock.System(), cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ran)
	})
	t.Cleanup(stop)
	return stop
}

// serve serves the world at an address, as one of the other services would be.
func serve(t *testing.T, world *worldtest.World, tokens, address string) {
	t.Helper()
	store, err := identity.Open(tokens, clock.System(), testkit.Logger(t))
	require.NoError(t, err)
	rpcs, err := rpc.NewServer(testkit.Logger(t), clock.System(), store, rpc.ServerConfig{})
	require.NoError(t, err)
	world.Serve(rpcs)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	listener := listen(t, address)
	go func() { ran <- rpcs.Serve(ctx, listener) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ran) })
}

func dial(t *testing.T, address, token string) (commandv1.TradingServiceClient, commandv1.MonitorServiceClient, healthv1.HealthClient) {
	t.Helper()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: address, Token: token})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return commandv1.NewTradingServiceClient(conn), commandv1.NewMonitorServiceClient(conn), healthv1.NewHealthClient(conn)
}

// TestRun comes up while nobody else is there, takes a command once they are, sees the position through to its end, and
// stops.
func TestRun(t *testing.T) {
	t.Parallel()
	world := worldtest.New("95000")
	account, err := world.Begin(eventv1.Product_PRODUCT_SPOT, "10000", &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
		CapitalBase: "10000", MaxOpenPositions: 3,
	})
	require.NoError(t, err)
	tokens, listener := tokenFile(t, world.Tenant), listen(t, "127.0.0.1:0")
	eventlog, projector, connector := reserve(t), reserve(t), reserve(t)
	stop := start(t, command.Config{
		Listener: listener, TokenFile: tokens, ServiceToken: serviceToken,
		EventlogAddress: eventlog, ProjectorAddress: projector, ConnectorAddress: connector,
	})
	trading, monitor, health := dial(t, listener.Addr().String(), userToken)
	status, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, status.GetStatus())

	ctx := correlation.With(t.Context(), correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
	s1 := &commandv1.OpenPositionRequest{
		AccountId: account, Symbol: worldtest.Symbol, Side: eventv1.PositionSide_POSITION_SIDE_LONG, EntryPrice: "95000", TechnicalStop: "93500",
	}
	_, err = trading.OpenPosition(ctx, s1)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	progress, err := monitor.GetProgress(t.Context(), &commandv1.GetProgressRequest{})
	require.NoError(t, err)
	require.Zero(t, progress.GetReactedPosition())

	for _, address := range []string{eventlog, projector, connector} {
		serve(t, world, tokens, address)
	}
	var opened *commandv1.OpenPositionResponse
	require.Eventually(t, func() bool {
		opened, err = trading.OpenPosition(ctx, s1)
		return err == nil
	}, patience, 10*time.Millisecond, "%v", err)
	require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, opened.GetOutcome().GetVerdict())
	holds := func(eventType string) func() bool {
		return func() bool { return slices.Contains(world.Types(), eventType) }
	}
	require.Eventually(t, holds("POSITION_OPENED"), patience, time.Millisecond)
	world.Tick("97000")
	require.Eventually(t, holds("TRAILING_STOP_UPDATED"), patience, time.Millisecond)
	world.Tick("95500")
	require.Eventually(t, holds("POSITION_CLOSED"), patience, time.Millisecond)
	require.Eventually(t, func() bool {
		progress, err = monitor.GetProgress(t.Context(), &commandv1.GetProgressRequest{})
		return err == nil && progress.GetReactedPosition() == int64(len(world.Events())) && progress.GetBusyPositions() == 0
	}, patience, time.Millisecond)
	require.Empty(t, progress.GetAlerts())
	require.Equal(t, "95500", progress.GetPrices()[0].GetPrice())

	stop()
	_, err = net.DialTimeout("tcp", listener.Addr().String(), time.Second)
	require.Error(t, err, "nobody listens any more")
}

// TestRun_access: who may read may not trade, and who is unknown may do nothing.
func TestRun_access(t *testing.T) {
	t.Parallel()
	tokens, listener := tokenFile(t, uuid.New()), listen(t, "127.0.0.1:0")
	start(t, command.Config{
		Listener: listener, TokenFile: tokens, ServiceToken: serviceToken,
		EventlogAddress: reserve(t), ProjectorAddress: reserve(t), ConnectorAddress: reserve(t),
	})
	closing := &commandv1.ClosePositionRequest{PositionId: uuid.NewString()}
	for token, kind := range map[string]fault.Kind{readerToken: fault.Denied, serviceToken: fault.Denied, "nobody's": fault.Unauthenticated} {
		trading, _, _ := dial(t, listener.Addr().String(), token)
		ctx := identity.WithTenant(t.Context(), uuid.New())
		if token == readerToken {
			ctx = t.Context()
		}
		_, err := trading.ClosePosition(ctx, closing)
		require.True(t, fault.Is(err, kind), "%s: %v", token, err)
	}
	trading, _, _ := dial(t, listener.Addr().String(), userToken)
	_, err := trading.ClosePosition(t.Context(), &commandv1.ClosePositionRequest{PositionId: "x"})
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Equal(t, "position_id", fault.As(err).Fields[0].Path)
	_, err = trading.ClosePosition(identity.WithTenant(t.Context(), uuid.New()), closing)
	require.True(t, fault.Is(err, fault.Denied), "%v", err)
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	tokens := tokenFile(t, uuid.New())
	broken := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	whole := command.Config{TokenFile: tokens, ServiceToken: serviceToken, EventlogAddress: "a:1", ProjectorAddress: "b:1", ConnectorAddress: "c:1"}
	for name, c := range map[string]struct {
		change func(*command.Config)
		says   string
	}{
		"no token file":             {func(c *command.Config) { c.TokenFile = "/nowhere" }, "token file"},
		"a broken token file":       {func(c *command.Config) { c.TokenFile = broken }, "token file"},
		"no token of its own":       {func(c *command.Config) { c.ServiceToken = "" }, "ServiceToken is empty"},
		"no eventlog":               {func(c *command.Config) { c.EventlogAddress = "" }, "EventlogAddress is empty"},
		"no projector":              {func(c *command.Config) { c.ProjectorAddress = "" }, "ProjectorAddress is empty"},
		"no connector":              {func(c *command.Config) { c.ConnectorAddress = "" }, "ConnectorAddress is empty"},
		"an impossible address":     {func(c *command.Config) { c.ConnectorAddress = "\x7f://" }, "connect to"},
		"impossible decisions":      {func(c *command.Config) { c.Decisions.ConflictRetriesMax = -1 }, "below zero"},
		"an impossible manager":     {func(c *command.Config) { c.Process.ParallelMax = -1 }, "ParallelMax"},
		"impossible delays":         {func(c *command.Config) { c.Process.RetryDelay = time.Hour }, "RetryDelayMax"},
		"an impossible monitor":     {func(c *command.Config) { c.Monitor.TicksKept = 1 }, "TicksKept"},
		"no markets at all":         {func(c *command.Config) { c.Monitor.FeedsMax = -1 }, "FeedsMax"},
		"delays of the monitor < 0": {func(c *command.Config) { c.Monitor.RetryDelay = -1 }, "delays"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := whole
			cfg.Listener = listen(t, "127.0.0.1:0")
			c.change(&cfg)
			require.ErrorContains(t, command.Run(t.Context(), testkit.Logger(t), clock.System(), cfg), c.says)
			require.ErrorIs(t, cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, command.Run(t.Context(), testkit.Logger(t), clock.System(), command.Config{}), "Listener")
	})
}
