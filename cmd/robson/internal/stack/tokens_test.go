package stack

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/testkit"
)

func TestLoadOrMint_once(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadOrMint(dir)
	require.NoError(t, err)
	require.Len(t, first.services, len(identity.Services))
	again, err := loadOrMint(dir)
	require.NoError(t, err)
	require.Equal(t, first.services, again.services)
	require.Equal(t, first.owner, again.owner)
	require.Equal(t, first.tenantID, again.tenantID)

	store, err := identity.Open(first.tokenFile, clock.System(), testkit.Logger(t))
	require.NoError(t, err)
	owner, err := store.Authenticate(t.Context(), first.owner)
	require.NoError(t, err)
	require.Len(t, owner.Grants[uuid.MustParse(first.tenantID)], len(allPermissions))
	for name, token := range first.services {
		service, err := store.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, name, service.Service)
	}
}

// TestLoadOrMint_is_nobody_elses closes every file that holds or names a secret to all but its owner.
func TestLoadOrMint_is_nobody_elses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := loadOrMint(dir)
	require.NoError(t, err)
	for path, mode := range map[string]fs.FileMode{
		client.ProfilePath(dir): 0o600, c.tokenFile: 0o600, filepath.Join(dir, tokenDirectory): 0o700, tokenPath(dir, "command"): 0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	data, err := os.ReadFile(c.tokenFile)
	require.NoError(t, err)
	for _, token := range append([]string{c.owner}, c.services["command"]) {
		require.NotContains(t, string(data), token, "the token file holds hashes")
	}
}

// TestLoadOrMint_makes_what_is_missing leaves the rest, the tenant above all, as it is.
func TestLoadOrMint_makes_what_is_missing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadOrMint(dir)
	require.NoError(t, err)

	// A person adds a reader.
	var file identity.File
	data, err := os.ReadFile(first.tokenFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &file))
	reader := identity.Entry{SHA256: identity.HashToken("reader's"), Subject: "reader", Tenants: map[string][]string{first.tenantID: {"read"}}}
	file.Tokens = append(file.Tokens, reader)
	require.NoError(t, file.Save(first.tokenFile))

	require.NoError(t, os.Remove(client.ProfilePath(dir)))
	require.NoError(t, os.Remove(tokenPath(dir, "command")))
	second, err := loadOrMint(dir)
	require.NoError(t, err)
	require.Equal(t, first.tenantID, second.tenantID, "the log is the tenant's: it must not be lost with the profile")
	require.NotEqual(t, first.owner, second.owner, "only its hash was left")
	require.NotEqual(t, first.services["command"], second.services["command"])
	require.Equal(t, first.services["eventlog"], second.services["eventlog"])
	store, err := identity.Open(second.tokenFile, clock.System(), testkit.Logger(t))
	require.NoError(t, err)
	_, err = store.Authenticate(t.Context(), "reader's")
	require.NoError(t, err)
	_, err = store.Authenticate(t.Context(), first.owner)
	require.Error(t, err)

	require.NoError(t, os.Remove(second.tokenFile))
	third, err := loadOrMint(dir)
	require.NoError(t, err)
	require.Equal(t, second.owner, third.owner)
	require.FileExists(t, third.tokenFile)
}

func TestLoadOrMint_says_what_is_broken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"client.json", tokenFileName} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
		_, err := loadOrMint(dir)
		require.ErrorContains(t, err, path)
	}
}
