package connector_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	"github.com/robson/robson/services/connector"
	"github.com/robson/robson/services/connector/internal/ledgertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	userToken    = "user's token"
	commandToken = "command's token"
)

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	return l
}

func tokenFile(t *testing.T, tenant uuid.UUID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.json")
	file := identity.File{Tokens: []identity.Entry{
		{SHA256: identity.HashToken(userToken), Subject: "user", Tenants: map[string][]string{tenant.String(): {"read", "operate", "audit"}}},
		{SHA256: identity.HashToken(commandToken), Service: "command"},
	}}
	require.NoError(t, file.Save(path))
	return path
}

// world is what a connector lives between: the log, as its RPCs, and a directory for the paper venue.
type world struct {
	t      *testing.T
	books  *ledgertest.Books
	log    string // where event log and projector are
	tokens string
	dir    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	books := ledgertest.New(t)
	l := listen(t, "127.0.0.1:0")
	require.NoError(t, l.Close())
	return &world{t: t, books: books, log: l.Addr().String(), tokens: tokenFile(t, books.Tenant()), dir: t.TempDir()}
}

// serveLog serves event log and projector until the test ends.
func (w *world) serveLog() {
	w.t.Helper()
	s, err := rpc.NewServer(slog.New(slog.DiscardHandler), clock.System(), w.books, rpc.ServerConfig{})
	require.NoError(w.t, err)
	w.books.Register(s)
	listener := listen(w.t, w.log)
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	w.t.Cleanup(func() {
		stop()
		require.NoError(w.t, <-served)
	})
}

// running is one connector.
type running struct {
	stop    func()
	paper   connectorv1.PaperServiceClient
	market  connectorv1.MarketServiceClient
	execute connectorv1.ExecutionServiceClient
	health  healthv1.HealthClient
}

// run starts a connector; stop ends it and requires a plain end.
func (w *world) run() *running {
	w.t.Helper()
	listener := listen(w.t, "127.0.0.1:0")
	cfg := connector.Config{
		Listener: listener, TokenFile: w.tokens, ServiceToken: ledgertest.Token, EventlogAddress: w.log, ProjectorAddress: w.log, DataDir: w.dir,
		Follower: connector.FollowerConfig{DiscoverEvery: 10 * time.Millisecond, RetryDelay: 5 * time.Millisecond, LeaseTTL: time.Second},
		Executor: connector.ExecutorConfig{SweepEvery: 10 * time.Millisecond},
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- connector.Run(ctx, slog.New(slog.DiscardHandler), clock.System(), cfg) }()
	user, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: userToken})
	require.NoError(w.t, err)
	command, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: commandToken, Tenant: w.books.Tenant()})
	require.NoError(w.t, err)
	stopped := false
	r := &running{
		paper: connectorv1.NewPaperServiceClient(user), market: connectorv1.NewMarketServiceClient(user),
		execute: connectorv1.NewExecutionServiceClient(command), health: healthv1.NewHealthClient(user),
		stop: func() {
			if stopped {
				return
			}
			stopped = true
			cancel()
			require.NoError(w.t, <-ran)
			require.NoError(w.t, user.Close())
			require.NoError(w.t, command.Close())
			_, err := net.DialTimeout("tcp", listener.Addr().String(), time.Second)
			require.Error(w.t, err, "nobody listens any more")
		},
	}
	w.t.Cleanup(r.stop)
	return r
}

func (r *running) load(t *testing.T) {
	t.Helper()
	stream, err := r.paper.LoadMarket(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Header{Header: &connectorv1.MarketHeader{
		Symbol: "BTCUSDT", Source: &connectorv1.MarketHeader_Synthetic{Synthetic: &connectorv1.SyntheticSource{
			Seed: 1, StartPrice: "95000", StartTime: timestamppb.New(projectiontest.Start), TickMs: 1000, Ticks: 100, StepMax: 10,
		}},
	}}}))
	_, err = stream.CloseAndRecv()
	require.NoError(t, err)
}

func (r *running) deposit(t *testing.T) error {
	t.Helper()
	_, err := r.paper.Deposit(t.Context(), &connectorv1.DepositRequest{
		DepositId: projectiontest.ID("deposit").String(), AccountId: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", Amount: "20000",
	})
	return err
}

func (r *running) unreported(t *testing.T) int64 {
	t.Helper()
	market, err := r.paper.GetMarket(t.Context(), &connectorv1.GetMarketRequest{Symbol: "BTCUSDT"})
	require.NoError(t, err)
	return market.GetUnreported()
}

// TestRun trades over TCP, and goes on after a restart where it was.
func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveLog()
	r := w.run()
	r.load(t)
	health, err := r.health.Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, health.GetStatus())
	require.NoError(t, r.deposit(t))
	w.books.Do(t, func(l *projectiontest.Log) error { return l.Opening(projectiontest.Long("p")) })
	intent := projectiontest.Long("p").EntryID()
	executed, err := r.execute.Execute(t.Context(), &connectorv1.ExecuteRequest{IntentId: intent.String(), Attempt: 1})
	require.NoError(t, err)
	require.True(t, executed.GetSent())
	require.Equal(t, "filled", executed.GetOrder().GetStatus())
	stream, err := r.market.StreamPrices(t.Context(), &connectorv1.StreamPricesRequest{AccountId: projectiontest.Spot.String(), Symbol: "BTCUSDT"})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	began := clock.System().Now()
	r.stop()
	require.Less(t, clock.System().Now().Sub(began), 5*time.Second, "an open stream does not hold it up")
	_, err = stream.Recv()
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)

	again := w.run()
	require.NoError(t, again.deposit(t), "the venue remembers")
	require.Eventually(t, func() bool { return again.unreported(t) == 0 }, 10*time.Second, 5*time.Millisecond)
	repeated, err := again.execute.Execute(t.Context(), &connectorv1.ExecuteRequest{IntentId: intent.String(), Attempt: 1})
	require.NoError(t, err)
	require.False(t, repeated.GetSent())
	orders, err := again.paper.ListOrders(t.Context(), &connectorv1.ListOrdersRequest{AccountId: projectiontest.Spot.String()})
	require.NoError(t, err)
	require.Len(t, orders.GetOrders(), 1)
	require.EqualValues(t, 1, orders.GetOrders()[0].GetPlacedCount())
	require.Equal(t, event.ClientOrderID(event.OrderID(intent, 1)), orders.GetOrders()[0].GetClientOrderId())
	require.Len(t, w.books.Events("FILL_RECEIVED"), 1)
	require.Len(t, w.books.Events("BALANCE_ADJUSTED"), 1)
}

// TestRun_BeforeItsNeighbours comes up while event log and projector are away, and works once they are there.
func TestRun_BeforeItsNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	r.load(t)
	err := r.deposit(t)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	w.serveLog()
	require.Eventually(t, func() bool { return r.deposit(t) == nil }, 20*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return r.unreported(t) == 0 }, 20*time.Second, 20*time.Millisecond)
	require.Len(t, w.books.Events("BALANCE_ADJUSTED"), 1)
}

// Two connectors share one venue, whichever of them holds it, and one takes over from the other.
func TestRun_Two(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveLog()
	one := w.run()
	one.load(t)
	two := w.run()
	require.NoError(t, two.deposit(t))
	require.Eventually(t, func() bool { return two.unreported(t) == 0 }, 10*time.Second, 5*time.Millisecond)
	one.stop()
	market, err := two.paper.AdvanceMarket(t.Context(), &connectorv1.AdvanceMarketRequest{Symbol: "BTCUSDT", ToSequence: 5})
	require.NoError(t, err)
	require.EqualValues(t, 5, market.GetMarket().GetSequence())
	require.Len(t, w.books.Events("BALANCE_ADJUSTED"), 1)
}

func TestRun_ExchangeInfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveLog()
	info := filepath.Join(t.TempDir(), "info.json")
	require.NoError(t, os.WriteFile(info, []byte(`{"symbols": [{"symbol": "ADAUSDT", "status": "TRADING", "baseAsset": "ADA", "quoteAsset": "USDT",
		"baseAssetPrecision": 8, "quoteAssetPrecision": 8, "filters": [
		{"filterType": "PRICE_FILTER", "minPrice": "0.0001", "maxPrice": "1000", "tickSize": "0.0001"},
		{"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "900000", "stepSize": "0.1"}]}]}`), 0o600))
	listener := listen(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- connector.Run(ctx, slog.New(slog.DiscardHandler), clock.System(), connector.Config{
			Listener: listener, TokenFile: w.tokens, ServiceToken: ledgertest.Token, EventlogAddress: w.log, ProjectorAddress: w.log,
			DataDir: w.dir, ExchangeInfoFile: info,
		})
	}()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: userToken})
	require.NoError(t, err)
	for _, symbol := range []string{"ADAUSDT", "BTCUSDT", "ETHUSDT"} {
		market, err := connectorv1.NewPaperServiceClient(conn).GetMarket(t.Context(), &connectorv1.GetMarketRequest{Symbol: symbol})
		require.NoError(t, err)
		require.Equal(t, symbol, market.GetMarket().GetSymbol())
	}
	require.NoError(t, conn.Close())
	cancel()
	require.NoError(t, <-ran)
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	tokens := tokenFile(t, uuid.New())
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	good := connector.Config{TokenFile: tokens, ServiceToken: "x", EventlogAddress: "127.0.0.1:1", ProjectorAddress: "127.0.0.1:1", DataDir: t.TempDir()}
	for name, c := range map[string]struct {
		change func(*connector.Config)
		says   string
	}{
		"no token file":       {func(c *connector.Config) { c.TokenFile = "/nowhere" }, "token file"},
		"a broken token file": {func(c *connector.Config) { c.TokenFile = broken }, "token file"},
		"no service token":    {func(c *connector.Config) { c.ServiceToken = "" }, "ServiceToken"},
		"no directory":        {func(c *connector.Config) { c.DataDir = "" }, "data directory"},
		"no exchange info":    {func(c *connector.Config) { c.ExchangeInfoFile = "/nowhere" }, "exchange info"},
		"broken info":         {func(c *connector.Config) { c.ExchangeInfoFile = broken }, "exchange info"},
		"negative pauses":     {func(c *connector.Config) { c.Executor.SweepEvery = -1 }, "executor config"},
		"pauses that shrink":  {func(c *connector.Config) { c.Executor.AskFirst = time.Minute }, "AskFirst 1m0s is more than AskMax 8s"},
		"negative samplings":  {func(c *connector.Config) { c.Follower.SampleEvery = -1 }, "follower config"},
		"impossible limits":   {func(c *connector.Config) { c.Calls.StreamsMax = -1 }, "StreamsMax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			cfg.Listener = listen(t, "127.0.0.1:0")
			require.ErrorContains(t, connector.Run(t.Context(), slog.New(slog.DiscardHandler), clock.System(), cfg), c.says)
			require.ErrorIs(t, cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, connector.Run(t.Context(), slog.New(slog.DiscardHandler), clock.System(), connector.Config{}), "Listener")
	})
}
