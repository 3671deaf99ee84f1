package store

import (
	"container/list"
	"sync"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// logCache is what this process knows of a tenant's log since its last transaction on it. It is worth something exactly
// while the head row, read under the log's lock, is the one that it was left with: then nobody else has written, and no
// rebuild has been.
type logCache struct {
	head    intake.Head
	rows    projection.Cache
	streams map[string]intake.StreamHead
	// progress counts the events of scopes; nil if nothing is known of them.
	progress *progress
}

// fits says whether nothing has happened to a log since.
func (c *logCache) fits(head *intake.Head) bool {
	return c != nil && head != nil && c.head.Position == head.Position && c.head.Hash == head.Hash &&
		c.head.Generation == head.Generation && c.head.RulesVersion == head.RulesVersion
}

// size is how many rows, heads of streams and counts it holds.
func (c *logCache) size() int { return c.rows.Len() + len(c.streams) + c.progress.size() }

// caches hold what is known of logs, the least recently used first to go. A log's cache is taken out for a transaction and
// put back after its commit, so two transactions never share one; who finds none reads from the database.
type caches struct {
	tenantMax, totalMax int

	mu    sync.Mutex
	byID  map[uuid.UUID]*list.Element
	order *list.List // of *cached, the most recently used at the front
	total int
}

type cached struct {
	id   uuid.UUID
	log  *logCache
	size int
}

func newCaches(tenantMax, totalMax int) *caches {
	return &caches{tenantMax: tenantMax, totalMax: totalMax, byID: map[uuid.UUID]*list.Element{}, order: list.New()}
}

// take gives what is known of a log, which is then nobody else's; nil for nothing.
func (c *caches) take(id uuid.UUID) *logCache {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.byID[id]
	if element == nil {
		return nil
	}
	return c.remove(element).log
}

// put keeps what is known of a log. One that has grown too large is dropped whole: it is soon filled again with what is
// used now.
func (c *caches) put(id uuid.UUID, log *logCache) {
	size := log.size()
	if size > c.tenantMax {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.byID[id]; known != nil {
		c.remove(known)
	}
	c.byID[id] = c.order.PushFront(&cached{id: id, log: log, size: size})
	c.total += size
	for c.total > c.totalMax {
		c.remove(c.order.Back())
	}
}

func (c *caches) remove(element *list.Element) *cached {
	known, _ := c.order.Remove(element).(*cached)
	delete(c.byID, known.id)
	c.total -= known.size
	return known
}

// passing are the tables whose rows are not worth keeping: written once, and not asked for again.
var passing = map[string]bool{projection.TableFills: true, projection.TableDiscrepancies: true}

// keep gives back what was known of the logs and what the transaction, committed, has made of them.
func (b *batch) keep() {
	for _, t := range b.tenants {
		switch {
		case t.busy && t.known != nil:
			b.store.caches.put(t.id, t.known)
		case !t.busy && (t.opening.Head != nil || len(t.out.Records) > 0):
			t.known.rows = t.ledger.Rows
			t.known.learn(&t.out)
			b.store.caches.put(t.id, t.known)
		}
	}
}

// learn takes in what a transaction has made of a log. The heads of its streams are there already.
func (c *logCache) learn(out *intake.Outcome) {
	c.head = out.Head
	for _, row := range out.Rows {
		if key := row.Key(); passing[key.Table] {
			c.rows.Forget(key)
		} else {
			c.rows.Load(key, row)
		}
	}
}
