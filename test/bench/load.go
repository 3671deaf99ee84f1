package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// call does one piece of work and says how many events it appended.
type call func(ctx context.Context) (events int, err error)

// backlogMax bounds how many calls of an open loop may wait for a free worker. They wait with their intended start, so
// nothing of their lateness is lost.
const backlogMax = 100_000

// tally is what a load came to.
type tally struct {
	calls, events, errors int
	// firstError is the first of the errors, for people.
	firstError error
	elapsed    time.Duration
	latency    histogram
	// cpu is what a program of a peer's used to make the load; 0: the bench made it itself.
	cpu time.Duration
}

// note counts one call.
func (t *tally) note(d time.Duration, events int, err error) {
	if err != nil {
		t.errors++
		if t.firstError == nil {
			t.firstError = err
		}
		return
	}
	t.calls++
	t.events += events
	t.latency.record(d)
}

// merge adds what another worker, or another round, has counted; it leaves elapsed and cpu alone.
func (t *tally) merge(other *tally) {
	t.calls += other.calls
	t.events += other.events
	t.errors += other.errors
	if t.firstError == nil {
		t.firstError = other.firstError
	}
	t.latency.merge(&other.latency)
}

// rate is events a second.
func (t *tally) rate() float64 {
	if t.elapsed <= 0 {
		return 0
	}
	return float64(t.events) / t.elapsed.Seconds()
}

// closedLoop keeps every worker busy: the next call starts when the last one was answered.
func closedLoop(ctx context.Context, d time.Duration, calls []call) (*tally, error) {
	start := now()
	end := start.Add(d)
	total := together(calls, func(do call, t *tally) {
		for began := now(); began.Before(end) && ctx.Err() == nil; {
			events, err := do(ctx)
			answered := now()
			t.note(answered.Sub(began), events, err)
			began = answered
		}
	})
	total.elapsed = now().Sub(start)
	return total, ended(ctx, total)
}

// openLoop starts calls at a rate, whether or not earlier ones were answered, and counts latency from when a call was to
// start: a service that stalls is charged with all the calls that should have happened meanwhile.
func openLoop(ctx context.Context, d time.Duration, perSecond int, calls []call) (*tally, error) {
	start, interval := now(), time.Second/time.Duration(perSecond)
	due := make(chan time.Time, backlogMax)
	go func() {
		defer close(due)
		metronome(start, interval, func(_ int, at time.Time) bool {
			if at.Sub(start) >= d || ctx.Err() != nil {
				return false
			}
			due <- at
			return true
		})
	}()
	total := together(calls, func(do call, t *tally) {
		for at := range due {
			events, err := do(ctx)
			t.note(now().Sub(at), events, err)
		}
	})
	total.elapsed = now().Sub(start)
	return total, ended(ctx, total)
}

// together runs a loop for each call, each with a tally of its own, and merges the tallies.
func together(calls []call, loop func(do call, t *tally)) *tally {
	tallies := make([]tally, len(calls))
	var group sync.WaitGroup
	for i, do := range calls {
		group.Go(func() { loop(do, &tallies[i]) })
	}
	group.Wait()
	total := &tally{}
	for i := range tallies {
		total.merge(&tallies[i])
	}
	return total
}

// ended says whether a load may be believed: it was not interrupted, and something of it succeeded.
func ended(ctx context.Context, t *tally) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.calls == 0 {
		return fmt.Errorf("no call succeeded: %w", errors.Join(t.firstError))
	}
	return nil
}
