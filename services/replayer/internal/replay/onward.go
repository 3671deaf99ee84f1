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
		w.result.Snapshot, w.result.FromPosition = o.ID, base
		c = &Comparison{Head: head, Events: events, Tables: map[string]TableReport{}, Position: head.Position}
		done, err := c.recent(ctx, f, o, fold, r.cfg.DifferencesMax)
		if done || err != nil {
			return err
		}
		rows, err := fold.Own()
		if err != nil {
			return err
		}
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

// recentMax is how many rows that were written since are looked up in a snapshot one by one. Where there are more, a rebuild has
// written them all anew, say, going through the whole snapshot is quicker.
const recentMax = 10_000

// recent compares only what may differ: the rows that the tail has written, and the live ones that were written since the snapshot's
// horizon. The others are those of the snapshot, as long as there are as many. False: that cannot be told, and all are to be
// compared.
func (c *Comparison) recent(ctx context.Context, f Frozen, o *Opened, fold *projection.ScopeFold, most int) (bool, error) {
	scope := o.View.Meta().Scope
	live, known, err := f.Since(ctx, scope, o.Horizon, recentMax)
	if err != nil || !known {
		return false, err
	}
	should, is := map[projection.Key]projection.Row{}, map[projection.Key]projection.Row{}
	changed, err := fold.Changed()
	if err != nil {
		return false, err
	}
	rows := map[string]int64{}   // What there should be.
	remain := map[string]int64{} // What should not have been written since.
	for table := range live.Older {
		rows[table], remain[table] = o.View.OwnOf(table), o.View.OwnOf(table)
	}
	for _, row := range changed {
		key := row.Key()
		should[key] = row
		owned, err := o.View.Owns(key)
		if err != nil {
			return false, err
		}
		if !owned {
			rows[key.Table]++
		}
	}
	for _, row := range live.Rows {
		key := row.Key()
		is[key] = row
		owned, err := o.View.Owns(key)
		if err != nil {
			return false, err
		}
		if !owned {
			continue
		}
		remain[key.Table]--
		if should[key] == nil {
			if should[key], err = o.View.Get(key); err != nil {
				return false, err
			}
		}
	}
	for table, count := range live.Older {
		if count != remain[table] {
			return false, nil // Some are lost, or were never in the snapshot.
		}
	}
	var missing []projection.Key
	for key := range should {
		if is[key] == nil {
			missing = append(missing, key)
		}
	}
	found, err := f.Load(ctx, missing) // Written by the tail, and not by the live fold.
	if err != nil {
		return false, err
	}
	maps.Copy(is, found)
	for table, count := range rows {
		if count > 0 {
			c.Tables[table] = TableReport{Rows: count}
		}
	}
	c.narrow, c.compared = true, slices.Collect(maps.Values(is))
	c.compare(should, is, most)
	return true, nil
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
	c.compare(expected, found, most)
	return nil
}

// compare notes the rows that are not as they should be.
func (c *Comparison) compare(expected, found map[projection.Key]projection.Row, most int) {
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
			return
		}
		c.add(differenceOf(key, expected[key], found[key]))
	}
}
