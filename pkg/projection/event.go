package projection

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
)

// Event is one event of a tenant's log, as the rules need it.
type Event struct {
	TenantID uuid.UUID
	// Position is its number in the tenant's log. Check does not look at it, nor at EventID and IngestedAt.
	Position int64
	EventID  uuid.UUID
	// StreamKey is "<kind>:<uuid>", and Seq its number in that stream.
	StreamKey string
	Seq       int64
	// Type is the stored name, e.g. ORDER_SUBMITTED.
	Type event.Type
	// OccurredAt is business time; never used for order.
	OccurredAt time.Time
	IngestedAt time.Time
	// Payload is the typed payload, e.g. *eventv1.OrderSubmitted.
	Payload proto.Message
}

// EventOf is a stored event with its decoded payload.
func EventOf(record *event.Record, payload proto.Message) Event {
	return Event{
		TenantID: record.TenantID, Position: record.Position, EventID: uuid.UUID(record.EventID),
		StreamKey: record.StreamKey, Seq: record.Seq, Type: record.Type,
		OccurredAt: record.OccurredAt, IngestedAt: record.IngestedAt, Payload: payload,
	}
}

// Check tells whether an event of class DECISION may follow the state: nil, or an error of kind Refused when the state
// forbids it, of kind Invalid when its own values contradict each other or what they refer to. It never refuses an
// event of class FACT or RECORD, except for one whose stream and payload name different things, which is no report of
// anything. *Missing tells which rows it must know first.
func Check(view View, ev Event) error {
	r := &reader{view: view, ev: &ev}
	err := r.check()
	if r.err != nil || len(r.missing) > 0 {
		return r.failure(invalidPayload)
	}
	return err
}

// Fold changes the state by one event, and tells what in it does not fit the state. It changes everything or, when it
// returns an error, nothing. *Missing tells which rows it must know first; any other error means that the event
// cannot follow this state, so that whoever folds must stop: the log or the state is corrupt.
func Fold(state State, ev Event) ([]Anomaly, error) {
	c := begin(state, &ev)
	defer c.end()
	c.fold()
	if c.err != nil || len(c.missing) > 0 {
		return nil, c.failure(corruptEvent)
	}
	into, isKeyed := state.(keyed)
	for _, changed := range c.rows {
		if isKeyed {
			into.put(changed.key, changed.row)
		} else {
			state.Put(changed.row)
		}
	}
	return c.anomalies, nil
}

// Touches lists the rows that Check and Fold are known to need before any row has been read, for reading the rows of
// many events at once. They may ask for more, by *Missing.
func Touches(ev Event) []Key { return Wants(&Cache{}, ev) }

// Wants lists the rows that Check and Fold would ask for next, both at once, as far as that shows in what is loaded:
// without repeats, and empty when nothing is wanting. Nothing is changed.
func Wants(view View, ev Event) []Key {
	checking := &reader{view: view, ev: &ev}
	_ = checking.check() // Only what it asked for counts.
	folding := begin(view, &ev)
	defer folding.end()
	folding.fold()
	keys := append(checking.missing, folding.missing...)
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}
