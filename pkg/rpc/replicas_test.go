package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/rpc"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// replicas serves several times over TCP; each answers with its number. stop ends one.
func replicas(t *testing.T, count int) (addresses []string, stop func(i int)) {
	t.Helper()
	stops := make([]func(), count)
	for i := range count {
		server, err := rpc.NewServer(slog.New(slog.DiscardHandler), clock.System(), tokens{}, rpc.ServerConfig{})
		require.NoError(t, err)
		eventlogv1.RegisterReadServiceServer(server, &reader{head: func(context.Context) (*eventlogv1.GetHeadResponse, error) {
			return &eventlogv1.GetHeadResponse{Position: int64(i)}, nil
		}})
		var config net.ListenConfig
		listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx, listener) }()
		ended := false
		stops[i] = func() {
			if ended {
				return
			}
			ended = true
			cancel()
			require.NoError(t, <-served)
		}
		t.Cleanup(stops[i])
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, func(i int) { stops[i]() }
}

// TestDial_byTenant sends each tenant's calls to one replica, spreads tenants over all, and moves only those of a replica
// that goes.
func TestDial_byTenant(t *testing.T) {
	t.Parallel()
	addresses, stop := replicas(t, 3)
	conn, err := rpc.Dial(rpc.ClientConfig{Address: strings.Join(addresses, ","), Token: "command", ByTenant: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	client := eventlogv1.NewReadServiceClient(conn)
	ask := func(tenant uuid.UUID) int64 {
		answer, err := client.GetHead(identity.WithTenant(t.Context(), tenant), &eventlogv1.GetHeadRequest{})
		require.NoError(t, err)
		return answer.GetPosition()
	}
	tenants := make([]uuid.UUID, 120)
	for i := range tenants {
		tenants[i] = uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)})
	}
	// Until all three are connected a tenant may be elsewhere.
	require.Eventually(t, func() bool {
		seen := map[int64]bool{}
		for _, tenant := range tenants {
			seen[ask(tenant)] = true
		}
		return len(seen) == 3
	}, waitMax, waitStep)
	home, counts := map[uuid.UUID]int64{}, map[int64]int{}
	for _, tenant := range tenants {
		home[tenant] = ask(tenant)
		counts[home[tenant]]++
		require.Equal(t, home[tenant], ask(tenant))
	}
	for replica, count := range counts {
		require.Greater(t, count, 20, "replica %d has its share", replica)
	}
	stop(1)
	for _, tenant := range tenants {
		if now := ask(tenant); home[tenant] != 1 {
			require.Equal(t, home[tenant], now, "who was elsewhere stays there")
		} else {
			require.NotEqualValues(t, 1, now)
		}
	}
}

// TestDial_takes_turns where nobody asks for one replica a tenant.
func TestDial_takes_turns(t *testing.T) {
	t.Parallel()
	addresses, _ := replicas(t, 2)
	conn, err := rpc.Dial(rpc.ClientConfig{Address: strings.Join(addresses, ","), Token: "command"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	seen := map[int64]bool{}
	require.Eventually(t, func() bool {
		answer, err := eventlogv1.NewReadServiceClient(conn).GetHead(identity.WithTenant(t.Context(), tenant), &eventlogv1.GetHeadRequest{})
		require.NoError(t, err)
		seen[answer.GetPosition()] = true
		return len(seen) == 2
	}, waitMax, waitStep)
}
