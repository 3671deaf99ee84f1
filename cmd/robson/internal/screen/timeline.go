package screen

import (
	"io"
	"strconv"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// WriteTimeline prints events as a table a person reads from top to bottom: when, where, what, and because of what.
func WriteTimeline(w io.Writer, events []*eventv1.Event) {
	positions := make(map[string]int64, len(events))
	for _, e := range events {
		positions[e.GetEventId()] = e.GetPosition()
	}
	cells := make([][]string, len(events))
	for i, e := range events {
		cells[i] = timelineRow(e, positions)
	}
	writeCells(w, timelineColumns, cells)
}

// timelineColumns are the columns of a timeline.
var timelineColumns = []Column{
	Num("position", "POS"), Col("occurred_at", "OCCURRED (UTC)"), Col("stream", "STREAM"), Num("seq", "SEQ"),
	Col("event_type", "EVENT"), Col("summary", "WHAT"), Col("actor", "ACTOR"), Col("event_id", "EVENT ID"), Col("cause", "CAUSED BY"),
}

// timelineRow is an event as cells of a timeline. A cause on the same screen is named by its position.
func timelineRow(e *eventv1.Event, positions map[string]int64) []string {
	cause := ""
	if id := e.GetCausationId(); id != "" {
		cause = "…" + shortID(id)
		if p, here := positions[id]; here {
			cause = "#" + strconv.FormatInt(p, 10)
		}
	}
	return []string{
		strconv.FormatInt(e.GetPosition(), 10), timeText(e.GetOccurredAt()), shortStream(e.GetStreamKey()), strconv.FormatInt(e.GetSeq(), 10),
		e.GetEventType(), Summary(e), EnumText(eventv1.ActorType(0).Descriptor(), e.GetActorType().Number()), e.GetEventId(), cause,
	}
}
