package replay

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// Walk is a way through the events of a scope.
type Walk struct {
	Scope Scope
	// After and To bound what is told; To 0 is the head. All before is folded all the same.
	After, To int64
	// Limit bounds how many events are told; 0: all.
	Limit int
}

// Change is what an event does to a row.
type Change struct {
	Key    projection.Key
	Made   bool
	Fields []Field
}

// Walk folds a scope's events from the first one and tells each, in order, with what it changes.
func (h *Historian) Walk(ctx context.Context, tenant uuid.UUID, walk Walk, each func(*projection.Event, []Change) error) error {
	leave, err := h.enter()
	if err != nil {
		return err
	}
	defer leave()
	head, err := h.past.HeadOf(ctx, tenant)
	if err != nil {
		return err
	}
	if walk.To == 0 {
		walk.To = head.Position
	}
	if walk.To > head.Position {
		return fault.InvalidField("to_position", "must be at most %d, where the log ends", head.Position)
	}
	account, err := h.accountOf(ctx, tenant, walk.Scope)
	if err != nil {
		return err
	}
	w := walker{walk: walk, each: each, state: &bounded{most: h.cfg.RowsMax}}
	err = h.past.Events(ctx, tenant, Span{To: walk.To, Account: account}, w.step)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// accountOf is the account whose events must be folded for a scope; Nil for all.
func (h *Historian) accountOf(ctx context.Context, tenant uuid.UUID, scope Scope) (uuid.UUID, error) {
	kind, id := scope.entity()
	if scope.IsTenant() || kind == event.KindTenant {
		return uuid.Nil, nil
	}
	began, err := h.past.Began(ctx, tenant, event.StreamKey{Kind: kind, ID: id})
	if err != nil {
		return uuid.Nil, err
	}
	if kind == event.KindAccount {
		return id, nil
	}
	return began.Account, nil
}

// walker folds and tells.
type walker struct {
	walk  Walk
	each  func(*projection.Event, []Change) error
	state *bounded
	// touched are the rows that the event at hand has put, with what they were.
	touched []touched
	told    int
}

type touched struct{ before, after projection.Row }

// Get implements projection.View.
func (w *walker) Get(key projection.Key) (projection.Row, error) { return w.state.Get(key) }

// Put implements projection.State.
func (w *walker) Put(row projection.Row) {
	before, _ := w.state.Get(row.Key()) // A Memory never misses.
	w.touched = append(w.touched, touched{before, row})
	w.state.Put(row)
}

// step folds an event, and tells it if it is the scope's.
func (w *walker) step(ev *projection.Event) error {
	w.touched = w.touched[:0]
	if _, err := projection.Fold(w, *ev); err != nil {
		return err
	}
	if w.state.Len() > w.state.most {
		return fault.New(fault.Exhausted, "STATE_TOO_LARGE", "there are more than %d rows to keep in memory by position %d", w.state.most, ev.Position)
	}
	var changes []Change
	for _, t := range w.touched {
		if w.isOf(t.after) {
			changes = append(changes, changeOf(t))
		}
	}
	if ev.Position <= w.walk.After || len(changes) == 0 && !w.names(ev) {
		return nil
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Key.Compare(b.Key) })
	if err := w.each(ev, changes); err != nil {
		return err
	}
	w.told++
	if w.told == w.walk.Limit {
		return errEnough
	}
	return nil
}

// names says whether an event is in a stream of the scope's own, or whether all events are its.
func (w *walker) names(ev *projection.Event) bool {
	kind, id := w.walk.Scope.entity()
	if w.walk.Scope.IsTenant() || kind == event.KindAccount {
		return true
	}
	return ev.StreamKey == event.StreamKey{Kind: kind, ID: id}.String()
}

// isOf says whether a row is the scope's. Of an account's events all rows are the account's.
func (w *walker) isOf(row projection.Row) bool {
	kind, id := w.walk.Scope.entity()
	has := func(column string, id uuid.UUID) bool {
		have := idOf(row, column)
		return have.Valid && have.UUID == id
	}
	switch kind {
	case event.KindPosition:
		return has("position_id", id)
	case event.KindOrder:
		return has("order_id", id)
	case event.KindStrategy:
		if has("strategy_id", id) {
			return true
		}
		position := idOf(row, "position_id")
		if !position.Valid {
			return false
		}
		of, _ := w.state.Get(projection.PositionKey(position.UUID))
		return of != nil && idOf(of, "strategy_id") == uuid.NullUUID{UUID: id, Valid: true}
	case event.KindTenant, event.KindAccount:
	}
	return true
}

// ofTheEvent are the columns that tell of the event that changed the row, and not of the row.
var ofTheEvent = map[string]bool{"last_event_id": true, "last_position": true, "created_at": true, "updated_at": true}

func changeOf(t touched) Change {
	key := t.after.Key()
	d := differenceOf(key, t.after, t.before)
	c := Change{Key: key, Made: t.before == nil}
	for _, f := range d.Fields {
		if !ofTheEvent[f.Name] {
			c.Fields = append(c.Fields, f)
		}
	}
	return c
}
