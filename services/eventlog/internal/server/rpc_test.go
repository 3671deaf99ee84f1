package server

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callers are the tokens of these tests: users of a tenant by their permission, one of another, services.
type callers struct{ tenant uuid.UUID }

func (c callers) Authenticate(_ context.Context, token string) (identity.Identity, error) {
	user := func(tenant uuid.UUID, p optionsv1.Permission) (identity.Identity, error) {
		return identity.Identity{Subject: token, Grants: map[uuid.UUID][]optionsv1.Permission{tenant: {p}}}, nil
	}
	switch token {
	case "reader":
		return user(c.tenant, optionsv1.Permission_PERMISSION_READ)
	case "auditor":
		return user(c.tenant, optionsv1.Permission_PERMISSION_AUDIT)
	case "stranger":
		return user(uuid.Max, optionsv1.Permission_PERMISSION_READ)
	case "command", "connector", "projector", "eventlog":
		return identity.Identity{Service: token}, nil
	default:
		return identity.Identity{}, fault.New(fault.Unauthenticated, "TOKEN_UNKNOWN", "the token is not known here")
	}
}

// testBundle is the read side and the workers' bookkeeping behind all that a real server has, over a log of one tenant that
// was written past it.
type testBundle struct {
	log   *storetest.Log
	store *store.Store
	hub   *subscription.Hub
	owner *pgxpool.Pool
	// more is the part of the history that is not written yet.
	more []projection.Event
	rng  *rand.Rand
	dial func(token string) *grpc.ClientConn
}

func setup(t *testing.T, cfg subscription.Config) *testBundle {
	t.Helper()
	db := testkit.Database(t)
	b := &testBundle{owner: db.Pool(t, ""), rng: rand.New(rand.NewPCG(3, 5))}
	b.log = storetest.NewLog(b.owner, uuid.New(), time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC))
	history := storetest.Random(2, 300)
	require.NoError(t, b.log.Write(t.Context(), history[:len(history)/2], b.rng))
	b.more = history[len(history)/2:]
	var err error
	b.store, err = store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	b.hub, err = subscription.NewHub(clock.System(), b.store, cfg)
	require.NoError(t, err)
	s, err := rpc.NewServer(testkit.Logger(t), clock.System(), callers{b.log.Tenant}, rpc.ServerConfig{})
	require.NoError(t, err)
	eventlogv1.RegisterReadServiceServer(s, NewRead(b.store, b.hub))
	eventlogv1.RegisterWorkerServiceServer(s, NewWorker(b.store, b.hub))
	eventlogv1.RegisterAuditServiceServer(s, NewAudit(clock.System(), b.store, nil))
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	served := make(chan error, 1)
	running.Go(func() { served <- s.Serve(ctx, listener) })
	running.Go(func() { b.hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		require.NoError(t, <-served)
	})
	b.dial = func(token string) *grpc.ClientConn {
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///eventlog", Token: token}, grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return conn
	}
	return b
}

// ctx is a service's context for the bundle's tenant.
func (b *testBundle) ctx(t *testing.T) context.Context {
	t.Helper()
	return identity.WithTenant(t.Context(), b.log.Tenant)
}

func (b *testBundle) read(token string) eventlogv1.ReadServiceClient {
	return eventlogv1.NewReadServiceClient(b.dial(token))
}

func (b *testBundle) workers(token string) eventlogv1.WorkerServiceClient {
	return eventlogv1.NewWorkerServiceClient(b.dial(token))
}
