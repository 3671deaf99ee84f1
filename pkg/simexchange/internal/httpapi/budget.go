package httpapi

import (
	"cmp"
	"net/http"
	"sync"
)

// Limits as exchangeInfo says them.
const (
	weightUsual = 6000
	minute      = 60_000
	tenSeconds  = 10_000
	day         = 86_400_000
	logMax      = 100_000
	refusedMax  = 10      // refusals in a row after which the caller is banned
	banned      = 120_000 // milliseconds, the shortest ban that Binance gives
	ordersTens  = 100
	ordersDaily = 200_000
)

// Budget counts weight for everyone and orders for each account.
type Budget struct {
	// WeightMax is what all callers together may use in a minute; zero: what Binance allows. Set before the first call.
	WeightMax int64

	mu     sync.Mutex
	minute int64
	used   int64
	// refused counts the calls that went on after a 429; until is when the ban that came of it ends.
	refused int
	until   int64
	orders  map[string]*count
}

type count struct{ tens, tensUsed, day, dayUsed int64 }

func (b *Budget) max() int64 { return cmp.Or(b.WeightMax, weightUsual) }

// spend counts weight and gives what was used in this minute.
func (b *Budget) spend(now, weight int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.minute != now/minute {
		b.minute, b.used, b.refused = now/minute, 0, 0
	}
	b.used = max(0, b.used+weight)
	return b.used
}

// blocked is with which status and for how many seconds nothing more is answered: 429, or 418 for who went on all the same.
func (b *Budget) blocked(now int64) (status int, seconds int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case now < b.until:
		return http.StatusTeapot, (b.until-now)/1000 + 1
	case b.used <= b.max():
		return 0, 0
	}
	if b.refused++; b.refused > refusedMax {
		b.until = now + banned
		return http.StatusTeapot, banned / 1000
	}
	return http.StatusTooManyRequests, (minute-now%minute)/1000 + 1
}

// count gives an account's orders of these ten seconds and of this day, after counting one more if that is one.
func (b *Budget) count(account string, now int64, one bool) (tens, daily int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.at(account, now)
	if one {
		c.tensUsed++
		c.dayUsed++
	}
	return c.tensUsed, c.dayUsed
}

// full says whether an account may place no more orders for now.
func (b *Budget) full(account string, now int64) bool {
	tens, daily := b.count(account, now, false)
	return tens >= ordersTens || daily >= ordersDaily
}

func (b *Budget) at(account string, now int64) *count {
	if b.orders == nil {
		b.orders = map[string]*count{}
	}
	c := b.orders[account]
	if c == nil {
		c = &count{}
		b.orders[account] = c
	}
	if c.tens != now/tenSeconds {
		c.tens, c.tensUsed = now/tenSeconds, 0
	}
	if c.day != now/day {
		c.day, c.dayUsed = now/day, 0
	}
	return c
}

// Entry is a request that came in. Signatures are left out.
type Entry struct {
	At            int64  `json:"at"`
	Method        string `json:"method"`
	Path          string `json:"path"`
	Query         string `json:"query,omitempty"`
	Body          string `json:"body,omitempty"`
	Account       string `json:"account,omitempty"`
	ClientOrderID string `json:"clientOrderId,omitempty"`
	// Processed says that it was done, whatever its sender was told; Fault what was done to it.
	Processed bool   `json:"processed"`
	Fault     string `json:"fault,omitempty"`
}

// Log keeps the requests, in order; when there are too many, the first of them go.
type Log struct {
	mu      sync.Mutex
	first   int64
	entries []Entry
}

func (l *Log) begin(e Entry) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == logMax {
		l.entries = append(l.entries[:0], l.entries[logMax/2:]...)
		l.first += logMax / 2
	}
	l.entries = append(l.entries, e)
	return l.first + int64(len(l.entries)) - 1
}

func (l *Log) change(n int64, alter func(*Entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n >= l.first && n-l.first < int64(len(l.entries)) {
		alter(&l.entries[n-l.first])
	}
}

func (l *Log) processed(n int64)         { l.change(n, func(e *Entry) { e.Processed = true }) }
func (l *Log) harm(n int64, kind string) { l.change(n, func(e *Entry) { e.Fault = kind }) }

// Entries are the requests of an account, of all if it is empty.
func (l *Log) Entries(account string) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Entry{}
	for _, e := range l.entries {
		if account == "" || e.Account == account {
			out = append(out, e)
		}
	}
	return out
}

func withoutSignature(encoded string) string { return unsigned(encoded) }
