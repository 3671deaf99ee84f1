package checkpoint

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Source gives the state that snapshots are made of.
type Source interface {
	// State reads a scope's part of the live state and the head that it is true at, in one snapshot of the database. It holds no
	// lock that an append could wait for. NotFound if the tenant has no such scope.
	State(ctx context.Context, tenant uuid.UUID, scope projection.Scope) (*State, error)
}

// Shelf keeps snapshots.
type Shelf interface {
	// Save stores a snapshot and ends what was due at or before its position, both or neither. One that is there already, and is the
	// same state, stays. It gives what is stored.
	Save(ctx context.Context, made *snapshot.Sealed, about Snapshot) (Snapshot, error)
	// Told notes that the log was told.
	Told(ctx context.Context, tenant, id uuid.UUID) error
}

// Teller tells the log of a snapshot, once however often it is asked to.
type Teller interface {
	Tell(ctx context.Context, s Snapshot) error
}

// Maker makes snapshots. It is safe for concurrent use, also by several processes.
type Maker struct {
	source Source
	shelf  Shelf
	teller Teller
	cfg    snapshot.Config
}

// NewMaker makes a maker; the error says what is wrong with the limits.
func NewMaker(source Source, shelf Shelf, teller Teller, cfg snapshot.Config) (*Maker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Maker{source: source, shelf: shelf, teller: teller, cfg: cfg}, nil
}

// Made is what making a snapshot came to.
type Made struct {
	Snapshot Snapshot
	// Created is false where there was one of this very position.
	Created bool
	// Untold says why the log could not be told now; somebody's next round will tell it.
	Untold error
}

// Make makes a snapshot of a scope as of now, stores it, and tells the log. NotFound if there is no such scope, Refused if its state
// is too large, Unavailable while the state is that of other rules.
func (m *Maker) Make(ctx context.Context, tenant uuid.UUID, scope projection.Scope, trigger Trigger) (Made, error) {
	state, err := m.source.State(ctx, tenant, scope)
	if err != nil {
		return Made{}, err
	}
	if state.RulesVersion != projection.RulesVersion {
		return Made{}, fault.New(fault.Unavailable, "RULES_VERSION", "the tenant's state is that of the rules of version %d, these are those of version %d",
			state.RulesVersion, projection.RulesVersion)
	}
	meta := snapshot.Meta{TenantID: tenant, Scope: scope, AsOf: state.Position, ChainHash: state.Hash, RulesVersion: state.RulesVersion}
	sealed, err := snapshot.Encode(meta, state.Cut, m.cfg)
	var large *snapshot.TooLarge
	switch {
	case errors.As(err, &large):
		return Made{}, fault.Wrap(err, fault.Refused, "SNAPSHOT_TOO_LARGE", "%s is not checkpointed", scope).With("scope", scope.String())
	case err != nil:
		return Made{}, err
	}
	about := Snapshot{
		ID: IDOf(meta), AsOfTime: state.IngestedAt, Trigger: trigger, EventCount: state.EventCount, StreamCount: state.StreamCount, Streams: state.Streams,
		Horizon: state.Horizon,
	}
	saved, err := m.shelf.Save(ctx, sealed, about)
	if err != nil {
		return Made{}, err
	}
	if saved.ToldAt != nil {
		return Made{Snapshot: saved}, nil
	}
	return Made{Snapshot: saved, Created: true, Untold: m.Tell(ctx, saved)}, nil
}

// Tell tells the log of a stored snapshot, and notes that it did.
func (m *Maker) Tell(ctx context.Context, s Snapshot) error {
	if err := m.teller.Tell(ctx, s); err != nil {
		return err
	}
	return m.shelf.Told(ctx, s.TenantID, s.ID)
}
