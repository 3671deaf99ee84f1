package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// aside writes the rows of an epoch that is being built, in a transaction that ends with a checkpoint. Rows that it has taken can
// be read back at once.
type aside struct {
	mu   sync.Mutex // the connection is one, and rows are settled beside the fold
	rows rows
	// staged are the tables whose temporary one is there; nil: rows are few, and written without.
	staged map[string]bool
}

// Build runs fn in the transaction of a build's next stretch, and then moves the run's checkpoint to the position that fn gives.
// All is committed, or nothing.
func (s *Store) Build(ctx context.Context, run replay.Claim, epoch int32, fn func(context.Context, replay.Home) (replay.Checkpoint, error)) error {
	return postgres.InTx(ctx, s.pool, postgres.TxOptions{TriesMax: 1}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		// A checkpoint that is lost by a crash of the server is lost with its rows: nothing waits for the disk.
		batch.Queue(buildSettings, run.Tenant.String(), fmt.Sprint(s.cfg.StatementMax.Milliseconds()))
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("choose tenant: %w", err)
		}
		to := s.newAside(tx, run.Tenant, epoch)
		to.staged = map[string]bool{}
		checkpoint, err := fn(ctx, to)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, runCheckpoint, run.Tenant, run.Run, run.Fence, checkpoint.Position, checkpoint.Total)
		if err != nil {
			return fmt.Errorf("save checkpoint: %w", err)
		}
		return taken(tag.RowsAffected(), run)
	})
}

func (s *Store) newAside(tx pgx.Tx, tenant uuid.UUID, epoch int32) *aside {
	return &aside{rows: rows{tx: tx, tenant: tenant, epoch: epoch, most: s.cfg.CompareMax}}
}

// Load implements replay.Home.
func (a *aside) Load(ctx context.Context, keys []projection.Key) (map[projection.Key]projection.Row, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rows.Load(ctx, keys)
}

// Settle implements replay.Home: it writes all rows. Those that are fresh are inserted without a look for others of their keys, which
// is a third of the work.
func (a *aside) Settle(ctx context.Context, fresh, again []projection.Row) ([]projection.Row, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.staged == nil {
		return nil, a.upsert(ctx, append(fresh, again...))
	}
	inserted, upserted := rowsByTable(fresh), rowsByTable(again)
	for _, t := range projection.Tables() {
		of := tables[t.Name]
		if err := a.write(ctx, of, of.insert, inserted[t.Name]); err != nil {
			return nil, err
		}
		if err := a.write(ctx, of, of.take, upserted[t.Name]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func rowsByTable(rows []projection.Row) map[string][]projection.Row {
	sorted := map[string][]projection.Row{}
	for _, row := range rows {
		name := row.Key().Table
		sorted[name] = append(sorted[name], row)
	}
	return sorted
}

// upsert writes a few rows.
func (a *aside) upsert(ctx context.Context, folded []projection.Row) error {
	slices.SortFunc(folded, func(a, b projection.Row) int { return a.Key().Compare(b.Key()) })
	batch := &pgx.Batch{}
	rowsql.QueueUpserts(batch, folded, func(uuid.UUID) int32 { return a.rows.epoch })
	if err := a.rows.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// copyHeader and copyTrailer are around the rows of a COPY in the binary format.
var (
	copyHeader  = append([]byte("PGCOPY\n\xff\r\n\x00"), 0, 0, 0, 0, 0, 0, 0, 0)
	copyTrailer = []byte{0xff, 0xff}
)

// write copies rows to the temporary table, and takes them from there by a statement.
func (a *aside) write(ctx context.Context, t *tableSQL, take string, folded []projection.Row) error {
	if len(folded) == 0 {
		return nil
	}
	failed := func(err error) error { return fmt.Errorf("write rows of %s: %w", t.table.Name, err) }
	if !a.staged[t.table.Name] {
		if _, err := a.rows.tx.Exec(ctx, t.stage, pgx.QueryExecModeSimpleProtocol); err != nil {
			return failed(err)
		}
		a.staged[t.table.Name] = true
	}
	buf := append(make([]byte, 0, len(folded)*copyRowSize), copyHeader...)
	for _, row := range folded {
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(t.table.Columns)))
		var err error
		if buf, err = appendRow(buf, t.table, row); err != nil {
			return failed(err)
		}
	}
	buf = append(buf, copyTrailer...)
	if _, err := a.rows.tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(buf), t.copy); err != nil {
		return failed(err)
	}
	if _, err := a.rows.tx.Exec(ctx, take, a.rows.epoch); err != nil {
		return failed(err)
	}
	if _, err := a.rows.tx.Exec(ctx, t.unstage, pgx.QueryExecModeSimpleProtocol); err != nil {
		return failed(err)
	}
	return nil
}

// copyRowSize is about what a row takes.
const copyRowSize = 700
