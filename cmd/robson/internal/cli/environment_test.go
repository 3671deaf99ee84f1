package cli_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/client"
)

// TestEnvironment gives settings by variables; the line beats them. The environment is the process's, so nothing of it runs
// in parallel.
func TestEnvironment(t *testing.T) {
	s := start(t)
	profile, err := client.LoadProfile(s.dir)
	require.NoError(t, err)

	t.Setenv("ROBSON_DATA_DIR", s.dir)
	t.Setenv("ROBSON_OUTPUT", "json")
	code, out, errOut := run(t, "accounts", "list")
	require.Zero(t, code, errOut)
	require.Contains(t, out, `"accounts"`)
	code, out, _ = run(t, "accounts", "list", "--output", "table")
	require.Zero(t, code)
	require.Equal(t, "no accounts\n", out)

	t.Setenv("ROBSON_OUTPUT", "xml")
	code, _, errOut = run(t, "accounts", "list")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--output must be table or json")
	t.Setenv("ROBSON_OUTPUT", "")

	t.Setenv("ROBSON_LOG_JSON", "perhaps")
	code, _, errOut = run(t, "accounts", "list")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "ROBSON_LOG_JSON: ")
	t.Setenv("ROBSON_LOG_JSON", "")

	// A stack elsewhere, without any profile here.
	t.Setenv("ROBSON_DATA_DIR", t.TempDir())
	t.Setenv("ROBSON_TOKEN", "another's")
	t.Setenv("ROBSON_TENANT_ID", otherID)
	t.Setenv("ROBSON_PROJECTOR_ADDRESS", profile.Addresses["projector"])
	s.asked = nil
	code, _, errOut = run(t, "accounts", "list")
	require.Zero(t, code, errOut)
	require.Equal(t, []string{"Bearer another's"}, s.only().header.Get("authorization"))
	require.Equal(t, []string{otherID}, s.only().header.Get("x-robson-tenant-id"))

	t.Setenv("ROBSON_TENANT_ID", "x")
	code, _, errOut = run(t, "accounts", "list")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, `--tenant-id: "x" is no UUID`)
}

// TestEnvironment_holds_settings_only keeps what a command is about out of the environment's reach.
func TestEnvironment_holds_settings_only(t *testing.T) {
	t.Setenv("ROBSON_ACCOUNT_ID", accountID)
	t.Setenv("ROBSON_COMMAND_ID", otherID)
	s := start(t)
	code, _, errOut := s.run("panic", "--note", "x")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "needs --account-id")
	s.run("position", "close", positionID)
	require.NotEqual(t, []string{otherID}, s.only().header.Get("x-robson-command-id"))
}

// TestEnvironment_of_serve gives a service its settings as containers do.
func TestEnvironment_of_serve(t *testing.T) {
	t.Setenv("ROBSON_TOKEN_FILE", "/run/secrets/tokens")
	code, _, errOut := run(t, "serve", "eventlog")
	require.Equal(t, 2, code)
	require.Equal(t, "error: serve eventlog needs --database-url (or ROBSON_DATABASE_URL)\n", errOut)
	t.Setenv("ROBSON_SERVICE_TOKEN_FILE", "/nowhere")
	code, _, errOut = run(t, "serve", "command")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "--service-token-file: open /nowhere")

	// Tests are told by ROBSON_MARKET_DATA where the recorded files are; the demo is not.
	t.Setenv("ROBSON_MARKET_DATA", "/nowhere")
	t.Setenv("ROBSON_DATA_DIR", t.TempDir())
	code, _, errOut = run(t, "demo", "--attach")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "no token")
}

// TestEnvironment_keys_are_taken_out leaves no child a key to inherit, whatever comes of the command.
func TestEnvironment_keys_are_taken_out(t *testing.T) {
	t.Setenv("ROBSON_KEY_a_b", "text")
	code, _, errOut := run(t, "serve", "ledger")
	require.Equal(t, 2, code)
	require.NotContains(t, errOut, "text")
	_, there := os.LookupEnv("ROBSON_KEY_a_b")
	require.False(t, there)
}
