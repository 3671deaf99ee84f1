// Package server turns the contract's requests into work of package checkpoint and reads of the store, and what they give into the
// contract's messages.
package server

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
)

// Store is what the servers read and set by themselves.
type Store interface {
	// Get gives what is known of a snapshot. NotFound if the tenant has none such.
	Get(ctx context.Context, tenant, id uuid.UUID) (checkpoint.Snapshot, error)
	// List gives snapshots that meet a filter, newest first, after one of them.
	List(ctx context.Context, tenant uuid.UUID, f checkpoint.Filter, after *checkpoint.Snapshot, size int) ([]checkpoint.Snapshot, error)
	// Schedule says when a tenant's snapshots are due. NotFound if it has no log.
	Schedule(ctx context.Context, tenant uuid.UUID) (checkpoint.Schedule, error)
	// SetSchedule changes it, and gives it as it is then.
	SetSchedule(ctx context.Context, tenant uuid.UUID, c store.ScheduleChange) (checkpoint.Schedule, error)
}

// Maker makes snapshots.
type Maker interface {
	// Make makes a snapshot of a scope as of now.
	Make(ctx context.Context, tenant uuid.UUID, scope projection.Scope, trigger checkpoint.Trigger) (checkpoint.Made, error)
}

// Checker verifies snapshots before they are given away.
type Checker interface {
	// Check gives a snapshot that is fit; *snapshot.Unfit is in the error's chain if it is not.
	Check(ctx context.Context, tenant, id uuid.UUID) (checkpoint.Checked, error)
	// Find gives the newest one of a scope that is fit, and the newer ones that are not.
	Find(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64, at time.Time) (checkpoint.Checked, []checkpoint.PassedOver, error)
}

// Verifier verifies many.
type Verifier interface {
	// Verify verifies those that meet a filter and tells of each.
	Verify(ctx context.Context, tenant uuid.UUID, f checkpoint.Filter, deep bool, findings checkpoint.Findings) error
}

// Pruner removes what is more than needed.
type Pruner interface {
	// Prune removes snapshots and tells of each.
	Prune(ctx context.Context, tenant uuid.UUID, params checkpoint.PruneParams, removed func(checkpoint.Snapshot) error) error
}

// Deps are what the servers work with.
type Deps struct {
	Clock    clock.Clock
	Store    Store
	Maker    Maker
	Checker  Checker
	Verifier Verifier
	Pruner   Pruner
	// Stopping ends long calls when it is closed.
	Stopping <-chan struct{}
}

// VerifyingMax is how many verifications run at the same time; a deep one folds a whole log.
const VerifyingMax = 2

// Servers are the three services of the contract.
type Servers struct {
	Read    *Read
	State   *State
	Operate *Operate
}

// New makes the servers.
func New(d Deps) *Servers {
	return &Servers{Read: &Read{deps: d}, State: &State{deps: d, verifying: make(chan struct{}, VerifyingMax)}, Operate: &Operate{deps: d}}
}

// Read serves ReadService.
type Read struct {
	snapshotterv1.UnimplementedReadServiceServer
	deps Deps
}

// State serves StateService.
type State struct {
	snapshotterv1.UnimplementedStateServiceServer
	deps      Deps
	verifying chan struct{}
}

// Operate serves OperateService.
type Operate struct {
	snapshotterv1.UnimplementedOperateServiceServer
	deps Deps
}

// parseID reads an id that the contract has seen to; empty is Nil.
func parseID(field, text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fault.InvalidField(field, "must be a UUID")
	}
	return id, nil
}

// refused is the answer to who asks for a snapshot that is not fit.
func refused(s checkpoint.Snapshot, why *snapshot.Unfit) error {
	return fault.Wrap(why, fault.Refused, "SNAPSHOT_UNFIT", "snapshot %s", s.ID).With("snapshot_id", s.ID.String()).With("unfit", string(why.Reason))
}

// until gives a context that ends when the service stops, too.
func until(ctx context.Context, stopping <-chan struct{}) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(fault.New(fault.Unavailable, "STOPPING", "this replica stops, and the call with it").WithRetryAfter(stoppingRetryAfter))
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// stoppingRetryAfter is when another replica may be asked.
const stoppingRetryAfter = time.Second

// ended is why a long call gave up: the context's cause, where it has one of ours.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && fault.As(cause) != nil {
		return cause //nolint:wrapcheck // It says why.
	}
	return err
}
