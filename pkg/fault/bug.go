package fault

import (
	"fmt"
	"testing"
)

// Bug reports that the program itself is wrong: it panics in tests, so that nobody overlooks it, and is a Corrupt error in
// production, so that one wrong path does not take a process down. It is never used on stored data.
func Bug(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if testing.Testing() {
		panic("bug: " + text)
	}
	return New(Corrupt, "BUG", "bug: %s", text)
}
