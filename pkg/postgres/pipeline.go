package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/fault"
)

// Pipeline is a transaction in which every step is a batch: BEGIN travels with the first and COMMIT with the last, so
// that a transaction that reads, thinks and writes costs two round trips instead of five.
type Pipeline struct {
	conn  *pgxpool.Conn
	begun bool
}

// InPipeline runs fn in a pipelined transaction, which fn must end by Commit; otherwise it is rolled back. Nothing is
// retried. Errors come back with their kind (see Fault); where IsCommitUncertain, the transaction may stand.
func InPipeline(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, p *Pipeline) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return Fault(fmt.Errorf("take connection: %w", err))
	}
	// The pool closes a connection that comes back inside a transaction, which rolls back as well.
	defer conn.Release()
	p := &Pipeline{conn: conn}
	defer p.rollback(ctx)
	return Fault(fn(ctx, p))
}

// Send runs a batch: its callbacks get the results in order, and the first error ends it.
func (p *Pipeline) Send(ctx context.Context, batch *pgx.Batch) error {
	if err := p.conn.SendBatch(ctx, p.begin(batch)).Close(); err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	return nil
}

// Commit runs a last batch and commits. The batch has no callbacks that can fail: they would come too late. The caller's
// going away does not cut it short, since that would leave in doubt what is about to be known.
func (p *Pipeline) Commit(ctx context.Context, batch *pgx.Batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before commit: %w", err)
	}
	if p.conn.Conn().IsClosed() {
		return fmt.Errorf("before commit: %w", pgconn.ErrConnClosed) // nothing was sent: it is certain
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	batch = p.begin(batch)
	batch.Queue("commit")
	err := p.conn.SendBatch(ctx, batch).Close()
	switch {
	case err == nil:
		return nil
	case p.rolledBack(err):
		return fmt.Errorf("commit: %w", err)
	default:
		return fault.Wrap(err, fault.Unavailable, ReasonCommitUncertain,
			"the connection was lost at commit, and the transaction may stand").WithRetryAfter(retryAfter)
	}
}

// rolledBack judges the error of a last batch: the server said so, or the session lives and is inside the transaction.
func (p *Pipeline) rolledBack(err error) bool {
	if !isUncertain(err) {
		return true
	}
	session := p.conn.Conn()
	return !session.IsClosed() && session.PgConn().TxStatus() != 'I'
}

// begin puts BEGIN before the first batch.
func (p *Pipeline) begin(batch *pgx.Batch) *pgx.Batch {
	if p.begun {
		return batch
	}
	p.begun = true
	first := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(batch.QueuedQueries)+2)}
	first.Queue("begin")
	first.QueuedQueries = append(first.QueuedQueries, batch.QueuedQueries...)
	return first
}

// rollback ends what is still open. It needs no answer: the pool closes a connection that it cannot end.
func (p *Pipeline) rollback(ctx context.Context) {
	session := p.conn.Conn()
	if session.IsClosed() || session.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = session.Exec(ctx, "rollback")
}

// IsRetryable says whether the server rolled a transaction back for no fault of its own, so that it may run again.
func IsRetryable(err error) bool { return isRetryable(err) && !IsCommitUncertain(err) }

// SQLState is the code that the server gave an error; empty if the error is not the server's.
func SQLState(err error) (code, table, constraint string) {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return "", "", ""
	}
	return pgErr.Code, pgErr.TableName, pgErr.ConstraintName
}
