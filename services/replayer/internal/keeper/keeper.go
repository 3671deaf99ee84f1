// Package keeper does what nobody asks for: it folds the tenants anew whose state other rules have made, validates all tenants, one
// after the other, again and again, and puts right what runs that were broken off have left.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Runner does runs.
type Runner interface {
	Run(ctx context.Context, start replay.Start, told func(replay.Telling)) (*replay.Result, error)
}

// Tidier puts right what runs that were broken off have left.
type Tidier interface {
	Tidy(ctx context.Context, tenant uuid.UUID) error
}

// Archive is what is known of tenants and runs.
type Archive interface {
	Tenants(ctx context.Context) ([]replay.TenantState, error)
	Runs(ctx context.Context, tenant uuid.UUID, kind replay.RunKind, most int) ([]replay.Run, error)
	Prune(ctx context.Context, tenant uuid.UUID, kind replay.RunKind, keep int) error
}

// Config is the keeper's pace. The zero value of each field gets its default.
type Config struct {
	// LookEvery is how often it looks for tenants whose state other rules have made. Default 5 s.
	LookEvery time.Duration
	// ValidateEvery is how long a tenant that was validated is left alone. Default 1 h; below 0: nobody is validated.
	ValidateEvery time.Duration
	// KeepRuns is how many ended runs of a kind are kept of each tenant. Default 100.
	KeepRuns int
}

func (c Config) withDefaults() (Config, error) {
	if c.LookEvery == 0 {
		c.LookEvery = 5 * time.Second
	}
	if c.ValidateEvery == 0 {
		c.ValidateEvery = time.Hour
	}
	if c.KeepRuns == 0 {
		c.KeepRuns = 100
	}
	if c.LookEvery < time.Millisecond || c.KeepRuns < 1 {
		return c, fmt.Errorf("replayer keeper config: LookEvery %s must be at least a millisecond, KeepRuns %d at least 1", c.LookEvery, c.KeepRuns)
	}
	return c, nil
}

// Keeper works from Start to Stop.
type Keeper struct {
	logger  *slog.Logger
	clock   clock.Clock
	runner  Runner
	tidier  Tidier
	archive Archive
	cfg     Config
	metrics *metrics
	// validated is when tenants were last validated, and what differed.
	validated map[uuid.UUID]validation

	mu      sync.Mutex
	cancel  context.CancelFunc
	running sync.WaitGroup
}

type validation struct {
	at          time.Time
	differences int64
}

// New makes a keeper.
func New(logger *slog.Logger, clk clock.Clock, runner *Metered, tidier Tidier, archive Archive, cfg Config) (*Keeper, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Keeper{
		logger: logger, clock: clk, runner: runner, tidier: tidier, archive: archive, cfg: cfg, metrics: runner.metrics,
		validated: map[uuid.UUID]validation{},
	}, nil
}

// Start begins to work. A keeper that works already is left as it is.
func (k *Keeper) Start(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cancel != nil {
		return
	}
	ctx, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	k.running.Go(func() { k.work(ctx) })
}

// Stop ends the work and waits for it. What is under way is interrupted, and gone on with by the next keeper.
func (k *Keeper) Stop() {
	k.mu.Lock()
	cancel := k.cancel
	k.cancel = nil
	k.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	k.running.Wait()
}

func (k *Keeper) work(ctx context.Context) {
	for ctx.Err() == nil {
		k.Look(ctx)
		if clock.Sleep(ctx, k.clock, k.cfg.LookEvery) != nil {
			return
		}
	}
}

// Look goes over all tenants once: first those that can append nothing, then the one that was not validated for longest.
func (k *Keeper) Look(ctx context.Context) {
	tenants, err := k.archive.Tenants(ctx)
	if err != nil {
		k.failed(ctx, "list tenants", uuid.Nil, err)
		return
	}
	behind := slices.DeleteFunc(slices.Clone(tenants), func(t replay.TenantState) bool { return t.RulesVersion >= projection.RulesVersion })
	k.metrics.behind.Record(ctx, int64(len(behind)))
	for _, t := range behind {
		if ctx.Err() != nil {
			return
		}
		if err := k.upgrade(ctx, t.Tenant); err != nil {
			k.failed(ctx, "fold anew by other rules", t.Tenant, err)
		}
	}
	if k.cfg.ValidateEvery > 0 {
		k.validateNext(ctx, tenants)
	}
}

// upgrade folds a tenant anew, going on with what another one has begun.
func (k *Keeper) upgrade(ctx context.Context, tenant uuid.UUID) error {
	start := replay.Start{Tenant: tenant, Run: uuid.New(), Kind: replay.KindUpgrade, Request: replay.Request{Build: true}}
	runs, err := k.archive.Runs(ctx, tenant, replay.KindUpgrade, 1)
	if err != nil {
		return err
	}
	if len(runs) > 0 && runs[0].RulesVersion == projection.RulesVersion && runs[0].IsOpen() {
		start.Run, start.Resume = runs[0].ID, true
	}
	k.logger.InfoContext(ctx, "folding a tenant anew by other rules", "tenant_id", tenant, "run_id", start.Run, "resumed", start.Resume)
	result, err := k.runner.Run(ctx, start, func(replay.Telling) {})
	if err != nil {
		return err
	}
	k.logger.InfoContext(ctx, "folded a tenant anew", "tenant_id", tenant, "run_id", start.Run, "events", result.Events, "rows", result.Rows, "took", result.Took)
	return nil
}

// validateNext validates the tenant that was not validated for longest, if it is time.
func (k *Keeper) validateNext(ctx context.Context, tenants []replay.TenantState) {
	var next uuid.UUID
	var oldest time.Time
	for _, t := range tenants {
		if t.RulesVersion != projection.RulesVersion {
			continue
		}
		known, err := k.lastOf(ctx, t.Tenant)
		if err != nil {
			k.failed(ctx, "read the last validation", t.Tenant, err)
			return
		}
		if next == uuid.Nil || known.at.Before(oldest) {
			next, oldest = t.Tenant, known.at
		}
	}
	if next == uuid.Nil {
		return
	}
	if !oldest.IsZero() {
		k.metrics.age(ctx, k.clock.Now().Sub(oldest))
	}
	if k.clock.Now().Sub(oldest) < k.cfg.ValidateEvery {
		return
	}
	if err := k.validate(ctx, next); err != nil {
		k.failed(ctx, "validate", next, err)
	}
	total := int64(0)
	for _, v := range k.validated {
		total += v.differences
	}
	k.metrics.differences.Record(ctx, total)
}

// lastOf is when a tenant was last validated, by whom ever.
func (k *Keeper) lastOf(ctx context.Context, tenant uuid.UUID) (validation, error) {
	if known, is := k.validated[tenant]; is {
		return known, nil
	}
	runs, err := k.archive.Runs(ctx, tenant, replay.KindValidate, 1)
	if err != nil {
		return validation{}, err
	}
	v := validation{}
	if len(runs) > 0 && runs[0].Status == replay.StatusDone {
		result, err := replay.ParseResult(runs[0].Result)
		if err != nil {
			return validation{}, err
		}
		v = validation{at: runs[0].StartedAt, differences: result.Found}
	}
	k.validated[tenant] = v
	return v, nil
}

// validate puts a tenant's old runs right and validates it.
func (k *Keeper) validate(ctx context.Context, tenant uuid.UUID) error {
	at := k.clock.Now()
	if err := k.tidier.Tidy(ctx, tenant); err != nil {
		return err
	}
	for _, kind := range []replay.RunKind{replay.KindRebuild, replay.KindUpgrade, replay.KindValidate} {
		if err := k.archive.Prune(ctx, tenant, kind, k.cfg.KeepRuns); err != nil {
			return err
		}
	}
	// However it ends, it is another tenant's turn.
	k.validated[tenant] = validation{at: at, differences: k.validated[tenant].differences}
	result, err := k.runner.Run(ctx, replay.Start{
		Tenant: tenant, Run: uuid.New(), Kind: replay.KindValidate, Request: replay.Request{DryRun: true},
	}, func(replay.Telling) {})
	if err != nil {
		return err
	}
	k.validated[tenant] = validation{at: at, differences: result.Found}
	if result.Found == 0 {
		k.logger.DebugContext(ctx, "validated", "tenant_id", tenant, "position", result.ToPosition, "rows", result.Rows, "took", result.Took)
		return nil
	}
	first := result.Differences[0]
	k.logger.ErrorContext(ctx, "the state is not what the log folds to", "tenant_id", tenant, "run_id", result.Run, "position", result.ToPosition,
		"differences", result.Found, "first_table", first.Key.Table, "first_key", first.Key.ID())
	return nil
}

// failed logs what went wrong, unless it is only somebody else's turn or the end.
func (k *Keeper) failed(ctx context.Context, doing string, tenant uuid.UUID, err error) {
	if ctx.Err() != nil || fault.Is(err, fault.Conflict) || fault.Is(err, fault.Exhausted) || errors.Is(err, context.Canceled) {
		return
	}
	k.logger.ErrorContext(ctx, "the keeper could not do its work", "doing", doing, "tenant_id", tenant, "error", err)
}
