package client_test

import (
	"context"
	"io/fs"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProfile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, err := client.LoadProfile(dir)
	require.NoError(t, err)
	require.Equal(t, client.Profile{}, empty)

	saved := client.Profile{Addresses: map[string]string{client.Command: "127.0.0.1:1"}, Token: "secret", TenantID: uuid.NewString()}
	require.NoError(t, saved.Save(dir))
	loaded, err := client.LoadProfile(dir)
	require.NoError(t, err)
	require.Equal(t, saved, loaded)
	info, err := os.Stat(client.ProfilePath(dir))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "it holds the owner's token")

	require.Error(t, saved.Save(dir+"/nowhere"))
	require.NoError(t, os.WriteFile(client.ProfilePath(dir), []byte("{"), 0o600))
	_, err = client.LoadProfile(dir)
	require.ErrorContains(t, err, client.ProfilePath(dir))
}

func TestOpen_without_a_token(t *testing.T) {
	t.Parallel()
	_, err := client.Open(client.Options{DataDir: t.TempDir(), OnlyProfile: true})
	require.ErrorIs(t, err, client.ErrNoToken)
	require.ErrorContains(t, err, "robson up")
}

// TestOpen_only_profile keeps a stack of one's own apart from what the environment says of another. It sets the environment,
// so it does not run in parallel.
func TestOpen_only_profile(t *testing.T) {
	dir, tenant, other := t.TempDir(), uuid.New(), uuid.New()
	require.NoError(t, client.Profile{Token: "x", TenantID: tenant.String()}.Save(dir))
	t.Setenv("ROBSON_TENANT_ID", other.String())
	t.Setenv("ROBSON_TOKEN", "y")
	c, err := client.Open(client.Options{DataDir: dir})
	require.NoError(t, err)
	require.Equal(t, other, c.Tenant())
	c, err = client.Open(client.Options{DataDir: dir, OnlyProfile: true})
	require.NoError(t, err)
	require.Equal(t, tenant, c.Tenant())
}

// TestService_unreachable tells who did not answer, and keeps the kind and the code by which programs branch.
func TestService_unreachable(t *testing.T) {
	t.Parallel()
	c, err := client.Open(client.Options{DataDir: t.TempDir(), Token: "x", Addresses: map[string]string{client.Projector: "127.0.0.1:1"}, OnlyProfile: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	conn, err := c.Service(client.Projector)
	require.NoError(t, err)
	again, err := c.Service(client.Projector)
	require.NoError(t, err)
	require.Same(t, conn, again)
	_, err = projectorv1.NewStateServiceClient(conn).ListAccounts(t.Context(), &projectorv1.ListAccountsRequest{})
	var unreachable *client.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Equal(t, "no answer from projector at 127.0.0.1:1: is the stack running? `robson up` starts one", err.Error())
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Equal(t, codes.Unavailable, status.Code(err))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = projectorv1.NewStateServiceClient(conn).ListAccounts(ended, &projectorv1.ListAccountsRequest{})
	require.Equal(t, codes.Canceled, status.Code(err), "a caller who gave up does not look for a stack")

	_, err = c.Service("ledger")
	require.ErrorContains(t, err, `no service "ledger"`)
}

func TestDefaultDataDir(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/home/x/.data")
	want := "/home/x/.data/robson"
	if os.Geteuid() == 0 {
		want = "/var/lib/robson"
	}
	require.Equal(t, want, client.DefaultDataDir())
}
