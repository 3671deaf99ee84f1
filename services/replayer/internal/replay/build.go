package replay

import (
	"context"
	"errors"
	"math"

	"github.com/robson/robson/pkg/projection"
)

// build folds the whole log into an epoch of its own and switches to it.
func (r *Rebuilder) build(ctx context.Context, w *work) error {
	before, err := r.sumUp(ctx, w)
	if err != nil {
		return err
	}
	defer before.stop()
	if err := r.prepare(ctx, w, before.head); err != nil {
		return err
	}
	m := NewMachine(nil, r.cfg.machine(w.from == 0))
	defer m.Close()
	if err := r.stretches(ctx, w, m, before.head.Position); err != nil {
		return err
	}
	after, err := r.db.EpochDigest(ctx, w.claim.Tenant, w.epoch)
	if err != nil {
		return err
	}
	digest, err := before.wait(ctx)
	if err != nil {
		return err
	}
	w.result.ChecksumBefore, w.result.ChecksumAfter = digest.Checksum(), after.Checksum()
	w.result.Identical = w.result.ChecksumBefore == w.result.ChecksumAfter
	w.result.Rows = after.Rows()
	for pass := range r.cfg.PassesMax {
		err := r.switchLocked(ctx, w, m, before.head, r.cfg.tailMax(pass+1))
		if !errors.Is(err, errTail) {
			if err == nil {
				return r.sweep(ctx, w)
			}
			return err
		}
		if err := r.catchUp(ctx, w, m); err != nil {
			return err
		}
	}
	return r.tooFast()
}

// prepare chooses the epoch: that of the run that is resumed, if it can be gone on with, or the next one, emptied.
func (r *Rebuilder) prepare(ctx context.Context, w *work, head Head) error {
	if w.resumed.Epoch != 0 && w.resumed.Epoch != head.Epoch && w.resumed.Checkpoint > 0 && w.resumed.RulesVersion == projection.RulesVersion {
		w.epoch, w.from = w.resumed.Epoch, w.resumed.Checkpoint
	} else {
		w.epoch, w.from = head.Epoch+1, 0
		if w.epoch == math.MaxInt32 {
			w.epoch = 1
		}
		if err := r.db.Sweep(ctx, w.claim.Tenant, head.Epoch); err != nil {
			return err
		}
	}
	return w.at(ctx, PhaseBuild, w.from, head.Position)
}

// stretches folds up to a position, stretch by stretch, each committed with its checkpoint.
func (r *Rebuilder) stretches(ctx context.Context, w *work, m *Machine, to int64) error {
	for w.from < to {
		end := min(w.from+r.cfg.StretchMax, to)
		err := r.db.Build(ctx, w.claim, w.epoch, func(ctx context.Context, home Home) (Checkpoint, error) {
			defer m.Close() // Nothing uses the connection when it is given back.
			m.Move(home)
			err := r.db.Events(ctx, w.claim.Tenant, Span{After: w.from, To: end}, func(ev *projection.Event) error {
				if ev.Position%watchEvery == 0 {
					w.tell(PhaseBuild, ev.Position, to)
				}
				return m.Fold(ctx, ev)
			})
			if err == nil {
				err = m.Settle(ctx)
			}
			return Checkpoint{Position: end, Total: to}, err
		})
		if err != nil {
			return err
		}
		w.result.Events += end - w.from
		w.from = end
		w.tell(PhaseBuild, end, to)
	}
	return nil
}

// catchUp folds what has come since.
func (r *Rebuilder) catchUp(ctx context.Context, w *work, m *Machine) error {
	var head Head
	err := r.db.Glance(ctx, w.claim.Tenant, func(_ context.Context, f Frozen) error {
		head = f.Head()
		return nil
	})
	if err != nil {
		return err
	}
	return r.stretches(ctx, w, m, head.Position)
}

// switchLocked folds the rest and makes the epoch live, while appends wait.
func (r *Rebuilder) switchLocked(ctx context.Context, w *work, m *Machine, before Head, tailMax int64) error {
	var held hold
	w.tell(PhaseSwitch, w.from, w.from)
	err := r.db.Locked(ctx, w.claim, func(ctx context.Context, l Locked) error {
		defer m.Close()
		held = r.hold()
		head := l.Head()
		if err := unchanged(before, head); err != nil {
			return err
		}
		if head.Position-w.from > tailMax {
			return errTail
		}
		m.Move(l.Aside(w.epoch))
		err := l.Events(ctx, Span{After: w.from, To: head.Position}, func(ev *projection.Event) error {
			tail := *ev
			m.waiting = append(m.waiting, tail) // Not folded yet: the connection is busy with reading.
			return nil
		})
		if err != nil {
			return err
		}
		if err := m.Settle(ctx); err != nil {
			return err
		}
		if err := l.Switch(ctx, w.epoch); err != nil {
			return err
		}
		w.result.Events += head.Position - w.from
		w.result.ToPosition, w.result.Generation = head.Position, head.Generation+1
		w.result.Outcome = OutcomeBuilt
		w.result.Changed = w.result.Rows
		if w.result.Identical {
			w.result.Changed = 0
		}
		return w.finishIn(ctx, l)
	})
	if err == nil {
		w.result.Held = held.over()
	}
	return err
}

// sweep takes away the rows of the epoch that was live. That it fails, or the process ends, harms nobody: the next run does it.
func (r *Rebuilder) sweep(ctx context.Context, w *work) error {
	w.tell(PhaseSweep, w.result.ToPosition, w.result.ToPosition)
	if err := r.db.Sweep(ctx, w.claim.Tenant, w.epoch); err != nil {
		w.result.Unswept = err.Error()
	}
	return nil
}

// summary is a digest of the live rows that is made beside the fold.
type summary struct {
	head   Head
	digest Digest
	err    error
	done   chan struct{}
	stop   context.CancelFunc
}

// sumUp begins to sum up the live rows as they are now.
func (r *Rebuilder) sumUp(ctx context.Context, w *work) (*summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &summary{done: make(chan struct{})}
	s.stop = func() {
		cancel()
		<-s.done
	}
	begun := make(chan struct{})
	go func() {
		defer close(s.done)
		s.err = r.db.Glance(ctx, w.claim.Tenant, func(ctx context.Context, f Frozen) error {
			s.head = f.Head()
			close(begun)
			var err error
			s.digest, err = f.Digest(ctx)
			return err
		})
	}()
	select {
	case <-begun:
		return s, nil
	case <-s.done:
		cancel()
		if s.err == nil {
			return s, nil
		}
		return nil, s.err
	}
}

// wait gives the digest.
func (s *summary) wait(ctx context.Context) (Digest, error) {
	select {
	case <-s.done:
		return s.digest, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
