package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
)

// Beginner is what InTx needs of a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
}

// TxOptions say how a transaction runs. The zero value is a read-committed one that may write.
type TxOptions struct {
	// Isolation level. Default: the session's, read committed.
	Isolation pgx.TxIsoLevel
	// ReadOnly makes the server refuse writes.
	ReadOnly bool
	// TriesMax bounds how often the transaction runs. Default 5.
	TriesMax int
	// Backoff is the longest wait before the second try; it doubles each time, up to backoffMax. Default 10 ms.
	Backoff time.Duration
	// Clock measures the waits. Default: the machine's.
	Clock clock.Clock
}

const (
	triesMaxDefault = 5
	backoffDefault  = 10 * time.Millisecond
	backoffMax      = time.Second
	// rollbackTimeout bounds the rollback of a caller that has gone away. Past it the connection is closed, which
	// rolls back as well.
	rollbackTimeout = 2 * time.Second
	// commitTimeout bounds COMMIT, which the caller's going away does not cut short: that would only leave in doubt
	// what is about to be known.
	commitTimeout = 10 * time.Second
)

func (o TxOptions) withDefaults() TxOptions {
	if o.TriesMax == 0 {
		o.TriesMax = triesMaxDefault
	}
	if o.Backoff == 0 {
		o.Backoff = backoffDefault
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return o
}

// InTx runs fn in a transaction, commits if it returns nil, and rolls back otherwise. It is the only place with
// Begin, Commit and Rollback.
//
// fn may run several times, so it keeps no state outside: after a serialization failure or a deadlock, of fn or of
// the commit, the transaction runs again, at most TriesMax times, with growing, jittered waits, until ctx ends.
// Nothing else is retried. Errors come back with their kind (see Fault); where IsCommitUncertain, the transaction
// may have been committed.
func InTx(ctx context.Context, db Beginner, opts TxOptions, fn func(ctx context.Context, tx pgx.Tx) error) error {
	opts = opts.withDefaults()
	for try := 1; ; try++ {
		err := once(ctx, db, opts, fn)
		if err == nil {
			return nil
		}
		if !isRetryable(err) || IsCommitUncertain(err) || try >= opts.TriesMax {
			return Fault(err)
		}
		countRetry(ctx)
		if waitErr := clock.Sleep(ctx, opts.Clock, wait(opts.Backoff, try)); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// wait is a random part of the try's longest wait ("full jitter"): two transactions that collided must not meet
// again.
func wait(backoff time.Duration, try int) time.Duration {
	longest := backoffMax
	if shift := try - 1; shift < 16 && backoff<<shift < backoffMax {
		longest = backoff << shift
	}
	return rand.N(longest) + 1 //nolint:gosec // G404: no secret.
}

// once runs fn in one transaction.
func once(ctx context.Context, db Beginner, opts TxOptions, fn func(ctx context.Context, tx pgx.Tx) error) error {
	mode := pgx.ReadWrite
	if opts.ReadOnly {
		mode = pgx.ReadOnly
	}
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: opts.Isolation, AccessMode: mode})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	committing := false
	// Also when fn panics: the connection must not go back to the pool with an open transaction.
	defer func() {
		if !committing {
			rollback(ctx, tx)
		}
	}()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before commit: %w", err)
	}
	if tx.Conn().IsClosed() {
		return fmt.Errorf("before commit: %w", pgconn.ErrConnClosed) // nothing was sent: it is certain
	}
	committing = true
	return commit(ctx, tx)
}

func commit(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := tx.Commit(ctx)
	switch {
	case err == nil:
		return nil
	case isUncertain(err):
		return fault.Wrap(err, fault.Unavailable, ReasonCommitUncertain,
			"the connection was lost at commit, and the transaction may stand").WithRetryAfter(retryAfter)
	default:
		return fmt.Errorf("commit: %w", err)
	}
}

// rollback needs no answer: if it fails, pgx closes the connection, and the server rolls back by itself.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// retries counts transactions that ran again.
var retries = func() metric.Int64Counter {
	counter, err := otel.Meter(scopeName).Int64Counter("robson.postgres.transaction.retries",
		metric.WithDescription("Transactions run again after a serialization failure or a deadlock"))
	if err != nil {
		otel.Handle(err)
	}
	return counter
}()

func countRetry(ctx context.Context) {
	retries.Add(ctx, 1, metric.WithAttributes(attribute.String("db.system.name", "postgresql")))
}
