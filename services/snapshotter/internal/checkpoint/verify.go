package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Catalogue is what verifying many needs of the store.
type Catalogue interface {
	// List gives snapshots that meet a filter, newest first, after one of them.
	List(ctx context.Context, tenant uuid.UUID, f Filter, after *Snapshot, size int) ([]Snapshot, error)
	// Replay gives the events of a tenant's log from the first to a position, in order. An event is the callee's until it returns.
	Replay(ctx context.Context, tenant uuid.UUID, to int64, each func(*projection.Event) error) error
}

// Limits of verifying.
const (
	verifyPage = 100
	// deepMax bounds how many snapshots are held against one fold of the log.
	deepMax = 10_000
	// deepRowsMax bounds the state that is folded for it, some 500 MB.
	deepRowsMax = 300_000
)

// Verifier verifies many snapshots.
type Verifier struct {
	catalogue Catalogue
	checker   *Checker
	cfg       snapshot.Config
}

// NewVerifier makes a verifier.
func NewVerifier(catalogue Catalogue, checker *Checker) *Verifier {
	return &Verifier{catalogue: catalogue, checker: checker, cfg: snapshot.Config{CompressFrom: snapshot.TextMax}}
}

// Findings is told what a verification comes to.
type Findings struct {
	// Found is called once for each snapshot; why is nil for one that is fit.
	Found func(s Snapshot, why *snapshot.Unfit) error
	// Progress is called after every event of the fold of a deep verification.
	Progress func(done, total int64) error
}

// Verify verifies the snapshots that meet a filter, newest first; deep, also against the fold of the log, those of the earliest
// position first. Each is marked as it was found.
func (v *Verifier) Verify(ctx context.Context, tenant uuid.UUID, f Filter, deep bool, findings Findings) error {
	var sound []Snapshot
	var after *Snapshot
	for {
		page, err := v.catalogue.List(ctx, tenant, f, after, verifyPage)
		if err != nil {
			return err
		}
		for i := range page {
			good, err := v.shallow(ctx, page[i], deep, findings)
			if err != nil {
				return err
			}
			if good {
				sound = append(sound, page[i])
			}
		}
		if len(page) < verifyPage {
			break
		}
		after = &page[len(page)-1]
		if len(sound) > deepMax {
			return fault.New(fault.Exhausted, "TOO_MANY_SNAPSHOTS", "more than %d snapshots cannot be held against the log at once: choose a scope", deepMax)
		}
	}
	if len(sound) == 0 {
		return nil
	}
	return v.deep(ctx, tenant, sound, findings)
}

// shallow verifies one by itself. good says that the log is to be asked as well.
func (v *Verifier) shallow(ctx context.Context, s Snapshot, deep bool, findings Findings) (good bool, err error) {
	checked, err := v.checker.Check(ctx, s.TenantID, s.ID)
	var why *snapshot.Unfit
	switch {
	case errors.As(err, &why):
		return false, findings.Found(checked.Snapshot, why)
	case fault.Is(err, fault.NotFound): // It was pruned meanwhile.
		return false, nil
	case err != nil || deep:
		return err == nil, err
	}
	if err := v.checker.Accept(ctx, &checked.Snapshot); err != nil {
		return false, err
	}
	return false, findings.Found(checked.Snapshot, nil)
}

// deep folds the log once and holds each snapshot against the state at its position.
func (v *Verifier) deep(ctx context.Context, tenant uuid.UUID, sound []Snapshot, findings Findings) error {
	slices.SortFunc(sound, func(a, b Snapshot) int { return cmp.Compare(a.AsOf, b.AsOf) })
	last := sound[len(sound)-1].AsOf
	state := &projection.Memory{}
	return v.catalogue.Replay(ctx, tenant, last, func(ev *projection.Event) error {
		if _, err := projection.Fold(state, *ev); err != nil {
			return fault.Wrap(err, fault.Corrupt, "LOG_UNFOLDABLE", "the log cannot be folded at position %d", ev.Position)
		}
		if state.Len() > deepRowsMax {
			return fault.New(fault.Exhausted, "STATE_TOO_LARGE", "the tenant's state at position %d has more than %d rows: it is verified by the replayer", ev.Position, deepRowsMax)
		}
		for len(sound) > 0 && sound[0].AsOf == ev.Position {
			if err := v.compare(ctx, sound[0], state, findings); err != nil {
				return err
			}
			sound = sound[1:]
		}
		return findings.Progress(ev.Position, last)
	})
}

// compare holds a snapshot against the state that the log folds to.
func (v *Verifier) compare(ctx context.Context, s Snapshot, state *projection.Memory, findings Findings) error {
	sealed, err := snapshot.Encode(s.Meta, s.Scope.Cut(state.Rows()), v.cfg)
	if err != nil {
		return err
	}
	if sealed.Hash == s.Hash {
		if err := v.checker.Accept(ctx, &s); err != nil {
			return err
		}
		return findings.Found(s, nil)
	}
	why := &snapshot.Unfit{Reason: snapshot.ReasonState, Detail: "its state is not what the log folds to"}
	if err := v.checker.Reject(ctx, &s, why); err != nil {
		return err
	}
	return findings.Found(s, why)
}
