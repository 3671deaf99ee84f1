package watch

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
)

// initialDefault is how many rows a watcher gets at first who does not say.
const initialDefault = 100

// Query says what is watched.
type Query struct {
	// Listing is one of store's Watched ones.
	Listing store.Listing
	// Lasting are conditions that a row meets for ever or never; Passing those that it may meet at one time and not at another.
	Lasting, Passing []store.Condition
	// InitialSize bounds the rows at the beginning; 0: 100.
	InitialSize int
	// After is the point to go on from; nil: from the beginning.
	After *After
}

// After is a point that a watcher was told.
type After struct{ Position, Generation int64 }

// Receiver is the far side of a watcher. An error ends the watching, and is what Watch returns.
type Receiver interface {
	// Reset says that all rows follow, up to Synced.
	Reset(position int64) error
	// Row tells a row as it is at a position.
	Row(position int64, row projection.Row) error
	// Left tells of a row that it does not meet the passing conditions.
	Left(position int64, row projection.Row) error
	// Synced says that everything up to the point was told.
	Synced(position, generation int64) error
}

// Watch tells the rows that the query asks for and then their changes, until the context or the receiver ends it. It never
// returns nil.
func (h *Hub) Watch(ctx context.Context, tenant uuid.UUID, q Query, to Receiver) error {
	f, box, err := h.join(tenant, q.Listing.Table().Name) //nolint:contextcheck // a feed outlives the call that begins it
	if err != nil {
		return err
	}
	defer h.leave(f, box)
	w := &watcher{feed: f, box: box, query: q, to: to}
	err = w.run(ctx)
	if fault.ReasonOf(err) == fault.ReasonOf(errTooSlow) {
		h.metrics.sentAway(ctx)
		return fault.New(fault.Exhausted, fault.ReasonOf(errTooSlow), "%s", errTooSlow.Message).WithRetryAfter(h.cfg.LookPause).
			With("position", strconv.FormatInt(w.told.position, 10)).With("generation", strconv.FormatInt(w.told.generation, 10))
	}
	return err
}

// watcher tells one receiver.
type watcher struct {
	*feed
	box   *mailbox
	query Query
	to    Receiver
	// told is the point up to which everything was told.
	told point
}

func (w *watcher) run(ctx context.Context) error {
	select {
	case <-w.listening:
	case <-w.box.news: // the feed ended before it could listen
		w.box.ring()
		if _, err := w.box.take(); err != nil {
			return err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-w.box.news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		groups, err := w.box.take()
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := w.tell(ctx, g); err != nil {
				return err
			}
		}
	}
}

// begin goes on after the query's point if that can be; else everything is told.
func (w *watcher) begin(ctx context.Context) error {
	after := w.query.After
	if after == nil {
		return w.all(ctx)
	}
	head, err := w.rows.Head(ctx, w.tenant)
	if err != nil {
		return err
	}
	if after.Generation != head.Generation || after.Position > head.Position {
		return w.all(ctx)
	}
	names, known, err := w.namesOf(ctx, after.Position, head.Position)
	if err != nil {
		return err
	}
	if !known {
		return w.all(ctx)
	}
	changes, err := w.rows.Changes(ctx, w.tenant, after.Position, head.Position, names.lists())
	if err != nil {
		return err
	}
	if changes.TooMany || changes.Head.Generation != head.Generation {
		return w.all(ctx)
	}
	w.told = point{position: after.Position, generation: after.Generation}
	return w.tell(ctx, &group{upTo: point{position: head.Position, generation: head.Generation}, at: changes.Head.Position, rows: changes.Rows})
}

// all tells everything anew.
func (w *watcher) all(ctx context.Context) error {
	size := w.query.InitialSize
	if size == 0 {
		size = initialDefault
	}
	conditions := append(append([]store.Condition{}, w.query.Lasting...), w.query.Passing...)
	rows, head, err := w.rows.Newest(ctx, w.tenant, w.query.Listing, conditions, size)
	if err != nil {
		return err
	}
	if err := w.to.Reset(head.Position); err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.to.Row(head.Position, row); err != nil {
			return err
		}
	}
	return w.synced(point{position: head.Position, generation: head.Generation})
}

// synced tells a point.
func (w *watcher) synced(to point) error {
	if err := w.to.Synced(to.position, to.generation); err != nil {
		return err
	}
	w.told = to
	return nil
}

// tell tells what a group has for the watcher that he was not told yet.
func (w *watcher) tell(ctx context.Context, g *group) error {
	if g.upTo.generation > w.told.generation || g.reset && g.upTo.position > w.told.position {
		return w.all(ctx)
	}
	if g.upTo.position < w.told.position {
		return nil
	}
	table := w.query.Listing.Table()
	for _, row := range g.rows[table.Name] {
		if row.Changed().LastPosition <= w.told.position || !holds(w.query.Lasting, table, row) {
			continue
		}
		tell := w.to.Row
		if !holds(w.query.Passing, table, row) {
			tell = w.to.Left
		}
		if err := tell(g.at, row); err != nil {
			return err
		}
	}
	return w.synced(g.upTo)
}

// holds says whether a row meets all conditions.
func holds(conditions []store.Condition, table *projection.Table, row projection.Row) bool {
	for _, c := range conditions {
		if !c.Holds(table, row) {
			return false
		}
	}
	return true
}
