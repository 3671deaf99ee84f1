package history

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// row is one event as PostgreSQL sends it. Its parts lie in its batch's memory.
type row struct {
	position, seq, version int64
	// occurredAt and ingestedAt are microseconds since 1970.
	occurredAt, ingestedAt   int64
	eventID                  uuid.UUID
	stream, typeName, packet []byte
	seal                     seal
}

// seal is what else is hashed.
type seal struct {
	idempotencyKey, traceID, causationID, commandID, workflowID []byte
	actorType, actorID                                          []byte
	prevHash, hash                                              []byte
}

// batch is a stretch of events on its way from reading to folding, and is used again.
type batch struct {
	// memory holds the bytes of rows.
	memory []byte
	rows   []row
	events []projection.Event
	// decoded is how many events are good; err says what is wrong with the next.
	decoded int
	err     error
	// done tells that decoding is over.
	done chan struct{}
}

func newBatch(size int) *batch {
	return &batch{rows: make([]row, 0, size), events: make([]projection.Event, size), done: make(chan struct{}, 1)}
}

func (b *batch) reset() {
	b.memory, b.rows, b.decoded, b.err = b.memory[:0], b.rows[:0], 0, nil
	clear(b.events) // Payloads of a slow consumer's last batch need not outlive it.
}

// postgresEpoch is the year 2000 in microseconds since 1970: the zero of times as PostgreSQL sends them.
const postgresEpoch = 946_684_800_000_000

// add copies a row: values are only there until the next one.
func (b *batch) add(values [][]byte, sealed bool) {
	r := row{
		position: number(values[0]), seq: number(values[3]), version: number(values[5]),
		occurredAt: number(values[6]) + postgresEpoch, ingestedAt: number(values[7]) + postgresEpoch,
	}
	copy(r.eventID[:], values[1])
	r.stream, r.typeName, r.packet = b.keep(values[2]), b.keep(values[4]), b.keep(values[8])
	if sealed {
		s := &r.seal
		for i, part := range []*[]byte{
			&s.idempotencyKey, &s.traceID, &s.causationID, &s.commandID, &s.workflowID, &s.actorType, &s.actorID, &s.prevHash, &s.hash,
		} {
			*part = b.keep(values[9+i])
		}
	}
	b.rows = append(b.rows, r)
}

// keep copies bytes into the batch. Growing leaves what was kept before where it is, which the rows hold on to.
func (b *batch) keep(value []byte) []byte {
	if len(value) > cap(b.memory)-len(b.memory) {
		b.memory = make([]byte, 0, max(2*cap(b.memory), len(value), memoryMin))
	}
	start := len(b.memory)
	b.memory = append(b.memory, value...)
	return b.memory[start:len(b.memory):len(b.memory)]
}

// memoryMin is what a batch's memory begins with.
const memoryMin = 64 << 10

// number reads an integer of eight or four bytes; -1 for what is neither.
func number(value []byte) int64 {
	switch len(value) {
	case 8:
		return int64(binary.BigEndian.Uint64(value))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value)))
	default:
		return -1
	}
}

// decode makes events of the rows, up to the first that cannot be.
func (b *batch) decode(tenant uuid.UUID) {
	for i := range b.rows {
		r := &b.rows[i]
		t := event.Type(r.typeName)
		if descriptor, known := event.Lookup(t); known {
			t = descriptor.Type
		}
		payload, err := event.Decode(t, int32(r.version), r.packet)
		if err != nil {
			b.err = fmt.Errorf("position %d: %w", r.position, at(err, r.position))
			return
		}
		b.events[i] = projection.Event{
			TenantID: tenant, Position: r.position, EventID: r.eventID, StreamKey: string(r.stream), Seq: r.seq, Type: t,
			OccurredAt: time.UnixMicro(r.occurredAt).UTC(), IngestedAt: time.UnixMicro(r.ingestedAt).UTC(), Payload: payload,
		}
		b.decoded++
	}
}

// at adds the position to an error's details.
func at(err error, position int64) error {
	if known := fault.As(err); known != nil {
		return known.With("position", fmt.Sprint(position))
	}
	return err
}

// verify holds the rows against the chain, up to the first that does not continue it, which ends the batch there.
func (b *batch) verify(c *chain) {
	for i := range b.rows {
		if err := c.next(&b.rows[i]); err != nil {
			b.rows, b.err = b.rows[:i], err
			return
		}
	}
}

// chain follows the hash chain over rows as they come from the database.
type chain struct {
	tenant  uuid.UUID
	begun   bool
	hash    [32]byte
	eventID ulid.ULID
	at      int64
	buffer  []byte
}

// next takes the next row. The hash before the first row is the one that it names itself: of a log's first event it is
// zero.
func (c *chain) next(r *row) error {
	s := &r.seal
	fields := event.Fields[[]byte]{
		PrevHash: s.prevHash, TenantID: c.tenant[:], Position: r.position, EventID: r.eventID[:], StreamKey: r.stream, Seq: r.seq, Type: r.typeName,
		SchemaVersion: r.version, OccurredAt: r.occurredAt, IngestedAt: r.ingestedAt, IdempotencyKey: s.idempotencyKey, TraceID: s.traceID,
		CausationID: s.causationID, CommandID: s.commandID, WorkflowID: s.workflowID, ActorType: s.actorType, ActorID: s.actorID, Payload: r.packet,
	}
	var hash [32]byte
	hash, c.buffer = fields.Hash(c.buffer)
	broken := func(what string) error {
		return fault.New(fault.Corrupt, "CHAIN_BROKEN", "position %d: %s", r.position, what).With("position", fmt.Sprint(r.position))
	}
	continues := c.begun || r.position == 1 // A chain's first link is zero.
	switch id := ulid.ULID(r.eventID); {
	case continues && string(s.prevHash) != string(c.hash[:]):
		return broken("it does not carry the hash of the event before it")
	case string(s.hash) != string(hash[:]):
		return broken("its content is not what was hashed")
	case c.begun && id.Compare(c.eventID) <= 0:
		return broken("its event id does not follow the one before it")
	case c.begun && r.ingestedAt < c.at:
		return broken("it was taken in before the one before it")
	}
	c.begun, c.hash, c.eventID, c.at = true, hash, ulid.ULID(r.eventID), r.ingestedAt
	return nil
}
