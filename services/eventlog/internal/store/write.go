package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// write sends all that the appends come to and commits, in one round trip, and tells of it. Where nothing came of them
// there is nothing to commit.
func (b *batch) write(ctx context.Context, p *postgres.Pipeline) error {
	var events eventColumns
	var receipts receiptColumns
	var streams streamColumns
	var rows []projection.Row
	var committed []Committed
	var heads headColumns
	var counts progressColumns
	var dues dueColumns
	for _, t := range b.tenants {
		if t.busy {
			continue
		}
		out := &t.out
		if len(out.Records) == 0 {
			continue
		}
		for i := range out.Records {
			events.add(&out.Records[i])
		}
		for _, receipt := range out.Receipts {
			receipts.add(t.id, receipt)
		}
		streams.add(t.id, out.Streams)
		rows = append(rows, out.Rows...)
		dues.add(t.id, out.Head.IngestedAt, t.known.progress.advance(t.activity, t.schedule))
		counts.add(t.id, t.known.progress.settle(out.Head.Position))
		heads.add(t.id, out.Head, t.known.progress.counted)
		committed = append(committed, Committed{Tenant: t.id, Position: out.Head.Position, At: out.Head.IngestedAt, Records: out.Records})
	}
	if len(committed) == 0 {
		return nil
	}
	queue := &pgx.Batch{}
	eventsInsert.Queue(queue, events.arrays()...)
	receiptsInsert.Queue(queue, receipts.tenants, receipts.commands, receipts.positions, receipts.at, receipts.counts, receipts.raised, receipts.digests, receipts.entries)
	streamsUpsert.Queue(queue, streams.tenants, streams.keys, streams.seqs, streams.positions)
	rowsql.QueueUpserts(queue, rows, func(tenant uuid.UUID) int32 { return b.byID[tenant].out.Head.Epoch })
	headsUpsert.Queue(queue, heads.tenants, heads.positions, heads.events, heads.at, heads.hashes, heads.generations, heads.rules, heads.counted)
	counts.queue(queue)
	dues.queue(queue)
	if err := p.Commit(ctx, queue); err != nil {
		return err
	}
	b.store.metrics.committed(ctx, len(events.tenants))
	for _, c := range committed {
		b.store.cfg.OnCommit(c)
	}
	return nil
}

// headColumns are heads of logs, column by column.
type headColumns struct {
	tenants, events        []uuid.UUID
	positions, generations []int64
	at                     []time.Time
	hashes                 [][]byte
	rules                  []int32
	counted                []int64
}

func (c *headColumns) add(tenant uuid.UUID, h intake.Head, counted int64) {
	c.tenants, c.events = append(c.tenants, tenant), append(c.events, uuid.UUID(h.EventID))
	c.positions, c.generations = append(c.positions, h.Position), append(c.generations, h.Generation)
	c.at, c.hashes, c.rules = append(c.at, h.IngestedAt), append(c.hashes, h.Hash[:]), append(c.rules, h.RulesVersion)
	c.counted = append(c.counted, counted)
}

// eventColumns are new events, column by column.
type eventColumns struct {
	tenants, ids, traces, commands []uuid.UUID
	positions, seqs                []int64
	occurred, ingested             []time.Time
	causations, workflows          []uuid.NullUUID
	subjects                       [4][]uuid.NullUUID
	versions                       []int32
	streams, types                 []string
	actorTypes, actors             []string
	keys, prevHashes, hashes       [][]byte
	payloads                       []string
}

func (c *eventColumns) add(r *intake.Record) {
	c.tenants, c.ids = append(c.tenants, r.TenantID), append(c.ids, uuid.UUID(r.EventID))
	c.positions, c.seqs = append(c.positions, r.Position), append(c.seqs, r.Seq)
	c.occurred, c.ingested = append(c.occurred, r.OccurredAt), append(c.ingested, r.IngestedAt)
	c.traces, c.commands = append(c.traces, r.TraceID), append(c.commands, r.CommandID)
	c.causations = append(c.causations, uuid.NullUUID{UUID: uuid.UUID(r.CausationID), Valid: r.CausationID != ulid.ULID{}})
	c.workflows = append(c.workflows, optional(r.WorkflowID))
	for i, id := range []uuid.UUID{r.Subjects.AccountID, r.Subjects.StrategyID, r.Subjects.PositionID, r.Subjects.OrderID} {
		c.subjects[i] = append(c.subjects[i], optional(id))
	}
	c.versions = append(c.versions, r.SchemaVersion)
	c.streams, c.types = append(c.streams, r.StreamKey), append(c.types, string(r.Type))
	c.actorTypes, c.actors = append(c.actorTypes, event.EnumText(r.ActorType)), append(c.actors, r.ActorID)
	c.keys = append(c.keys, r.IdempotencyKey[:])
	c.prevHashes, c.hashes = append(c.prevHashes, r.PrevHash[:]), append(c.hashes, r.Hash[:])
	c.payloads = append(c.payloads, string(r.Payload))
}

// arrays are the columns in the order of the statement.
func (c *eventColumns) arrays() []any {
	return []any{
		c.tenants, c.ids, c.positions, c.seqs, c.occurred, c.ingested, c.traces, c.commands, c.causations, c.workflows,
		c.subjects[0], c.subjects[1], c.subjects[2], c.subjects[3], c.versions, c.streams, c.types, c.actorTypes, c.actors,
		c.keys, c.prevHashes, c.hashes, c.payloads,
	}
}

// optional is an id that may be absent.
func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }

// receiptColumns are new receipts, column by column.
type receiptColumns struct {
	tenants, commands []uuid.UUID
	positions         []int64
	at                []time.Time
	counts, raised    []int32
	digests, entries  [][]byte
}

func (c *receiptColumns) add(tenant uuid.UUID, r *intake.Receipt) {
	c.tenants, c.commands = append(c.tenants, tenant), append(c.commands, r.Command)
	c.positions, c.at = append(c.positions, r.FirstPosition), append(c.at, r.IngestedAt)
	c.counts, c.raised = append(c.counts, int32(len(r.Entries))), append(c.raised, int32(r.Raised))
	c.digests, c.entries = append(c.digests, r.Digest[:]), append(c.entries, intake.EncodeEntries(r.Entries))
}

// streamColumns are heads of streams, column by column, sorted, so that two writers never take rows crosswise.
type streamColumns struct {
	tenants         []uuid.UUID
	keys            []string
	seqs, positions []int64
}

func (c *streamColumns) add(tenant uuid.UUID, heads map[string]intake.StreamHead) {
	for _, key := range slices.Sorted(maps.Keys(heads)) {
		c.tenants, c.keys = append(c.tenants, tenant), append(c.keys, key)
		c.seqs, c.positions = append(c.seqs, heads[key].Seq), append(c.positions, heads[key].Position)
	}
}
