package server

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rpc"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/executor"
	"github.com/robson/robson/services/connector/internal/follower"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/ledgertest"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/reconcile"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callers are the tokens of these tests: users by their permission, one of another tenant, and services.
type callers struct{ tenant uuid.UUID }

func (c callers) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	permissions := map[string][]optionsv1.Permission{
		"reader": {optionsv1.Permission_PERMISSION_READ}, "operator": {optionsv1.Permission_PERMISSION_READ, optionsv1.Permission_PERMISSION_OPERATE},
		"auditor":  {optionsv1.Permission_PERMISSION_AUDIT},
		"stranger": {optionsv1.Permission_PERMISSION_READ, optionsv1.Permission_PERMISSION_OPERATE, optionsv1.Permission_PERMISSION_AUDIT},
	}
	if held, known := permissions[token]; known {
		tenant := c.tenant
		if token == "stranger" {
			tenant = uuid.Max
		}
		return identity.Identity{Subject: token, Grants: map[uuid.UUID][]optionsv1.Permission{tenant: held}}, nil
	}
	if token == "command" {
		return identity.Identity{Service: token}, nil
	}
	return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
}

// bench is a whole connector behind its RPCs: real rules and a real paper venue, and the books behind real RPCs too.
type bench struct {
	t        *testing.T
	books    *ledgertest.Books
	paper    *paper.Venue
	dial     func(token string) *grpc.ClientConn
	stopping chan struct{}
	service  *Paper
}

// serve serves over memory what is registered, and gives a way to connect.
func serve(t *testing.T, auth rpc.Authenticator, register func(*rpc.Server)) func(token string) *grpc.ClientConn {
	t.Helper()
	s, err := rpc.NewServer(slog.New(slog.DiscardHandler), clock.System(), auth, rpc.ServerConfig{})
	require.NoError(t, err)
	register(s)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})
	return func(token string) *grpc.ClientConn {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///memory", Token: token}, grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return conn
	}
}

func setup(t *testing.T) *bench { return setupWith(t, Config{}) }

// setupWith makes a connector that serves other venues too.
func setupWith(t *testing.T, config Config, live ...line.Live) *bench {
	t.Helper()
	b := &bench{t: t, books: ledgertest.New(t), stopping: make(chan struct{})}
	own := serve(t, b.books, func(s *rpc.Server) { b.books.Register(s) })(ledgertest.Token)
	books, err := ledger.New(clock.System(), ledger.Deps{
		Appender: eventlogv1.NewAppendServiceClient(own), Reader: eventlogv1.NewReadServiceClient(own),
		Workers: eventlogv1.NewWorkerServiceClient(own), State: projectorv1.NewStateServiceClient(own),
	}, ledger.Config{})
	require.NoError(t, err)

	logger := slog.New(slog.DiscardHandler)
	node, err := paper.New(logger, clock.System(), paper.Config{
		Dir: t.TempDir(), Timing: venue.Timing{ReceiveWindow: 300 * time.Millisecond, Margin: 100 * time.Millisecond},
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(node.Stop)
	b.paper = paper.NewVenue(node)
	desk := line.NewDesk(b.paper, live...)
	exec, err := executor.New(logger, clock.System(), books, desk, executor.Config{AskFirst: 10 * time.Millisecond, AskMax: 50 * time.Millisecond})
	require.NoError(t, err)
	follow, err := follower.New(logger, clock.System(), books, desk, exec.CatchUp, follower.Config{})
	require.NoError(t, err)
	require.NoError(t, exec.Start(t.Context()))
	require.NoError(t, follow.Start(t.Context()))
	t.Cleanup(exec.Stop)
	t.Cleanup(follow.Stop)

	deps := Deps{Ledger: books, Desk: desk, Executor: exec, Follower: follow, Paper: b.paper, Stopping: b.stopping}
	reconciler, err := reconcile.New(logger, clock.System(), books, desk, reconcile.Config{Young: time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(reconciler.Stop)
	market, err := NewMarket(deps, config)
	require.NoError(t, err)
	b.service, err = NewPaper(deps, config)
	require.NoError(t, err)
	b.dial = serve(t, callers{b.books.Tenant()}, func(s *rpc.Server) {
		connectorv1.RegisterExecutionServiceServer(s, NewExecution(deps))
		connectorv1.RegisterMarketServiceServer(s, market)
		connectorv1.RegisterReconciliationServiceServer(s, NewReconciliation(reconciler))
		connectorv1.RegisterPaperServiceServer(s, b.service)
	})
	return b
}

func (b *bench) execution() connectorv1.ExecutionServiceClient {
	return connectorv1.NewExecutionServiceClient(b.dial("command"))
}

func (b *bench) market(token string) connectorv1.MarketServiceClient {
	return connectorv1.NewMarketServiceClient(b.dial(token))
}

func (b *bench) paperAs(token string) connectorv1.PaperServiceClient {
	return connectorv1.NewPaperServiceClient(b.dial(token))
}

// forTenant says for whom a service calls.
func (b *bench) forTenant() context.Context {
	return identity.WithTenant(b.t.Context(), b.books.Tenant())
}

func bar(n int, open, high, low, closes string) *connectorv1.Kline {
	at := projectiontest.Start.Add(time.Duration(n) * time.Hour)
	return &connectorv1.Kline{
		OpenTime: timestamppb.New(at), CloseTime: timestamppb.New(at.Add(time.Hour - time.Millisecond)),
		Open: open, High: high, Low: low, Close: closes, Volume: "3.50",
	}
}

func header(change func(*connectorv1.MarketHeader)) *connectorv1.LoadMarketRequest {
	h := &connectorv1.MarketHeader{Symbol: "BTCUSDT", Source: &connectorv1.MarketHeader_Klines{Klines: &connectorv1.KlineSource{Origin: "a test"}}}
	if change != nil {
		change(h)
	}
	return &connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Header{Header: h}}
}

func klines(bars ...*connectorv1.Kline) *connectorv1.LoadMarketRequest {
	return &connectorv1.LoadMarketRequest{Part: &connectorv1.LoadMarketRequest_Klines{Klines: &connectorv1.KlineChunk{Klines: bars}}}
}

// load sends a market in parts.
func (b *bench) load(parts ...*connectorv1.LoadMarketRequest) (*connectorv1.MarketState, error) {
	b.t.Helper()
	stream, err := b.paperAs("operator").LoadMarket(b.t.Context())
	require.NoError(b.t, err)
	for _, part := range parts {
		if stream.Send(part) != nil {
			break // the answer says why
		}
	}
	response, err := stream.CloseAndRecv()
	return response.GetMarket(), rpc.FromStatus(err)
}

// loaded gives BTCUSDT a market of so many bars around 95000.
func (b *bench) loaded(bars int) *connectorv1.MarketState {
	b.t.Helper()
	parts := []*connectorv1.LoadMarketRequest{header(nil)}
	for n := range bars {
		parts = append(parts, klines(bar(n, "95000", "95100.50", "94000", strconv.Itoa(95000+n%100))))
	}
	market, err := b.load(parts...)
	require.NoError(b.t, err)
	return market
}

func (b *bench) deposit(account uuid.UUID, wallet, asset, amount string) {
	b.t.Helper()
	_, err := b.paperAs("operator").Deposit(b.t.Context(), &connectorv1.DepositRequest{
		DepositId: uuid.NewString(), AccountId: account.String(), Wallet: wallet, Asset: asset, Amount: amount,
	})
	require.NoError(b.t, err)
}

// entry takes a plan up to its entry intent.
func (b *bench) entry(p projectiontest.Plan) (intent, order string) {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error { return l.Opening(p) })
	return p.EntryID().String(), event.OrderID(p.EntryID(), 1).String()
}

// requireField requires an INVALID_ARGUMENT that names a field.
func requireField(t *testing.T, err error, field string) {
	t.Helper()
	require.True(t, fault.Is(err, fault.Invalid), "%s: %v", field, err)
	require.Len(t, fault.As(err).Fields, 1, "%v", err)
	require.Equal(t, field, fault.As(err).Fields[0].Path, "%v", err)
}
