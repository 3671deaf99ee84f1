package identity_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

var (
	tenantA = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000001")
	tenantB = uuid.MustParse("bbbbbbbb-0000-4000-8000-000000000002")
)

func user(tenants ...uuid.UUID) identity.Identity {
	i := identity.Identity{Subject: "alice", Grants: map[uuid.UUID][]optionsv1.Permission{}}
	for _, t := range tenants {
		i.Grants[t] = []optionsv1.Permission{optionsv1.Permission_PERMISSION_READ}
	}
	return i
}

func TestIdentity_Choose(t *testing.T) {
	t.Parallel()
	got, err := user(tenantA).Choose(uuid.Nil)
	require.NoError(t, err)
	require.Equal(t, tenantA, got, "the only tenant needs no naming")

	got, err = user(tenantA, tenantB).Choose(tenantB)
	require.NoError(t, err)
	require.Equal(t, tenantB, got)

	_, err = user(tenantA, tenantB).Choose(uuid.Nil)
	require.True(t, fault.Is(err, fault.Invalid))
	_, err = user(tenantA).Choose(tenantB)
	require.True(t, fault.Is(err, fault.Denied))
	_, err = identity.Identity{Service: "command"}.Choose(uuid.Nil)
	require.True(t, fault.Is(err, fault.Invalid))
	got, err = identity.Identity{Service: "command"}.Choose(tenantB)
	require.NoError(t, err)
	require.Equal(t, tenantB, got)
}

func TestIdentity_Allowed(t *testing.T) {
	t.Parallel()
	read := &optionsv1.Access{Permission: optionsv1.Permission_PERMISSION_READ, Services: []string{"command"}}
	trade := &optionsv1.Access{Permission: optionsv1.Permission_PERMISSION_TRADE}
	require.NoError(t, user(tenantA).Allowed(read, tenantA))
	require.NoError(t, user(tenantA).Allowed(read, uuid.Nil), "a call without a tenant needs the permission for any")
	require.NoError(t, identity.Identity{Service: "command"}.Allowed(read, tenantA))
	for name, err := range map[string]error{
		"permission not granted": user(tenantA).Allowed(trade, tenantA),
		"other tenant":           user(tenantA).Allowed(read, tenantB),
		"other service":          identity.Identity{Service: "connector"}.Allowed(read, tenantA),
		"services only":          user(tenantA).Allowed(&optionsv1.Access{Services: []string{"command"}}, tenantA),
		"nothing declared":       identity.Identity{Service: "command"}.Allowed(nil, tenantA),
	} {
		require.True(t, fault.Is(err, fault.Denied), name)
	}
}

func TestIdentity_Name(t *testing.T) {
	t.Parallel()
	require.Equal(t, "alice", user().Name())
	require.Equal(t, "command", identity.Identity{Service: "command"}.Name())
	require.Equal(t, "alice", identity.Identity{Service: "command", OnBehalfOf: "alice"}.Name())
	ctx := identity.WithTenant(identity.With(context.Background(), user()), tenantA)
	got, ok := identity.From(ctx)
	require.True(t, ok)
	require.Equal(t, "alice", got.Subject)
	require.Equal(t, tenantA, identity.Tenant(ctx))
	_, ok = identity.From(context.Background())
	require.False(t, ok)
	require.Equal(t, uuid.Nil, identity.Tenant(context.Background()))
}

func TestStore_reads_a_changed_file_again(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "tokens.json")
	token, err := identity.NewToken()
	require.NoError(t, err)
	entry := identity.Entry{SHA256: identity.HashToken(token), Subject: "alice", Tenants: map[string][]string{tenantA.String(): {"read", "trade"}}}
	require.NoError(t, identity.File{Tokens: []identity.Entry{entry}}.Save(path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	fake := clock.NewFake(time.Unix(0, 0))
	store, err := identity.Open(path, fake, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	got, err := store.Authenticate(ctx, token)
	require.NoError(t, err)
	require.Equal(t, []optionsv1.Permission{optionsv1.Permission_PERMISSION_READ, optionsv1.Permission_PERMISSION_TRADE}, got.Grants[tenantA])
	for _, wrong := range []string{"", "x", token + "x"} {
		_, err = store.Authenticate(ctx, wrong)
		require.True(t, fault.Is(err, fault.Unauthenticated))
	}

	service, err := identity.NewToken()
	require.NoError(t, err)
	require.NoError(t, identity.File{Tokens: []identity.Entry{{SHA256: identity.HashToken(service), Service: "command"}}}.Save(path))
	fake.Advance(time.Minute)
	_, err = store.Authenticate(ctx, token)
	require.True(t, fault.Is(err, fault.Unauthenticated), "the token was taken out")
	got, err = store.Authenticate(ctx, service)
	require.NoError(t, err)
	require.True(t, got.IsService())

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	fake.Advance(time.Minute)
	_, err = store.Authenticate(ctx, service)
	require.NoError(t, err, "a broken file leaves the old tokens in force")
}

func TestOpen_says_what_is_wrong(t *testing.T) {
	t.Parallel()
	hash := identity.HashToken("x")
	for content, want := range map[string]string{
		`{`:                   "no valid JSON",
		`{"tokens":[],"x":1}`: "unknown field",
		`{"tokens":[{"sha256":"zz","service":"command"}]}`:                                                         "64 hex digits",
		`{"tokens":[{"sha256":"` + hash + `"}]}`:                                                                   "exactly one of service and subject",
		`{"tokens":[{"sha256":"` + hash + `","service":"x"}]}`:                                                     `service "x" is none of`,
		`{"tokens":[{"sha256":"` + hash + `","service":"command","tenants":{"a":["read"]}}]}`:                      "no tenants of its own",
		`{"tokens":[{"sha256":"` + hash + `","subject":"a"}]}`:                                                     "holds no tenant",
		`{"tokens":[{"sha256":"` + hash + `","subject":"a","tenants":{"a":["read"]}}]}`:                            `tenant "a" is no UUID`,
		`{"tokens":[{"sha256":"` + hash + `","subject":"a","tenants":{"` + tenantA.String() + `":["x"]}}]}`:        `permission "x"`,
		`{"tokens":[{"sha256":"` + hash + `","subject":"a","tenants":{"` + tenantA.String() + `":[]}}]}`:           "has no permissions",
		`{"tokens":[{"sha256":"` + hash + `","service":"command"},{"sha256":"` + hash + `","service":"command"}]}`: "twice",
	} {
		path := filepath.Join(t.TempDir(), "tokens.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := identity.Open(path, clock.System(), slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
	}
	_, err := identity.Open(filepath.Join(t.TempDir(), "none"), clock.System(), slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, os.ErrNotExist)
}
