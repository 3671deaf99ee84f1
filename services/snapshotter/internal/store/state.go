package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// State reads a scope's part of the live state, and the head that it is true at, in one snapshot of the database. No append waits
// for it. What the tenant does not have is NotFound.
func (s *Store) State(ctx context.Context, tenant uuid.UUID, scope projection.Scope) (*checkpoint.State, error) {
	var state *checkpoint.State
	err := s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		r := stateReader{tenant: tenant, scope: scope, cfg: s.cfg}
		err := r.read(ctx, tx)
		state = &r.state
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", scope, err)
	}
	return state, nil
}

// stateReader reads one state.
type stateReader struct {
	tenant  uuid.UUID
	scope   projection.Scope
	cfg     Config
	state   checkpoint.State
	counted int64
	// members are the ids of the scope's own things, by which events are counted.
	members map[uuid.UUID]bool
	streams []string
}

func (r *stateReader) read(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	var hash []byte
	batch.Queue(headGet, r.tenant).QueryRow(func(row pgx.Row) error {
		return row.Scan(&r.state.Position, &hash, &r.state.IngestedAt, &r.state.RulesVersion, &r.counted)
	})
	batch.Queue(horizonGet).QueryRow(func(row pgx.Row) error { return row.Scan(&r.state.Horizon.XID, &r.state.Horizon.Cluster) })
	batch.Queue(progressGet, r.tenant, string(r.scope.Kind), r.scope.ID).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&r.state.EventCount); !errors.Is(err, pgx.ErrNoRows) {
			return err //nolint:wrapcheck // The read adds the context.
		}
		return nil
	})
	rowsql.QueueScope(batch, r.tenant, r.scope, &r.state.Cut)
	switch err := tx.SendBatch(ctx, batch).Close(); {
	case errors.Is(err, pgx.ErrNoRows):
		return noTenant(r.tenant)
	case err != nil:
		return fmt.Errorf("read rows: %w", err)
	}
	if copy(r.state.Hash[:], hash) != len(r.state.Hash) || len(hash) != len(r.state.Hash) {
		return fault.New(fault.Corrupt, "HEAD_UNREADABLE", "the head of tenant %s has a hash of %d bytes", r.tenant, len(hash))
	}
	r.state.IngestedAt = r.state.IngestedAt.UTC()
	if !r.note() {
		return fault.New(fault.NotFound, "SCOPE_UNKNOWN", "the tenant has no %s %s", r.scope.Kind, r.scope.ID).With("scope", r.scope.String())
	}
	if err := r.countTail(ctx, tx); err != nil {
		return err
	}
	return r.readStreams(ctx, tx)
}

// note collects the scope's own things and their streams. It says whether the scope's own row is among them.
func (r *stateReader) note() (root bool) {
	r.members = map[uuid.UUID]bool{}
	add := func(kind event.Kind, id uuid.UUID) {
		r.members[id] = true
		r.streams = append(r.streams, event.StreamKey{Kind: kind, ID: id}.String())
	}
	for _, row := range r.state.Cut.Own {
		root = root || row.Key() == r.scope.Root()
		switch row := row.(type) {
		case *projection.Account:
			add(event.KindAccount, row.AccountID)
		case *projection.Strategy:
			add(event.KindStrategy, row.StrategyID)
		case *projection.Position:
			add(event.KindPosition, row.PositionID)
		case *projection.Order:
			add(event.KindOrder, row.OrderID)
		}
	}
	r.state.StreamCount = int32(len(r.streams))
	return root
}

// countTail counts the scope's events behind the stored counts.
func (r *stateReader) countTail(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, tailSubjects, r.tenant, r.counted, r.state.Position, r.cfg.TailMax)
	if err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	about, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Account, Strategy, Position, Order uuid.NullUUID }])
	if err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	for _, e := range about {
		is := func(id uuid.NullUUID) bool { return id.Valid && r.members[id.UUID] }
		if is(e.Account) || is(e.Strategy) || is(e.Position) || is(e.Order) {
			r.state.EventCount++
		}
	}
	return nil
}

// readStreams says how far each stream of the scope is, where they are few.
func (r *stateReader) readStreams(ctx context.Context, tx pgx.Tx) error {
	r.state.Streams = []checkpoint.StreamSeq{}
	if len(r.streams) > checkpoint.StreamsMax {
		return nil
	}
	rows, err := tx.Query(ctx, streamsGet, r.tenant, r.streams)
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	r.state.Streams, err = pgx.CollectRows(rows, pgx.RowToStructByPos[checkpoint.StreamSeq])
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	return nil
}

func noTenant(tenant uuid.UUID) error {
	return fault.New(fault.NotFound, "TENANT_UNKNOWN", "tenant %s has no log", tenant)
}

// ChainHash gives the hash of the event at a position of a tenant's log; false where there is none.
func (s *Store) ChainHash(ctx context.Context, tenant uuid.UUID, position int64) (hash [32]byte, found bool, err error) {
	err = s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		var stored []byte
		err := tx.QueryRow(ctx, chainHashGet, tenant, position).Scan(&stored)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		found = copy(hash[:], stored) == len(hash)
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return hash, false, fmt.Errorf("read the hash at position %d: %w", position, err)
	}
	return hash, found, nil
}

// Tenants lists the tenants that have a log, in the order of their ids, after one of them.
func (s *Store) Tenants(ctx context.Context, after uuid.UUID, size int) ([]uuid.UUID, error) {
	var tenants []uuid.UUID
	err := s.in(ctx, readOnly, "*", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, tenantsList, after, size)
		if err != nil {
			return err //nolint:wrapcheck // As below.
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return tenants, nil
}

// Schedule says when a tenant's snapshots are due.
func (s *Store) Schedule(ctx context.Context, tenant uuid.UUID) (checkpoint.Schedule, error) {
	return s.schedule(ctx, tenant, readOnly, scheduleGet, tenant)
}

// ScheduleChange is what a schedule is to be; nil leaves it as it is.
type ScheduleChange struct {
	EveryEvents, EverySeconds *int32
	AtWorkflowEnd             *bool
}

// SetSchedule changes a tenant's schedule and gives it as it is then.
func (s *Store) SetSchedule(ctx context.Context, tenant uuid.UUID, c ScheduleChange) (checkpoint.Schedule, error) {
	return s.schedule(ctx, tenant, readWrite, scheduleSet, tenant, c.EveryEvents, c.EverySeconds, c.AtWorkflowEnd)
}

func (s *Store) schedule(ctx context.Context, tenant uuid.UUID, opts postgres.TxOptions, text string, args ...any) (checkpoint.Schedule, error) {
	var found checkpoint.Schedule
	err := s.in(ctx, opts, tenant.String(), func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, text, args...).Scan(&found.EveryEvents, &found.EverySeconds, &found.AtWorkflowEnd)
		if errors.Is(err, pgx.ErrNoRows) {
			return noTenant(tenant)
		}
		return err //nolint:wrapcheck // As below.
	})
	if err != nil {
		return found, fmt.Errorf("the schedule of tenant %s: %w", tenant, err)
	}
	return found, nil
}
