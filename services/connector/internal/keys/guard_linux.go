package keys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Guard keeps the process's memory to itself from here on: no core dump is written of it, and no other process of the same user
// may trace it or read its memory and environment. Its children do not inherit the latter.
func Guard() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the process's memory to others: %w", err)
	}
	return nil
}
