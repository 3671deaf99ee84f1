// Package store reads the projections. Each read is one REPEATABLE READ, READ ONLY transaction that sees one tenant,
// and tells the position of the log at which what it found is true: the projections and the head of the log change in
// one transaction, so rows and position of one snapshot belong together.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/postgres"
)

// Config holds the limits of reads. Its zero value works.
type Config struct {
	// WaitPoll is how often a read that waits for a position looks again. Default 10 ms.
	WaitPoll time.Duration
	// WaitMax bounds the wait of a caller whose own deadline is later, or who has none. Default 10 s.
	WaitMax time.Duration
	// WaitersMax bounds the reads that wait at the same time; one more is RESOURCE_EXHAUSTED. Default 256.
	WaitersMax int
	// ExportFetch is how many rows an export holds in memory. Default 500.
	ExportFetch int
	// ExportsMax bounds the exports that run at the same time, each of which holds a connection; one more is
	// RESOURCE_EXHAUSTED. Default 2.
	ExportsMax int
}

const (
	waitPollDefault    = 10 * time.Millisecond
	waitMaxDefault     = 10 * time.Second
	waitersMaxDefault  = 256
	exportFetchDefault = 500
	exportsMaxDefault  = 2

	// PageSizeDefault is the size of a page whose caller names none, PageSizeMax that of the largest. The contract
	// says the same.
	PageSizeDefault = 100
	PageSizeMax     = 1000
)

func (c Config) withDefaults() Config {
	if c.WaitPoll == 0 {
		c.WaitPoll = waitPollDefault
	}
	if c.WaitMax == 0 {
		c.WaitMax = waitMaxDefault
	}
	if c.WaitersMax == 0 {
		c.WaitersMax = waitersMaxDefault
	}
	if c.ExportFetch == 0 {
		c.ExportFetch = exportFetchDefault
	}
	if c.ExportsMax == 0 {
		c.ExportsMax = exportsMaxDefault
	}
	return c
}

func (c Config) validate() error {
	if c.WaitPoll < time.Millisecond || c.WaitMax < c.WaitPoll {
		return fmt.Errorf("projector store config: WaitPoll %s must be at least 1 ms and at most WaitMax %s", c.WaitPoll, c.WaitMax)
	}
	if c.WaitersMax < 1 || c.ExportFetch < 1 || c.ExportsMax < 1 {
		return fmt.Errorf("projector store config: WaitersMax %d, ExportFetch %d and ExportsMax %d must be at least 1",
			c.WaitersMax, c.ExportFetch, c.ExportsMax)
	}
	return nil
}

// Store reads the projections of one database. It is safe for concurrent use and never writes.
type Store struct {
	clock   clock.Clock
	pool    *pgxpool.Pool
	cfg     Config
	waiters chan struct{}
	exports chan struct{}
	metrics *metrics
}

// New makes a store on a pool whose role may read the projections and tenant_log.
func New(clk clock.Clock, pool *pgxpool.Pool, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Store{
		clock: clk, pool: pool, cfg: cfg, metrics: m,
		waiters: make(chan struct{}, cfg.WaitersMax), exports: make(chan struct{}, cfg.ExportsMax),
	}, nil
}

// Head is the end of a tenant's log in one snapshot. A tenant that was never created has position 0 and no hash.
type Head struct {
	Position int64
	Hash     []byte
	// Generation counts the rebuilds of the tenant's tables.
	Generation int64
}

// read runs the queries that queue adds to the batch in one snapshot, whose head has reached least. Where the head is
// behind, it waits and reads anew: queue may run twice and starts from nothing each time.
func (s *Store) read(ctx context.Context, tenant uuid.UUID, least int64, queue func(*pgx.Batch)) (Head, error) {
	head, err := s.snapshot(ctx, tenant, queue)
	if err != nil || head.Position >= least {
		return head, err
	}
	if err := s.await(ctx, tenant, least, head.Position); err != nil {
		return Head{}, err
	}
	return s.snapshot(ctx, tenant, queue)
}

// snapshot runs the queries that queue adds, and one for the head, in one snapshot that shows this tenant alone.
func (s *Store) snapshot(ctx context.Context, tenant uuid.UUID, queue func(*pgx.Batch)) (Head, error) {
	var head Head
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantChoose, tenant.String())
		b.Queue(headGet, tenant).QueryRow(head.scan)
		if queue != nil {
			queue(b)
		}
	})
	if err != nil {
		return Head{}, fmt.Errorf("read state of tenant %s: %w", tenant, err)
	}
	return head, nil
}

// scan reads the answer of headGet.
func (h *Head) scan(found pgx.Row) error {
	err := found.Scan(&h.Position, &h.Hash, &h.Generation)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err //nolint:wrapcheck // The read adds the context.
}
