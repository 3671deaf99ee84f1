package store

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// envelopeBytes is about what an event takes in a message beside its payload.
const envelopeBytes = 640

// recordColumns are the columns of event_log that make a Record, in the order of recordRow's targets. The tenant is the
// one that was asked for.
const recordColumns = `e.event_id, e.position, e.stream_key, e.seq, e.event_type, e.payload, e.payload_schema_version,
    e.occurred_at, e.ingested_at, e.idempotency_key, e.trace_id, e.causation_id, e.command_id, e.workflow_id,
    e.actor_type, e.actor_id, e.prev_hash, e.hash`

// recordRow reads rows of recordColumns, each into the same record.
type recordRow struct {
	record  event.Record
	targets []any
}

func newRecordRow(tenant uuid.UUID) *recordRow {
	row := &recordRow{record: event.Record{TenantID: tenant}}
	r := &row.record
	row.targets = []any{
		(*idColumn)(&r.EventID), &r.Position, &r.StreamKey, &r.Seq, (*string)(&r.Type), &r.Payload, &r.SchemaVersion,
		&r.OccurredAt, &r.IngestedAt, (*hashColumn)(&r.IdempotencyKey), (*idColumn)(&r.TraceID), (*idColumn)(&r.CausationID),
		(*idColumn)(&r.CommandID), (*idColumn)(&r.WorkflowID), (*actorColumn)(&r.ActorType), &r.ActorID,
		(*hashColumn)(&r.PrevHash), (*hashColumn)(&r.Hash),
	}
	return row
}

// scan reads a row. The record shares nothing with the one before.
func (row *recordRow) scan(rows pgx.CollectableRow) error {
	if err := rows.Scan(row.targets...); err != nil {
		return err //nolint:wrapcheck // The read adds the context.
	}
	row.record.OccurredAt, row.record.IngestedAt = row.record.OccurredAt.UTC(), row.record.IngestedAt.UTC()
	return nil
}

// idColumn is a uuid, or a ULID's bytes; zero for null.
type idColumn [16]byte

// ScanUUID implements pgtype.UUIDScanner.
func (c *idColumn) ScanUUID(v pgtype.UUID) error {
	*c = v.Bytes
	return nil
}

// hashColumn is a bytea of 32 bytes.
type hashColumn [32]byte

// ScanBytes implements pgtype.BytesScanner.
func (c *hashColumn) ScanBytes(v []byte) error {
	if len(v) != len(c) {
		return fault.New(fault.Corrupt, "HASH_UNREADABLE", "a stored hash has %d bytes", len(v))
	}
	copy(c[:], v)
	return nil
}

// actorColumn is an actor's type as it is stored.
type actorColumn eventv1.ActorType

// ScanBytes implements pgtype.BytesScanner.
func (c *actorColumn) ScanBytes(v []byte) error {
	*c = actorColumn(event.EnumNumber(eventv1.ActorType(0).Descriptor(), string(v)))
	if *c == 0 {
		return fault.New(fault.Corrupt, "ACTOR_UNKNOWN", "%q acts in the log and is not known to this version of Robson", v)
	}
	return nil
}

// records are the events of a page. What comes once the page is full is read and forgotten: the results of a snapshot are
// read to their end.
type records struct {
	tenant   uuid.UUID
	sizeMax  int
	bytesMax int

	events []event.Record
	bytes  int
	// cut: there was more.
	cut bool
}

func (s *Store) newRecords(tenant uuid.UUID, sizeMax int) *records {
	return &records{tenant: tenant, sizeMax: sizeMax, bytesMax: s.cfg.Reads.PageBytesMax}
}

// collect reads the rows of a query for recordColumns.
func (r *records) collect(rows pgx.Rows) error {
	row := newRecordRow(r.tenant)
	for rows.Next() {
		if r.cut {
			continue
		}
		if err := row.scan(rows); err != nil {
			return err
		}
		size := len(row.record.Payload) + envelopeBytes
		if len(r.events) == r.sizeMax || len(r.events) > 0 && r.bytes+size > r.bytesMax {
			r.cut = true
			continue
		}
		r.events = append(r.events, row.record)
		r.bytes += size
	}
	return rows.Err() //nolint:wrapcheck // The read adds the context.
}

// wholeMicros is the first whole microsecond at or after a time: the database keeps no finer ones, so that a bound between
// two of them is the later one.
func wholeMicros(t time.Time) time.Time {
	if cut := t.Truncate(time.Microsecond); !cut.Equal(t) {
		return cut.Add(time.Microsecond)
	}
	return t
}
