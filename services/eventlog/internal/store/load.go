package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// wants is what the appends of a batch must have loaded before they can go on.
type wants struct {
	// owners are the tenants of the rows that are wanted, each row once.
	owners  map[rowsql.Name]*tenantBatch
	found   map[rowsql.Name]projection.Row
	streams map[*tenantBatch][]string
	reports map[*tenantBatch][]*intake.MissingReport
}

func newWants() *wants {
	return &wants{
		owners: map[rowsql.Name]*tenantBatch{}, found: map[rowsql.Name]projection.Row{},
		streams: map[*tenantBatch][]string{}, reports: map[*tenantBatch][]*intake.MissingReport{},
	}
}

// row wants a projection row.
func (w *wants) row(t *tenantBatch, key projection.Key) {
	w.owners[rowsql.Name{Tenant: t.id, Key: key}] = t
}

// add wants what an append asked for.
func (w *wants) add(t *tenantBatch, wanted intake.Wanted) {
	for _, key := range wanted.Rows {
		w.row(t, key)
	}
	if wanted.Stream != "" {
		w.streams[t] = append(w.streams[t], wanted.Stream)
	}
	if wanted.Report != nil {
		w.reports[t] = append(w.reports[t], wanted.Report)
	}
}

func (w *wants) empty() bool { return len(w.owners)+len(w.streams)+len(w.reports) == 0 }

// names are the rows that are wanted, for people.
func (w *wants) names() []string {
	var names []string
	for name := range w.owners {
		names = append(names, name.Key.String())
	}
	return names
}

// load reads all that is wanted in one round trip.
func (w *wants) load(ctx context.Context, p *postgres.Pipeline) error {
	queue := &pgx.Batch{}
	w.queueRows(queue)
	for t, keys := range w.streams {
		for _, key := range keys {
			t.ledger.LoadStream(key, intake.StreamHead{})
			streamsGet.Queue(queue, []uuid.UUID{t.id}, []string{key}).Query(t.scanStream)
		}
	}
	for t, reports := range w.reports {
		for _, r := range reports {
			queue.Queue(reportGet, t.id, r.Position, r.IngestedAt).QueryRow(func(row pgx.Row) error { return t.scanReport(r.Position, row) })
		}
	}
	if err := p.Send(ctx, queue); err != nil {
		return fmt.Errorf("load what the rules ask for: %w", err)
	}
	w.loadRows()
	return nil
}

// queueRows asks for the rows.
func (w *wants) queueRows(queue *pgx.Batch) {
	rowsql.QueueLoad(queue, slices.Collect(maps.Keys(w.owners)), func(row projection.Row) { w.found[rowsql.NameOf(row)] = row })
}

// loadRows gives the ledgers what was found, and what was found not to exist.
func (w *wants) loadRows() {
	for name, t := range w.owners {
		if !t.busy {
			t.ledger.Rows.Load(name.Key, w.found[name])
		}
	}
}

func (t *tenantBatch) scanStream(rows pgx.Rows) error {
	var tenant uuid.UUID
	var key string
	var head intake.StreamHead
	_, err := pgx.ForEachRow(rows, []any{&tenant, &key, &head.Seq, &head.Position}, func() error {
		t.ledger.LoadStream(key, head)
		return nil
	})
	return wrap(err, "read heads of streams")
}

// scanReport reads a fact's first report; one whose month is not here has no message.
func (t *tenantBatch) scanReport(position int64, row pgx.Row) error {
	var eventID, traceID uuid.UUID
	var eventType, payload string
	var version int32
	err := row.Scan(&eventID, &traceID, &eventType, &version, &payload)
	if errors.Is(err, pgx.ErrNoRows) {
		t.ledger.LoadReport(position, &intake.FirstReport{})
		return nil
	}
	if err != nil {
		return fmt.Errorf("read first report: %w", err)
	}
	message, err := event.Decode(event.Type(eventType), version, []byte(payload))
	if err != nil {
		return fault.Wrap(err, fault.Corrupt, "PAYLOAD_UNREADABLE", "the event at position %d", position)
	}
	t.ledger.LoadReport(position, &intake.FirstReport{EventID: ulid.ULID(eventID), TraceID: traceID, Message: message})
	return nil
}
