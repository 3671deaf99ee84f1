package main

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// now is the time, with the monotonic clock. This program measures: its clock is the machine's.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

// wait waits, or until the context ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// metronome calls beat at each tick of a rate until it says no. It sleeps in a thread of its own by nanosleep: Go's timers
// are up to a millisecond late, which would be counted as latency.
func metronome(start time.Time, interval time.Duration, beat func(n int, at time.Time) bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for n := 0; ; n++ {
		at := start.Add(time.Duration(n) * interval)
		for ahead := at.Sub(now()); ahead > 0; ahead = at.Sub(now()) {
			spec := syscall.NsecToTimespec(ahead.Nanoseconds())
			_ = syscall.Nanosleep(&spec, nil) // a signal ends it early: the loop sleeps again
		}
		if !beat(n, at) {
			return
		}
	}
}
