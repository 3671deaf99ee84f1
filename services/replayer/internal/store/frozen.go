package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// frozenTx is a transaction that sees the database as it was at its beginning. Nothing in it is worth running twice.
var frozenTx = postgres.TxOptions{Isolation: pgx.RepeatableRead, ReadOnly: true, TriesMax: 1}

// frozen is a tenant's log and tables as they were at one moment, seen through three connections: one follows the events, one
// answers what the fold asks for, one compares.
type frozen struct {
	rows
	store  *Store
	head   replay.Head
	events pgx.Tx
	// comparing is the connection of Settle.
	comparing rows
}

// Frozen runs fn on a tenant as it is now. What appends do meanwhile is not seen.
func (s *Store) Frozen(ctx context.Context, tenant uuid.UUID, fn func(context.Context, replay.Frozen) error) error {
	return s.frozen(ctx, tenant, func(ctx context.Context, snapshot string, f *frozen) error {
		return s.join(ctx, tenant, snapshot, func(ctx context.Context, loading pgx.Tx) error {
			return s.join(ctx, tenant, snapshot, func(ctx context.Context, comparing pgx.Tx) error {
				f.rows.tx, f.comparing.tx = loading, comparing
				return fn(ctx, f)
			})
		})
	})
}

// Glance runs fn on a tenant as it is now, by one connection: events, rows and comparisons come one after the other.
func (s *Store) Glance(ctx context.Context, tenant uuid.UUID, fn func(context.Context, replay.Frozen) error) error {
	return s.frozen(ctx, tenant, func(ctx context.Context, _ string, f *frozen) error { return fn(ctx, f) })
}

// frozen begins the first transaction.
func (s *Store) frozen(ctx context.Context, tenant uuid.UUID, fn func(context.Context, string, *frozen) error) error {
	return postgres.InTx(ctx, s.pool, frozenTx, func(ctx context.Context, tx pgx.Tx) error {
		var snapshot string
		var head replay.Head
		batch := &pgx.Batch{}
		s.queueSettings(batch, tenant)
		batch.Queue(snapshotExport).QueryRow(func(row pgx.Row) error { return row.Scan(&snapshot) })
		batch.Queue(headGet, tenant).QueryRow(func(row pgx.Row) error { return scanHead(row, &head) })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return headMissing(err, tenant)
		}
		of := rows{tx: tx, tenant: tenant, epoch: head.Epoch, most: s.cfg.CompareMax}
		return fn(ctx, snapshot, &frozen{rows: of, store: s, head: head, events: tx, comparing: of})
	})
}

// join begins a transaction that sees what another one sees.
func (s *Store) join(ctx context.Context, tenant uuid.UUID, snapshot string, fn func(context.Context, pgx.Tx) error) error {
	return postgres.InTx(ctx, s.pool, frozenTx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(snapshotImport, snapshot)); err != nil {
			return fmt.Errorf("join snapshot: %w", err)
		}
		batch := &pgx.Batch{}
		s.queueSettings(batch, tenant)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("choose tenant: %w", err)
		}
		return fn(ctx, tx)
	})
}

// queueSettings names the tenant, and lets a transaction that holds no lock wait for the fold.
func (s *Store) queueSettings(batch *pgx.Batch, tenant uuid.UUID) {
	batch.Queue(frozenSettings, tenant.String(), fmt.Sprint(s.cfg.StatementMax.Milliseconds()))
}

// headMissing says that a tenant has no log, where that is why nothing was found.
func headMissing(err error, tenant uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "TENANT_NOT_FOUND", "tenant %s has no log", tenant).With("tenant_id", tenant.String())
	}
	return fmt.Errorf("read head: %w", err)
}

func scanHead(row pgx.Row, head *replay.Head) error {
	var eventID uuid.UUID
	err := row.Scan(&head.Position, &eventID, &head.IngestedAt, &head.Generation, &head.RulesVersion, &head.Epoch)
	head.EventID, head.IngestedAt = ulid.ULID(eventID), head.IngestedAt.UTC()
	return err //nolint:wrapcheck // The batch adds the context.
}

// Head implements replay.Frozen.
func (f *frozen) Head() replay.Head { return f.head }

// Events implements replay.Frozen.
func (f *frozen) Events(ctx context.Context, span replay.Span, each func(*projection.Event) error) error {
	return f.store.eventsOf(ctx, f.events, f.tenant, span, each)
}

// eventsOf reads events by a transaction.
func (s *Store) eventsOf(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, span replay.Span, each func(*projection.Event) error) error {
	if span.To <= span.After {
		return nil
	}
	_, err := s.reader.Each(ctx, tx, history.Scope{Tenant: tenant, Account: span.Account, Streams: span.Streams, From: span.After + 1, To: span.To}, each)
	return err
}

// Settle implements replay.Home: it takes rows that are as the table has them.
func (f *frozen) Settle(ctx context.Context, fresh, rows []projection.Row) ([]projection.Row, error) {
	return f.comparing.different(ctx, append(fresh, rows...)) // The live fold has made both.
}

// rows are a tenant's rows of one epoch, through one transaction.
type rows struct {
	tx     pgx.Tx
	tenant uuid.UUID
	epoch  int32
	// most is how many rows one statement is about.
	most int
}

// find calls found with the number, from 0, and the columns of each of a table's keys that there is a row for.
func (r *rows) find(ctx context.Context, t *tableSQL, keys []projection.Key, found func(number int, columns [][]byte) error) error {
	for start := 0; start < len(keys); start += r.most {
		chunk := keys[start:min(start+r.most, len(keys))]
		args := append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}, r.tenant, r.epoch}, t.keyArrays(chunk)...)
		result, err := r.tx.Query(ctx, t.find, args...)
		if err != nil {
			return fmt.Errorf("find rows of %s: %w", t.table.Name, err)
		}
		for result.Next() {
			values := result.RawValues()
			number := int(binary.BigEndian.Uint64(values[0])) - 1 + start
			if err := found(number, values[1:]); err != nil {
				result.Close()
				return err
			}
		}
		result.Close()
		if err := result.Err(); err != nil {
			return fmt.Errorf("find rows of %s: %w", t.table.Name, err)
		}
	}
	return nil
}

// Events implements replay.Database.
func (s *Store) Events(ctx context.Context, tenant uuid.UUID, span replay.Span, each func(*projection.Event) error) error {
	return postgres.InTx(ctx, s.pool, frozenTx, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		s.queueSettings(batch, tenant)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("choose tenant: %w", err)
		}
		return s.eventsOf(ctx, tx, tenant, span, each)
	})
}

// different are those of rows that the table has otherwise, or not at all.
func (r *rows) different(ctx context.Context, folded []projection.Row) ([]projection.Row, error) {
	sorted := map[string][]projection.Row{}
	for _, row := range folded {
		name := row.Key().Table
		sorted[name] = append(sorted[name], row)
	}
	var kept []projection.Row
	for _, t := range projection.Tables() {
		of := sorted[t.Name]
		if len(of) == 0 {
			continue
		}
		keys := make([]projection.Key, len(of))
		for i, row := range of {
			keys[i] = row.Key()
		}
		equal := make([]bool, len(of))
		var buf []byte
		err := r.find(ctx, tables[t.Name], keys, func(number int, columns [][]byte) error {
			var err error
			equal[number], buf, err = r.same(t, of[number], columns, buf)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, row := range of {
			if !equal[i] {
				kept = append(kept, row)
			}
		}
	}
	return kept, nil
}

// same says whether a row is what is stored: by its bytes, and where these differ by what they stand for.
func (r *rows) same(t *projection.Table, row projection.Row, columns [][]byte, buf []byte) (equal bool, used []byte, err error) {
	buf, err = appendRow(buf[:0], t, row)
	if err != nil {
		return false, buf, err
	}
	rest := buf
	for _, column := range columns {
		size := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if size == null {
			if column != nil {
				return false, buf, nil
			}
			continue
		}
		if column == nil || !bytes.Equal(rest[:size], column) {
			stored, err := r.scan(t, columns)
			if err != nil {
				return false, buf, err
			}
			return bytes.Equal(projection.RowJSON(row), projection.RowJSON(stored)), buf, nil
		}
		rest = rest[size:]
	}
	return true, buf, nil
}

// scan reads a row from its columns in the binary format.
func (r *rows) scan(t *projection.Table, columns [][]byte) (projection.Row, error) {
	row := t.NewRow()
	types := r.tx.Conn().TypeMap()
	for i, target := range t.ScanTargets(row) {
		if err := types.Scan(oids[t.Columns[i].Kind], pgx.BinaryFormatCode, columns[i], target); err != nil {
			return nil, fault.Wrap(err, fault.Corrupt, "ROW_UNREADABLE", "column %s of %s", t.Columns[i].Name, t.Name)
		}
	}
	return row, nil
}

// Load implements replay.Home.
func (r *rows) Load(ctx context.Context, keys []projection.Key) (map[projection.Key]projection.Row, error) {
	loaded := make(map[projection.Key]projection.Row, len(keys))
	for name, of := range byTable(keys) {
		t := tables[name]
		err := r.find(ctx, t, of, func(number int, columns [][]byte) error {
			row, err := r.scan(t.table, columns)
			if err != nil {
				return fmt.Errorf("row %s: %w", of[number], err)
			}
			loaded[of[number]] = row
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return loaded, nil
}

// Scope implements replay.Frozen.
func (r *rows) Scope(ctx context.Context, scope projection.Scope) ([]projection.Row, error) {
	var cut projection.Cut
	batch := &pgx.Batch{}
	rowsql.QueueScope(batch, r.tenant, scope, &cut)
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read the rows of %s: %w", scope, err)
	}
	return cut.Own, nil
}

// xidsMax is how many transactions ago a horizon may be. A row carries 32 bits of its transaction's number: of one that is less than
// half of them ago it shows whether it was before another or after.
const xidsMax = 1<<31 - 1<<24

// Since implements replay.Frozen.
func (r *rows) Since(ctx context.Context, scope projection.Scope, horizon replay.Horizon, most int) (replay.Recent, bool, error) {
	var now, cluster int64
	failed := func(err error) error {
		return fmt.Errorf("read the rows of %s since transaction %d: %w", scope, horizon.XID, err)
	}
	if err := r.tx.QueryRow(ctx, clusterGet).Scan(&now, &cluster); err != nil {
		return replay.Recent{}, false, failed(err)
	}
	if horizon.Cluster == 0 || horizon.Cluster != cluster || horizon.XID > now || now-horizon.XID > xidsMax {
		return replay.Recent{}, false, nil
	}
	recent, written := replay.Recent{Older: map[string]int64{}}, int64(0)
	batch := &pgx.Batch{}
	rowsql.QueueCountBefore(batch, r.tenant, scope, horizon.XID, recent.Older, &written)
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return replay.Recent{}, false, failed(err)
	}
	if written > int64(most) {
		return replay.Recent{}, false, nil
	}
	batch = &pgx.Batch{}
	rowsql.QueueSince(batch, r.tenant, scope, horizon.XID, &recent.Rows)
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return replay.Recent{}, false, failed(err)
	}
	return recent, true, nil
}

// Counts implements replay.Frozen.
func (r *rows) Counts(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	batch := &pgx.Batch{}
	for name, t := range tables {
		batch.Queue(t.count, r.tenant, r.epoch).QueryRow(func(row pgx.Row) error {
			var count int64
			err := row.Scan(&count)
			counts[name] = count
			return err //nolint:wrapcheck // The batch adds the context.
		})
	}
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	return counts, nil
}

// Keys implements replay.Frozen.
func (r *rows) Keys(ctx context.Context, table string, each func(projection.Key) error) error {
	t := tables[table]
	result, err := r.tx.Query(ctx, t.keys, r.tenant, r.epoch)
	if err != nil {
		return fmt.Errorf("list keys of %s: %w", table, err)
	}
	defer result.Close()
	for result.Next() {
		row := t.table.NewRow()
		targets := t.table.ScanTargets(row)
		keys := make([]any, 0, len(t.table.Key))
		for _, name := range t.table.Key {
			at := slices.IndexFunc(t.table.Columns, func(c projection.Column) bool { return c.Name == name })
			keys = append(keys, targets[at])
		}
		if len(keys) == 0 {
			keys = append(keys, new(bool))
		}
		if err := result.Scan(keys...); err != nil {
			return fmt.Errorf("read a key of %s: %w", table, err)
		}
		if err := each(row.Key()); err != nil {
			return err
		}
	}
	if err := result.Err(); err != nil {
		return fmt.Errorf("list keys of %s: %w", table, err)
	}
	return nil
}

// Digest implements replay.Frozen.
func (r *rows) Digest(ctx context.Context) (replay.Digest, error) {
	digest := replay.Digest{}
	batch := &pgx.Batch{}
	for name, t := range tables {
		batch.Queue(t.digest, r.tenant, r.epoch).QueryRow(func(row pgx.Row) error {
			var d replay.TableDigest
			err := row.Scan(&d.Rows, &d.Sum)
			digest[name] = d
			return err //nolint:wrapcheck // The batch adds the context.
		})
	}
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("digest rows: %w", err)
	}
	return digest, nil
}

// DigestOf implements replay.Frozen.
func (r *rows) DigestOf(ctx context.Context, of []projection.Row) (replay.Digest, error) {
	texts := map[string][]byte{}
	for _, row := range of {
		name, separator := row.Key().Table, byte(',')
		if texts[name] == nil {
			separator = '['
		}
		texts[name] = append(append(texts[name], separator), projection.RowJSON(row)...)
	}
	digest := replay.Digest{}
	batch := &pgx.Batch{}
	for name, text := range texts {
		batch.Queue(tables[name].digestOf, string(append(text, ']'))).QueryRow(func(row pgx.Row) error {
			var d replay.TableDigest
			err := row.Scan(&d.Rows, &d.Sum)
			digest[name] = d
			return err //nolint:wrapcheck // The batch adds the context.
		})
	}
	if err := r.tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("digest rows: %w", err)
	}
	return digest, nil
}
