package projection

import (
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// change is what one event does to the state, collected before any of it is done.
type change struct {
	reader
	below     View
	event     Event
	rows      []keyedRow
	anomalies []Anomaly
}

// changes are used again: one is made for every event.
var changes = sync.Pool{New: func() any { return &change{rows: make([]keyedRow, 0, rowsUsual)} }}

// rowsUsual is more rows than most events change.
const rowsUsual = 12

// begin begins the change that an event makes to what is below.
func begin(below View, ev *Event) *change {
	c, _ := changes.Get().(*change)
	c.below, c.event = below, *ev
	c.reader = reader{view: c, ev: &c.event}
	return c
}

// end forgets the change, whose rows are in the state by now, or nowhere.
func (c *change) end() {
	clear(c.rows)
	*c = change{rows: c.rows[:0]}
	changes.Put(c)
}

// Get implements View: a change reads its own writes.
func (c *change) Get(key Key) (Row, error) {
	for i := range c.rows {
		if c.rows[i].key == key {
			return c.rows[i].row, nil
		}
	}
	return c.below.Get(key)
}

// keyedRow is a row with its key, which takes time to make.
type keyedRow struct {
	key Key
	row Row
}

// put replaces or adds a row, and stamps it with the event.
func (c *change) put(row Row) {
	meta := row.meta()
	if meta.CreatedAt.IsZero() {
		meta.CreatedAt = micros(c.ev.IngestedAt)
	}
	meta.LastEventID, meta.LastPosition, meta.UpdatedAt = c.ev.EventID, c.ev.Position, micros(c.ev.IngestedAt)
	key := row.Key()
	for i := range c.rows {
		if c.rows[i].key == key {
			c.rows[i].row = row
			return
		}
	}
	c.rows = append(c.rows, keyedRow{key, row})
}

// clone copies a row for changing. Maps and slices within are shared: they are replaced, never changed. Nothing may point
// into a row, whose memory a Scratch uses again.
func clone[T any](row *T) *T {
	copied := spare[T]()
	*copied = *row
	return copied
}

// with is a map with one more entry.
func with[M ~map[string]V, V any](m M, key string, value V) M {
	changed := make(M, len(m)+1)
	maps.Copy(changed, m)
	changed[key] = value
	return changed
}

// without is a map less one entry.
func without[M ~map[string]V, V any](m M, key string) M {
	changed := maps.Clone(m)
	delete(changed, key)
	return changed
}

// appended is a list with one more item, apart from the list it came from.
func appended[T any](list []T, item T) []T { return append(slices.Clip(list), item) }

// some is an id that is there.
func some(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }

// someAmount is an amount that is there.
func someAmount(d decimal.Decimal) decimal.NullDecimal { return decimal.NewNullDecimal(d) }

// Anomaly is something in an event that does not fit the state it was folded into. The event counts all the same.
type Anomaly struct {
	Kind       eventv1.DiscrepancyKind
	AccountID  uuid.UUID
	Entity     string
	OrderID    uuid.NullUUID
	PositionID uuid.NullUUID
	Expected   map[string]string
	Actual     map[string]string
	Severity   eventv1.Severity
}

// Payload is the DISCREPANCY_DETECTED that tells of the anomaly. An event raises at most one anomaly of a kind, so
// that the id UUIDv5(event id, kind) is its own.
func (a Anomaly) Payload(eventID uuid.UUID) *eventv1.DiscrepancyDetected {
	payload := &eventv1.DiscrepancyDetected{
		DiscrepancyId: event.DiscrepancyID(ulid.ULID(eventID), enumText(discrepancyKinds, a.Kind)).String(),
		AccountId:     a.AccountID.String(),
		Kind:          a.Kind,
		Entity:        a.Entity,
		Expected:      a.Expected,
		Actual:        a.Actual,
		Severity:      a.Severity,
		Resolution:    eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
	}
	if a.OrderID.Valid {
		payload.OrderId = a.OrderID.UUID.String()
	}
	if a.PositionID.Valid {
		payload.PositionId = a.PositionID.UUID.String()
	}
	if a.Severity == eventv1.Severity_SEVERITY_INFO {
		payload.Resolution = eventv1.Resolution_RESOLUTION_OBSERVED
	}
	return payload
}

// flag adds an anomaly. A second one of its kind is told in the first.
func (c *change) flag(a Anomaly) {
	for i := range c.anomalies {
		known := &c.anomalies[i]
		if known.Kind == a.Kind {
			maps.Copy(known.Expected, a.Expected)
			maps.Copy(known.Actual, a.Actual)
			known.Severity = max(known.Severity, a.Severity)
			return
		}
	}
	c.anomalies = append(c.anomalies, a)
}
