// Package worker makes the snapshots that are due, and tells the log of those that a crash left untold. Any number of workers share
// the work: what one claims the others pass over, and a claim ends by itself.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// Work is what a worker needs of the store.
type Work interface {
	// Tenants lists tenants by id, after one of them.
	Tenants(ctx context.Context, after uuid.UUID, size int) ([]uuid.UUID, error)
	// Claim takes due snapshots for the time of a lease; what others hold is passed over.
	Claim(ctx context.Context, tenants []uuid.UUID, by string, size int) ([]checkpoint.Due, error)
	// Drop removes what is due and cannot be made, unless it became due again since.
	Drop(ctx context.Context, d checkpoint.Due) error
	// DueByTime makes due what the schedule's time says, and gives how many that were, and that time; 0 for never.
	DueByTime(ctx context.Context, tenant uuid.UUID, size int) (made int, every time.Duration, err error)
	// Untold gives snapshots of which the log was not told for a lease.
	Untold(ctx context.Context, tenants []uuid.UUID, size int) ([]checkpoint.Snapshot, error)
	// Waiting says how many are due and for how long the oldest has been.
	Waiting(ctx context.Context, tenants []uuid.UUID) (int, time.Duration, error)
}

// Maker makes snapshots and tells of them.
type Maker interface {
	Make(ctx context.Context, tenant uuid.UUID, scope projection.Scope, trigger checkpoint.Trigger) (checkpoint.Made, error)
	Tell(ctx context.Context, s checkpoint.Snapshot) error
}

// Config are the worker's named choices. Its zero value works.
type Config struct {
	// Name is by what claims are told apart; default a new one.
	Name string
	// Poll is how long it waits when nothing was due. Default 1 s.
	Poll time.Duration
	// SweepEvery is how often it looks for what was not told, and at most how often for what time makes due. Default 30 s.
	SweepEvery time.Duration
	// ClaimMax is how many it claims at once, and Parallel how many it makes at the same time. Defaults 16 and 2.
	ClaimMax, Parallel int
	// MakeTimeout bounds the making of one; default 45 s, which is less than a claim holds.
	MakeTimeout time.Duration
}

const (
	tenantsPage = 500
	// sweepMax bounds what one look at a tenant makes due, and tellMax how many are told in one round.
	sweepMax = 1000
	tellMax  = 100
	// looksPerTime is how often a tenant is looked at in the time of its schedule: a look reads what is counted of all its scopes,
	// and the twentieth part of an hour more or less is nothing to a checkpoint.
	looksPerTime = 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = uuid.NewString()
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{{"Poll", &c.Poll, time.Second}, {"SweepEvery", &c.SweepEvery, 30 * time.Second}, {"MakeTimeout", &c.MakeTimeout, 45 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < time.Millisecond {
			return c, fmt.Errorf("snapshotter worker config: %s %s is under a millisecond", d.name, *d.value)
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		def   int
	}{{"ClaimMax", &c.ClaimMax, 16}, {"Parallel", &c.Parallel, 2}} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < 1 {
			return c, fmt.Errorf("snapshotter worker config: %s %d must be at least 1", n.name, *n.value)
		}
	}
	return c, nil
}

// Worker makes what is due, from Start to Stop.
type Worker struct {
	logger  *slog.Logger
	clock   clock.Clock
	work    Work
	maker   Maker
	cfg     Config
	metrics *metrics

	swept time.Time
	// next is when a tenant is looked at again.
	next map[uuid.UUID]time.Time

	mu      sync.Mutex
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New makes a worker.
func New(logger *slog.Logger, clk clock.Clock, work Work, maker Maker, cfg Config) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Worker{logger: logger, clock: clk, work: work, maker: maker, cfg: cfg, metrics: m, next: map[uuid.UUID]time.Time{}}, nil
}

// Start begins to work. A second call does nothing.
func (w *Worker) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		return nil
	}
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.running.Go(func() { w.run(ctx) })
	return nil
}

// Stop ends the work and waits for it. What was being made is made by whoever comes after the claim.
func (w *Worker) Stop() {
	w.mu.Lock()
	cancel := w.cancel
	w.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	w.running.Wait()
}

func (w *Worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		made, err := w.Round(ctx)
		if err != nil && ctx.Err() == nil {
			w.metrics.failed(ctx, "round")
			w.logger.ErrorContext(ctx, "a round of snapshots went wrong", "error", err)
		}
		if made == 0 || err != nil {
			_ = clock.Sleep(ctx, w.clock, w.cfg.Poll)
		}
	}
}

// Round looks once at all tenants and makes what is due and unclaimed, at most ClaimMax of each page of tenants; now and then also what
// time makes due, and tells what was not told. It gives how many were made. One that cannot be made harms no other. One goroutine
// calls it.
func (w *Worker) Round(ctx context.Context) (made int, err error) {
	sweep := w.swept.IsZero() || w.clock.Now().Sub(w.swept) >= w.cfg.SweepEvery
	var waiting int
	var oldest time.Duration
	var errs []error
	for after := uuid.Nil; ; {
		tenants, err := w.work.Tenants(ctx, after, tenantsPage)
		if err != nil {
			return made, errors.Join(append(errs, err)...)
		}
		if len(tenants) == 0 {
			break
		}
		if sweep {
			errs = append(errs, w.sweep(ctx, tenants))
		}
		done, err := w.page(ctx, tenants)
		made += done
		errs = append(errs, err)
		left, longest, err := w.work.Waiting(ctx, tenants)
		errs = append(errs, err)
		waiting, oldest = waiting+left, max(oldest, longest)
		if len(tenants) < tenantsPage {
			break
		}
		after = tenants[len(tenants)-1]
	}
	w.metrics.waiting(ctx, waiting, oldest)
	if err := errors.Join(errs...); err != nil {
		return made, err
	}
	if sweep {
		w.swept = w.clock.Now()
	}
	return made, nil
}

// sweep looks for what time makes due, and tells what was not told.
func (w *Worker) sweep(ctx context.Context, tenants []uuid.UUID) error {
	var errs []error
	now := w.clock.Now()
	for _, tenant := range tenants {
		if now.Before(w.next[tenant]) {
			continue
		}
		made, every, err := w.work.DueByTime(ctx, tenant, sweepMax)
		errs = append(errs, err)
		if err == nil && made < sweepMax {
			w.next[tenant] = now.Add(every / looksPerTime)
		}
	}
	untold, err := w.work.Untold(ctx, tenants, tellMax)
	errs = append(errs, err)
	for _, s := range untold {
		if err := w.maker.Tell(ctx, s); err != nil {
			w.metrics.failed(ctx, "tell")
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// page makes what is due of some tenants.
func (w *Worker) page(ctx context.Context, tenants []uuid.UUID) (made int, err error) {
	claimed, err := w.work.Claim(ctx, tenants, w.cfg.Name, w.cfg.ClaimMax)
	if err != nil {
		return 0, err
	}
	var group errgroup.Group
	group.SetLimit(w.cfg.Parallel)
	for _, due := range claimed {
		group.Go(func() error {
			w.make(ctx, due)
			return nil
		})
	}
	_ = group.Wait() // No maker gives an error: each tells of its own.
	return len(claimed), nil
}

// make makes one. What went wrong is told here; it is tried again when the claim is over.
func (w *Worker) make(ctx context.Context, due checkpoint.Due) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.MakeTimeout)
	defer cancel()
	logger := w.logger.With("tenant_id", due.TenantID, "scope", due.Scope.String(), "trigger", string(due.Trigger))
	began := w.clock.Now()
	made, err := w.maker.Make(ctx, due.TenantID, due.Scope, due.Trigger)
	switch {
	case fault.Is(err, fault.NotFound):
		// Events may name what was never registered: of that there is no state.
		if err := w.work.Drop(ctx, due); err != nil {
			logger.ErrorContext(ctx, "what is due and has no state was not dropped", "error", err)
		}
		return
	case err != nil:
		w.metrics.failed(ctx, "make")
		logger.ErrorContext(ctx, "a snapshot was not made", "error", err)
		return
	case made.Untold != nil:
		w.metrics.failed(ctx, "tell")
		logger.WarnContext(ctx, "the log was not told of a snapshot yet", "snapshot_id", made.Snapshot.ID, "error", made.Untold)
	}
	w.metrics.made(ctx, made.Snapshot, w.clock.Now().Sub(began))
	logger.InfoContext(ctx, "snapshot made", "snapshot_id", made.Snapshot.ID, "position", made.Snapshot.AsOf, "rows", made.Snapshot.Own, "stored_bytes", made.Snapshot.StoredBytes)
}
