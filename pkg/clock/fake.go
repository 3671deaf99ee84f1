package clock

import (
	"sync"
	"time"
)

// Fake is a clock that moves only when told. It is safe for use by many goroutines.
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	waiters []*fakeWaiter
	changed chan struct{}
}

// NewFake stands at a time.
func NewFake(now time.Time) *Fake { return &Fake{now: now, changed: make(chan struct{})} }

// Now is where the clock stands.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock on and fires what is due, in order.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	var rest []*fakeWaiter
	for _, w := range f.waiters {
		for w.active && !w.at.After(f.now) {
			if w.f != nil {
				go w.f()
			}
			select {
			case w.c <- w.at:
			default: // a slow reader loses ticks, as with the real clock
			}
			if w.every == 0 {
				w.active = false
				break
			}
			w.at = w.at.Add(w.every)
		}
		if w.active {
			rest = append(rest, w)
		}
	}
	f.waiters = rest
	f.notify()
}

// WaitFor returns once at least n timers and tickers are waiting, so that a test need not guess when a goroutine sleeps.
func (f *Fake) WaitFor(n int) {
	for {
		f.mu.Lock()
		enough, changed := len(f.waiters) >= n, f.changed
		f.mu.Unlock()
		if enough {
			return
		}
		<-changed
	}
}

// NewTimer fires once when the clock has been moved on by d.
func (f *Fake) NewTimer(d time.Duration) Timer { return f.add(d, 0) }

// NewTicker fires each time the clock has been moved on by d.
func (f *Fake) NewTicker(d time.Duration) Ticker { return fakeTicker{f.add(d, d)} }

// AfterFunc calls do when the clock has been moved on by d.
func (f *Fake) AfterFunc(d time.Duration, do func()) (stop func()) {
	w := f.add(d, 0)
	f.mu.Lock()
	w.f = do
	f.mu.Unlock()
	return func() { w.Stop() }
}

func (f *Fake) add(d, every time.Duration) *fakeWaiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &fakeWaiter{clock: f, at: f.now.Add(d), every: every, c: make(chan time.Time, 1), active: true}
	f.waiters = append(f.waiters, w)
	f.notify()
	return w
}

// notify wakes WaitFor; the lock is held.
func (f *Fake) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

type fakeWaiter struct {
	clock  *Fake
	at     time.Time
	every  time.Duration
	c      chan time.Time
	f      func()
	active bool
}

func (w *fakeWaiter) C() <-chan time.Time { return w.c }

func (w *fakeWaiter) Stop() bool {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	was := w.active
	w.active = false
	for i, other := range w.clock.waiters {
		if other == w {
			w.clock.waiters = append(w.clock.waiters[:i:i], w.clock.waiters[i+1:]...)
			break
		}
	}
	w.clock.notify()
	return was
}

type fakeTicker struct{ w *fakeWaiter }

func (t fakeTicker) C() <-chan time.Time { return t.w.C() }
func (t fakeTicker) Stop()               { t.w.Stop() }
