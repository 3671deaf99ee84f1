package checkpoint

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Stock is what the Checker needs of the store.
type Stock interface {
	// Load gives the stored bytes, unverified. NotFound if the tenant has no such snapshot.
	Load(ctx context.Context, tenant, id uuid.UUID) (Snapshot, []byte, error)
	// Candidates gives a scope's newest snapshots that are not marked, at or before a position or a time, where these are not zero.
	Candidates(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64, at time.Time, size int) ([]Snapshot, error)
	// ChainHash gives the hash of the event at a position of the log; false where there is none.
	ChainHash(ctx context.Context, tenant uuid.UUID, position int64) ([32]byte, bool, error)
	// Mark notes a reason why a snapshot is not used, or that there is none.
	Mark(ctx context.Context, tenant, id uuid.UUID, reason snapshot.Reason) error
	// Remake makes a scope's snapshot due anew.
	Remake(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64) error
}

// Watcher is told of snapshots that are not used.
type Watcher interface {
	Unfit(ctx context.Context, s Snapshot, why *snapshot.Unfit)
}

// candidatesMax bounds how many snapshots of a scope are looked at for one that is fit.
const candidatesMax = 32

// Checker verifies snapshots before anybody uses one. It is safe for concurrent use.
type Checker struct {
	stock   Stock
	watcher Watcher
}

// NewChecker makes a checker.
func NewChecker(stock Stock, watcher Watcher) *Checker {
	return &Checker{stock: stock, watcher: watcher}
}

// Checked is a snapshot that was found fit for use.
type Checked struct {
	Snapshot Snapshot
	View     *snapshot.View
	// Stored are its bytes as they are stored.
	Stored []byte
}

// Check loads and verifies a snapshot. The error is *snapshot.Unfit in its chain if it is not fit for use: it is then marked, told to
// the watcher, and due anew. One that was marked before is looked at again, and used if it is found fit.
func (c *Checker) Check(ctx context.Context, tenant, id uuid.UUID) (Checked, error) {
	s, stored, err := c.stock.Load(ctx, tenant, id)
	if err != nil {
		return Checked{}, err
	}
	view, err := c.verify(ctx, s, stored)
	var why *snapshot.Unfit
	switch {
	case errors.As(err, &why):
		return Checked{Snapshot: s}, errors.Join(why, c.Reject(ctx, &s, why))
	case err != nil:
		return Checked{}, err
	}
	return Checked{Snapshot: s, View: view, Stored: stored}, nil
}

// verify holds a snapshot against what is known of it and against the log.
func (c *Checker) verify(ctx context.Context, s Snapshot, stored []byte) (*snapshot.View, error) {
	view, err := snapshot.Open(stored, s.Expected)
	if err != nil {
		return nil, err
	}
	hash, found, err := c.stock.ChainHash(ctx, s.TenantID, s.AsOf)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, &snapshot.Unfit{Reason: snapshot.ReasonChain, Detail: "the log has no event at its position"}
	case hash != s.ChainHash:
		return nil, &snapshot.Unfit{Reason: snapshot.ReasonChain, Detail: "the log has another hash at its position"}
	}
	return view, nil
}

// Reject marks a snapshot as not used, tells the watcher, and makes it due anew. s shows the mark then.
func (c *Checker) Reject(ctx context.Context, s *Snapshot, why *snapshot.Unfit) error {
	s.Unfit = why.Reason
	c.watcher.Unfit(ctx, *s, why)
	if err := c.stock.Mark(ctx, s.TenantID, s.ID, why.Reason); err != nil {
		return err
	}
	return c.stock.Remake(ctx, s.TenantID, s.Scope, s.AsOf)
}

// Accept notes that a snapshot was found fit.
func (c *Checker) Accept(ctx context.Context, s *Snapshot) error {
	s.Unfit = ""
	return c.stock.Mark(ctx, s.TenantID, s.ID, "")
}

// PassedOver is a snapshot that was not used, and why.
type PassedOver struct {
	Snapshot Snapshot
	Why      *snapshot.Unfit
}

// Find gives the newest snapshot of a scope that is fit for use, at or before a position or a time, where these are not zero, and the
// newer ones that were not. NotFound if none is fit.
func (c *Checker) Find(ctx context.Context, tenant uuid.UUID, scope projection.Scope, position int64, at time.Time) (Checked, []PassedOver, error) {
	candidates, err := c.stock.Candidates(ctx, tenant, scope, position, at, candidatesMax)
	if err != nil {
		return Checked{}, nil, err
	}
	var passed []PassedOver
	for _, candidate := range candidates {
		found, err := c.Check(ctx, tenant, candidate.ID)
		var why *snapshot.Unfit
		switch {
		case errors.As(err, &why):
			passed = append(passed, PassedOver{found.Snapshot, why})
		case fault.Is(err, fault.NotFound): // It was pruned meanwhile.
		case err != nil:
			return Checked{}, passed, err
		default:
			return found, passed, nil
		}
	}
	missing := fault.New(fault.NotFound, "NO_SNAPSHOT", "no snapshot of %s is there and fit for use", scope).With("scope", scope.String())
	return Checked{}, passed, missing
}
