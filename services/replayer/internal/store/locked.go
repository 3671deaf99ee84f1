package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// locked is a tenant's log while nobody appends to it.
type locked struct {
	rows
	store *Store
	run   replay.Claim
	head  replay.Head
}

// Locked runs fn while nobody can append to the tenant's log, and commits what it did. The wait for the log is short, and so is
// the time that it may be held: appends wait for both.
func (s *Store) Locked(ctx context.Context, run replay.Claim, fn func(context.Context, replay.Locked) error) error {
	return postgres.InTx(ctx, s.pool, postgres.TxOptions{TriesMax: 1}, func(ctx context.Context, tx pgx.Tx) error {
		var head replay.Head
		batch := &pgx.Batch{}
		batch.Queue(lockSettings, run.Tenant.String(), fmt.Sprint(s.cfg.LockTimeout.Milliseconds()), fmt.Sprint(s.cfg.HoldMax.Milliseconds()))
		batch.Queue(tenantLock, postgres.TenantLockKey(run.Tenant))
		batch.Queue(headLock, run.Tenant).QueryRow(func(row pgx.Row) error { return scanHead(row, &head) })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return headMissing(err, run.Tenant)
		}
		tag, err := tx.Exec(ctx, runTouch, run.Tenant, run.Run, run.Fence)
		if err != nil {
			return fmt.Errorf("hold run: %w", err)
		}
		if err := taken(tag.RowsAffected(), run); err != nil {
			return err
		}
		of := rows{tx: tx, tenant: run.Tenant, epoch: head.Epoch, most: s.cfg.CompareMax}
		return fn(ctx, &locked{rows: of, store: s, run: run, head: head})
	})
}

// Head implements replay.Locked.
func (l *locked) Head() replay.Head { return l.head }

// Events implements replay.Locked.
func (l *locked) Events(ctx context.Context, span replay.Span, each func(*projection.Event) error) error {
	return l.store.eventsOf(ctx, l.tx, l.tenant, span, each)
}

// Mend implements replay.Locked.
func (l *locked) Mend(ctx context.Context, right []projection.Row, gone []projection.Key) error {
	slices.SortFunc(right, func(a, b projection.Row) int { return a.Key().Compare(b.Key()) })
	batch := &pgx.Batch{}
	rowsql.QueueUpserts(batch, right, func(uuid.UUID) int32 { return l.epoch })
	for name, keys := range byTable(gone) {
		t := tables[name]
		batch.Queue(t.remove, append([]any{l.tenant, l.epoch}, t.keyArrays(keys)...)...)
	}
	batch.Queue(headMended, l.tenant)
	if err := l.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("mend rows: %w", err)
	}
	return nil
}

// Aside implements replay.Locked.
func (l *locked) Aside(epoch int32) replay.Home { return l.store.newAside(l.tx, l.tenant, epoch) }

// Switch implements replay.Locked.
func (l *locked) Switch(ctx context.Context, epoch int32) error {
	batch := &pgx.Batch{}
	batch.Queue(headSwitch, l.tenant, epoch, int32(projection.RulesVersion))
	batch.Queue(runCheckpoint, l.tenant, l.run.Run, l.run.Fence, l.head.Position, l.head.Position)
	if err := l.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("switch to epoch %d: %w", epoch, err)
	}
	return nil
}

// Finish implements replay.Locked.
func (l *locked) Finish(ctx context.Context, result []byte) error {
	tag, err := l.tx.Exec(ctx, runFinish, l.tenant, l.run.Run, l.run.Fence, replay.StatusDone, result, "")
	if err != nil {
		return fmt.Errorf("record result: %w", err)
	}
	return taken(tag.RowsAffected(), l.run)
}
