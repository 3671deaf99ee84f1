package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// wants is what the appends of a batch must have loaded before they can go on.
type wants struct {
	// owners are the tenants of the rows that are wanted, each row once.
	owners  map[tenantKey]*tenantBatch
	byTable map[string][]tenantKey
	found   map[tenantKey]projection.Row
	streams map[*tenantBatch][]string
	reports map[*tenantBatch][]*intake.MissingReport
}

func newWants() *wants {
	return &wants{
		owners: map[tenantKey]*tenantBatch{}, byTable: map[string][]tenantKey{}, found: map[tenantKey]projection.Row{},
		streams: map[*tenantBatch][]string{}, reports: map[*tenantBatch][]*intake.MissingReport{},
	}
}

// row wants a projection row.
func (w *wants) row(t *tenantBatch, key projection.Key) {
	name := tenantKey{t.id, key}
	if w.owners[name] != nil {
		return
	}
	w.owners[name] = t
	w.byTable[key.Table] = append(w.byTable[key.Table], name)
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
		names = append(names, name.key.String())
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
			streamsGet.queue(queue, []uuid.UUID{t.id}, []string{key}).Query(t.scanStream)
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

// queueRows asks for the rows, table by table.
func (w *wants) queueRows(queue *pgx.Batch) {
	for _, table := range projection.Tables() {
		names := w.byTable[table.Name]
		if len(names) == 0 {
			continue
		}
		rowStatements[table.Name].load.queue(queue, keyArrays(table, names)...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				row := table.NewRow()
				if err := rows.Scan(table.ScanTargets(row)...); err != nil {
					return fmt.Errorf("scan a row of %s: %w", table.Name, err)
				}
				w.found[tenantKey{row.Tenant(), row.Key()}] = row
			}
			return rows.Err()
		})
	}
}

// loadRows gives the ledgers what was found, and what was found not to exist.
func (w *wants) loadRows() {
	for name, t := range w.owners {
		if !t.busy {
			t.ledger.Rows.Load(name.key, w.found[name])
		}
	}
}

// keyArrays are the keys of rows as the load statement takes them: tenants, then each key column.
func keyArrays(table *projection.Table, names []tenantKey) []any {
	kinds := keyKinds(table)
	tenants := make([]uuid.UUID, len(names))
	texts := make([][]string, len(kinds))
	for i, name := range names {
		tenants[i] = name.tenant
		for column, part := range name.key.Parts() {
			texts[column] = append(texts[column], part)
		}
	}
	arrays := []any{tenants}
	for column, kind := range kinds {
		if kind == projection.KindUUID {
			arrays = append(arrays, uuids(texts[column]))
		} else {
			arrays = append(arrays, texts[column])
		}
	}
	return arrays
}

// uuids reads the texts of key columns, which projection.Key wrote.
func uuids(texts []string) []uuid.UUID {
	ids := make([]uuid.UUID, len(texts))
	for i, text := range texts {
		ids[i] = uuid.MustParse(text)
	}
	return ids
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
