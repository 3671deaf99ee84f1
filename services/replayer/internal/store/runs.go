package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// taken says that a run is another's by now, where nothing of it was found.
func taken(found int64, run replay.Claim) error {
	if found == 1 {
		return nil
	}
	return fault.New(fault.Conflict, "RUN_TAKEN", "run %s was canceled, or is another's by now", run.Run).With("run_id", run.Run.String())
}

// Alone implements replay.Runs: it runs fn while no other process runs for the tenant. The lock is a session's, and ends with it.
func (s *Store) Alone(ctx context.Context, tenant uuid.UUID, fn func(context.Context) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return postgres.Fault(fmt.Errorf("take connection: %w", err))
	}
	var locked bool
	if err := conn.QueryRow(ctx, runLock, tenant.String()).Scan(&locked); err != nil {
		conn.Release()
		return postgres.Fault(fmt.Errorf("lock runs: %w", err))
	}
	if !locked {
		conn.Release()
		return s.busy(ctx, tenant)
	}
	defer s.unlock(ctx, conn, tenant)
	return fn(ctx)
}

// unlock gives the lock back. A connection on which that fails is closed, and with it the lock goes.
func (s *Store) unlock(ctx context.Context, conn *pgxpool.Conn, tenant uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var was bool
	err := conn.QueryRow(ctx, runUnlock, tenant.String()).Scan(&was)
	if err != nil || !was {
		_ = conn.Hijack().Close(ctx)
		return
	}
	conn.Release()
}

// busy names the run that goes on.
func (s *Store) busy(ctx context.Context, tenant uuid.UUID) error {
	f := fault.New(fault.Conflict, "RUN_GOES_ON", "another run goes on for this tenant").WithRetryAfter(time.Second)
	runs, err := s.Runs(ctx, tenant, "", 20)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(runs, func(r replay.Run) bool { return r.Status == replay.StatusRunning })
	if at >= 0 {
		f = fault.New(fault.Conflict, "RUN_GOES_ON", "run %s goes on for this tenant", runs[at].ID).
			With("run_id", runs[at].ID.String()).WithRetryAfter(time.Second)
	}
	return f
}

// do runs one statement for a tenant, in a transaction.
func (s *Store) do(ctx context.Context, tenant uuid.UUID, queue func(*pgx.Batch)) error {
	return postgres.InTx(ctx, s.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(tenantChoose, tenant.String())
		queue(batch)
		return tx.SendBatch(ctx, batch).Close()
	})
}

// Abandon implements replay.Runs.
func (s *Store) Abandon(ctx context.Context, tenant uuid.UUID) error {
	if err := s.do(ctx, tenant, func(b *pgx.Batch) { b.Queue(runsAbandon, tenant) }); err != nil {
		return fmt.Errorf("mark runs that were left: %w", err)
	}
	return nil
}

// Begin implements replay.Runs.
func (s *Store) Begin(ctx context.Context, tenant uuid.UUID, begin replay.Begin) (replay.Claim, error) {
	err := s.do(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(runInsert, tenant, begin.Run, begin.RulesVersion, begin.Kind, begin.Phase, begin.Request)
	})
	if err != nil {
		return replay.Claim{}, fmt.Errorf("begin run %s: %w", begin.Run, err)
	}
	return replay.Claim{Tenant: tenant, Run: begin.Run, Fence: 1}, nil
}

// Take implements replay.Runs.
func (s *Store) Take(ctx context.Context, tenant, id uuid.UUID) (replay.Run, error) {
	var run replay.Run
	err := s.do(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(runTake, tenant, id).QueryRow(func(row pgx.Row) error { return scanRun(row, &run) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return run, fault.New(fault.Refused, "RUN_NOT_OPEN", "run %s does not exist, or has ended", id).With("run_id", id.String())
	}
	if err != nil {
		return run, fmt.Errorf("take run %s: %w", id, err)
	}
	return run, nil
}

// Progress implements replay.Runs.
func (s *Store) Progress(ctx context.Context, c replay.Claim, p replay.Progress) error {
	var epoch *int32
	if p.Epoch != 0 {
		epoch = &p.Epoch
	}
	return s.claimed(ctx, c, "record progress", runPhase, p.Phase, epoch, p.Done, p.Total)
}

// Finish implements replay.Runs.
func (s *Store) Finish(ctx context.Context, c replay.Claim, status replay.Status, result []byte, message string) error {
	return s.claimed(ctx, c, "finish", runFinish, status, result, message)
}

// claimed changes a run that is this process's.
func (s *Store) claimed(ctx context.Context, c replay.Claim, doing, text string, args ...any) error {
	var found int64
	err := s.do(ctx, c.Tenant, func(b *pgx.Batch) {
		b.Queue(text, append([]any{c.Tenant, c.Run, c.Fence}, args...)...).Exec(func(tag pgconn.CommandTag) error {
			found = tag.RowsAffected()
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("%s of run %s: %w", doing, c.Run, err)
	}
	return taken(found, c)
}

// Result implements replay.Runs.
func (s *Store) Result(ctx context.Context, c replay.Claim, result []byte) error {
	err := s.do(ctx, c.Tenant, func(b *pgx.Batch) { b.Queue(runResult, c.Tenant, c.Run, result) })
	if err != nil {
		return fmt.Errorf("record result of run %s: %w", c.Run, err)
	}
	return nil
}

// Cancel implements replay.Runs.
func (s *Store) Cancel(ctx context.Context, tenant, id uuid.UUID) (bool, error) {
	var found int64
	err := s.do(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(runCancel, tenant, id).Exec(func(tag pgconn.CommandTag) error {
			found = tag.RowsAffected()
			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("cancel run %s: %w", id, err)
	}
	return found > 0, nil
}

// Get implements replay.Runs.
func (s *Store) Get(ctx context.Context, tenant, id uuid.UUID) (replay.Run, error) {
	run := replay.Run{}
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		b.Queue(runGet, tenant, id).QueryRow(func(row pgx.Row) error { return scanRun(row, &run) })
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return run, fault.New(fault.NotFound, "RUN_NOT_FOUND", "there is no run %s", id).With("run_id", id.String())
	}
	run.Tenant = tenant
	return run, err
}

// Runs implements replay.Runs.
func (s *Store) Runs(ctx context.Context, tenant uuid.UUID, kind replay.RunKind, most int) ([]replay.Run, error) {
	var runs []replay.Run
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		b.Queue(runsList, tenant, most, string(kind)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				run := replay.Run{Tenant: tenant}
				if err := scanRun(rows, &run); err != nil {
					return err
				}
				runs = append(runs, run)
			}
			return rows.Err()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

// Prune implements replay.Runs.
func (s *Store) Prune(ctx context.Context, tenant uuid.UUID, kind replay.RunKind, keep int) error {
	if err := s.do(ctx, tenant, func(b *pgx.Batch) { b.Queue(runsPrune, tenant, kind, keep) }); err != nil {
		return fmt.Errorf("prune runs: %w", err)
	}
	return nil
}

func scanRun(row pgx.Row, r *replay.Run) error {
	var epoch *int32
	var message *string
	err := row.Scan(&r.ID, &r.StartedAt, &r.UpdatedAt, &r.FinishedAt, &r.Checkpoint, &r.Done, &r.Total, &r.Fence, &epoch,
		&r.RulesVersion, &r.Kind, &r.Status, &r.Phase, &r.Request, &r.Result, &message)
	if epoch != nil {
		r.Epoch = *epoch
	}
	if message != nil {
		r.Message = *message
	}
	return err //nolint:wrapcheck // Who calls adds the context.
}

// tenantsMax bounds the list of tenants.
const tenantsMax = 1_000_000

// Tenants lists the tenants that have a log, with the rules of their state.
func (s *Store) Tenants(ctx context.Context) ([]replay.TenantState, error) {
	var all []replay.TenantState
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, "*")
		b.Queue(tenantsAll, tenantsMax).Query(func(rows pgx.Rows) error {
			var t replay.TenantState
			_, err := pgx.ForEachRow(rows, []any{&t.Tenant, &t.RulesVersion, &t.Epoch}, func() error {
				all = append(all, t)
				return nil
			})
			return err //nolint:wrapcheck // The snapshot adds the context.
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return all, nil
}

// Sweep implements replay.Database: it deletes the rows of all epochs but those that are kept, part by part.
func (s *Store) Sweep(ctx context.Context, tenant uuid.UUID, keep ...int32) error {
	slices.Sort(keep)
	after := int32(math.MinInt32)
	for _, before := range append(slices.Compact(keep), math.MaxInt32) {
		for _, t := range tables {
			if err := s.sweep(ctx, tenant, t, after, before); err != nil {
				return err
			}
		}
		after = before
	}
	return nil
}

func (s *Store) sweep(ctx context.Context, tenant uuid.UUID, t *tableSQL, after, before int32) error {
	for {
		var found int64
		err := s.do(ctx, tenant, func(b *pgx.Batch) {
			b.Queue(t.sweep, tenant, after, before, s.cfg.SweepMax).Exec(func(tag pgconn.CommandTag) error {
				found = tag.RowsAffected()
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("sweep old rows of %s: %w", t.table.Name, err)
		}
		if found < int64(s.cfg.SweepMax) {
			return nil
		}
	}
}

// digesters is how many connections sum up an epoch: nobody writes its rows, so that each may see it at a moment of its own.
const digesters = 2

// EpochDigest sums up the rows of an epoch that is committed and that nobody writes to.
func (s *Store) EpochDigest(ctx context.Context, tenant uuid.UUID, epoch int32) (replay.Digest, error) {
	names := make(chan string, len(tables))
	for name := range tables {
		names <- name
	}
	close(names)
	var mu sync.Mutex
	digest := replay.Digest{}
	work, ctx := errgroup.WithContext(ctx)
	for range digesters {
		work.Go(func() error {
			return postgres.InTx(ctx, s.pool, frozenTx, func(ctx context.Context, tx pgx.Tx) error {
				batch := &pgx.Batch{}
				s.queueSettings(batch, tenant)
				if err := tx.SendBatch(ctx, batch).Close(); err != nil {
					return fmt.Errorf("choose tenant: %w", err)
				}
				for name := range names {
					var d replay.TableDigest
					if err := tx.QueryRow(ctx, tables[name].digest, tenant, epoch).Scan(&d.Rows, &d.Sum); err != nil {
						return fmt.Errorf("digest rows of %s: %w", name, err)
					}
					mu.Lock()
					digest[name] = d
					mu.Unlock()
				}
				return nil
			})
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // The work says what it was doing.
	}
	return digest, nil
}
