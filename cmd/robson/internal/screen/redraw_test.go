package screen

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestRedraw_fits the window: what would wrap or scroll away is cut, colours not counted.
func TestRedraw_fits(t *testing.T) {
	t.Parallel()
	w := &window{width: 10, height: 4}
	r := NewRedraw(Look(w, false))
	r.Show(func(out io.Writer) {
		for i := range 5 {
			fmt.Fprintf(out, "%s\n", Paint(out, Bad, fmt.Sprintf("%d 3456789 123", i)))
		}
	})
	lines := strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n")
	require.Len(t, lines, 3)
	for _, line := range lines {
		require.LessOrEqual(t, len([]rune(withoutColors(line))), 9, "%q", line)
	}
	w.Reset()
	r.Show(func(out io.Writer) { fmt.Fprintln(out, "short") })
	require.Equal(t, "\x1b[3A\x1b[Jshort\n", w.String())
	w.Reset()
	r.Show(func(out io.Writer) { fmt.Fprintln(out, "again") })
	require.Equal(t, "\x1b[1A\x1b[Jagain\n", w.String())
	w.Reset()
	r.Forget()
	r.Show(func(out io.Writer) { fmt.Fprintln(out, "below") })
	require.Equal(t, "below\n", w.String())
}

// TestEventLine is one line, whatever the event says.
func TestEventLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	EventLine(&out, &eventv1.Event{Position: 7, EventType: "TENANT_CREATED", StreamKey: "tenant:0f8fad5b-d9cb-469f-a165-70867728950e"})
	require.Equal(t, "      7    TENANT_CREATED            tenant:0f8fad5b    \n", out.String())
	out.Reset()
	require.NoError(t, JSONLine(&out, &eventv1.Event{Position: 7}))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}
