// Package storetest writes a tenant's log and the state that it folds to into a test's database, past the event log.
package storetest

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/history/historytest"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/rowsql"
)

// Role is the database role that the snapshotter acts as.
const Role = "robson_snapshotter"

// World is a tenant's log in memory and in a database.
type World struct {
	// Log is what comes next is appended to; Write brings it into the database.
	Log *projectiontest.Log
	// Fold is the fold of what was written, as it is stored.
	Fold *projection.Memory

	pool    *pgxpool.Pool
	writer  *historytest.Writer
	written int
}

// NewWorld makes a world on a pool that acts as the superuser.
func NewWorld(pool *pgxpool.Pool) *World {
	return &World{Log: projectiontest.NewLog(), Fold: &projection.Memory{}, pool: pool, writer: historytest.NewWriter(pool)}
}

// Write brings what was appended to the log since into the database: events, heads, and the rows that they changed.
func (w *World) Write(ctx context.Context) error {
	fresh := w.Log.Events[w.written:]
	changes := projection.NewOverlay(w.Fold)
	for _, ev := range fresh {
		if _, err := projection.Fold(changes, historytest.Stored(ev)); err != nil {
			return fmt.Errorf("fold: %w", err)
		}
	}
	if err := w.writer.Write(ctx, fresh); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	rows := changes.Rows()
	err := postgres.InTx(ctx, w.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		rowsql.QueueUpserts(batch, rows, func(uuid.UUID) int32 { return 0 })
		batch.Queue("update tenant_log set rules_version = $2 where tenant_id = $1", w.Log.TenantID, projection.RulesVersion)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	changes.MergeInto(w.Fold)
	w.written = len(w.Log.Events)
	return nil
}

// Position is where the log in the database ends.
func (w *World) Position() int64 { return int64(w.written) }
