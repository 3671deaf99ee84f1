package replay

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/robson/robson/pkg/projection"
)

// onward compares a scope's live rows with those that the newest snapshot of it, folded on, comes to. False: there is none that
// serves, and why not is noted.
func (r *Rebuilder) onward(ctx context.Context, w *work, f Frozen) (*Comparison, bool, error) {
	scope, known := w.request.Scope.projected()
	if !w.request.FromSnapshot || !known {
		return nil, false, nil
	}
	var c *Comparison
	var outside *projection.Outside
	head := f.Head()
	err := r.past.WithSnapshot(ctx, w.claim.Tenant, []projection.Scope{scope}, head.Position, func(o *Opened) error {
		if o == nil {
			return errNoSnapshot
		}
		base := o.View.Meta().AsOf
		fold, err := projection.NewScopeFold(scope, o.View)
		if err != nil {
			return err
		}
		events := int64(0)
		err = f.Events(ctx, Span{After: base, To: head.Position}, func(ev *projection.Event) error {
			if events++; events%watchEvery == 0 {
				w.tell(PhaseCompare, ev.Position-base, head.Position-base)
			}
			_, err := fold.Fold(*ev)
			return err
		})
		if err != nil {
			return err
		}
		rows, err := fold.Own()
		if err != nil {
			return err
		}
		w.result.Snapshot, w.result.FromPosition = o.ID, base
		c = &Comparison{Head: head, Events: events, Tables: map[string]TableReport{}, Position: head.Position}
		return c.scoped(ctx, f, scope, rows, r.cfg.DifferencesMax)
	})
	switch {
	case errors.Is(err, errNoSnapshot):
		w.result.Note = "there is no snapshot of " + w.request.Scope.String() + " that is fit: it was folded from the first event"
		return nil, false, nil
	case errors.As(err, &outside):
		w.result.Note = "it was folded from the first event: " + outside.Error()
		return nil, false, nil
	}
	return c, err == nil, err
}

// scoped compares the rows of a scope, as they should be, with the live ones.
func (c *Comparison) scoped(ctx context.Context, f Frozen, scope projection.Scope, should []projection.Row, most int) error {
	is, err := f.Scope(ctx, scope)
	if err != nil {
		return err
	}
	expected, found := make(map[projection.Key]projection.Row, len(should)), make(map[projection.Key]projection.Row, len(is))
	for _, row := range should {
		key := row.Key()
		expected[key] = row
		report := c.Tables[key.Table]
		report.Rows++
		c.Tables[key.Table] = report
	}
	for _, row := range is {
		found[row.Key()] = row
	}
	keys := slices.SortedFunc(maps.Keys(expected), projection.Key.Compare)
	for key := range found {
		if expected[key] == nil {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if isSame(expected[key], found[key]) {
			continue
		}
		if len(c.Differences) == most {
			c.Broken = true
			return nil
		}
		c.add(differenceOf(key, expected[key], found[key]))
	}
	return nil
}
