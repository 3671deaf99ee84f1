package screen

import (
	"io"
	"strconv"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// timelineColumns are the columns of a timeline; the last is shown only with ids.
var timelineColumns = []Column{
	Num("position", "POS"), Col("occurred_at", "OCCURRED (UTC)"), Col("stream", "STREAM"), Num("seq", "SEQ"), Col("event_type", "EVENT"),
	Col("summary", "WHAT"), Col("actor", "ACTOR"), Col("cause", "CAUSE"), Col("event_id", "EVENT ID"),
}

// eventColumn is where a timeline tells the type.
const eventColumn = 4

// WriteTimeline prints events as a table a person reads from top to bottom: when, where, what, and because of what. A cause on
// the same screen is named by its position.
func WriteTimeline(w io.Writer, events []*eventv1.Event, withIDs bool) {
	columns := timelineColumns
	if !withIDs {
		columns = columns[:len(columns)-1]
	}
	positions := make(map[string]int64, len(events))
	for _, e := range events {
		positions[e.GetEventId()] = e.GetPosition()
	}
	cells := make([][]string, len(events))
	for i, e := range events {
		row := timelineRow(e, positions)
		row[eventColumn] = Paint(w, EventInk(e), row[eventColumn])
		cells[i] = row[:len(columns)]
	}
	writeCells(w, columns, cells)
}

// timelineRow is an event as cells of a timeline.
func timelineRow(e *eventv1.Event, positions map[string]int64) []string {
	cause := ""
	if id := e.GetCausationId(); id != "" {
		cause = "…" + shortID(id)
		if p, here := positions[id]; here {
			cause = "#" + strconv.FormatInt(p, 10)
		}
	}
	return []string{
		strconv.FormatInt(e.GetPosition(), 10), timeText(e.GetOccurredAt()), ShortStream(e.GetStreamKey()), strconv.FormatInt(e.GetSeq(), 10),
		e.GetEventType(), Summary(e), EnumText(eventv1.ActorType(0).Descriptor(), e.GetActorType().Number()), cause, e.GetEventId(),
	}
}
