package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/journal"
	"github.com/robson/robson/services/connector/internal/venue"
)

// ErrBroken says that the engine could not write down what it did. It answers nothing more; open it again.
var ErrBroken = errors.New("paper venue stopped: its journal failed")

// Engine is the paper venue in one process. It is safe for concurrent use. What it answers is durable.
type Engine struct {
	clock   clock.Clock
	timing  venue.Timing
	journal *journal.Journal

	mu      sync.Mutex
	s       *state
	last    int64 // sequence of the last journal record
	broken  error
	changed chan struct{} // closed at the next change
	prices  map[string][]venue.Price
	shown   time.Time // of the newest balance sheet that was given out
	faults  map[venue.AccountKey][]Fault
}

// Open takes the directory's venue, or founds one with the built-in instruments. journal.ErrLocked if another process has it.
func Open(dir string, clk clock.Clock, timing venue.Timing) (*Engine, error) {
	e := &Engine{
		clock: clk, timing: timing, s: newState(), changed: make(chan struct{}),
		prices: map[string][]venue.Price{}, faults: map[venue.AccountKey][]Fault{},
	}
	var err error
	e.journal, err = journal.Open(dir, journal.Loader{Snapshot: e.loadSnapshot, Record: e.loadRecord})
	if err != nil {
		return nil, fmt.Errorf("open paper venue: %w", err)
	}
	for symbol, y := range e.s.Symbols {
		e.prices[symbol] = y.made()
	}
	if err := e.found(); err != nil {
		return nil, errors.Join(err, e.journal.Close())
	}
	return e, nil
}

func (e *Engine) loadSnapshot(raw []byte) error {
	if err := json.Unmarshal(raw, e.s); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	e.s.index()
	return nil
}

func (e *Engine) loadRecord(seq int64, body []byte) error {
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	for _, change := range r.Effects {
		if err := e.s.apply(change); err != nil {
			return err
		}
	}
	e.s.Time = r.At
	e.last = seq
	return nil
}

// found lists the built-in instruments that a new venue begins with.
func (e *Engine) found() error {
	if len(e.s.Symbols) > 0 {
		return nil
	}
	return e.update(func(c *change) error {
		for _, instrument := range builtinInstruments() {
			c.emit(effect{Instrument: &instrument})
		}
		return nil
	})
}

// Close gives the directory back.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		e.broken = ErrBroken
		close(e.changed)
	}
	return e.journal.Close()
}

// update does a request: it changes the state, writes the change down, and returns when that is durable. The request's
// own error is returned after its effects, if it had any, were kept.
func (e *Engine) update(request func(*change) error) error {
	seq, requestErr, err := e.write(request)
	if err != nil {
		return err
	}
	if err := e.sync(seq); err != nil {
		return err
	}
	return requestErr
}

func (e *Engine) write(request func(*change) error) (seq int64, requestErr, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return 0, nil, e.broken
	}
	c := e.s.begin(e.nextTime(), e.timing)
	requestErr = request(c)
	r, err := c.finish()
	if err == nil && len(r.Effects) > 0 {
		err = e.keep(r)
	}
	if err != nil {
		return 0, nil, e.fail(err)
	}
	return e.last, requestErr, nil
}

// keep writes a record and tells those who wait.
func (e *Engine) keep(r record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	e.last, err = e.journal.Append(body)
	if err != nil {
		return err
	}
	e.s.Time = r.At
	close(e.changed)
	e.changed = make(chan struct{})
	if e.journal.Size() < compactBytes {
		return nil
	}
	snapshot, err := json.Marshal(e.s)
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return e.journal.Compact(snapshot)
}

// fail stops the engine: its memory may be ahead of what its journal will remember.
func (e *Engine) fail(err error) error {
	e.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	close(e.changed)
	return e.broken
}

// view answers from the state, once all that the answer may rest on is durable.
func (e *Engine) view(answer func(*state) error) error {
	e.mu.Lock()
	if e.broken != nil {
		defer e.mu.Unlock()
		return e.broken
	}
	err := answer(e.s)
	seq := e.last
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.sync(seq)
}

func (e *Engine) sync(seq int64) error {
	err := e.journal.Sync(seq)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		return e.fail(err)
	}
	return e.broken
}

// now is the venue's clock: it never goes back, not even over a restart.
func (e *Engine) now() time.Time {
	now := e.clock.Now().UTC().Truncate(time.Millisecond)
	if now.Before(e.s.Time) {
		return e.s.Time
	}
	return now
}

// nextTime is the time of a change: later than every balance sheet that does not show it.
func (e *Engine) nextTime() time.Time {
	if now := e.now(); now.After(e.shown) {
		return now
	}
	return e.shown.Add(time.Millisecond)
}

// await calls look under the lock until it finds something, each time something has changed. What it found is durable
// when await returns. The wait ends with ctx.
func (e *Engine) await(ctx context.Context, look func(*state) (found bool, err error)) error {
	for {
		e.mu.Lock()
		if e.broken != nil {
			defer e.mu.Unlock()
			return e.broken
		}
		found, err := look(e.s)
		changed, seq := e.changed, e.last
		e.mu.Unlock()
		if err != nil {
			return err
		}
		if found {
			return e.sync(seq)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
