package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// BatchSender is what Snapshot needs of a pool or a connection.
type BatchSender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Snapshot runs the queries that queue adds in one REPEATABLE READ, READ ONLY transaction, and hands their results to
// their callbacks in order. The transaction travels as one pipeline, begin and commit included: one round trip, where
// the connection has the statements prepared.
//
// The first error, of a query or a callback, ends it and comes back with its kind (see Fault). A pool drops a
// connection that an error left inside the transaction. Nothing is retried: such a transaction cannot lose against
// another.
func Snapshot(ctx context.Context, db BatchSender, queue func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	batch.Queue("begin isolation level repeatable read read only")
	queue(batch)
	batch.Queue("commit")
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read snapshot: %w", Fault(err))
	}
	return nil
}
