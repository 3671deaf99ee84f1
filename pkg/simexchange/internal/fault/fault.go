// Package fault decides what goes wrong: rules that match a request or an event, in the order in which they were added, and seeded chaos.
package fault

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"

	"github.com/shopspring/decimal"
)

// Kinds of faults of a request.
const (
	DropBefore        = "drop_before"         // nothing is done, the connection is cut
	AcceptThenTimeout = "accept_then_timeout" // it is done, the answer never comes
	AcceptThenDrop    = "accept_then_drop"    // it is done, the connection is cut
	AcceptThenError   = "accept_then_5xx"     // it is done, the answer is an error
	Reject            = "reject_with"         // nothing is done, the answer is an error
	RateLimit         = "rate_limit"          // 429 or 418 with Retry-After
	BadBody           = "bad_body"            // it is done, the answer is cut short
	Slow              = "slow"                // it is done late
	SlowAnswer        = "slow_answer"         // it is done at once and answered late, so that the stream is first
	QueryLag          = "query_lag"           // a query sees the past
	PartialFill       = "partial_fill"        // a placed order fills in part, and may be ended by the exchange
	FillBeforeCancel  = "fill_before_cancel"  // a cancel comes when the order has filled, wholly or in part
)

// Kinds of faults of the user stream.
const (
	EventDrop       = "ws_drop_event"
	EventDuplicate  = "ws_duplicate_event"
	EventReorder    = "ws_reorder"
	Disconnect      = "ws_disconnect"
	HalfOpen        = "ws_half_open"
	SubscribeReject = "subscribe_reject"
	Terminated      = "event_stream_terminated"
	Shutdown        = "server_shutdown"
)

var requestKinds = []string{
	AcceptThenDrop, AcceptThenError, AcceptThenTimeout, BadBody, DropBefore, FillBeforeCancel, PartialFill, QueryLag, RateLimit, Reject, Slow, SlowAnswer,
}

var eventKinds = []string{EventDrop, EventDuplicate, EventReorder, Disconnect, HalfOpen, SubscribeReject, Terminated, Shutdown}

// Rule is one fault: what it does, to what, and how often. Empty conditions match everything.
type Rule struct {
	ID   int64  `json:"id"`
	Kind string `json:"kind"`

	Method        string `json:"method,omitempty"`
	Path          string `json:"path,omitempty"`
	Account       string `json:"account,omitempty"`
	Symbol        string `json:"symbol,omitempty"`
	ClientOrderID string `json:"clientOrderId,omitempty"`
	Event         string `json:"event,omitempty"` // an event's e, or an executionReport's x
	// After is how many matches pass unharmed, Times how many are harmed after that: 1 if zero, all if negative.
	After int `json:"after,omitempty"`
	Times int `json:"times,omitempty"`

	HTTP       int             `json:"http,omitempty"`
	Code       int             `json:"code,omitempty"`
	Message    string          `json:"message,omitempty"`
	Body       string          `json:"body,omitempty"`
	DelayMS    int64           `json:"delayMs,omitempty"`
	RetryAfter int64           `json:"retryAfter,omitempty"` // seconds
	Lag        int             `json:"lag,omitempty"`        // changes that a query does not see yet
	Count      int             `json:"count,omitempty"`      // copies of an event, or events that change places
	Quantity   decimal.Decimal `json:"quantity,omitzero"`
	End        string          `json:"end,omitempty"`
}

// Validate says what is wrong with a rule.
func (r Rule) Validate() error {
	if !slices.Contains(requestKinds, r.Kind) && !slices.Contains(eventKinds, r.Kind) {
		return fmt.Errorf("fault kind %q, must be one of %v or %v", r.Kind, requestKinds, eventKinds)
	}
	if r.After < 0 || r.DelayMS < 0 || r.RetryAfter < 0 || r.Lag < 0 || r.Count < 0 || r.Quantity.IsNegative() {
		return fmt.Errorf("fault %s: after, delayMs, retryAfter, lag, count and quantity must not be below zero", r.Kind)
	}
	if r.End != "" && !slices.Contains([]string{"CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"}, r.End) {
		return fmt.Errorf("fault %s: end %q, must be CANCELED, EXPIRED or EXPIRED_IN_MATCH", r.Kind, r.End)
	}
	if r.HTTP != 0 && (r.HTTP < 200 || r.HTTP > 599) {
		return fmt.Errorf("fault %s: HTTP status %d", r.Kind, r.HTTP)
	}
	return nil
}

// Occasion is what a rule is held against: a request, or an event if Event is set.
type Occasion struct{ Method, Path, Account, Symbol, ClientOrderID, Event, Execution string }

func (r *Rule) matches(o Occasion) bool {
	if slices.Contains(eventKinds, r.Kind) != (o.Event != "") {
		return false
	}
	same := func(want, is string) bool { return want == "" || want == is }
	return same(r.Method, o.Method) && same(r.Path, o.Path) && same(r.Account, o.Account) && same(r.Symbol, o.Symbol) &&
		same(r.ClientOrderID, o.ClientOrderID) && (r.Event == "" || r.Event == o.Event || r.Event == o.Execution)
}

// Chaos harms by chance. What happens to an account's requests is a function of the seed, the account and its requests so far, and
// what happens to its events one of its events so far: neither depends on how the two, or other accounts, fall between each other.
type Chaos struct {
	Seed uint64 `json:"seed"`
	// Permille is, for each kind, how many of a thousand occasions it harms.
	Permille map[string]int `json:"permille"`
	// Limit is how many faults an account's requests suffer at most, and its events as many; none is no chaos.
	Limit int `json:"limit"`
	// Template says, for a kind, what it is narrowed down to and what exactly is done.
	Template map[string]Rule `json:"template,omitempty"`
}

// Plan is safe for concurrent use; its zero value harms nothing.
type Plan struct {
	mu    sync.Mutex
	last  int64
	rules []*Rule
	chaos Chaos
	lots  map[string]*lot
}

type lot struct {
	state    uint64
	suffered int
}

// Add adds a rule behind the others.
func (p *Plan) Add(r Rule) (int64, error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	if r.Times == 0 {
		r.Times = 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	r.ID = p.last
	p.rules = append(p.rules, &r)
	return r.ID, nil
}

// List is the rules that may still do harm.
func (p *Plan) List() []Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Rule, 0, len(p.rules))
	for _, r := range p.rules {
		out = append(out, *r)
	}
	return out
}

// Clear ends all rules and chaos.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.chaos, p.lots = nil, Chaos{}, nil
}

// Unleash sets the chaos from here on.
func (p *Plan) Unleash(c Chaos) error {
	for kind, permille := range c.Permille {
		rule := c.Template[kind]
		rule.Kind = kind
		if err := rule.Validate(); err != nil {
			return err
		}
		if permille < 0 || permille > 1000 {
			return fmt.Errorf("chaos: %d permille of %s", permille, kind)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chaos, p.lots = c, map[string]*lot{}
	return nil
}

// Take is the fault that an occasion suffers, if any, and uses it up.
func (p *Plan) Take(o Occasion) (Rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, r := range p.rules {
		if !r.matches(o) {
			continue
		}
		if r.After > 0 {
			r.After--
			continue
		}
		taken := *r
		if r.Times > 0 {
			r.Times--
		}
		if r.Times == 0 {
			p.rules = slices.Delete(p.rules, n, n+1)
		}
		return taken, true
	}
	return p.draw(o)
}

func (p *Plan) draw(o Occasion) (Rule, bool) {
	if p.chaos.Limit == 0 || o.Account == "" {
		return Rule{}, false
	}
	whose := "request\x00" + o.Account
	if o.Event != "" {
		whose = "event\x00" + o.Account
	}
	l := p.lots[whose]
	if l == nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(whose)) // a hash takes everything
		l = &lot{state: p.chaos.Seed ^ h.Sum64()}
		p.lots[whose] = l
	}
	for _, kind := range slices.Sorted(maps.Keys(p.chaos.Permille)) {
		rule := p.chaos.Template[kind]
		rule.Kind, rule.Times = kind, 1
		if l.suffered >= p.chaos.Limit || !rule.matches(o) {
			continue
		}
		if l.roll() < uint64(p.chaos.Permille[kind]) {
			l.suffered++
			return rule, true
		}
	}
	return Rule{}, false
}

// roll is a number below 1000, by splitmix64.
func (l *lot) roll() uint64 {
	l.state += 0x9e3779b97f4a7c15
	z := l.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) % 1000
}
