package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/robson/robson/cmd/robson/internal/client"
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
	exitBroken      = 6
)

// refusedError is a command that the risk gates refused: an outcome, recorded, and printed already.
type refusedError struct{ gates []string }

func (e refusedError) Error() string {
	return "refused by the risk gates: " + strings.Join(e.gates, ", ")
}

// exitCode tells which code an error ends the program with.
func exitCode(err error) int {
	var usage usageError
	var refused refusedError
	var broken brokenError
	var differs differsError
	var open openError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.Is(err, client.ErrNoToken), fault.Is(err, fault.Invalid):
		return exitUsage
	case errors.As(err, &refused), fault.Is(err, fault.Refused):
		return exitRefused
	case errors.As(err, &broken), errors.As(err, &differs), errors.As(err, &open):
		return exitBroken
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.Duplicate):
		return exitConflict
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Exhausted), fault.Is(err, fault.Stale):
		return exitUnavailable
	default:
		return exitFailed
	}
}

// printError says what went wrong in one line, or one for each wrong field, and beneath it what a program would branch on.
func (a *App) printError(err error) {
	e := fault.As(err)
	if e == nil {
		fmt.Fprintf(a.err, "error: %s\n", err)
		return
	}
	if len(e.Fields) > 0 {
		for _, f := range e.Fields {
			fmt.Fprintf(a.err, "error: %s: %s\n", a.typedName(f.Path), f.Description)
		}
	} else {
		fmt.Fprintf(a.err, "error: %s\n", err)
	}
	if e.Kind != fault.Invalid && e.Reason != "" {
		fmt.Fprintf(a.err, "  reason: %s\n", e.Reason)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
		fmt.Fprintf(a.err, "  %s: %s\n", key, e.Metadata[key])
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(a.err, "  try again in %s\n", e.RetryAfter)
	}
}

// typedName is a field of a request as the running command's line names it.
func (a *App) typedName(path string) string {
	if name, known := a.typed[path]; known {
		return name
	}
	// An element of a list is told by the list's flag: states[0] is --state.
	if list, _, indexed := strings.Cut(path, "["); indexed {
		if name, known := a.typed[list]; known {
			return name
		}
	}
	// A pair of a map is told by the map's flag and the key: detector_config.fast is --detector-config fast.
	if pairs, key, inside := strings.Cut(path, "."); inside {
		if name, known := a.typed[pairs]; known {
			return name + " " + key
		}
	}
	return path
}
