package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// typeWidth fits all but the longest names of events.
const typeWidth = 24

// EventLine writes an event in one line, for a log that is followed.
func EventLine(w io.Writer, e *eventv1.Event) {
	fmt.Fprintf(w, "%7d  %s  %s  %-17s  %s\n", e.GetPosition(), timeText(e.GetOccurredAt()),
		Paint(w, EventInk(e), fmt.Sprintf("%-*s", typeWidth, e.GetEventType())), ShortStream(e.GetStreamKey()), Summary(e))
}

// JSONLine writes a message as the contract's JSON in one line.
func JSONLine(w io.Writer, m proto.Message) error {
	data, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil { // the library varies its blanks
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", line.Bytes())
	return err
}
