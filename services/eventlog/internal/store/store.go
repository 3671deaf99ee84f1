// Package store keeps the log in PostgreSQL: the append-and-project transaction, reads, the workers' bookkeeping, and the
// months' partitions. All SQL of the service is in sql.go.
package store

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// Config holds the store's limits. The zero value of each field gets its default.
type Config struct {
	// Limits bound each append.
	Limits intake.Limits
	// RoundsMax is how often a transaction may load rows that the rules ask for, for each of its appends; default 8.
	RoundsMax int
	// TriesMax is how often a transaction runs whose commit is uncertain or that lost against another; default 5.
	TriesMax int
	// RetryDelay is the first wait between those tries; it doubles; default 20 ms.
	RetryDelay time.Duration
	// AppendTimeout bounds an append with all its tries; default 20 s.
	AppendTimeout time.Duration
	// CacheRowsMax is how many rows and heads of streams are kept in memory of all logs together, CacheTenantRowsMax of one;
	// a log that has more is read anew. Defaults 60 000 and 5 000, some 1 kB each.
	CacheRowsMax, CacheTenantRowsMax int
	// OnCommit is told of each log that a transaction of this process made longer, before the senders are answered; of two
	// transactions at a time in any order, so the greatest position counts. It must not block. Nil: nobody.
	OnCommit func(Committed)
	// Reads bound reads.
	Reads ReadLimits
	// ReadPool serves reads and verifications, so that however many there are they take no connection from appends; nil: the
	// appends' own. The caller closes it.
	ReadPool *pgxpool.Pool
	// Verify bounds verifications of logs.
	Verify VerifyLimits
	// PartitionsAhead is how many months after this one have a partition made; default 3.
	PartitionsAhead int
	// PartitionsEvery is how often months are looked after; default 1 h.
	PartitionsEvery time.Duration
}

func (c Config) withDefaults() (Config, error) {
	limits, err := c.Limits.WithDefaults()
	if err != nil {
		return c, fmt.Errorf("eventlog store: %w", err)
	}
	c.Limits = limits
	if c.Reads, err = c.Reads.withDefaults(); err != nil {
		return c, err
	}
	if c.Verify, err = c.Verify.withDefaults(); err != nil {
		return c, err
	}
	if c.RoundsMax == 0 {
		c.RoundsMax = 8
	}
	if c.TriesMax == 0 {
		c.TriesMax = 5
	}
	if c.RetryDelay == 0 {
		c.RetryDelay = 20 * time.Millisecond
	}
	if c.AppendTimeout == 0 {
		c.AppendTimeout = 20 * time.Second
	}
	if c.CacheRowsMax == 0 {
		c.CacheRowsMax = 60_000
	}
	if c.CacheTenantRowsMax == 0 {
		c.CacheTenantRowsMax = 5_000
	}
	if c.OnCommit == nil {
		c.OnCommit = func(Committed) {}
	}
	if c.PartitionsAhead == 0 {
		c.PartitionsAhead = 3
	}
	if c.PartitionsEvery == 0 {
		c.PartitionsEvery = time.Hour
	}
	if c.TriesMax < 1 || c.RetryDelay < 0 || c.AppendTimeout < 0 {
		return c, fmt.Errorf("eventlog store: TriesMax %d must be above zero, RetryDelay %s and AppendTimeout %s not below",
			c.TriesMax, c.RetryDelay, c.AppendTimeout)
	}
	if c.RoundsMax < 1 || c.PartitionsAhead < 1 || c.PartitionsEvery < 0 {
		return c, fmt.Errorf("eventlog store: RoundsMax %d and PartitionsAhead %d must be above zero, PartitionsEvery %s not below",
			c.RoundsMax, c.PartitionsAhead, c.PartitionsEvery)
	}
	return c, nil
}

// Store is the log in PostgreSQL. It is safe for concurrent use, by several processes on one database too.
type Store struct {
	clock clock.Clock
	pool  *pgxpool.Pool
	// reads is what reads go by.
	reads *pgxpool.Pool
	cfg   Config

	caches  *caches
	metrics metrics

	verifying verifying
}

// New makes a store on a pool that acts as robson_eventlog, which the caller closes.
func New(clk clock.Clock, pool *pgxpool.Pool, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	reads := cfg.ReadPool
	if reads == nil {
		reads = pool
	}
	return &Store{clock: clk, pool: pool, reads: reads, cfg: cfg, caches: newCaches(cfg.CacheTenantRowsMax, cfg.CacheRowsMax), metrics: newMetrics()}, nil
}

// Limits are what appends are held to.
func (s *Store) Limits() intake.Limits { return s.cfg.Limits }
