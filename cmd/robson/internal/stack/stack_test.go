package stack

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/rpc"
	"github.com/robson/robson/pkg/testkit"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anywhere lets every service take a free port.
func anywhere() map[string]string {
	addresses := map[string]string{}
	for _, name := range startOrder {
		addresses[name] = "127.0.0.1:0"
	}
	return addresses
}

// up starts a stack on a database of its own.
func up(t *testing.T, cfg Config) *Stack {
	t.Helper()
	cfg.Logger, cfg.Clock = testkit.Logger(t), clock.System()
	s, err := Up(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

// tenantAnswer asks the stack that a data directory leads to for a list, as its owner.
func tenantAnswer(t *testing.T, dir string) (client.Profile, error) {
	t.Helper()
	profile, err := client.LoadProfile(dir)
	require.NoError(t, err)
	conn, err := rpc.Dial(rpc.ClientConfig{Address: profile.Addresses[client.Projector], Token: profile.Token})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = projectorv1.NewStateServiceClient(conn).ListAccounts(t.Context(), &projectorv1.ListAccountsRequest{})
	return profile, err
}

// TestUp_again finds its tenant and its tokens where it left them.
func TestUp_again(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), DatabaseURL: testkit.EmptyDatabase(t).URL(), Addresses: anywhere(), Out: &said}
	s := up(t, cfg)
	first, err := tenantAnswer(t, cfg.DataDir)
	require.NoError(t, err)
	for _, name := range startOrder {
		require.Contains(t, said.String(), first.Addresses[name])
	}
	require.NoError(t, s.Stop(t.Context()))

	s = up(t, cfg)
	second, err := tenantAnswer(t, cfg.DataDir)
	require.NoError(t, err)
	require.Equal(t, first.TenantID, second.TenantID)
	require.Equal(t, first.Token, second.Token)
	require.NoError(t, s.Stop(t.Context()))

	info, err := os.Stat(client.ProfilePath(cfg.DataDir))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

// TestUp_takes_no_taken_port tells which service wants it and how to give it another, before anything is started.
func TestUp_takes_no_taken_port(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	addresses := anywhere()
	addresses[client.Projector] = taken.Addr().String()
	dir := t.TempDir()
	_, err = Up(t.Context(), Config{DataDir: dir, DatabaseURL: "postgres://nobody@127.0.0.1:1/none", Addresses: addresses, Logger: testkit.Logger(t), Clock: clock.System()})
	require.ErrorContains(t, err, "listen for projector")
	require.ErrorContains(t, err, "--projector-listen")
	require.NoFileExists(t, client.ProfilePath(dir))
}

// TestUp_says_once_what_failed starts on a database that is not there.
func TestUp_says_once_what_failed(t *testing.T) {
	t.Parallel()
	_, err := Up(t.Context(), Config{DataDir: t.TempDir(), DatabaseURL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1", Addresses: anywhere(), Logger: testkit.Logger(t), Clock: clock.System()})
	require.ErrorContains(t, err, "bring the schema up")
	require.Equal(t, 1, strings.Count(err.Error(), "bring the schema up"))
}

// TestWait_ends_with_its_context without taking that for a failure.
func TestWait_ends_with_its_context(t *testing.T) {
	t.Parallel()
	s := up(t, Config{DataDir: t.TempDir(), DatabaseURL: testkit.Database(t).URL(), Addresses: anywhere()})
	ctx, stop := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(ctx) }()
	stop()
	require.NoError(t, <-waited)
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Wait(ctx), "a stack that was stopped has not failed")
}

func TestServe_unknown(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorContains(t, Serve(t.Context(), "ledger", Settings{Listener: listener}), `no service "ledger"`)
	require.ErrorIs(t, listener.Close(), net.ErrClosed)
}

func TestHealthy_gives_up(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, Healthy(ctx, "127.0.0.1:1"), "no service answers at 127.0.0.1:1")
}
