package checkpoint

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Cellar is what pruning needs of the store.
type Cellar interface {
	// Crowded gives scopes that meet a filter and have more than keep snapshots, or an unfit one, after one of them and in order.
	Crowded(ctx context.Context, tenant uuid.UUID, f Filter, keep int, after projection.Scope, size int) ([]projection.Scope, error)
	// OfScope gives all snapshots of a scope, those of the latest position first.
	OfScope(ctx context.Context, tenant uuid.UUID, scope projection.Scope) ([]Snapshot, error)
	// Delete removes snapshots.
	Delete(ctx context.Context, tenant uuid.UUID, ids []uuid.UUID) error
}

// PruneParams say what is removed.
type PruneParams struct {
	// Filter chooses the scopes; its times and its mark say nothing here.
	Filter Filter
	// Keep is how many of each scope stay, at least 1.
	Keep int
	// Before spares what was made at or after this time; zero spares nothing.
	Before time.Time
	// DryRun removes nothing.
	DryRun bool
}

// scopesPage is how many scopes are looked at together.
const scopesPage = 100

// Pruner removes snapshots that are more than needed.
type Pruner struct {
	cellar  Cellar
	checker *Checker
}

// NewPruner makes a pruner.
func NewPruner(cellar Cellar, checker *Checker) *Pruner {
	return &Pruner{cellar: cellar, checker: checker}
}

// Prune removes, scope by scope, what Victims says, and gives each one that it has removed to removed. What was removed before an
// error stays so.
func (p *Pruner) Prune(ctx context.Context, tenant uuid.UUID, params PruneParams, removed func(Snapshot) error) error {
	if params.Keep < 1 {
		return fault.InvalidField("keep", "must be at least 1 and is %d", params.Keep)
	}
	var after projection.Scope
	for {
		scopes, err := p.cellar.Crowded(ctx, tenant, params.Filter, params.Keep, after, scopesPage)
		if err != nil {
			return err
		}
		for _, scope := range scopes {
			if err := p.scope(ctx, tenant, scope, params, removed); err != nil {
				return err
			}
			after = scope
		}
		if len(scopes) < scopesPage {
			return nil
		}
	}
}

func (p *Pruner) scope(ctx context.Context, tenant uuid.UUID, scope projection.Scope, params PruneParams, removed func(Snapshot) error) error {
	all, err := p.cellar.OfScope(ctx, tenant, scope)
	if err != nil {
		return err
	}
	if err := p.prove(ctx, all); err != nil {
		return err
	}
	victims := Victims(all, params.Keep, params.Before)
	if !params.DryRun && len(victims) > 0 {
		ids := make([]uuid.UUID, len(victims))
		for i, s := range victims {
			ids[i] = s.ID
		}
		if err := p.cellar.Delete(ctx, tenant, ids); err != nil {
			return err
		}
	}
	for _, s := range victims {
		if err := removed(s); err != nil {
			return err
		}
	}
	return nil
}

// prove verifies a scope's snapshots from the newest on until one is fit, so that no older one is removed in favour of one that
// cannot be used. Those that are not are marked, in the list too.
func (p *Pruner) prove(ctx context.Context, all []Snapshot) error {
	for i := range all {
		if all[i].Unfit != "" {
			continue
		}
		_, err := p.checker.Check(ctx, all[i].TenantID, all[i].ID)
		var why *snapshot.Unfit
		switch {
		case errors.As(err, &why):
			all[i].Unfit = why.Reason
		case err != nil && !fault.Is(err, fault.NotFound):
			return err
		default:
			return nil
		}
	}
	return nil
}

// Victims are those of a scope's snapshots that may go, of which the newest come first: the unfit ones; and of the others those
// beyond the newest so many that were made before a time, where it is not zero.
func Victims(all []Snapshot, keep int, before time.Time) []Snapshot {
	var victims []Snapshot
	kept := 0
	for _, s := range all {
		if s.Unfit == "" {
			if kept++; kept <= keep || !before.IsZero() && !s.CreatedAt.Before(before) {
				continue
			}
		}
		victims = append(victims, s)
	}
	return slices.Clip(victims)
}
