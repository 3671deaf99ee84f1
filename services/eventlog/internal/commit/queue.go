package commit

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// call is one sender.
type call struct {
	ctx context.Context //nolint:containedctx // the sender's: who has gone away before its turn is left out
	// answer is told each result with the append's index. It is called under the queue's lock and must not block.
	answer func(index int, result store.Result)
}

// entry is one append in the queue.
type entry struct {
	call    *call
	index   int
	request *intake.Request
}

// tenantQueue is the appends of one tenant that wait, in their order.
type tenantQueue struct {
	id      uuid.UUID
	entries []entry
	// taken: a batch or a lane has some of them, or the tenant is in the list of the ready ones.
	taken bool
}

// queue is all that waits. Its methods are safe for concurrent use.
type queue struct {
	clock clock.Clock
	cfg   Config

	mu      sync.Mutex
	wake    *sync.Cond
	tenants map[uuid.UUID]*tenantQueue
	// ready are the tenants that have appends and are in no batch, in the order in which they became so.
	ready   []*tenantQueue
	waiting int
	// waitingEvents are the events of those that wait, workedOn those of the batches that workers have begun a short while ago.
	waitingEvents, workedOn int
	closed                  bool
}

func newQueue(clk clock.Clock, cfg Config) *queue {
	q := &queue{clock: clk, cfg: cfg, tenants: map[uuid.UUID]*tenantQueue{}}
	q.wake = sync.NewCond(&q.mu)
	return q
}

// put adds a sender's appends, all or none. Those of a tenant keep their order.
func (q *queue) put(c *call, requests []*intake.Request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fault.New(fault.Unavailable, "STOPPING", "this replica takes no more appends").WithRetryAfter(q.cfg.RetryAfter)
	}
	if q.waiting > 0 && q.waiting+len(requests) > q.cfg.QueueMax {
		return fault.New(fault.Exhausted, "QUEUE_FULL", "%d appends wait already", q.waiting).WithRetryAfter(q.cfg.RetryAfter)
	}
	for _, r := range requests {
		t := q.tenants[r.Tenant]
		if t != nil && len(t.entries) > 0 && len(t.entries)+len(requests) > q.cfg.TenantQueueMax {
			return fault.New(fault.Exhausted, "TENANT_QUEUE_FULL", "%d appends of tenant %s wait already", len(t.entries), t.id).
				With("tenant_id", t.id.String()).WithRetryAfter(q.cfg.RetryAfter)
		}
	}
	for i, r := range requests {
		t := q.tenants[r.Tenant]
		if t == nil {
			t = &tenantQueue{id: r.Tenant}
			q.tenants[r.Tenant] = t
		}
		t.entries = append(t.entries, entry{call: c, index: i, request: r})
		q.waitingEvents += r.EventCount()
		q.offer(t)
	}
	q.waiting += len(requests)
	q.wakeOne()
	return nil
}

// offer puts a tenant in the list of the ready ones, unless it is there or in a batch.
func (q *queue) offer(t *tenantQueue) {
	if t.taken || len(t.entries) == 0 {
		return
	}
	t.taken = true
	q.ready = append(q.ready, t)
}

// batch is what a worker has taken.
type batch struct {
	entries []entry
	// fresh are its events while it counts as under way; 0 from then on.
	fresh int
	// stopTimer ends the timer after which it no longer counts.
	stopTimer func()
}

// patience is how long a batch keeps another from beginning beside it: most are over by then, and what waits for a lock, a
// connection or a peer that hangs must hold up nobody else.
const patience = 10 * time.Millisecond

// worth says whether there is something for a transaction. While a short one is under way another begins once twice as
// many events wait as are in it: more of them then share what a transaction costs for itself, and it is soon over in any case.
func (q *queue) worth() bool {
	long, many := q.cfg.BatchEventsMax/2, q.cfg.BatchEventsMax/8
	return len(q.ready) > 0 && (q.closed || q.workedOn >= long || q.waitingEvents >= min(2*q.workedOn, many))
}

// wakeOne wakes a worker if there is something to do for it.
func (q *queue) wakeOne() {
	if q.worth() {
		q.wake.Signal()
	}
}

// take waits for appends and gives the next batch; nil once the queue is closed and empty. done is the worker's last one,
// which is over.
func (q *queue) take(done *batch) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if done != nil {
		done.stopTimer()
		q.forget(done)
	}
	for {
		for !q.worth() {
			if q.closed && q.waiting == 0 {
				return nil
			}
			q.wake.Wait()
		}
		// All who waited may have gone: there is nothing to do then, and more to wait for.
		entries, size := q.fill()
		if len(entries) == 0 {
			continue
		}
		b := &batch{entries: entries, fresh: size}
		b.stopTimer = q.clock.AfterFunc(patience, func() { q.takesLong(b) })
		q.workedOn += size
		q.wakeOne()
		return b
	}
}

// forget has a batch no longer count as under way.
func (q *queue) forget(b *batch) {
	q.workedOn -= b.fresh
	b.fresh = 0
}

// takesLong is told of a batch whose patience is over.
func (q *queue) takesLong(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(b)
	q.wakeOne()
}

// fill takes a batch from the ready tenants, with its number of events.
func (q *queue) fill() (entries []entry, size int) {
	left := q.cfg.BatchEventsMax
	for len(q.ready) > 0 && left > 0 {
		// What is left is shared by those who wait; a share that is not used is the next one's.
		share := max(left/len(q.ready), 1)
		t := q.ready[0]
		q.ready = q.ready[1:]
		taken, events := q.cut(t, share)
		if len(taken) == 0 {
			q.release(t)
			continue
		}
		entries, left, size = append(entries, taken...), left-events, size+events
	}
	return entries, size
}

// cut takes from a tenant's queue what fits in so many events, one append at the least, leaving out those whose senders
// have gone.
func (q *queue) cut(t *tenantQueue, share int) (taken []entry, events int) {
	n := 0
	for _, e := range t.entries {
		count := e.request.EventCount()
		if len(taken) > 0 && events+count > share {
			break
		}
		n++
		q.waitingEvents -= count
		if e.call.ctx.Err() != nil {
			e.call.answer(e.index, store.Result{Err: context.Cause(e.call.ctx)})
			continue
		}
		taken, events = append(taken, e), events+count
	}
	t.entries = t.entries[n:]
	q.waiting -= n
	return taken, events
}

// takeAlone gives the next batch of one tenant, which the caller holds; nil if it has nothing more.
func (q *queue) takeAlone(t *tenantQueue) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken, _ := q.cut(t, q.cfg.BatchEventsMax)
	if len(taken) == 0 {
		q.release(t)
		q.wake.Broadcast() // nothing may be left to wait for, or this tenant's next appends are there
	}
	return taken
}

// back puts a tenant's appends back to where they were taken from; the caller goes on holding the tenant.
func (q *queue) back(entries []entry) *tenantQueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tenants[entries[0].request.Tenant]
	t.entries = append(entries, t.entries...)
	for _, e := range entries {
		q.waitingEvents += e.request.EventCount()
	}
	q.waiting += len(entries)
	return t
}

// answer gives senders their results and releases the tenants that are not held on.
func (q *queue) answer(entries []entry, results []store.Result, held map[uuid.UUID]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, e := range entries {
		if !results[i].Busy {
			e.call.answer(e.index, results[i])
		}
	}
	released := map[uuid.UUID]bool{}
	for _, e := range entries {
		if id := e.request.Tenant; !held[id] && !released[id] {
			released[id] = true
			q.release(q.tenants[id])
		}
	}
	if q.closed {
		q.wake.Broadcast()
		return
	}
	q.wakeOne()
}

// release ends the holding of a tenant: it is ready again, or forgotten if it has nothing more.
func (q *queue) release(t *tenantQueue) {
	t.taken = false
	if len(t.entries) == 0 {
		delete(q.tenants, t.id)
		return
	}
	q.offer(t)
}

// close refuses what comes from now on; what waits is still taken in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
}
