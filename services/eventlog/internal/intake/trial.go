package intake

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// trial is one append being tried: nothing of it touches the ledger before merge.
type trial struct {
	ledger    *Ledger
	overlay   *projection.Overlay
	command   uuid.UUID
	digest    [32]byte
	position  int64
	eventID   ulid.ULID
	streams   map[string]int64
	records   []Record
	skewed    []bool
	anomalies []anomaly
	raised    int
}

// anomaly is what the fold of an event found.
type anomaly struct {
	projection.Anomaly
	cause ulid.ULID
}

// place is where in the log an event goes.
type place struct {
	position int64
	eventID  ulid.ULID
	seq      int64
	at       time.Time
}

func (l *Ledger) begin(command uuid.UUID, digest [32]byte) *trial {
	return &trial{
		ledger: l, overlay: projection.NewOverlay(l.overlay), command: command, digest: digest,
		position: l.head.Position, eventID: l.head.EventID, streams: map[string]int64{},
	}
}

// next gives the next place in the log and in a stream.
func (t *trial) next(stream string) (place, error) {
	head, loaded := t.ledger.streams[stream]
	if !loaded {
		return place{}, &MissingStream{Key: stream}
	}
	id, err := t.ledger.nextID(t.eventID)
	if err != nil {
		return place{}, fmt.Errorf("name event at position %d: %w", t.position+1, err)
	}
	seq, begun := t.streams[stream]
	if !begun {
		seq = head.Seq
	}
	t.position++
	t.eventID = id
	t.streams[stream] = seq + 1
	return place{position: t.position, eventID: id, seq: seq + 1, at: t.ledger.now}, nil
}

// projected is a requested event as the rules see it.
func (r *Request) projected(p *prepared, at place) projection.Event {
	return projection.Event{
		TenantID: r.Tenant, Position: at.position, EventID: uuid.UUID(at.eventID), StreamKey: p.stream, Seq: at.seq,
		Type: p.descriptor.Type, OccurredAt: p.occurredAt, IngestedAt: at.at, Payload: p.message,
	}
}

// add checks and folds a requested event.
func (t *trial) add(r *Request, i int) error {
	p := &r.events[i]
	at, err := t.next(p.stream)
	if err != nil {
		return err
	}
	ev := r.projected(p, at)
	if err := projection.Check(t.overlay, ev); err != nil {
		return atEvent(err, i, p)
	}
	causation := r.Causation
	if p.causedBy >= 0 {
		causation = t.records[p.causedBy].EventID
	}
	skew := p.occurredAt.Sub(at.at).Abs()
	t.skewed = append(t.skewed, skew > t.ledger.limits.ClockSkewMax)
	return t.fold(ev, Record{
		Record: event.Record{
			TenantID: r.Tenant, Position: at.position, EventID: at.eventID, StreamKey: p.stream, Seq: at.seq, Type: p.descriptor.Type,
			Payload: p.payload, SchemaVersion: p.descriptor.Version, OccurredAt: p.occurredAt, IngestedAt: at.at, IdempotencyKey: p.key,
			TraceID: r.Trace, CausationID: causation, CommandID: t.command, WorkflowID: r.Workflow, ActorType: p.actorType, ActorID: p.actorID,
		},
		Subjects: p.subjects, Message: p.message,
	})
}

// allWanted adds to the rows that an event asks for those that it and the later events of its append will ask for, as far
// as that shows already: an append then asks a few times, and not a few times for each of its events.
func (t *trial) allWanted(r *Request, i int, err error) error {
	keys, missing := missingKeys(err)
	if !missing {
		return err
	}
	for ; i < len(r.events); i++ {
		keys = append(keys, projection.Wants(t.overlay, r.projected(&r.events[i], place{position: t.position, seq: 1, at: t.ledger.now}))...)
	}
	slices.SortFunc(keys, projection.Key.Compare)
	return &projection.Missing{Keys: slices.Compact(keys)}
}

// fold takes an event into the state, and notes what in it does not fit.
func (t *trial) fold(ev projection.Event, record Record) error {
	found, err := projection.Fold(t.overlay, ev)
	if err != nil {
		return err
	}
	for _, a := range found {
		t.anomalies = append(t.anomalies, anomaly{Anomaly: a, cause: record.EventID})
	}
	t.records = append(t.records, record)
	return nil
}

// notice is an event of our own that is to follow the requested ones.
type notice struct {
	message *eventv1.DiscrepancyDetected
	account uuid.UUID
	cause   ulid.ULID
}

// raise appends a DISCREPANCY_DETECTED for each anomaly, caused by the event that has it, and for each event whose text
// had to be mended. They raise none themselves: a discrepancy fits any state.
func (t *trial) raise(r *Request) error {
	notices := make([]notice, 0, len(t.anomalies))
	for _, a := range t.anomalies {
		notices = append(notices, notice{message: a.Payload(uuid.UUID(a.cause)), account: a.AccountID, cause: a.cause})
	}
	for i := range r.events {
		if p := &r.events[i]; len(p.mended) > 0 {
			notices = append(notices, t.mended(p, &t.records[i]))
		}
	}
	return t.notify(notices, r.Trace, r.Workflow)
}

// notify appends our own events. What all of them will want is asked for at once.
func (t *trial) notify(notices []notice, trace, workflow uuid.UUID) error {
	var rows []projection.Key
	stream := ""
	for i := range notices {
		key := event.StreamKey{Kind: event.KindAccount, ID: notices[i].account}.String()
		if _, loaded := t.ledger.streams[key]; !loaded {
			stream = key
		}
		rows = append(rows, projection.Wants(t.overlay, projection.Event{
			TenantID: t.ledger.Tenant, StreamKey: key, Type: typeDiscrepancy, OccurredAt: t.ledger.now, IngestedAt: t.ledger.now, Payload: notices[i].message,
		})...)
	}
	slices.SortFunc(rows, projection.Key.Compare)
	switch rows = slices.Compact(rows); {
	case stream != "":
		return &MissingStream{Key: stream, Rows: rows}
	case len(rows) > 0:
		return &projection.Missing{Keys: rows}
	}
	for i := range notices {
		if err := t.note(&notices[i], trace, workflow); err != nil {
			return err
		}
	}
	return nil
}

// note appends one event of our own.
func (t *trial) note(n *notice, trace, workflow uuid.UUID) error {
	key := event.StreamKey{Kind: event.KindAccount, ID: n.account}
	descriptor, err := event.OfMessage(n.message)
	if err != nil {
		return fmt.Errorf("raise a discrepancy: %w", err)
	}
	payload, err := event.Canonical(n.message)
	if err != nil {
		return fmt.Errorf("raise a discrepancy: %w", err)
	}
	normalized, err := event.Normalize(n.message)
	if err != nil {
		return fmt.Errorf("raise a discrepancy: %w", err)
	}
	at, err := t.next(key.String())
	if err != nil {
		return err
	}
	record := Record{
		Record: event.Record{
			TenantID: t.ledger.Tenant, Position: at.position, EventID: at.eventID, StreamKey: key.String(), Seq: at.seq, Type: descriptor.Type,
			Payload: payload, SchemaVersion: descriptor.Version, OccurredAt: at.at, IngestedAt: at.at,
			IdempotencyKey: event.IdempotencyKey(t.ledger.Tenant, key.String(), t.command, normalized),
			TraceID:        trace, CausationID: n.cause, CommandID: t.command, WorkflowID: workflow, ActorType: actorSystem, ActorID: serviceEventlog,
		},
		Subjects: event.SubjectsOf(key, n.message), Message: n.message,
	}
	if _, err := projection.Fold(t.overlay, projection.EventOf(&record.Record, n.message)); err != nil {
		return err
	}
	t.records = append(t.records, record)
	t.skewed = append(t.skewed, false)
	t.raised++
	return nil
}

// merge makes the append part of the ledger: its events are chained, its receipt is known from here on.
func (t *trial) merge() *Receipt {
	l := t.ledger
	receipt := &Receipt{
		Command: t.command, Digest: t.digest, FirstPosition: t.records[0].Position, IngestedAt: l.now,
		Entries: make([]Entry, len(t.records)), Raised: t.raised,
	}
	for i := range t.records {
		record := &t.records[i]
		record.PrevHash = l.head.Hash
		record.Hash = event.HashOf(&record.Record)
		l.head.Hash = record.Hash
		l.streams[record.StreamKey] = StreamHead{Seq: record.Seq, Position: record.Position}
		l.moved[record.StreamKey] = true
		key, _ := event.ParseStreamKey(record.StreamKey)
		receipt.Entries[i] = Entry{EventID: record.EventID, Stream: key, Seq: record.Seq, Type: record.Type, Skewed: t.skewed[i]}
	}
	if !l.exists {
		l.exists, l.head.Generation, l.head.RulesVersion = true, 1, projection.RulesVersion
	}
	l.head.Position, l.head.EventID, l.head.IngestedAt = t.position, t.eventID, l.now
	l.records = append(l.records, t.records...)
	l.receipts = append(l.receipts, receipt)
	l.known[t.command] = receipt
	t.overlay.MergeInto(l.overlay)
	return receipt
}

// atEvent says which event of an append is refused.
func atEvent(err error, i int, p *prepared) error {
	if _, wanted := WantedBy(err); wanted {
		return err
	}
	e := fault.As(err)
	if e == nil {
		return fmt.Errorf("%s, %s: %w", p.path, p.descriptor.Type, err)
	}
	told := *e
	told.Metadata = maps.Clone(e.Metadata)
	told.Fields = make([]fault.Field, len(e.Fields))
	for j, f := range e.Fields {
		told.Fields[j] = fault.Field{Path: p.pathOf(f.Path), Description: f.Description}
	}
	told.Message = string(p.descriptor.Type) + ": " + e.Message
	return told.With("event_type", string(p.descriptor.Type)).With("event_index", strconv.Itoa(i))
}

// pathOf is where in the request a field stands that the rules name: a payload's, or that of the stream it is in.
func (p *prepared) pathOf(field string) string {
	if field == "stream_key" {
		return p.streamPath
	}
	return p.path + ".payload." + p.descriptor.FieldName() + "." + field
}

func missingKeys(err error) ([]projection.Key, bool) {
	var missing *projection.Missing
	if errors.As(err, &missing) {
		return missing.Keys, true
	}
	return nil, false
}

func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func number(n int64) string { return strconv.FormatInt(n, 10) }
