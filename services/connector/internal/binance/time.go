package binance

import (
	"context"
	"sync"
	"time"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/pkg/clock"
)

// serverClock tells the venue's time between the times at which the venue is asked for it.
type serverClock struct {
	clock clock.Clock
	age   time.Duration
	ask   func(context.Context) (time.Time, error)

	asking sync.Mutex // held by who asks
	mu     sync.Mutex
	known  bool
	at     time.Time // our clock, with its monotonic reading, when
	server time.Time // this was the venue's
	last   time.Time // what was told last
}

// now is the venue's time as well as it is known, for stamps: it goes back where it was found to be ahead.
func (s *serverClock) now(ctx context.Context) (time.Time, error) {
	if now, fresh := s.estimate(); fresh {
		return now, nil
	}
	err := s.sync(ctx)
	now, fresh := s.estimate()
	if err != nil && !fresh && now.IsZero() {
		return time.Time{}, err
	}
	return now, nil // an old comparison is better than none
}

// steady is the venue's time that never goes back.
func (s *serverClock) steady(ctx context.Context) (time.Time, error) {
	now, err := s.now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.last) {
		s.last = now
	}
	return s.last, nil
}

func (s *serverClock) estimate() (now time.Time, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server.IsZero() {
		return time.Time{}, false
	}
	since := s.clock.Now().Sub(s.at)
	return s.server.Add(since), s.known && since < s.age
}

// forget has the clocks compared again before the next use.
func (s *serverClock) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

// sync compares the clocks. The venue told its time somewhere between question and answer; the middle is wrong by half of that at most.
func (s *serverClock) sync(ctx context.Context) error {
	s.asking.Lock()
	defer s.asking.Unlock()
	if _, fresh := s.estimate(); fresh {
		return nil // another asked meanwhile
	}
	before := s.clock.Now()
	server, err := s.ask(ctx)
	if err != nil {
		return err
	}
	after := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.server, s.known = after, server.Add(after.Sub(before)/2), true
	return nil
}

// askTime asks the venue. It goes before other questions: without it nothing can be signed.
func (v *Venue) askTime(ctx context.Context) (at time.Time, err error) {
	err = v.do(ctx, &call{operation: opTime, weight: 1, class: trading}, func(ctx context.Context, client *lib.Client) error {
		ms, err := client.NewServerTimeService().Do(ctx)
		at = time.UnixMilli(ms).UTC()
		return err
	})
	return at, err
}

// Time is the venue's clock. It never goes back.
func (v *Venue) Time(ctx context.Context) (time.Time, error) { return v.time.steady(ctx) }

// MarketTime is the same: the venue's market is of today.
func (v *Venue) MarketTime(ctx context.Context, _ string) (time.Time, error) { return v.Time(ctx) }
