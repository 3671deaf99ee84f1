// Package store keeps snapshots, reads the state that they are made of, and shares out those that are due. Each transaction sees
// the tenants that it names and no others.
package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/postgres"
)

// Config holds the limits of the store. Its zero value works.
type Config struct {
	// Lease is how long a claim of a due snapshot holds. Whoever dies with one loses it then; whoever cannot make it tries again
	// then. Default 1 min.
	Lease time.Duration
	// TailMax bounds how many events behind the stored counts are counted anew for a snapshot. Default 20,000.
	TailMax int
}

const (
	leaseDefault   = time.Minute
	tailMaxDefault = 20_000
)

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = leaseDefault
	}
	if c.TailMax == 0 {
		c.TailMax = tailMaxDefault
	}
	return c
}

// Store is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	cfg     Config
	history *history.Reader
}

// New makes a store on a pool that acts as robson_snapshotter.
func New(pool *pgxpool.Pool, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if cfg.Lease < time.Millisecond || cfg.TailMax < 1 {
		return nil, fmt.Errorf("snapshotter store config: Lease %s must be at least 1 ms and TailMax %d at least 1", cfg.Lease, cfg.TailMax)
	}
	reader, err := history.New(history.Config{})
	if err != nil {
		return nil, err
	}
	return &Store{pool: pool, cfg: cfg, history: reader}, nil
}

// How transactions run: those that read see one moment.
var (
	readOnly  = postgres.TxOptions{Isolation: pgx.RepeatableRead, ReadOnly: true}
	readWrite = postgres.TxOptions{}
)

// read runs fn in one snapshot of the database that shows this tenant alone.
func (s *Store) read(ctx context.Context, tenant uuid.UUID, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return s.in(ctx, readOnly, tenant.String(), fn)
}

// write runs fn in a transaction that shows these tenants alone.
func (s *Store) write(ctx context.Context, tenants []uuid.UUID, fn func(ctx context.Context, tx pgx.Tx) error) error {
	names := make([]string, len(tenants))
	for i, tenant := range tenants {
		names[i] = tenant.String()
	}
	return s.in(ctx, readWrite, strings.Join(names, ","), fn)
}

func (s *Store) in(ctx context.Context, opts postgres.TxOptions, tenants string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return postgres.InTx(ctx, s.pool, opts, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, tenantsChoose, tenants); err != nil {
			return fmt.Errorf("choose tenants: %w", err)
		}
		return fn(ctx, tx)
	})
}
