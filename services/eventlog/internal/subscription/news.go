package subscription

import (
	"context"
	"math"
	"sync"

	"github.com/google/uuid"
)

// news are the topics whose rings lack events that are in the log: other processes' commits, and own ones that were told of
// out of order. One query brings those of many topics.
type news struct {
	mu     sync.Mutex
	wanted map[*topic]struct{}
	signal chan struct{}
}

func newNews() news { return news{wanted: map[*topic]struct{}{}, signal: make(chan struct{}, 1)} }

// want asks for a topic's ring to be filled. It does not block.
func (n *news) want(t *topic) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted[t] = struct{}{}
	n.ring()
}

// ring tells that something is wanted.
func (n *news) ring() {
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

// take gives some of the topics; the others are left for the next time.
func (n *news) take(most int) []*topic {
	n.mu.Lock()
	defer n.mu.Unlock()
	topics := make([]*topic, 0, min(most, len(n.wanted)))
	for t := range n.wanted {
		if len(topics) == most {
			n.ring()
			break
		}
		topics = append(topics, t)
		delete(n.wanted, t)
	}
	return topics
}

// bringNews fills rings until the context ends.
func (h *Hub) bringNews(ctx context.Context) {
	for {
		select {
		case <-h.news.signal:
			h.fill(ctx, h.news.take(h.cfg.NewsTenantsMax))
		case <-ctx.Done():
			return
		}
	}
}

// fill reads what the topics' rings lack, once for all. Where that fails, or is not what should come next, their subscribers
// look for themselves: each then learns what is wrong with his log.
func (h *Hub) fill(ctx context.Context, topics []*topic) {
	after, upTo := make(map[uuid.UUID]int64, len(topics)), make(map[uuid.UUID]int64, len(topics))
	for _, t := range topics {
		t.mu.Lock()
		if t.lacks() {
			after[t.tenant] = t.ring.last
			upTo[t.tenant] = min(t.head, t.ring.last+int64(h.cfg.NewsSize))
		}
		t.mu.Unlock()
	}
	if len(after) == 0 {
		return
	}
	reading, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	found, cut, err := h.log.News(reading, after, h.cfg.NewsSize)
	if err != nil {
		h.metrics.newsFailed(ctx)
	}
	h.metrics.newsRead(ctx)
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, t := range topics {
		least, asked := upTo[t.tenant]
		switch {
		case !asked || h.topics[t.tenant] != t: // It is served, or nobody listens any more.
			continue
		case err != nil:
			least = math.MaxInt64
		case cut:
			least = 0
		}
		h.filled(t, found[t.tenant], least)
	}
	h.trimRings()
}

// filled hands a topic what was found, which goes up to a position at least, and asks for the rest.
func (h *Hub) filled(t *topic, events []*Event, least int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.add(events, h.ringLimits()), t.ring.last < least:
		t.doubt(t.head)
	case t.lacks():
		h.news.want(t)
	}
}
