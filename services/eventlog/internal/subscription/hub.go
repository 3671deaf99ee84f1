package subscription

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// retryAfter is the delay that is advised where another try, or another replica, helps.
const retryAfter = time.Second

// Stretch is a part of a log that was looked through.
type Stretch struct {
	// Events are those that the filter lets through, by position.
	Events []*Event
	// Looked is how far: every event up to it that the filter lets through is in Events, or was before them.
	Looked int64
	// Head is the log's last position when that was so.
	Head int64
}

// Log is what subscriptions are fed from.
type Log interface {
	// Heads gives the last positions of tenants' logs; a tenant without a log is absent, and there may be others.
	Heads(ctx context.Context, tenants []uuid.UUID) (map[uuid.UUID]int64, error)
	// RecentHeads gives the last positions of all logs that have become longer within the last minute or so.
	RecentHeads(ctx context.Context) (map[uuid.UUID]int64, error)
	// News gives the next events of several logs, each after its position: consecutive from there on, with their accounts, at
	// most size of a log, and as many in all as make a page. Cut says that there was no room for all.
	News(ctx context.Context, after map[uuid.UUID]int64, size int) (found map[uuid.UUID][]*Event, cut bool, err error)
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
	// held is how many bytes the rings have.
	held atomic.Int64
	news news

	mu     sync.RWMutex
	topics map[uuid.UUID]*topic
	// count is how many subscribe, followers how many follow all tenants.
	count, followers int
	ended            bool
}

// NewHub makes a hub; Run keeps it going.
func NewHub(clk clock.Clock, log Log, cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Hub{
		log: log, clock: clk, cfg: cfg, metrics: newMetrics(), reads: make(chan struct{}, cfg.ReadsMax),
		listening: make(chan struct{}, 1), closed: make(chan struct{}), topics: map[uuid.UUID]*topic{}, news: newNews(),
	}, nil
}

// Run looks for what other processes have committed, for as long as anybody listens, until the context ends. Then all
// subscriptions end as UNAVAILABLE, and no more are taken. It is called once.
func (h *Hub) Run(ctx context.Context) {
	defer h.senders.Wait()
	defer h.end()
	h.senders.Go(func() { h.bringNews(ctx) })
	var last time.Time // when all heads were asked for
	for {
		count := h.listened()
		if count == 0 {
			select {
			case <-h.listening:
				continue
			case <-ctx.Done():
				return
			}
		}
		poll := h.poll
		if now := h.clock.Now(); count > h.cfg.HeadsNamedMax && now.Sub(last) < h.cfg.HeadsEvery {
			poll = h.pollRecent
		} else {
			last = now
		}
		wait := h.cfg.PollEvery
		if err := poll(ctx); err != nil {
			h.metrics.pollFailed(ctx)
			h.wakeAll()
			wait = h.cfg.PollRetry
		}
		if clock.Sleep(ctx, h.clock, wait) != nil {
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

// listened is how many logs are listened to.
func (h *Hub) listened() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.topics)
}

// heads are the heads heard of, of all who are listened to.
func (h *Hub) heads() map[uuid.UUID]int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	heads := make(map[uuid.UUID]int64, len(h.topics))
	for tenant, t := range h.topics {
		t.mu.Lock()
		heads[tenant] = t.head
		t.mu.Unlock()
	}
	return heads
}

// poll asks for all heads, once for all, and sees to those who have missed something.
func (h *Hub) poll(ctx context.Context) error {
	before := h.heads()
	asking, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	heads, err := h.log.Heads(asking, slices.Collect(maps.Keys(before)))
	if err != nil {
		return err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for tenant, was := range before {
		if t := h.topics[tenant]; t != nil { // Otherwise nobody listens any more.
			h.heard(t, heads[tenant], was)
		}
	}
	return nil
}

// pollRecent asks for the heads of the logs that have become longer lately.
func (h *Hub) pollRecent(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	heads, err := h.log.RecentHeads(asking)
	if err != nil {
		return err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for tenant, head := range heads {
		if t := h.topics[tenant]; t != nil {
			h.heard(t, head, 0)
		}
	}
	return nil
}

// wakeAll has everybody look for himself, since the heads cannot be had: he then learns what is wrong, or finds nothing wrong.
func (h *Hub) wakeAll() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, t := range h.topics {
		t.mu.Lock()
		t.wakeAll(true)
		t.mu.Unlock()
	}
}

// heard tells a topic of the head that was found, and of the one before.
func (h *Hub) heard(t *topic, head, was int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head < was { // The log has lost its tail: those who were sent it must know.
		t.doubt(head)
	} else if t.hear(head) {
		h.news.want(t)
	}
}

// Committed tells that this process has made a tenant's log longer by these events. Those who listen are served from them,
// without a read. It does not block, and does next to nothing where nobody listens. Of two calls at a time either may come
// first.
func (h *Hub) Committed(tenant uuid.UUID, records []intake.Record) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.topics[tenant]
	if t == nil || len(records) == 0 {
		return
	}
	events := make([]*Event, len(records))
	for i := range records {
		record := records[i].Record // A copy: the rest of the append is not kept with it.
		events[i] = &Event{Record: &record, AccountID: records[i].Subjects.AccountID}
	}
	h.deliver(t, events)
}

// deliver hands events to a topic's ring, or has it filled from the database where they are not the next ones. The hub's lock is held.
func (h *Hub) deliver(t *topic, events []*Event) {
	t.mu.Lock()
	last := events[len(events)-1].Position
	added := t.add(events, h.ringLimits())
	if !added && t.ring.last+1 == events[0].Position { // Not chained: one of the two is not what the log says.
		t.doubt(max(t.head, last))
	} else if t.hear(last) {
		h.news.want(t)
	}
	t.mu.Unlock()
	h.trimRings()
}

// ringLimits bound a ring.
type ringLimits struct{ events, bytes int }

func (h *Hub) ringLimits() ringLimits {
	return ringLimits{events: h.cfg.RingEventsMax, bytes: h.cfg.RingBytesMax}
}

// trimRings holds all rings together to their limit: when it is passed, each keeps its part of half of it. The hub's lock is
// held.
func (h *Hub) trimRings() {
	if h.held.Load() <= int64(h.cfg.RingsBytesMax) {
		return
	}
	limits := ringLimits{events: h.cfg.RingEventsMax, bytes: h.cfg.RingsBytesMax / 2 / len(h.topics)}
	for _, t := range h.topics {
		t.trim(limits)
	}
}

// admit takes a subscriber in, if there is room for him.
func (h *Hub) admit(ctx context.Context, r Request, wake func()) (*cursor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.Tenant]
	switch {
	case h.ended:
		return nil, stopping()
	case h.count >= h.cfg.SubscribersMax:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_SUBSCRIBERS", "%d subscriptions run here already", h.cfg.SubscribersMax).WithRetryAfter(retryAfter)
	case t != nil && t.subscribers >= h.cfg.TenantSubscribersMax:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_SUBSCRIBERS", "%d subscriptions of this tenant run here already", h.cfg.TenantSubscribersMax).
			WithRetryAfter(retryAfter)
	}
	c := h.join(r.Tenant, r.Filter, wake)
	c.topic.subscribers++
	h.count++
	h.metrics.subscribers.Add(ctx, 1)
	return c, nil
}

// dismiss lets a subscriber go.
func (h *Hub) dismiss(ctx context.Context, c *cursor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.topic.subscribers--
	h.count--
	h.metrics.subscribers.Add(ctx, -1)
	h.leave(c)
}

// join makes a cursor. It looks into the database first, whatever is in memory: only there the end of the log is as it is now. The
// hub's lock is held.
func (h *Hub) join(tenant uuid.UUID, f Filter, wake func()) *cursor {
	t := h.topics[tenant]
	if t == nil {
		t = &topic{tenant: tenant, held: &h.held, cursors: map[*cursor]struct{}{}}
		h.topics[tenant] = t
	}
	c := &cursor{topic: t, filter: f, wake: wake, look: true}
	t.mu.Lock()
	t.cursors[c] = struct{}{}
	t.mu.Unlock()
	select {
	case h.listening <- struct{}{}:
	default:
	}
	return c
}

// leave ends a cursor. The hub's lock is held.
func (h *Hub) leave(c *cursor) {
	t := c.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.cursors, c)
	if len(t.cursors) == 0 {
		t.drop()
		delete(h.topics, t.tenant)
	}
}

func stopping() error {
	return fault.New(fault.Unavailable, reasonStopping, "this process is stopping; subscribe again").WithRetryAfter(retryAfter)
}
