package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/robson/robson/pkg/fault"
)

// Exit codes, so that scripts can tell what happened without reading text.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitConflict    = 4
	exitUnavailable = 5
)

// usageError is a command line that says what cannot be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// usagef makes a usage error.
func usagef(format string, args ...any) error {
	return usageError{text: fmt.Sprintf(format, args...)}
}

// exitCode tells which code an error ends the program with.
func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), fault.Is(err, fault.Invalid):
		return exitUsage
	case fault.Is(err, fault.Refused):
		return exitRefused
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.Duplicate):
		return exitConflict
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Exhausted):
		return exitUnavailable
	default:
		return exitFailed
	}
}

// sortedKeys are a map's keys in order.
func sortedKeys(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
}

// lookupEnv reads a variable.
func lookupEnv(name string) (string, bool) { return os.LookupEnv(name) }
