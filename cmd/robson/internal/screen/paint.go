package screen

import (
	"io"
	"strings"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Ink is a colour of text, by what it means rather than by how it looks.
type Ink string

// The inks. Plain is no colour at all.
const (
	Plain   Ink = ""
	Good    Ink = "32"
	Bad     Ink = "31"
	Caution Ink = "33"
	Fact    Ink = "36"
	Faint   Ink = "2"
	Strong  Ink = "1"
)

// Paint writes text in an ink, where the output has colours.
func Paint(w io.Writer, ink Ink, text string) string {
	if ink == Plain || text == "" || !terminalOf(w).colors {
		return text
	}
	return "\x1b[" + string(ink) + "m" + text + "\x1b[0m"
}

// words are values of states and outcomes that stand out in a table.
var words = map[string]Ink{
	"active": Good, "filled": Good, "done": Good, "approved": Good, "enabled": Good, "accepted": Good,
	"entering": Caution, "exiting": Caution, "pending": Caution, "submitted": Caution, "acked": Caution, "partially_filled": Caution, "unknown": Caution,
	"error": Bad, "rejected": Bad, "failed": Bad, "critical": Bad, "expired": Bad, "warning": Caution,
	"closed": Faint, "canceled": Faint,
}

// inkOfWord is the ink of a cell's text by what it says.
func inkOfWord(text string) Ink { return words[strings.TrimSpace(text)] }

// EventInk is the ink of an event type: what the venue told, what went wrong, what halts, what ended well.
func EventInk(e *eventv1.Event) Ink {
	switch e.GetEventType() {
	case "RISK_CHECK_FAILED", "SIGNAL_REJECTED", "ORDER_REJECTED", "RISK_LIMIT_EXCEEDED", "DISCREPANCY_DETECTED", "EXCHANGE_REQUEST_FAILED":
		return Bad
	case "EXCHANGE_STATE_UNCERTAIN", "EXCHANGE_RATE_LIMITED", "EXCHANGE_DISCONNECTED", "EXIT_TRIGGERED", "POSITION_DISARMED", "SIGNAL_EXPIRED", "STRATEGY_DISABLED", "ORDER_EXPIRED":
		return Caution
	case "POSITION_OPENED", "POSITION_CLOSED", "RISK_CHECK_PASSED":
		return Good
	}
	if e.GetActorType() == eventv1.ActorType_ACTOR_TYPE_EXCHANGE {
		return Fact
	}
	return Plain
}
