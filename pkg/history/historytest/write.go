// Package historytest writes logs into a test's database past the append path, from what pkg/projection/projectiontest
// makes: the events with a right hash chain, the heads of the tenant and of the streams, and no projections.
package historytest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// columns of event_log, in the order of values.
var columns = []string{
	"tenant_id", "event_id", "position", "seq", "occurred_at", "ingested_at", "trace_id", "command_id", "causation_id", "workflow_id",
	"account_id", "strategy_id", "position_id", "order_id", "payload_schema_version", "stream_key", "event_type",
	"actor_type", "actor_id", "idempotency_key", "prev_hash", "hash", "payload",
}

// writeMax is how many events are written at a time.
const writeMax = 20_000

// Writer writes the events of one tenant, in order. It is not for several goroutines at once.
type Writer struct {
	pool *pgxpool.Pool
	last event.Record
	// months are those that are known to have a partition.
	months map[string]bool
}

// NewWriter makes a writer on a pool that acts as the superuser. Nothing is written yet.
func NewWriter(pool *pgxpool.Pool) *Writer { return &Writer{pool: pool, months: map[string]bool{}} }

// Write appends events, whose positions follow those that were written before.
func (w *Writer) Write(ctx context.Context, events []projection.Event) error {
	for len(events) > 0 {
		part := events[:min(writeMax, len(events))]
		if err := w.write(ctx, part); err != nil {
			return fmt.Errorf("write the events from position %d: %w", part[0].Position, err)
		}
		events = events[len(part):]
	}
	return nil
}

func (w *Writer) write(ctx context.Context, events []projection.Event) error {
	rows := make([][]any, len(events))
	heads := map[string]*projection.Event{}
	for i := range events {
		record, subjects, err := w.record(&events[i])
		if err != nil {
			return err
		}
		if err := w.ensureMonth(ctx, record.IngestedAt); err != nil {
			return err
		}
		rows[i] = values(record, subjects)
		heads[record.StreamKey] = &events[i]
		w.last = *record
	}
	return postgres.InTx(ctx, w.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"event_log"}, columns, pgx.CopyFromRows(rows)); err != nil {
			return fmt.Errorf("copy events: %w", err)
		}
		return w.heads(ctx, tx, heads)
	})
}

// record is what is stored of an event. Its hash continues the chain.
func (w *Writer) record(ev *projection.Event) (*event.Record, event.Subjects, error) {
	descriptor, err := event.OfMessage(ev.Payload)
	if err != nil {
		return nil, event.Subjects{}, fmt.Errorf("find type: %w", err)
	}
	payload, err := event.Canonical(ev.Payload)
	if err != nil {
		return nil, event.Subjects{}, fmt.Errorf("write payload: %w", err)
	}
	stream, err := event.ParseStreamKey(ev.StreamKey)
	if err != nil {
		return nil, event.Subjects{}, fmt.Errorf("read stream: %w", err)
	}
	command := uuid.NewSHA1(ev.TenantID, []byte(fmt.Sprint("command ", ev.Position)))
	r := &event.Record{
		TenantID: ev.TenantID, Position: ev.Position, EventID: eventID(ev.Position), StreamKey: ev.StreamKey, Seq: ev.Seq, Type: ev.Type,
		Payload: payload, SchemaVersion: descriptor.Version, OccurredAt: micros(ev.OccurredAt), IngestedAt: micros(ev.IngestedAt),
		TraceID: command, CommandID: command, ActorType: eventv1.ActorType_ACTOR_TYPE_SYSTEM, ActorID: "historytest", PrevHash: w.last.Hash,
	}
	r.IdempotencyKey = event.IdempotencyKey(r.TenantID, r.StreamKey, command, payload)
	r.Hash = event.HashOf(r)
	return r, event.SubjectsOf(stream, ev.Payload), nil
}

// eventID is the event id of a position: ids grow with positions.
func eventID(position int64) ulid.ULID {
	var id ulid.ULID
	_ = id.SetTime(uint64(position))
	return id
}

// Stored is an event as it comes back from the database: with the id that it was written under, and times as they are
// kept.
func Stored(ev projection.Event) projection.Event {
	ev.EventID, ev.OccurredAt, ev.IngestedAt = uuid.UUID(eventID(ev.Position)), micros(ev.OccurredAt), micros(ev.IngestedAt)
	return ev
}

func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// values is a row of event_log.
func values(r *event.Record, s event.Subjects) []any {
	return []any{
		r.TenantID, uuid.UUID(r.EventID), r.Position, r.Seq, r.OccurredAt, r.IngestedAt, r.TraceID, r.CommandID, nil, nil,
		optional(s.AccountID), optional(s.StrategyID), optional(s.PositionID), optional(s.OrderID), r.SchemaVersion, r.StreamKey, string(r.Type),
		event.EnumText(r.ActorType), r.ActorID, r.IdempotencyKey[:], r.PrevHash[:], r.Hash[:], r.Payload,
	}
}

func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

// heads makes the last event the log's head, and the last event of each stream the stream's.
func (w *Writer) heads(ctx context.Context, tx pgx.Tx, streams map[string]*projection.Event) error {
	batch := &pgx.Batch{}
	batch.Queue(`
insert into tenant_log (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
values ($1, $2, $3, $4, $5, 1, $6)
on conflict (tenant_id) do update set last_position = excluded.last_position, last_event_id = excluded.last_event_id,
    last_ingested_at = excluded.last_ingested_at, last_hash = excluded.last_hash`,
		w.last.TenantID, w.last.Position, uuid.UUID(w.last.EventID), w.last.IngestedAt, w.last.Hash[:], projection.RulesVersion)
	keys, seqs, positions := make([]string, 0, len(streams)), make([]int64, 0, len(streams)), make([]int64, 0, len(streams))
	for key, ev := range streams {
		keys, seqs, positions = append(keys, key), append(seqs, ev.Seq), append(positions, ev.Position)
	}
	batch.Queue(`
insert into stream_state (tenant_id, stream_key, last_seq, last_position)
select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[])
on conflict (tenant_id, stream_key) do update set last_seq = excluded.last_seq, last_position = excluded.last_position`,
		w.last.TenantID, keys, seqs, positions)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write heads: %w", err)
	}
	return nil
}

// ensureMonth makes the partition that a time goes to.
func (w *Writer) ensureMonth(ctx context.Context, at time.Time) error {
	month := at.Format("2006-01")
	if w.months[month] {
		return nil
	}
	if _, err := w.pool.Exec(ctx, "select create_month_partitions('event_log', $1, 0)", at); err != nil {
		return fmt.Errorf("make the partition of %s: %w", month, err)
	}
	w.months[month] = true
	return nil
}
