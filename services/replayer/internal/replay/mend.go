package replay

import (
	"context"
	"errors"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// overlay are the rows that are not right in the tables, as they should be; nil for one that should not exist.
type overlay map[projection.Key]projection.Row

// place is a state of the tables that an overlay is carried to.
type place interface {
	Head() Head
	Events(ctx context.Context, span Span, each func(*projection.Event) error) error
	Load(ctx context.Context, keys []projection.Key) (map[projection.Key]projection.Row, error)
}

// readOnly is a home that takes nothing: all that is touched stays in memory.
type readOnly struct{ place }

// Settle implements Home.
func (readOnly) Settle(_ context.Context, fresh, rows []projection.Row) ([]projection.Row, error) {
	return append(fresh, rows...), nil
}

// errTail ends an attempt under the lock because too much has come since: appends would wait for too long.
var errTail = errors.New("too many events have come to fold them while appends wait")

// carry finds what is not right at a later place, from what was not right at an earlier one. Two folds go over the events
// between: one over the right rows, and one over the rows as they are in the tables, which touches what appends have touched.
// A row that neither touched, and that was right, is right still.
func (r *Rebuilder) carry(ctx context.Context, from, to place, wrong overlay) (overlay, int64, error) {
	span := Span{After: from.Head().Position, To: to.Head().Position}
	var events []projection.Event
	err := to.Events(ctx, span, func(ev *projection.Event) error {
		events = append(events, *ev)
		return nil
	})
	if err != nil || len(events) == 0 {
		return wrong, 0, err
	}
	right, err := r.foldOver(ctx, from, events, wrong)
	if err != nil {
		return nil, 0, err
	}
	appended, err := r.foldOver(ctx, from, events, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, err
		}
		return nil, 0, errBuild{"what came meanwhile cannot be folded over the rows as they are: " + err.Error()}
	}
	expected := overlay{}
	for key, row := range wrong {
		expected[key] = row
	}
	for key, row := range right {
		expected[key] = row
	}
	var unasked, keys []projection.Key
	for key := range appended {
		if _, known := expected[key]; !known {
			unasked = append(unasked, key)
		}
	}
	if len(unasked) > 0 {
		as, err := from.Load(ctx, unasked)
		if err != nil {
			return nil, 0, err
		}
		for _, key := range unasked {
			expected[key] = as[key]
		}
	}
	for key := range expected {
		keys = append(keys, key)
	}
	found, err := to.Load(ctx, keys)
	if err != nil {
		return nil, 0, err
	}
	for _, key := range keys {
		if isSame(expected[key], found[key]) {
			delete(expected, key)
		}
	}
	return expected, int64(len(events)), nil
}

// foldOver folds events over the rows of a place, some of which are given otherwise, and gives the rows that were touched.
func (r *Rebuilder) foldOver(ctx context.Context, from place, events []projection.Event, given overlay) (overlay, error) {
	m := NewMachine(readOnly{from}, MachineConfig{RowsMax: r.cfg.TailRowsMax, KeptMax: r.cfg.TailRowsMax})
	defer m.Close()
	for key, row := range given {
		m.young[key] = slot{row: row}
	}
	for i := range events {
		if err := m.Fold(ctx, &events[i]); err != nil {
			return nil, err
		}
	}
	if err := m.Flush(ctx); err != nil {
		return nil, err
	}
	return m.Touched(), nil
}

// mendPassesMax is how often mending tries to catch up: each try holds a connection until the end.
const mendPassesMax = 8

// tooFast gives up on a log that grows faster than it is folded.
func (r *Rebuilder) tooFast() error {
	return fault.New(fault.Unavailable, "LOG_TOO_FAST", "the log grows faster than it can be folded").WithRetryAfter(r.cfg.RetryAfter)
}

// tailMax is how many events are folded while appends wait: on a busy machine, where passes take long, more from pass to pass.
func (c Config) tailMax(passes int) int64 { return c.LockedTailMax << min(passes-1, tailDoublings) }

// tailDoublings is how often that is doubled.
const tailDoublings = 3

// mend carries what is wrong from place to place until little is left to fold, and then makes it right under the lock.
func (r *Rebuilder) mend(ctx context.Context, w *work, from Frozen, wrong overlay, passes int) error {
	if passes > mendPassesMax {
		return r.tooFast()
	}
	if passes > 0 {
		err := r.mendLocked(ctx, w, from, wrong, r.cfg.tailMax(passes))
		if !errors.Is(err, errTail) {
			return err
		}
	}
	return r.db.Glance(ctx, w.claim.Tenant, func(ctx context.Context, to Frozen) error {
		if err := unchanged(from.Head(), to.Head()); err != nil {
			return err
		}
		next, events, err := r.carry(ctx, from, to, wrong)
		if err != nil {
			return err
		}
		w.result.Events += events
		if err := w.at(ctx, PhaseMend, to.Head().Position, to.Head().Position); err != nil {
			return err
		}
		return r.mend(ctx, w, to, next, passes+1)
	})
}

// unchanged refuses to go on with a state that somebody else has replaced.
func unchanged(before, after Head) error {
	if before.Epoch != after.Epoch || before.Generation != after.Generation {
		return fault.New(fault.Conflict, "STATE_REPLACED", "the tenant's state was rebuilt by somebody else meanwhile")
	}
	return nil
}

// mendLocked folds the rest and writes what is not right, while appends wait.
func (r *Rebuilder) mendLocked(ctx context.Context, w *work, from Frozen, wrong overlay, tailMax int64) error {
	var held hold
	err := r.db.Locked(ctx, w.claim, func(ctx context.Context, l Locked) error {
		held = r.hold()
		head := l.Head()
		if err := unchanged(from.Head(), head); err != nil {
			return err
		}
		if head.Position-from.Head().Position > tailMax {
			return errTail
		}
		last, events, err := r.carry(ctx, from, l, wrong)
		if err != nil {
			return err
		}
		var right []projection.Row
		var gone []projection.Key
		for key, row := range last {
			if row == nil {
				gone = append(gone, key)
			} else {
				right = append(right, row)
			}
		}
		w.result.Events += events
		w.result.ToPosition, w.result.Changed = head.Position, int64(len(last))
		w.result.Outcome = OutcomeMended
		if len(last) > 0 {
			if err := l.Mend(ctx, right, gone); err != nil {
				return err
			}
			head.Generation++
		}
		w.result.Generation = head.Generation
		return w.finishIn(ctx, l)
	})
	if err == nil {
		w.result.Held = held.over()
	}
	return err
}
