package keys_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/robson/robson/services/connector/internal/keys"
)

// TestGuard runs in a process of its own: what it does cannot be taken back.
func TestGuard(t *testing.T) {
	t.Parallel()
	if os.Getenv("ROBSON_TEST_GUARD") == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuard$") // the test itself
		child.Env = append(os.Environ(), "ROBSON_TEST_GUARD=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	require.NoError(t, keys.Guard())
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_CORE, &limit))
	require.Zero(t, limit.Cur)
	require.Zero(t, limit.Max)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	require.Zero(t, dumpable)
}
