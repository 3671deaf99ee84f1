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
	// RoundsMax is how often an append's transaction may load rows that a rule asks for; default 8.
	RoundsMax int
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
	if c.RoundsMax == 0 {
		c.RoundsMax = 8
	}
	if c.PartitionsAhead == 0 {
		c.PartitionsAhead = 3
	}
	if c.PartitionsEvery == 0 {
		c.PartitionsEvery = time.Hour
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
	cfg   Config
}

// New makes a store on a pool that acts as robson_eventlog, which the caller closes.
func New(clk clock.Clock, pool *pgxpool.Pool, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Store{clock: clk, pool: pool, cfg: cfg}, nil
}

// Limits are what appends are held to.
func (s *Store) Limits() intake.Limits { return s.cfg.Limits }
