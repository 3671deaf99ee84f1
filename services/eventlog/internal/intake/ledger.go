package intake

import (
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// retryAfter is the delay that is advised where waiting helps.
const retryAfter = 200 * time.Millisecond

// Head is how far a tenant's log goes.
type Head struct {
	Position     int64
	EventID      ulid.ULID
	IngestedAt   time.Time
	Hash         [32]byte
	Generation   int64
	RulesVersion int32
	// Epoch is that of the projections' rows that is live.
	Epoch int32
}

// StreamHead is how far a stream goes.
type StreamHead struct {
	Seq      int64
	Position int64
}

// FirstReport is the stored first report of a fact.
type FirstReport struct {
	EventID ulid.ULID
	TraceID uuid.UUID
	// Message is its payload; nil if its month cannot be reached.
	Message proto.Message
}

// Ledger is what is known of one tenant's log under its lock, and what a transaction adds to it. It is not for several
// goroutines at once.
type Ledger struct {
	// Tenant is whose log it is.
	Tenant uuid.UUID
	// Rows are the projection rows that were loaded.
	Rows projection.Cache

	limits  Limits
	entropy io.Reader
	// fresh is the id of the first event, drawn once: an append that is tried again gets the same ids, or the rows that
	// are named after them would never be those that were loaded.
	fresh  ulid.ULID
	exists bool
	head   Head
	// now is the time of taking in: the database's clock, never behind the log's last event.
	now     time.Time
	ahead   time.Duration
	streams map[string]StreamHead
	known   map[uuid.UUID]*Receipt
	reports map[int64]*FirstReport

	overlay  *projection.Overlay
	records  []Record
	receipts []*Receipt
	moved    map[string]bool
}

// Record is a new event of the log: its stored form, and what the row needs beside it.
type Record struct {
	event.Record
	Subjects event.Subjects
	Message  proto.Message
}

// Opening is what is read under the lock.
type Opening struct {
	// Head is nil if the tenant has no log.
	Head *Head
	// Clock is the database's.
	Clock time.Time
	// Streams are the heads that were looked up; the zero head is that of a stream that does not exist.
	Streams map[string]StreamHead
	// Receipts are those of the commands that were asked for and are in the log.
	Receipts map[uuid.UUID]*Receipt
}

// NewLedger begins a transaction's work on a tenant's log.
func NewLedger(tenant uuid.UUID, o Opening, limits Limits, entropy io.Reader) *Ledger {
	l := &Ledger{
		Tenant: tenant, limits: limits, entropy: entropy, now: microseconds(o.Clock),
		streams: o.Streams, known: o.Receipts, reports: map[int64]*FirstReport{}, moved: map[string]bool{},
	}
	if l.streams == nil {
		l.streams = map[string]StreamHead{}
	}
	if l.known == nil {
		l.known = map[uuid.UUID]*Receipt{}
	}
	if o.Head != nil {
		l.exists, l.head = true, *o.Head
		l.ahead = l.head.IngestedAt.Sub(l.now)
		if l.ahead > 0 {
			l.now = l.head.IngestedAt
		}
	}
	l.overlay = projection.NewOverlay(&l.Rows)
	return l
}

// nextID is the event id after another.
func (l *Ledger) nextID(last ulid.ULID) (ulid.ULID, error) {
	if l.fresh.Compare(last) > 0 {
		return l.fresh, nil
	}
	id, err := event.NextID(last, l.now, l.entropy)
	if err != nil {
		return ulid.ULID{}, err
	}
	if l.fresh == (ulid.ULID{}) {
		l.fresh = id
	}
	return id, nil
}

// LoadStream adds the head of a stream; zero for one that does not exist.
func (l *Ledger) LoadStream(key string, head StreamHead) { l.streams[key] = head }

// LoadReport adds the first report of a fact.
func (l *Ledger) LoadReport(position int64, report *FirstReport) { l.reports[position] = report }

// Outcome is what a transaction has to write for a tenant; nothing if Records is empty.
type Outcome struct {
	Head Head
	// Created: the head is a new row.
	Created  bool
	Records  []Record
	Receipts []*Receipt
	// Streams are the heads of the streams that were written to.
	Streams map[string]StreamHead
	// Rows are the projection rows that changed, by table, then key.
	Rows []projection.Row
}

// Outcome gives what is to be written.
func (l *Ledger) Outcome() Outcome {
	o := Outcome{Head: l.head, Records: l.records, Receipts: l.receipts, Streams: make(map[string]StreamHead, len(l.moved)), Rows: l.overlay.Rows()}
	for key := range l.moved {
		o.Streams[key] = l.streams[key]
	}
	o.Created = len(l.records) > 0 && l.records[0].Position == 1
	return o
}

// Append takes one append in: its receipt, or an error after which nothing has changed. What WantedBy recognises is no
// failure: it tells what must be loaded before it is asked again.
func (l *Ledger) Append(r *Request) (Answer, error) {
	answer, t, err := l.try(r)
	if err != nil || t == nil {
		return answer, err
	}
	receipt := t.merge()
	if !answer.Duplicate {
		answer.Receipt = receipt
	}
	return answer, nil
}

// Probe tells, as WantedBy reads it, what must be loaded before an append can be tried, as far as that shows in the log as
// it is, and changes nothing. It finds out for all appends of a batch at once what each will want.
func (l *Ledger) Probe(r *Request) error {
	_, _, err := l.try(r)
	return err
}

// try does all of an append but to make it part of the ledger. There is no trial for what is in the log already.
func (l *Ledger) try(r *Request) (Answer, *trial, error) {
	if receipt := l.known[r.Command]; receipt != nil {
		return l.again(r, receipt)
	}
	if err := l.ready(r); err != nil {
		return Answer{}, nil, err
	}
	if err := l.expectations(r); err != nil {
		return Answer{}, nil, err
	}
	t := l.begin(r.Command, r.Digest)
	for i := range r.events {
		if err := t.add(r, i); err != nil {
			return Answer{}, nil, t.allWanted(r, i, err)
		}
	}
	if err := t.raise(r); err != nil {
		return Answer{}, nil, err
	}
	return Answer{}, t, nil
}

// ready refuses what cannot be appended to this log now.
func (l *Ledger) ready(r *Request) error {
	if !l.exists {
		if r.creates {
			return nil
		}
		return fault.New(fault.NotFound, "TENANT_NOT_FOUND", "tenant %s has no log; TENANT_CREATED begins it", l.Tenant).With("tenant_id", l.Tenant.String())
	}
	if l.head.RulesVersion != projection.RulesVersion {
		return fault.New(fault.Unavailable, "RULES_VERSION", "the state of tenant %s was folded by rules %d, this replica has rules %d; it must be rebuilt",
			l.Tenant, l.head.RulesVersion, projection.RulesVersion).WithRetryAfter(retryAfter)
	}
	if l.ahead > l.limits.ClockAheadMax {
		return fault.New(fault.Unavailable, "LOG_AHEAD_OF_CLOCK", "the last event of tenant %s is %s ahead of the database's clock", l.Tenant, l.ahead).
			WithRetryAfter(retryAfter)
	}
	return nil
}

// expectations holds the append's expectations and reads against the log as it is, earlier appends of the batch included.
func (l *Ledger) expectations(r *Request) error {
	for i := range r.streams {
		if err := l.expect(&r.streams[i]); err != nil {
			return err
		}
	}
	if r.DecidedAt > l.head.Position {
		return fault.InvalidField("decided_at", "must be a position of the log, which ends at %d, and is %d", l.head.Position, r.DecidedAt)
	}
	var missing []projection.Key
	for _, key := range r.reads {
		position, changed, err := projection.ChangedSince(l.overlay, key, r.DecidedAt)
		if keys, isMissing := missingKeys(err); isMissing {
			missing = append(missing, keys...)
			continue
		}
		if err != nil {
			return err
		}
		if changed {
			return fault.New(fault.Conflict, "READ_CHANGED", "%s was changed at position %d, after position %d at which the decision read it", key, position, r.DecidedAt).
				With("row", key.Table).With("id", key.ID()).With("expected", number(r.DecidedAt)).With("found", number(position))
		}
	}
	if len(missing) > 0 {
		return &projection.Missing{Keys: missing}
	}
	return nil
}

// expect holds one stream's expectation.
func (l *Ledger) expect(s *stream) error {
	head, loaded := l.streams[s.key]
	if !loaded {
		return &MissingStream{Key: s.key}
	}
	found := head.Seq
	var holds bool
	var wanted string
	switch s.expected.Mode {
	case Any:
		return nil
	case NoStream:
		holds, wanted = found == 0, "0"
	case Exists:
		holds, wanted = found > 0, "at least 1"
	case Exact:
		holds, wanted = found == s.expected.Seq, number(s.expected.Seq)
	}
	if holds {
		return nil
	}
	return fault.New(fault.Conflict, "STREAM_VERSION", "stream %s has seq %d, expected was %s", s.key, found, wanted).
		With("stream_key", s.key).With("expected", wanted).With("found", number(found))
}
