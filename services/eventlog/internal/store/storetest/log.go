// Package storetest writes logs into a test's database past the append path: well-formed events with a right hash chain,
// the heads and receipts that go with them, and no projections.
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Role is the database role that the event log acts as.
const Role = "robson_eventlog"

// Log is a tenant's log, in the database and here. It is not for several goroutines at once.
type Log struct {
	Tenant uuid.UUID
	// Now is when the next command is taken in.
	Now time.Time
	// Records are the events, by position, and Subjects what each is about.
	Records  []event.Record
	Subjects []event.Subjects
	Receipts []*intake.Receipt

	pool *pgxpool.Pool
	seqs map[string]int64
	// months are those that are known to have a partition.
	months map[string]bool
}

// NewLog begins a tenant's log on a pool that acts as the superuser. Nothing is written yet.
func NewLog(pool *pgxpool.Pool, tenant uuid.UUID, now time.Time) *Log {
	return &Log{Tenant: tenant, Now: now, pool: pool, seqs: map[string]int64{}, months: map[string]bool{}}
}

// Command is what is appended at once.
type Command struct {
	// ID and Trace are made up where they are Nil; Workflow is then none.
	ID, Trace, Workflow uuid.UUID
	Digest              [32]byte
	// Causation is the cause of the events that name no earlier one of the command; zero: they are roots.
	Causation ulid.ULID
	Events    []Event
	// Raised is how many of the last events the fold raised.
	Raised int
}

// Event is one event to append.
type Event struct {
	Stream  event.StreamKey
	Payload proto.Message
	// CausedBy, unless 0, counts from 1 to an earlier event of the command that caused this one.
	CausedBy int
}

// Append appends a command at Now.
func (l *Log) Append(ctx context.Context, c Command) (*intake.Receipt, error) {
	receipt, err := l.take(c)
	if err != nil {
		return nil, err
	}
	return receipt, l.write(ctx, receipt)
}

// take makes the events of a command and its receipt, and writes nothing yet.
func (l *Log) take(c Command) (*intake.Receipt, error) {
	if c.ID == uuid.Nil {
		c.ID = uuid.New()
	}
	if c.Trace == uuid.Nil {
		c.Trace = uuid.New()
	}
	receipt := &intake.Receipt{
		Command: c.ID, Digest: c.Digest, FirstPosition: int64(len(l.Records)) + 1, IngestedAt: l.Now.UTC().Truncate(time.Microsecond), Raised: c.Raised,
	}
	for i := range c.Events {
		record, err := l.record(&c, i, receipt)
		if err != nil {
			return nil, err
		}
		l.Records = append(l.Records, record)
		l.Subjects = append(l.Subjects, event.SubjectsOf(c.Events[i].Stream, c.Events[i].Payload))
		receipt.Entries = append(receipt.Entries, intake.Entry{EventID: record.EventID, Stream: c.Events[i].Stream, Seq: record.Seq, Type: record.Type})
	}
	l.Receipts = append(l.Receipts, receipt)
	return receipt, nil
}

// record makes the next event.
func (l *Log) record(c *Command, i int, receipt *intake.Receipt) (event.Record, error) {
	e := &c.Events[i]
	descriptor, err := event.OfMessage(e.Payload)
	if err != nil {
		return event.Record{}, err
	}
	payload, err := event.Canonical(e.Payload)
	if err != nil {
		return event.Record{}, err
	}
	normalized, err := event.Normalize(e.Payload)
	if err != nil {
		return event.Record{}, err
	}
	var last event.Record
	if n := len(l.Records); n > 0 {
		last = l.Records[n-1]
	}
	id, err := event.NextID(last.EventID, receipt.IngestedAt, rand.Reader)
	if err != nil {
		return event.Record{}, err
	}
	key := e.Stream.String()
	l.seqs[key]++
	record := event.Record{
		TenantID: l.Tenant, Position: last.Position + 1, EventID: id, StreamKey: key, Seq: l.seqs[key], Type: descriptor.Type,
		Payload: payload, SchemaVersion: descriptor.Version, OccurredAt: receipt.IngestedAt.Add(-time.Millisecond), IngestedAt: receipt.IngestedAt,
		IdempotencyKey: event.IdempotencyKey(l.Tenant, key, c.ID, normalized), TraceID: c.Trace, CausationID: c.Causation,
		CommandID: c.ID, WorkflowID: c.Workflow, ActorType: eventv1.ActorType_ACTOR_TYPE_DAEMON, ActorID: "storetest", PrevHash: last.Hash,
	}
	if e.CausedBy > 0 {
		record.CausationID = receipt.Entries[e.CausedBy-1].EventID
	}
	record.Hash = event.HashOf(&record)
	return record, nil
}

var eventColumns = []string{
	"tenant_id", "event_id", "position", "seq", "occurred_at", "ingested_at", "trace_id", "command_id", "causation_id", "workflow_id",
	"account_id", "strategy_id", "position_id", "order_id", "payload_schema_version", "stream_key", "event_type", "actor_type", "actor_id",
	"idempotency_key", "prev_hash", "hash", "payload",
}

// write puts the events of the last receipts, and what goes with them, into the database.
func (l *Log) write(ctx context.Context, receipts ...*intake.Receipt) error {
	if len(receipts) == 0 {
		return nil
	}
	first := int(receipts[0].FirstPosition) - 1
	rows := make([][]any, 0, len(l.Records)-first)
	for i := first; i < len(l.Records); i++ {
		r, s := &l.Records[i], l.Subjects[i]
		if err := l.ensureMonth(ctx, r.IngestedAt); err != nil {
			return err
		}
		rows = append(rows, eventRow(r, s))
	}
	last := &l.Records[len(l.Records)-1]
	err := postgres.InTx(ctx, l.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"event_log"}, eventColumns, pgx.CopyFromRows(rows)); err != nil {
			return fmt.Errorf("copy events: %w", err)
		}
		if err := l.head(ctx, tx, last); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, receipt := range receipts {
			l.queue(batch, receipt)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("write the events from position %d: %w", first+1, err)
	}
	return nil
}

// queue writes a receipt and the heads of its streams.
func (l *Log) queue(batch *pgx.Batch, receipt *intake.Receipt) {
	batch.Queue(`
insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
values ($1, $2, $3, $4, $5, $6, $7, $8)`, l.Tenant, receipt.Command, receipt.FirstPosition, receipt.IngestedAt,
		len(receipt.Entries), receipt.Raised, receipt.Digest[:], intake.EncodeEntries(receipt.Entries))
	for i := range receipt.Entries {
		e := &receipt.Entries[i]
		batch.Queue(`
insert into stream_state (tenant_id, stream_key, last_seq, last_position) values ($1, $2, $3, $4)
on conflict (tenant_id, stream_key) do update set last_seq = excluded.last_seq, last_position = excluded.last_position`,
			l.Tenant, e.Stream.String(), e.Seq, receipt.FirstPosition+int64(i))
	}
}

// eventRow is a row of event_log, as eventColumns has its columns.
func eventRow(r *event.Record, s event.Subjects) []any {
	return []any{
		r.TenantID, uuid.UUID(r.EventID), r.Position, r.Seq, r.OccurredAt, r.IngestedAt, r.TraceID, r.CommandID, optional(uuid.UUID(r.CausationID)), optional(r.WorkflowID),
		optional(s.AccountID), optional(s.StrategyID), optional(s.PositionID), optional(s.OrderID), r.SchemaVersion, r.StreamKey, string(r.Type),
		event.EnumText(r.ActorType), r.ActorID, r.IdempotencyKey[:], r.PrevHash[:], r.Hash[:], r.Payload,
	}
}

// head makes an event the log's last.
func (l *Log) head(ctx context.Context, tx pgx.Tx, last *event.Record) error {
	_, err := tx.Exec(ctx, `
insert into tenant_log (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
values ($1, $2, $3, $4, $5, 1, $6)
on conflict (tenant_id) do update set last_position = excluded.last_position, last_event_id = excluded.last_event_id,
    last_ingested_at = excluded.last_ingested_at, last_hash = excluded.last_hash`,
		l.Tenant, last.Position, uuid.UUID(last.EventID), last.IngestedAt, last.Hash[:], projection.RulesVersion)
	if err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	return nil
}

// ensureMonth makes the partition that a time goes to.
func (l *Log) ensureMonth(ctx context.Context, at time.Time) error {
	month := at.Format("2006-01")
	if l.months[month] {
		return nil
	}
	if _, err := l.pool.Exec(ctx, "select create_month_partitions('event_log', $1, 0)", at); err != nil {
		return fmt.Errorf("make the partition of %s: %w", month, err)
	}
	l.months[month] = true
	return nil
}

func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

// Committed are the events after a position, as an append that made them tells of them.
func (l *Log) Committed(after int64) []intake.Record {
	var records []intake.Record
	for i := after; i < int64(len(l.Records)); i++ {
		records = append(records, intake.Record{Record: l.Records[i], Subjects: l.Subjects[i]})
	}
	return records
}
