// Package store reads logs and rows for replays and writes rebuilt rows, in PostgreSQL. All SQL of the service is here.
package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Config holds the store's limits. The zero value of each field gets its default.
type Config struct {
	// History bounds what is held of the log while it is read.
	History history.Config
	// CompareMax is how many rows are compared or written by one statement. Default 5 000.
	CompareMax int
	// SweepMax is how many rows of an old epoch are deleted in one transaction. Default 5 000.
	SweepMax int
	// SnapshotsMax is how many bytes of verified snapshots are kept in memory. Default 96 MiB.
	SnapshotsMax int64
	// LockTimeout bounds the wait for a tenant's log when a rebuild is to be switched to. Default 2 s.
	LockTimeout time.Duration
	// HoldMax bounds how long a tenant's log is held: a transaction that hangs past it is ended by the server. Default 5 s.
	HoldMax time.Duration
	// StatementMax bounds a statement that goes through a whole table. Default 10 min.
	StatementMax time.Duration
	// Unfit is told of snapshots that are not used. err is why one could not be marked, if it could not. Default: nobody is.
	Unfit func(ctx context.Context, s UnfitSnapshot, err error)
}

// UnfitSnapshot is a snapshot that is not used.
type UnfitSnapshot struct {
	Tenant, ID uuid.UUID
	Scope      projection.Scope
	AsOf       int64
	Why        *snapshot.Unfit
}

func (c Config) withDefaults() (Config, error) {
	if c.Unfit == nil {
		c.Unfit = func(context.Context, UnfitSnapshot, error) {}
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"LockTimeout", &c.LockTimeout, 2 * time.Second},
		{"HoldMax", &c.HoldMax, 5 * time.Second},
		{"StatementMax", &c.StatementMax, 10 * time.Minute},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
		if *f.value < time.Millisecond {
			return c, fmt.Errorf("replayer store: %s %s is under a millisecond", f.name, *f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value *int
	}{{"CompareMax", &c.CompareMax}, {"SweepMax", &c.SweepMax}} {
		if *f.value == 0 {
			*f.value = 5000
		}
		if *f.value < 1 {
			return c, fmt.Errorf("replayer store: %s %d must be above zero", f.name, *f.value)
		}
	}
	if c.SnapshotsMax == 0 {
		c.SnapshotsMax = 96 << 20
	}
	if c.SnapshotsMax < 0 {
		return c, fmt.Errorf("replayer store: SnapshotsMax %d must not be below zero", c.SnapshotsMax)
	}
	return c, nil
}

// Store is safe for concurrent use, by several processes on one database too.
type Store struct {
	clock  clock.Clock
	pool   *pgxpool.Pool
	reader *history.Reader
	views  *views
	cfg    Config
}

// New makes a store on a pool that acts as robson_replayer, which the caller closes.
func New(clk clock.Clock, pool *pgxpool.Pool, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	reader, err := history.New(cfg.History)
	if err != nil {
		return nil, err
	}
	return &Store{clock: clk, pool: pool, reader: reader, views: newViews(cfg.SnapshotsMax), cfg: cfg}, nil
}
