package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
)

const (
	// exportStatementMax bounds one fetch; the first sorts the whole table.
	exportStatementMax = 2 * time.Minute
	// exportStallMax bounds how long a receiver may take for one fetch's rows: a snapshot that nobody reads must not
	// hold back the cleaning of the tables.
	exportStallMax = 30 * time.Second
	// exportRetryAfter is the delay that is advised where too many exports run.
	exportRetryAfter = time.Second
)

// ExportedRow is a raw row. Key is that of projection.Key, JSON the canonical rendering.
type ExportedRow struct {
	Table, Key string
	JSON       []byte
}

// ExportParams says what is wanted of an export.
type ExportParams struct {
	// Tables are the only ones wanted; empty: all.
	Tables []string
	// Least is the position up to which the export must hold at least.
	Least int64
}

// Export hands over, of one snapshot, first the head of the log and then every row of the projections, ordered by
// table and key, both by their bytes. It holds ExportFetch rows at a time. An error of header or row ends it.
func (s *Store) Export(ctx context.Context, tenant uuid.UUID, p ExportParams, header func(Head) error, row func(ExportedRow) error) error {
	wanted, err := chooseTables(p.Tables)
	if err != nil {
		return err
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return fault.New(fault.Exhausted, "TOO_MANY_EXPORTS", "%d exports run already", s.cfg.ExportsMax).WithRetryAfter(exportRetryAfter)
	}
	// Waiting comes before the transaction: a snapshot does not grow newer.
	if _, err := s.read(ctx, tenant, p.Least, nil); err != nil {
		return err
	}
	// Once: what the receiver has seen cannot be taken back.
	opts := postgres.TxOptions{Isolation: pgx.RepeatableRead, ReadOnly: true, TriesMax: 1}
	err = postgres.InTx(ctx, s.pool, opts, func(ctx context.Context, tx pgx.Tx) error {
		head, err := prepareExport(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if err := header(head); err != nil {
			return err
		}
		for _, t := range wanted {
			if err := s.exportTable(ctx, tx, tenant, t, row); err != nil {
				return fmt.Errorf("export %s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("export state of tenant %s: %w", tenant, err)
	}
	return nil
}

func prepareExport(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (Head, error) {
	var head Head
	batch := &pgx.Batch{}
	batch.Queue(tenantChoose, tenant.String())
	batch.Queue(exportTimeouts, milliseconds(exportStatementMax), milliseconds(exportStallMax))
	batch.Queue(headGet, tenant).QueryRow(head.scan)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Head{}, fmt.Errorf("read head: %w", postgres.Fault(err))
	}
	return head, nil
}

// exportTable reads a table through a cursor.
func (s *Store) exportTable(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, t *projection.Table, row func(ExportedRow) error) error {
	if _, err := tx.Exec(ctx, exportQuery(t), tenant); err != nil {
		return postgres.Fault(err)
	}
	fetch := "fetch forward " + strconv.Itoa(s.cfg.ExportFetch) + " from export"
	for {
		found, err := tx.Query(ctx, fetch, pgx.QueryExecModeDescribeExec)
		if err != nil {
			return postgres.Fault(err)
		}
		rows, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (projection.Row, error) { return rowsql.Scan(t, r) })
		if err != nil {
			return postgres.Fault(err)
		}
		for _, r := range rows {
			if err := row(ExportedRow{Table: t.Name, Key: r.Key().ID(), JSON: projection.RowJSON(r)}); err != nil {
				return err
			}
		}
		s.metrics.exported(ctx, len(rows))
		if len(rows) < s.cfg.ExportFetch {
			break
		}
	}
	_, err := tx.Exec(ctx, "close export")
	return postgres.Fault(err)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// chooseTables gives the tables that a caller names, each once, in order of their names.
func chooseTables(names []string) ([]*projection.Table, error) {
	if len(names) == 0 {
		return projection.Tables(), nil
	}
	for i, name := range names {
		if projection.TableNamed(name) == nil {
			return nil, fault.InvalidField(fmt.Sprintf("tables[%d]", i), "%q is no projection table", name)
		}
	}
	return slices.DeleteFunc(projection.Tables(), func(t *projection.Table) bool { return !slices.Contains(names, t.Name) }), nil
}
