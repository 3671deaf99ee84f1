package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
)

// Role is the database role that the projector acts as.
const Role = "robson_projector"

// Writer puts rows and heads into a database past the log, in one transaction each, as eventlog's appends do.
type Writer struct {
	pool *pgxpool.Pool
}

// NewWriter makes a writer on a pool that acts as the superuser.
func NewWriter(pool *pgxpool.Pool) *Writer { return &Writer{pool: pool} }

// Pool acts as the superuser.
func (w *Writer) Pool() *pgxpool.Pool { return w.pool }

// Append moves the tenant's head to position and puts the rows, all or none.
func (w *Writer) Append(ctx context.Context, tenant uuid.UUID, position int64, rows ...projection.Row) error {
	err := postgres.InTx(ctx, w.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`
insert into tenant_log (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
values ($1, $2, $3, $4, $5, 1, 1)
on conflict (tenant_id) do update set last_position = excluded.last_position, last_hash = excluded.last_hash`,
			tenant, position, EventID(position), Epoch, Hash(position))
		for _, row := range rows {
			batch.Queue(upsert(projection.TableOf(row)), projection.TableOf(row).Values(row)...)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("append at %d: %w", position, err)
	}
	return nil
}

// EventID is the id of the made-up event at a position.
func EventID(position int64) uuid.UUID {
	return uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "event %d", position))
}

// Hash is the made-up chain hash at a position.
func Hash(position int64) []byte {
	return fmt.Appendf(nil, "%032d", position)
}

func upsert(t *projection.Table) string {
	columns := t.ColumnNames()
	marks, updates := make([]string, len(columns)), make([]string, len(columns))
	for i, name := range columns {
		marks[i] = fmt.Sprintf("$%d", i+1)
		updates[i] = name + " = excluded." + name
	}
	return fmt.Sprintf("insert into %s (%s) values (%s) on conflict (%s) do update set %s",
		t.Name, strings.Join(columns, ", "), strings.Join(marks, ", "),
		strings.Join(append([]string{"tenant_id", "epoch"}, t.Key...), ", "), strings.Join(updates, ", "))
}
