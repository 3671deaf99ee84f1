package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres"
)

// Worker names a worker of a service for a tenant.
type Worker struct {
	Tenant  uuid.UUID
	Service string
	Name    string
}

// Checkpoint is how far a worker has come. It is zero for one that never saved any.
type Checkpoint struct {
	Value   int64
	SavedAt time.Time
}

// Lease is who does a worker's work, and until when.
type Lease struct {
	Holder    string
	ExpiresAt time.Time
}

// Checkpoint gives how far a worker has come.
func (s *Store) Checkpoint(ctx context.Context, w Worker) (Checkpoint, error) {
	var c Checkpoint
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, w.Tenant.String())
		b.Queue(checkpointRead, w.Tenant, w.Service, w.Name).QueryRow(c.scan)
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint %s of %s: %w", w.Name, w.Service, err)
	}
	return c, nil
}

func (c *Checkpoint) scan(row pgx.Row) error { return optionalRow(row.Scan(&c.Value, &c.SavedAt)) }

// CheckpointSave moves a worker's checkpoint forward and gives what is then stored, which is the greater value: one behind
// it changes nothing.
func (s *Store) CheckpointSave(ctx context.Context, w Worker, value int64) (Checkpoint, error) {
	var c Checkpoint
	err := s.writeWorker(ctx, w, func(b *pgx.Batch) {
		b.Queue(checkpointSave, w.Tenant, w.Service, w.Name, value)
		b.Queue(checkpointRead, w.Tenant, w.Service, w.Name).QueryRow(c.scan)
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("save checkpoint %s of %s: %w", w.Name, w.Service, err)
	}
	return c, nil
}

// LeaseAcquire takes or renews a lease for a holder, unless another's has not lapsed, and gives who holds it then. Time is
// the database's.
func (s *Store) LeaseAcquire(ctx context.Context, w Worker, holder string, ttl time.Duration) (Lease, error) {
	var l Lease
	err := s.writeWorker(ctx, w, func(b *pgx.Batch) {
		b.Queue(leaseTake, w.Tenant, w.Service, w.Name, holder, ttl)
		b.Queue(leaseRead, w.Tenant, w.Service, w.Name).QueryRow(func(row pgx.Row) error { return row.Scan(&l.Holder, &l.ExpiresAt) })
	})
	if err != nil {
		return Lease{}, fmt.Errorf("acquire lease %s of %s: %w", w.Name, w.Service, err)
	}
	return l, nil
}

// LeaseRelease gives a lease back, if the holder has it.
func (s *Store) LeaseRelease(ctx context.Context, w Worker, holder string) error {
	err := s.writeWorker(ctx, w, func(b *pgx.Batch) {
		b.Queue(leaseRelease, w.Tenant, w.Service, w.Name, holder)
	})
	if err != nil {
		return fmt.Errorf("release lease %s of %s: %w", w.Name, w.Service, err)
	}
	return nil
}

// writeWorker runs statements on a tenant's rows in one transaction and one round trip.
func (s *Store) writeWorker(ctx context.Context, w Worker, queue func(*pgx.Batch)) error {
	return postgres.InPipeline(ctx, s.pool, func(ctx context.Context, p *postgres.Pipeline) error {
		batch := &pgx.Batch{}
		batch.Queue(tenantsChoose, w.Tenant.String())
		queue(batch)
		return p.Commit(ctx, batch)
	})
}
