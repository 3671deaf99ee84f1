package explain

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// book holds the events that were found, each once.
type book struct {
	byID map[string]*eventv1.Event
	asOf int64
	// notes say what the book lacks, each once.
	notes []string
}

func newBook() *book { return &book{byID: map[string]*eventv1.Event{}} }

// add puts events in.
func (b *book) add(events ...*eventv1.Event) {
	for _, e := range events {
		b.byID[e.GetEventId()] = e
	}
}

// note says what the book lacks.
func (b *book) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// ordered are the events by position.
func (b *book) ordered() Events {
	return Events(slices.SortedFunc(maps.Values(b.byID), func(x, y *eventv1.Event) int {
		return cmp.Compare(x.GetPosition(), y.GetPosition())
	}))
}

// query asks and puts in what is found; it gives how many.
func (b *book) query(ctx context.Context, r Reader, what string, filter *eventlogv1.EventFilter) (int, error) {
	found, err := r.Query(ctx, filter, eventlogv1.Direction_DIRECTION_FORWARDS, eventsMax)
	if err != nil {
		return 0, fmt.Errorf("find the events of %s: %w", what, err)
	}
	b.add(found.Events...)
	b.asOf = max(b.asOf, found.AsOf)
	if found.More {
		b.note("%s has more than %d events: those after position %d are not here", what, eventsMax, found.Events[len(found.Events)-1].GetPosition())
	}
	return len(found.Events), nil
}

// causes fetches what caused the events of the book, and what caused that, back to what began it.
func (b *book) causes(ctx context.Context, r Reader) error {
	fetched := 0
	wanted := b.ordered()
	for len(wanted) > 0 {
		event := wanted[0]
		wanted = wanted[1:]
		id := event.GetCausationId()
		if id == "" || b.byID[id] != nil {
			continue
		}
		if fetched == causesMax {
			b.note("more than %d causes lie outside; the rest is not here", causesMax)
			return nil
		}
		fetched++
		cause, err := r.Event(ctx, id)
		if fault.Is(err, fault.NotFound) {
			b.note("event %s, which caused the one at position %d, is not in the log", id, event.GetPosition())
			continue
		}
		if err != nil {
			return fmt.Errorf("find what caused the event at position %d: %w", event.GetPosition(), err)
		}
		b.add(cause)
		wanted = append(wanted, cause)
	}
	return nil
}

// payload is the typed payload of an event; nil when none is set.
func payload(e *eventv1.Event) protoreflect.Message {
	m := e.GetPayload().ProtoReflect()
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if f == nil {
		return nil
	}
	return m.Get(f).Message()
}

// field is a text field of an event's payload; empty where the payload has none such.
func field(e *eventv1.Event, name protoreflect.Name) string {
	m := payload(e)
	if m == nil {
		return ""
	}
	f := m.Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return ""
	}
	return m.Get(f).String()
}

// ordersOf are the orders that events name as theirs, oldest first.
func ordersOf(events Events) []string {
	var ids []string
	seen := map[string]bool{"": true}
	take := func(id string) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for _, e := range events {
		if kind, id, _ := strings.Cut(e.GetStreamKey(), ":"); kind == KindOrder {
			take(id)
		}
		for _, name := range []protoreflect.Name{"order_id", "entry_order_id", "stop_loss_order_id", "cancels_order_id"} {
			take(field(e, name))
		}
		for _, id := range e.GetPayload().GetPositionClosed().GetExitOrderIds() {
			take(id)
		}
	}
	return ids
}
