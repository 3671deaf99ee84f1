package projector_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "reader's token"

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func tokenFile(t *testing.T, tenant uuid.UUID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.json")
	file := identity.File{Tokens: []identity.Entry{{
		SHA256: identity.HashToken(token), Subject: "reader", Tenants: map[string][]string{tenant.String(): {"read", "audit"}},
	}}}
	require.NoError(t, file.Save(path))
	return path
}

// TestRun serves a migrated, empty database over TCP, and stops.
func TestRun(t *testing.T) {
	t.Parallel()
	tenant, listener := uuid.New(), listen(t)
	cfg := projector.Config{
		Listener: listener, TokenFile: tokenFile(t, tenant), Database: postgres.Config{URL: testkit.Database(t).URL()}, ServiceToken: "projector's", EventlogAddress: "127.0.0.1:1",
		Store: projector.StoreConfig{WaitMax: 20 * time.Millisecond},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- projector.Run(ctx, testkit.Logger(t), clock.System(), cfg) }()

	conn, err := rpc.Dial(rpc.ClientConfig{Address: listener.Addr().String(), Token: token})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	state, audit := projectorv1.NewStateServiceClient(conn), projectorv1.NewAuditServiceClient(conn)

	list, err := state.ListPositions(t.Context(), &projectorv1.ListPositionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetPositions())
	require.Zero(t, list.GetAsOf())
	_, err = state.GetTenant(t.Context(), &projectorv1.GetTenantRequest{})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	_, err = state.GetTenant(t.Context(), &projectorv1.GetTenantRequest{MinPosition: 1})
	require.True(t, fault.Is(err, fault.Stale), "%v", err)
	stream, err := audit.ExportState(t.Context(), &projectorv1.ExportStateRequest{})
	require.NoError(t, err)
	first, err := stream.Recv()
	require.NoError(t, err)
	require.Zero(t, first.GetHeader().GetPosition())
	watched, err := projectorv1.NewWatchServiceClient(conn).WatchOrders(t.Context(), &projectorv1.WatchOrdersRequest{})
	require.NoError(t, err)
	for err == nil {
		_, err = watched.Recv()
	}
	require.True(t, fault.Is(err, fault.Unavailable), "nobody is at eventlog's address: %v", err)
	health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, health.GetStatus())

	stop()
	require.NoError(t, <-ran)
	_, err = net.DialTimeout("tcp", listener.Addr().String(), time.Second)
	require.Error(t, err, "nobody listens any more")
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	db, tokens := testkit.Database(t).URL(), tokenFile(t, uuid.New())
	broken := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	for name, c := range map[string]struct {
		cfg  projector.Config
		says string
	}{
		"no token file":       {projector.Config{TokenFile: "/nowhere", Database: postgres.Config{URL: db}}, "token file"},
		"a broken token file": {projector.Config{TokenFile: broken, Database: postgres.Config{URL: db}}, "token file"},
		"no database":         {projector.Config{TokenFile: tokens}, "URL is empty"},
		"no such role":        {projector.Config{TokenFile: tokens, Database: postgres.Config{URL: db, Role: "robson_nobody"}}, "robson_nobody"},
		"no token of its own": {projector.Config{TokenFile: tokens, Database: postgres.Config{URL: db}}, "ServiceToken"},
		"no place to watch":   {projector.Config{TokenFile: tokens, Database: postgres.Config{URL: db}, Watch: projector.WatchConfig{MailboxRows: -1}}, "holds nothing"},
		"impossible limits":   {projector.Config{TokenFile: tokens, Database: postgres.Config{URL: db}, Store: projector.StoreConfig{WaitersMax: -1}}, "WaitersMax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Listener = listen(t)
			if name != "no token of its own" {
				c.cfg.ServiceToken, c.cfg.EventlogAddress = "projector's", "127.0.0.1:1"
			}
			require.ErrorContains(t, projector.Run(t.Context(), testkit.Logger(t), clock.System(), c.cfg), c.says)
			require.ErrorIs(t, c.cfg.Listener.Close(), net.ErrClosed, "the listener is given back")
		})
	}

	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, projector.Run(t.Context(), testkit.Logger(t), clock.System(), projector.Config{}), "Listener")
	})
}
