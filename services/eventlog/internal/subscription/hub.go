package subscription

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
)

// retryAfter is the delay that is advised where another try, or another replica, helps.
const retryAfter = time.Second

// Filter is what the events of a subscription must be like; all that is set holds at once.
type Filter struct {
	// Types: any of these.
	Types []event.Type
	// Kinds: in a stream of any of these kinds.
	Kinds []event.Kind
	// AccountID: about this account.
	AccountID uuid.NullUUID
}

// IsZero says whether the filter lets everything through.
func (f Filter) IsZero() bool { return len(f.Types) == 0 && len(f.Kinds) == 0 && !f.AccountID.Valid }

// Stretch is a part of a log that was looked through.
type Stretch struct {
	// Events are those that the filter lets through, by position.
	Events []event.Record
	// Looked is how far: every event up to it that the filter lets through is in Events, or was before them.
	Looked int64
	// Head is the log's last position when that was so.
	Head int64
}

// Log is what subscriptions are fed from.
type Log interface {
	// Heads gives the last positions of tenants' logs; a tenant without a log is absent.
	Heads(ctx context.Context, tenants []uuid.UUID) (map[uuid.UUID]int64, error)
	// Follow looks through a stretch of a tenant's log after a position, of one event or more where there are any, and
	// gives at most size of them. Where an event is not to be had that should be there, the error is Corrupt.
	Follow(ctx context.Context, tenant uuid.UUID, after int64, f Filter, size int) (Stretch, error)
}

// Hub feeds subscribers. It is safe for concurrent use.
type Hub struct {
	log     Log
	clock   clock.Clock
	cfg     Config
	metrics metrics
	// reads has room for those that run.
	reads chan struct{}
	// listening tells Run that somebody listens.
	listening chan struct{}
	// closed ends all subscriptions.
	closed chan struct{}
	// senders are waited for by Run.
	senders sync.WaitGroup

	mu     sync.Mutex
	topics map[uuid.UUID]*topic
	count  int
	ended  bool
}

// topic is a tenant who is listened to.
type topic struct {
	// head is the last position that was heard of; 0 at first.
	head        int64
	subscribers map[*subscriber]struct{}
}

// subscriber is one who listens.
type subscriber struct {
	Request
	topic *topic
	// wake says that there may be more.
	wake chan struct{}
	// look: there is reason to look whatever the head is said to be. The hub's lock guards it.
	look bool
}

// NewHub makes a hub; Run keeps it going.
func NewHub(clk clock.Clock, log Log, cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Hub{
		log: log, clock: clk, cfg: cfg, metrics: newMetrics(), reads: make(chan struct{}, cfg.ReadsMax),
		listening: make(chan struct{}, 1), closed: make(chan struct{}), topics: map[uuid.UUID]*topic{},
	}, nil
}

// Run looks for what other processes have committed, for as long as anybody listens, until the context ends. Then all
// subscriptions end as UNAVAILABLE, and no more are taken. It is called once.
func (h *Hub) Run(ctx context.Context) {
	defer h.senders.Wait()
	defer h.end()
	for {
		heads := h.heads()
		if len(heads) == 0 {
			select {
			case <-h.listening:
				continue
			case <-ctx.Done():
				return
			}
		}
		if clock.Sleep(ctx, h.clock, h.poll(ctx, heads)) != nil {
			return
		}
	}
}

// end tells every subscriber to leave.
func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	close(h.closed)
}

// heads are the heads heard of, of all who are listened to.
func (h *Hub) heads() map[uuid.UUID]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	heads := make(map[uuid.UUID]int64, len(h.topics))
	for tenant, t := range h.topics {
		heads[tenant] = t.head
	}
	return heads
}

// poll asks for heads, once for all, and wakes those who have missed something. It gives the wait until the next time.
// Where the heads cannot be had, everybody looks for himself: he then learns what is wrong, or finds nothing wrong.
func (h *Hub) poll(ctx context.Context, before map[uuid.UUID]int64) time.Duration {
	tenants := make([]uuid.UUID, 0, len(before))
	for tenant := range before {
		tenants = append(tenants, tenant)
	}
	asking, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	heads, err := h.log.Heads(asking, tenants)
	if err != nil {
		h.metrics.pollFailed(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for tenant, was := range before {
		t := h.topics[tenant]
		switch {
		case t == nil: // Nobody listens any more.
		case err != nil:
			t.wakeAll(true)
		case heads[tenant] < was: // The log has lost its tail: those who were sent it must know.
			t.head = heads[tenant]
			t.wakeAll(true)
		case heads[tenant] > t.head:
			t.head = heads[tenant]
			t.wakeAll(false)
		}
	}
	if err != nil {
		return h.cfg.PollRetry
	}
	return h.cfg.PollEvery
}

// Committed tells that this process has made a tenant's log longer: its subscribers need not wait for the next poll. It
// does not block. Of two calls at a time the greater position counts.
func (h *Hub) Committed(tenant uuid.UUID, position int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[tenant]; t != nil && position > t.head {
		t.head = position
		t.wakeAll(false)
	}
}

// wakeAll wakes a tenant's subscribers; the hub's lock is held.
func (t *topic) wakeAll(look bool) {
	for s := range t.subscribers {
		s.look = s.look || look
		select {
		case s.wake <- struct{}{}:
		default: // He will wake anyhow.
		}
	}
}

// join takes a subscriber in.
func (h *Hub) join(ctx context.Context, r Request) (*subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.Tenant]
	switch {
	case h.ended:
		return nil, stopping()
	case h.count >= h.cfg.SubscribersMax:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_SUBSCRIBERS", "%d subscriptions run here already", h.cfg.SubscribersMax).WithRetryAfter(retryAfter)
	case t != nil && len(t.subscribers) >= h.cfg.TenantSubscribersMax:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_SUBSCRIBERS", "%d subscriptions of this tenant run here already", h.cfg.TenantSubscribersMax).
			WithRetryAfter(retryAfter)
	case t == nil:
		t = &topic{subscribers: map[*subscriber]struct{}{}}
		h.topics[r.Tenant] = t
	}
	s := &subscriber{Request: r, topic: t, wake: make(chan struct{}, 1)}
	t.subscribers[s] = struct{}{}
	h.count++
	h.metrics.subscribers.Add(ctx, 1)
	select {
	case h.listening <- struct{}{}:
	default:
	}
	return s, nil
}

// leave lets a subscriber go.
func (h *Hub) leave(ctx context.Context, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(s.topic.subscribers, s)
	if len(s.topic.subscribers) == 0 {
		delete(h.topics, s.Tenant)
	}
	h.count--
	h.metrics.subscribers.Add(ctx, -1)
}

// hasMore says whether a subscriber who has looked so far should look again.
func (h *Hub) hasMore(s *subscriber, looked int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	more := s.look || s.topic.head > looked
	s.look = false
	return more
}

func stopping() error {
	return fault.New(fault.Unavailable, "STOPPING", "this process is stopping; subscribe again").WithRetryAfter(retryAfter)
}
