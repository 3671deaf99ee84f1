package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// scanned are the targets of a snapshot's columns, and what is made of them.
type scanned struct {
	s           checkpoint.Snapshot
	chain, hash []byte
	kind        string
	trigger     string
	unfit       *string
}

func (c *scanned) targets() []any {
	s := &c.s
	return []any{
		&s.ID, &c.kind, &s.Scope.ID, &s.AsOf, &s.AsOfTime, &s.CreatedAt, &c.trigger, &s.EventCount, &s.RulesVersion, &c.chain, &c.hash,
		&s.Own, &s.Context, &s.Length, &s.StoredBytes, &s.StreamCount, &s.Streams, &s.Horizon.XID, &s.Horizon.Cluster, &s.ToldAt, &s.VerifiedAt, &c.unfit,
	}
}

func (c *scanned) snapshot(tenant uuid.UUID) checkpoint.Snapshot {
	s := c.s
	s.TenantID, s.Scope.Kind, s.Trigger = tenant, projection.ScopeKind(c.kind), checkpoint.Trigger(c.trigger)
	copy(s.ChainHash[:], c.chain)
	copy(s.Hash[:], c.hash)
	s.CreatedAt, s.AsOfTime = s.CreatedAt.UTC(), s.AsOfTime.UTC()
	if c.unfit != nil {
		s.Unfit = snapshot.Reason(*c.unfit)
	}
	return s
}

// collect reads the snapshots of a query for their columns.
func collect(tenant uuid.UUID, rows pgx.Rows) ([]checkpoint.Snapshot, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (checkpoint.Snapshot, error) { //nolint:wrapcheck // The callers say what it was for.
		var c scanned
		err := row.Scan(c.targets()...)
		return c.snapshot(tenant), err
	})
}

// Save stores a snapshot, and what became due at or before its position is no longer. One that is stored already, by whoever, is
// left as it is. It gives the snapshot as it is stored.
func (s *Store) Save(ctx context.Context, made *snapshot.Sealed, about checkpoint.Snapshot) (checkpoint.Snapshot, error) {
	tenant, scope := made.TenantID, made.Scope
	var saved checkpoint.Snapshot
	err := s.write(ctx, []uuid.UUID{tenant}, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(scopeLock, tenant.String(), scope.String())
		batch.Queue(snapshotClear, tenant, about.ID, made.Hash[:])
		batch.Queue(snapshotInsert, pgx.StrictNamedArgs{
			"tenant_id": tenant, "snapshot_id": about.ID, "scope": string(scope.Kind), "scope_id": scope.ID, "as_of_position": made.AsOf,
			"as_of_time": about.AsOfTime, "trigger": string(about.Trigger), "event_count": about.EventCount, "rules_version": made.RulesVersion,
			"chain_hash": made.ChainHash[:], "hash": made.Hash[:], "row_count": made.Own, "context_count": made.Context, "text_bytes": made.Length,
			"stream_count": about.StreamCount, "stream_seqs": about.Streams, "horizon": about.Horizon.XID, "cluster": about.Horizon.Cluster, "state": made.Stored,
		})
		batch.Queue(dueDone, tenant, string(scope.Kind), scope.ID, made.AsOf)
		batch.Queue(dueRelease, tenant, string(scope.Kind), scope.ID)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err //nolint:wrapcheck // As below.
		}
		var err error
		saved, err = get(ctx, tx, tenant, about.ID)
		return err
	})
	if err != nil {
		return saved, fmt.Errorf("store snapshot %s of %s: %w", about.ID, scope, err)
	}
	return saved, nil
}

func get(ctx context.Context, tx pgx.Tx, tenant, id uuid.UUID) (checkpoint.Snapshot, error) {
	var c scanned
	err := tx.QueryRow(ctx, snapshotGet, tenant, id).Scan(c.targets()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return c.s, fault.New(fault.NotFound, "SNAPSHOT_UNKNOWN", "the tenant has no snapshot %s", id).With("snapshot_id", id.String())
	}
	return c.snapshot(tenant), err
}

// Get gives what is known of a snapshot. NotFound if the tenant has none such.
func (s *Store) Get(ctx context.Context, tenant, id uuid.UUID) (checkpoint.Snapshot, error) {
	var found checkpoint.Snapshot
	err := s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		found, err = get(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return found, fmt.Errorf("read snapshot %s: %w", id, err)
	}
	return found, nil
}

// Load gives a snapshot's bytes as they are stored, unverified, with what is known of it.
func (s *Store) Load(ctx context.Context, tenant, id uuid.UUID) (found checkpoint.Snapshot, stored []byte, err error) {
	err = s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if found, err = get(ctx, tx, tenant, id); err != nil {
			return err
		}
		return tx.QueryRow(ctx, stateGet, tenant, id).Scan(&stored)
	})
	if err != nil {
		return found, nil, fmt.Errorf("load snapshot %s: %w", id, err)
	}
	return found, stored, nil
}

// List gives snapshots that meet a filter, newest first. after is the last one of the page before; nil for the first page.
func (s *Store) List(ctx context.Context, tenant uuid.UUID, f checkpoint.Filter, after *checkpoint.Snapshot, size int) ([]checkpoint.Snapshot, error) {
	args := pgx.StrictNamedArgs{
		"tenant_id": tenant, "snapshot_id": orNull(f.ID), "scope": orNull(string(f.Kind)), "scope_id": orNull(f.ScopeID),
		"created_from": orNull(f.CreatedFrom), "created_before": orNull(f.CreatedBefore), "unfit": f.Unfit, "size": size,
		"after_at": (*time.Time)(nil), "after_id": uuid.Nil,
	}
	if after != nil {
		args["after_at"], args["after_id"] = &after.CreatedAt, after.ID
	}
	return s.list(ctx, tenant, "list snapshots", snapshotsList, args)
}

// orNull is nil for a zero value, which then chooses nothing.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// OfScope gives all snapshots of a scope, those of the latest position first.
func (s *Store) OfScope(ctx context.Context, tenant uuid.UUID, scope projection.Scope) ([]checkpoint.Snapshot, error) {
	return s.list(ctx, tenant, "list snapshots of "+scope.String(), snapshotsOfScope, tenant, string(scope.Kind), scope.ID)
}

// Candidates gives the newest snapshots of a scope that are not marked, at or before a position or a time, where these are not zero.
func (s *Store) Candidates(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64, at time.Time, size int) ([]checkpoint.Snapshot, error) {
	return s.list(ctx, tenant, "find snapshots of "+scope.String(), candidatesList,
		tenant, string(scope.Kind), scope.ID, orNull(position), orNull(at), size)
}

func (s *Store) list(ctx context.Context, tenant uuid.UUID, what, text string, args ...any) ([]checkpoint.Snapshot, error) {
	var found []checkpoint.Snapshot
	err := s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, text, args...)
		if err != nil {
			return err //nolint:wrapcheck // As below.
		}
		found, err = collect(tenant, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

// Mark notes what a verification found of a snapshot: a reason why it is not used, or none.
func (s *Store) Mark(ctx context.Context, tenant, id uuid.UUID, reason snapshot.Reason) error {
	return s.exec(ctx, tenant, "mark snapshot "+id.String(), snapshotMark, tenant, id, orNull(string(reason)))
}

// Told notes that the log was told of a snapshot.
func (s *Store) Told(ctx context.Context, tenant, id uuid.UUID) error {
	return s.exec(ctx, tenant, "note that snapshot "+id.String()+" was told", snapshotTold, tenant, id)
}

// Delete removes snapshots.
func (s *Store) Delete(ctx context.Context, tenant uuid.UUID, ids []uuid.UUID) error {
	return s.exec(ctx, tenant, "remove snapshots", snapshotsDelete, tenant, ids)
}

func (s *Store) exec(ctx context.Context, tenant uuid.UUID, what, text string, args ...any) error {
	err := s.write(ctx, []uuid.UUID{tenant}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, text, args...)
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Crowded gives scopes of which snapshots may be removed, after one of them: those that meet the filter and have more than keep, or
// one that is unfit.
func (s *Store) Crowded(ctx context.Context, tenant uuid.UUID, f checkpoint.Filter, keep int, after projection.Scope, size int) ([]projection.Scope, error) {
	var scopes []projection.Scope
	err := s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, scopesCrowded, tenant, orNull(string(f.Kind)), orNull(f.ScopeID), string(after.Kind), after.ID, keep, size)
		if err != nil {
			return err //nolint:wrapcheck // As below.
		}
		scopes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[projection.Scope])
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return nil, fmt.Errorf("list scopes with many snapshots: %w", err)
	}
	return scopes, nil
}
