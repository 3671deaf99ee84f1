package commit

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// Log takes appends in by one transaction. Where wait is not set, those of tenants whose log somebody else holds are left
// out and come back as Busy.
type Log interface {
	Append(ctx context.Context, requests []*intake.Request, wait bool) []store.Result
}

// Committer takes appends in, many to a transaction. It is safe for concurrent use.
type Committer struct {
	log   Log
	cfg   Config
	queue *queue
	// lanes bounds the tenants that wait in lanes of their own.
	lanes   chan struct{}
	running sync.WaitGroup
}

// New makes a committer; it takes appends once Start was called.
func New(clk clock.Clock, log Log, cfg Config) (*Committer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Committer{log: log, cfg: cfg, queue: newQueue(clk, cfg), lanes: make(chan struct{}, cfg.LanesMax)}, nil
}

// Start begins to take appends in. Transactions outlive ctx's end: Stop ends them.
func (c *Committer) Start(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for range c.cfg.WorkersMax {
		c.running.Go(func() { c.work(ctx) })
	}
}

// Stop refuses what comes from now on and returns when everything before has its result.
func (c *Committer) Stop() {
	c.queue.close()
	c.running.Wait()
}

// Waiting is how many appends wait for a transaction.
func (c *Committer) Waiting() int {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	return c.queue.waiting
}

// Append takes appends in, those of a tenant in their order, and gives a result for each. A sender that goes away before
// its turn is left out; after that its appends go on, and what became of them is learned from the receipt.
func (c *Committer) Append(ctx context.Context, requests []*intake.Request) []store.Result {
	if len(requests) == 0 {
		return nil
	}
	results, left, done := make([]store.Result, len(requests)), len(requests), make(chan struct{})
	err := c.Submit(ctx, requests, func(i int, result store.Result) {
		results[i] = result
		if left--; left == 0 {
			close(done)
		}
	})
	if err != nil {
		return failed(len(requests), err)
	}
	select {
	case <-done:
		return results
	case <-ctx.Done():
		return failed(len(requests), context.Cause(ctx))
	}
}

// Submit takes appends in as Append does and returns at once: answer is told each result, with the index of its append,
// one after the other, whoever has gone away. It must not block. An error means that none was taken.
func (c *Committer) Submit(ctx context.Context, requests []*intake.Request, answer func(index int, result store.Result)) error {
	return c.queue.put(&call{ctx: ctx, answer: answer}, requests)
}

func failed(n int, err error) []store.Result {
	results := make([]store.Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}

// work takes batches until the queue is closed and empty.
func (c *Committer) work(ctx context.Context) {
	for b := c.queue.take(nil); b != nil; b = c.queue.take(b) {
		results := c.log.Append(ctx, requestsOf(b.entries), false)
		c.queue.answer(b.entries, results, c.setAside(ctx, b.entries, results))
	}
}

// setAside begins a lane for each tenant that was left out, and tells which they are. At the bound of lanes the senders
// are told to come again.
func (c *Committer) setAside(ctx context.Context, batch []entry, results []store.Result) map[uuid.UUID]bool {
	var held map[uuid.UUID]bool
	busy := map[uuid.UUID][]entry{}
	for i, e := range batch {
		if results[i].Busy {
			busy[e.request.Tenant] = append(busy[e.request.Tenant], e)
		}
	}
	for id, entries := range busy {
		select {
		case c.lanes <- struct{}{}:
		default:
			c.refuse(batch, results, id)
			continue
		}
		if held == nil {
			held = map[uuid.UUID]bool{}
		}
		held[id] = true
		t := c.queue.back(entries)
		c.running.Go(func() {
			defer func() { <-c.lanes }()
			c.workAlone(ctx, t)
		})
	}
	return held
}

// refuse tells the senders of a tenant that its log is held by somebody else.
func (c *Committer) refuse(batch []entry, results []store.Result, id uuid.UUID) {
	err := fault.New(fault.Unavailable, "TENANT_BUSY", "another holds the log of tenant %s, and %d others wait for theirs", id, c.cfg.LanesMax).
		With("tenant_id", id.String()).WithRetryAfter(c.cfg.RetryAfter)
	for i, e := range batch {
		if results[i].Busy && e.request.Tenant == id {
			results[i] = store.Result{Err: err}
		}
	}
}

// workAlone takes one tenant's appends in, waiting for its log, until there are none or the log is free again.
func (c *Committer) workAlone(ctx context.Context, t *tenantQueue) {
	batch := c.queue.takeAlone(t)
	if batch == nil {
		return
	}
	c.queue.answer(batch, c.log.Append(ctx, requestsOf(batch), true), nil)
}

func requestsOf(batch []entry) []*intake.Request {
	requests := make([]*intake.Request, len(batch))
	for i, e := range batch {
		requests[i] = e.request
	}
	return requests
}
