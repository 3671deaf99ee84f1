// Package clock is the only place that reads the machine's clock, so that everything else can be tested without waiting.
package clock

import (
	"context"
	"time"
)

// Clock tells time and wakes sleepers.
type Clock interface {
	// Now is the present, with the monotonic reading for durations.
	Now() time.Time
	// NewTimer fires once after d.
	NewTimer(d time.Duration) Timer
	// NewTicker fires every d, dropping ticks for slow readers.
	NewTicker(d time.Duration) Ticker
	// AfterFunc calls f after d in a goroutine of its own, unless stop is called before.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// Timer fires once.
type Timer interface {
	C() <-chan time.Time
	// Stop says whether it stopped the timer before it fired.
	Stop() bool
}

// Ticker fires again and again.
type Ticker interface {
	C() <-chan time.Time
	Stop()
}

// Sleep waits for d or until the context ends, whose error it then returns.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// System is the machine's clock.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time                   { return time.Now() }
func (system) NewTimer(d time.Duration) Timer   { return systemTimer{time.NewTimer(d)} }
func (system) NewTicker(d time.Duration) Ticker { return systemTicker{time.NewTicker(d)} }
func (system) AfterFunc(d time.Duration, f func()) func() {
	timer := time.AfterFunc(d, f)
	return func() { timer.Stop() }
}

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.t.C }
func (t systemTimer) Stop() bool          { return t.t.Stop() }

type systemTicker struct{ t *time.Ticker }

func (t systemTicker) C() <-chan time.Time { return t.t.C }
func (t systemTicker) Stop()               { t.t.Stop() }
