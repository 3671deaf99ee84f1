package intake

import (
	"errors"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
)

// Scope is what snapshots are made of: an account, a strategy or a position.
type Scope struct {
	// Kind is event.KindAccount, KindStrategy or KindPosition.
	Kind event.Kind
	ID   uuid.UUID
}

// Activity is what happened in a scope.
type Activity struct {
	// Events is how many events there were.
	Events int64
	// LastPosition is that of the last.
	LastPosition int64
	// WorkflowEnd is the position of the last event that ended a workflow of the scope; 0 for none.
	WorkflowEnd int64
}

// Add takes in what came after.
func (a *Activity) Add(later Activity) {
	a.Events += later.Events
	a.LastPosition = max(a.LastPosition, later.LastPosition)
	a.WorkflowEnd = max(a.WorkflowEnd, later.WorkflowEnd)
}

// workflowEnds are the types after which nothing more is expected of a workflow, and the scope that it was about.
var workflowEnds = map[event.Type]event.Kind{
	"POSITION_CLOSED":          event.KindPosition,
	"POSITION_DISARMED":        event.KindPosition,
	"RECONCILIATION_COMPLETED": event.KindAccount,
}

// Scopes tells what the transaction's events add to the scopes they belong to. An event belongs to those that it names, and to
// those of its order and its position. Rows that are not loaded are an error that WantedBy recognises.
func (l *Ledger) Scopes() (map[Scope]Activity, error) {
	scopes := map[Scope]Activity{}
	missing := &projection.Missing{}
	for i := range l.records {
		r := &l.records[i]
		belongs, err := ScopesOf(l.overlay, r.Subjects)
		if more := (*projection.Missing)(nil); errors.As(err, &more) {
			missing.Keys = append(missing.Keys, more.Keys...)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, scope := range belongs {
			now := Activity{Events: 1, LastPosition: r.Position}
			if workflowEnds[r.Type] == scope.Kind {
				now.WorkflowEnd = r.Position
			}
			activity := scopes[scope]
			activity.Add(now)
			scopes[scope] = activity
		}
	}
	if len(missing.Keys) > 0 {
		return nil, missing
	}
	return scopes, nil
}

// ScopesOf are the scopes that an event about these subjects belongs to. What is not loaded is a *projection.Missing.
func ScopesOf(view projection.View, s event.Subjects) ([]Scope, error) {
	if s.PositionID == uuid.Nil && s.OrderID != uuid.Nil {
		order, err := projection.Get[projection.Order](view, projection.OrderKey(s.OrderID))
		if err != nil {
			return nil, err
		}
		if order != nil {
			s.PositionID = order.PositionID.UUID
		}
	}
	if s.PositionID != uuid.Nil && (s.AccountID == uuid.Nil || s.StrategyID == uuid.Nil) {
		position, err := projection.Get[projection.Position](view, projection.PositionKey(s.PositionID))
		if err != nil {
			return nil, err
		}
		if position != nil {
			s.AccountID, s.StrategyID = position.AccountID, position.StrategyID.UUID
		}
	}
	if s.StrategyID != uuid.Nil && s.AccountID == uuid.Nil {
		strategy, err := projection.Get[projection.Strategy](view, projection.StrategyKey(s.StrategyID))
		if err != nil {
			return nil, err
		}
		if strategy != nil {
			s.AccountID = strategy.AccountID
		}
	}
	var scopes []Scope
	for _, scope := range [...]Scope{{event.KindAccount, s.AccountID}, {event.KindStrategy, s.StrategyID}, {event.KindPosition, s.PositionID}} {
		if scope.ID != uuid.Nil {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}
