package binance

import (
	"context"
	"net/http"
	"sync"
	"time"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/venue"
)

// class says how much of the weight a request may take: what trades goes before what asks, and what asks about one order before
// what lists many.
type class int

const (
	trading class = iota
	asking
	listing
	// learning asks for the limit itself: until that is known it goes out whatever has been used, and then as what asks.
	learning
)

// share is the part of the limit, in percent, up to which a class is let out. What lies above is kept for the classes before it.
func (c class) share() int64 {
	switch c {
	case trading:
		return 100
	case asking, learning:
		return 90
	default:
		return 75
	}
}

const (
	// weightUsual is Binance's limit of a minute, until exchangeInfo tells.
	weightUsual = 6000
	// learningPause is for how long at most something is held back before that: by then it may be known.
	learningPause = time.Second
)

// budget is what all accounts of the process may ask of the venue together: it counts weight by address.
type budget struct {
	clock clock.Clock

	mu       sync.Mutex
	limit    int64
	known    bool      // the limit is the venue's word
	minute   time.Time // the end of the minute that used counts for
	used     int64
	underway int64
	shutTill time.Time
	orders   map[venue.AccountKey]time.Time
}

func newBudget(clk clock.Clock) *budget {
	return &budget{clock: clk, limit: weightUsual, orders: map[venue.AccountKey]time.Time{}}
}

// limits takes over what exchangeInfo says.
func (b *budget) limits(rows []lib.RateLimit) {
	for _, row := range rows {
		if row.RateLimitType == string(lib.RateLimitTypeRequestWeight) && row.Interval == string(lib.RateLimitIntervalMinute) &&
			row.IntervalNum == 1 && row.Limit > 0 {
			b.mu.Lock()
			b.limit, b.known = row.Limit, true
			b.mu.Unlock()
		}
	}
}

// spending is weight of a request underway.
type spending struct {
	budget *budget
	weight int64
	once   sync.Once
}

// take waits until a call may go out. What is shut is refused at once, and so is what would have to wait for longer than its caller does:
// that has not been executed, and the caller is told for how long to be silent.
func (b *budget) take(ctx context.Context, c *call) (*spending, error) {
	for {
		wait, shut := b.tryTake(c)
		if wait <= 0 {
			return &spending{budget: b, weight: c.weight}, nil
		}
		deadline, bounded := ctx.Deadline()
		if shut || c.class == trading || bounded && deadline.Sub(b.clock.Now()) < wait {
			return nil, b.refusal(c, wait)
		}
		if clock.Sleep(ctx, b.clock, wait) != nil {
			return nil, b.refusal(c, wait)
		}
	}
}

// tryTake takes the weight of a call, or says for how long it cannot.
func (b *budget) tryTake(c *call) (wait time.Duration, shut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	if wait = b.shutTill.Sub(now); wait > 0 {
		return wait, true
	}
	if wait = b.orders[c.account].Sub(now); wait > 0 && c.operation == venue.OpPlace {
		return wait, true
	}
	b.turn(now)
	if b.used+b.underway+c.weight > b.limit*c.class.share()/100 && b.used+b.underway > 0 {
		switch wait = b.minute.Sub(now); {
		case b.known:
			return wait, false
		case c.class != learning:
			return min(wait, learningPause), false
		}
	}
	b.underway += c.weight
	return 0, false
}

// turn begins a new minute, by our clock. The venue counts by its own; each answer tells that count and puts ours right.
func (b *budget) turn(now time.Time) {
	if !now.Before(b.minute) {
		b.minute, b.used = now.Truncate(time.Minute).Add(time.Minute), 0
	}
}

func (b *budget) refusal(c *call, wait time.Duration) error {
	return &venue.RateLimitedError{
		Operation: c.operation, HTTPStatus: http.StatusTooManyRequests, RetryAfter: wait, Message: "held back here: the venue's limit is used up",
	}
}

// shut refuses everything for a time. A shorter one does not end a longer one.
func (b *budget) shut(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if till := b.clock.Now().Add(d); till.After(b.shutTill) {
		b.shutTill = till
	}
}

// shutOrders refuses new orders of one account for a time; other accounts have counts of their own.
func (b *budget) shutOrders(account venue.AccountKey, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders[account] = b.clock.Now().Add(d)
}

// answered takes over the venue's own count.
func (s *spending) answered(header http.Header) {
	used, told := usedWeight(header)
	if !told {
		return
	}
	s.once.Do(func() {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		s.budget.turn(s.budget.clock.Now())
		s.budget.underway -= s.weight
		s.budget.used = used
	})
}

// settle counts a request that told nothing as one that was counted.
func (s *spending) settle() {
	s.once.Do(func() {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		s.budget.turn(s.budget.clock.Now())
		s.budget.underway -= s.weight
		s.budget.used += s.weight
	})
}
