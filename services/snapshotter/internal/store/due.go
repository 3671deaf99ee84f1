package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// Claim takes due snapshots of some tenants, the longest due first, for the time of the lease. Nobody else gets them as long; what
// others hold is passed over.
func (s *Store) Claim(ctx context.Context, tenants []uuid.UUID, by string, size int) ([]checkpoint.Due, error) {
	var claimed []checkpoint.Due
	err := s.write(ctx, tenants, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, dueClaim, by, s.cfg.Lease, tenants, size)
		if err != nil {
			return err //nolint:wrapcheck // As below.
		}
		claimed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (checkpoint.Due, error) {
			var d checkpoint.Due
			var reason string
			err := row.Scan(&d.TenantID, &d.Scope.Kind, &d.Scope.ID, &d.Position, &reason)
			d.Trigger = checkpoint.TriggerOf(reason)
			return d, err //nolint:wrapcheck // As below.
		})
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return nil, fmt.Errorf("claim due snapshots: %w", err)
	}
	return claimed, nil
}

// Drop removes a due snapshot that cannot be made, for there is nothing to make it of, unless it became due again since.
func (s *Store) Drop(ctx context.Context, d checkpoint.Due) error {
	return s.exec(ctx, d.TenantID, "drop what is due of "+d.Scope.String(), dueDone, d.TenantID, string(d.Scope.Kind), d.Scope.ID, d.Position)
}

// Remake makes a scope's snapshot due anew, after one at a position was found unfit.
func (s *Store) Remake(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64) error {
	return s.exec(ctx, tenant, "make due "+scope.String(), dueAdd, tenant, string(scope.Kind), scope.ID, position, string(checkpoint.TriggerRemake))
}

// DueByTime makes due the scopes of a tenant that have changed since their newest snapshot and for which the time of the schedule is
// over: at most so many, the longest changed first. It gives how many they were, and the time of the schedule; 0 for never.
func (s *Store) DueByTime(ctx context.Context, tenant uuid.UUID, size int) (made int, every time.Duration, err error) {
	err = s.write(ctx, []uuid.UUID{tenant}, func(ctx context.Context, tx pgx.Tx) error {
		var schedule checkpoint.Schedule
		err := tx.QueryRow(ctx, scheduleGet, tenant).Scan(&schedule.EveryEvents, &schedule.EverySeconds, &schedule.AtWorkflowEnd)
		if err != nil || schedule.EverySeconds == 0 {
			return err //nolint:wrapcheck // As below.
		}
		every = time.Duration(schedule.EverySeconds) * time.Second
		tag, err := tx.Exec(ctx, dueByTime, tenant, size)
		made = int(tag.RowsAffected())
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look for what time makes due of tenant %s: %w", tenant, err)
	}
	return made, every, nil
}

// Waiting says how many snapshots of some tenants are due, and for how long the oldest has been.
func (s *Store) Waiting(ctx context.Context, tenants []uuid.UUID) (count int, oldest time.Duration, err error) {
	var seconds float64
	err = s.write(ctx, tenants, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, dueCount, tenants).Scan(&count, &seconds)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count due snapshots: %w", err)
	}
	return count, time.Duration(seconds * float64(time.Second)), nil
}

// Untold gives snapshots of some tenants that were stored a lease ago or earlier and of which the log was not told, the oldest first.
func (s *Store) Untold(ctx context.Context, tenants []uuid.UUID, size int) ([]checkpoint.Snapshot, error) {
	var found []checkpoint.Snapshot
	err := s.write(ctx, tenants, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, untoldList, tenants, s.cfg.Lease, size)
		if err != nil {
			return err //nolint:wrapcheck // As below.
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (checkpoint.Snapshot, error) {
			var tenant uuid.UUID
			var c scanned
			err := row.Scan(append([]any{&tenant}, c.targets()...)...)
			return c.snapshot(tenant), err
		})
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots that were not told: %w", err)
	}
	return found, nil
}
