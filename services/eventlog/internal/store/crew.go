package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// crewChunk is of how many tenants a statement treats the leases. A transaction names the tenants that it sees, statement by
// statement, and the database compares each row with each name.
const crewChunk = 128

// Holders implements subscription.Leases.
func (s *Store) Holders(ctx context.Context, c subscription.Crew, holder string, renew time.Duration, most int) (map[uuid.UUID]string, error) {
	var tenants []uuid.UUID
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, allTenants)
		b.Queue(tenantsAll, most+1).Query(func(rows pgx.Rows) error {
			var err error
			tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			return err //nolint:wrapcheck // The read adds the context.
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list tenants for %s of %s: %w", c.Name, c.Service, err)
	}
	if len(tenants) > most {
		return nil, fault.New(fault.Exhausted, "TOO_MANY_TENANTS", "there are more than %d tenants to share out", most)
	}
	holders := make(map[uuid.UUID]string, len(tenants))
	for _, tenant := range tenants {
		holders[tenant] = ""
	}
	read := func(rows pgx.Rows) error {
		var tenant uuid.UUID
		var who string
		_, err := pgx.ForEachRow(rows, []any{&tenant, &who}, func() error {
			holders[tenant] = who
			return nil
		})
		return err //nolint:wrapcheck // The transaction adds the context.
	}
	err = s.crewDo(ctx, c, "read leases", tenants, func(b *pgx.Batch, chunk []uuid.UUID) {
		if renew > 0 {
			b.Queue(leasesRenew, chunk, c.Service, c.Name, holder, renew)
		}
		b.Queue(leasesRead, chunk, c.Service, c.Name).Query(read)
	})
	return holders, err
}

// Take implements subscription.Leases.
func (s *Store) Take(ctx context.Context, c subscription.Crew, holder string, tenants []uuid.UUID, ttl time.Duration) ([]subscription.Taken, error) {
	var taken []subscription.Taken
	err := s.crewDo(ctx, c, "take leases", tenants, func(b *pgx.Batch, chunk []uuid.UUID) {
		b.Queue(leasesTake, chunk, c.Service, c.Name, holder, ttl)
		b.Queue(leasesTaken, chunk, c.Service, c.Name, holder).Query(func(rows pgx.Rows) error {
			var t subscription.Taken
			_, err := pgx.ForEachRow(rows, []any{&t.Tenant, &t.Checkpoint, &t.Head}, func() error {
				taken = append(taken, t)
				return nil
			})
			return err //nolint:wrapcheck // The transaction adds the context.
		})
	})
	return taken, err
}

// Release implements subscription.Leases.
func (s *Store) Release(ctx context.Context, c subscription.Crew, holder string, tenants []uuid.UUID) error {
	return s.crewDo(ctx, c, "release leases", tenants, func(b *pgx.Batch, chunk []uuid.UUID) {
		b.Queue(leasesRelease, chunk, c.Service, c.Name, holder)
	})
}

// Want implements subscription.Leases.
func (s *Store) Want(ctx context.Context, c subscription.Crew, holder string, ttl time.Duration) ([]string, error) {
	var others []string
	err := s.crewDo(ctx, c, "say what is wanted", []uuid.UUID{uuid.Nil}, func(b *pgx.Batch, _ []uuid.UUID) {
		b.Queue(wantsForget, uuid.Nil, c.Service)
		if ttl > 0 {
			b.Queue(leaseTake, uuid.Nil, c.Service, holder, c.Name, ttl)
		} else {
			b.Queue(leaseRelease, uuid.Nil, c.Service, holder, c.Name)
		}
		b.Queue(wantsRead, uuid.Nil, c.Service, c.Name, holder).Query(func(rows pgx.Rows) error {
			var err error
			others, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err //nolint:wrapcheck // The transaction adds the context.
		})
	})
	return others, err
}

// crewDo runs statements on the rows of tenants, chunk by chunk in the order of their ids, so that two never take rows crosswise, in
// one transaction and one round trip.
func (s *Store) crewDo(ctx context.Context, c subscription.Crew, doing string, tenants []uuid.UUID, queue func(*pgx.Batch, []uuid.UUID)) error {
	if len(tenants) == 0 {
		return nil
	}
	tenants = slices.Clone(tenants)
	slices.SortFunc(tenants, func(x, y uuid.UUID) int { return slices.Compare(x[:], y[:]) })
	err := postgres.InPipeline(ctx, s.pool, func(ctx context.Context, p *postgres.Pipeline) error {
		batch := &pgx.Batch{}
		for chunk := range slices.Chunk(tenants, crewChunk) {
			batch.Queue(tenantsChoose, tenantNames(chunk))
			queue(batch, chunk)
		}
		return p.Commit(ctx, batch)
	})
	if err != nil {
		return fmt.Errorf("%s for %s of %s: %w", doing, c.Name, c.Service, err)
	}
	return nil
}
