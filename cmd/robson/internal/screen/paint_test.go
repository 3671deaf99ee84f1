package screen

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestPaint colours a terminal, and nothing else: neither a pipe, nor where nobody wants it.
func TestPaint(t *testing.T) {
	t.Parallel()
	w := &window{width: 80, height: 10}
	require.Equal(t, "\x1b[31mno\x1b[0m", Paint(Look(w, false), Bad, "no"))
	require.Equal(t, "no", Paint(Look(w, false), Plain, "no"))
	require.Empty(t, Paint(Look(w, false), Bad, ""))
	require.Equal(t, "no", Paint(Look(w, true), Bad, "no"))
	require.Equal(t, "no", Paint(Look(&bytes.Buffer{}, false), Bad, "no"))
	require.Equal(t, "no", Paint(&bytes.Buffer{}, Bad, "no"))
}

// TestLook_without_colors heeds NO_COLOR if it says anything. It sets the environment, so it does not run in parallel.
func TestLook_without_colors(t *testing.T) {
	w := &window{width: 80, height: 10}
	t.Setenv("NO_COLOR", "1")
	require.Equal(t, "no", Paint(Look(w, false), Bad, "no"))
	require.True(t, Look(w, false).Live(), "lines may be written over all the same")
	t.Setenv("NO_COLOR", "")
	require.Equal(t, "\x1b[31mno\x1b[0m", Paint(Look(w, false), Bad, "no"))
}

// TestTable_with_colors keeps its columns where they are without: an escape sequence takes no room.
func TestTable_with_colors(t *testing.T) {
	t.Parallel()
	w, plain := &window{width: 80, height: 10}, &bytes.Buffer{}
	table := NewTable(Text("STATE"), Decimal("PRICE"), Text("WHY"))
	table.Add("active", "1.5", "x")
	table.Add("armed", "12.25", "y")
	table.Write(Look(w, false))
	table.Write(plain)
	require.Equal(t, plain.String(), withoutColors(w.String()))
	require.Contains(t, w.String(), "\x1b[32mactive\x1b[0m")
}

func withoutColors(text string) string {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '\x1b' {
			for text[i] != 'm' {
				i++
			}
			continue
		}
		out = append(out, text[i])
	}
	return string(out)
}

func TestEventInk(t *testing.T) {
	t.Parallel()
	for ink, e := range map[Ink]*eventv1.Event{
		Bad:     {EventType: "RISK_CHECK_FAILED"},
		Caution: {EventType: "EXCHANGE_STATE_UNCERTAIN", ActorType: eventv1.ActorType_ACTOR_TYPE_DAEMON},
		Good:    {EventType: "POSITION_CLOSED"},
		Fact:    {EventType: "FILL_RECEIVED", ActorType: eventv1.ActorType_ACTOR_TYPE_EXCHANGE},
		Plain:   {EventType: "INTENT_CREATED", ActorType: eventv1.ActorType_ACTOR_TYPE_DAEMON},
	} {
		require.Equal(t, ink, EventInk(e), e.GetEventType())
	}
}
