package intake

import (
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Mode is what an append expects of a stream.
type Mode int

// The modes.
const (
	// Any is whatever the stream holds.
	Any Mode = iota
	// NoStream is a stream without events.
	NoStream
	// Exists is a stream with at least one.
	Exists
	// Exact is a stream whose last seq is given.
	Exact
)

// Expected is what an append expects of a stream before its first event.
type Expected struct {
	Mode Mode
	// Seq is for Exact.
	Seq int64
}

// Draft is an append as its sender put it.
type Draft struct {
	Tenant  uuid.UUID
	Command uuid.UUID
	// Digest is of the request that caused the append; for a fact, of its VALUE fields.
	Digest    [32]byte
	Streams   []DraftStream
	Reads     []Read
	DecidedAt int64
	Trace     uuid.UUID
	// Causation is the causing event; zero: none.
	Causation ulid.ULID
	// Workflow is Nil for none.
	Workflow uuid.UUID
	Caller   Caller
}

// DraftStream is the events for one stream.
type DraftStream struct {
	Key      string
	Expected Expected
	Events   []DraftEvent
}

// DraftEvent is one event.
type DraftEvent struct {
	Payload    *eventv1.Payload
	OccurredAt time.Time
	// CausedBy is the index of an earlier event of the append; negative: the append's causation holds.
	CausedBy int
}

// Read is a row that a decision rests on.
type Read struct {
	Kind projection.ReadKind
	ID   uuid.UUID
}

// Request is an append that may be tried: well-formed, allowed to its caller, in its stored form.
type Request struct {
	Tenant    uuid.UUID
	Command   uuid.UUID
	Digest    [32]byte
	Trace     uuid.UUID
	Causation ulid.ULID
	Workflow  uuid.UUID
	DecidedAt int64

	streams []stream
	events  []prepared
	reads   []projection.Key
	// fact: it is one report of what happened at the venue.
	fact bool
	// creates: its first event makes the tenant's log.
	creates bool
	touches []projection.Key
}

// stream is a stream that a request writes to.
type stream struct {
	key      string
	expected Expected
}

// prepared is an event in its stored form, without its place in the log.
type prepared struct {
	descriptor *event.Descriptor
	message    proto.Message
	payload    []byte
	key        [32]byte
	stream     string
	// path is where in the request it stands, streamPath where its stream is named.
	path       string
	streamPath string
	// mended are the texts that the venue sent and that could not be stored as they were, by field.
	mended     map[string]string
	subjects   event.Subjects
	occurredAt time.Time
	causedBy   int
	actorType  eventv1.ActorType
	actorID    string
}

// EventCount is how many events it asks for.
func (r *Request) EventCount() int { return len(r.events) }

// StreamKeys are the streams that it writes to.
func (r *Request) StreamKeys() []string {
	keys := make([]string, len(r.streams))
	for i := range r.streams {
		keys[i] = r.streams[i].key
	}
	return keys
}

// CommandIDs are the commands whose receipts must be known: its own, and for a fact that under which a contradiction
// would be recorded.
func (r *Request) CommandIDs() []uuid.UUID {
	if r.fact {
		return []uuid.UUID{r.Command, event.DiscrepancyCommandID(r.Command, r.Digest)}
	}
	return []uuid.UUID{r.Command}
}

// Touches are the rows that it is known to need, with repeats.
func (r *Request) Touches() []projection.Key { return r.touches }
