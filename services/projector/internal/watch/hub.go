package watch

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// Rows is what watching needs of the store. Each answer is one snapshot of one tenant.
type Rows interface {
	Head(ctx context.Context, tenant uuid.UUID) (store.Head, error)
	Newest(ctx context.Context, tenant uuid.UUID, l store.Listing, conditions []store.Condition, size int) ([]projection.Row, store.Head, error)
	Changes(ctx context.Context, tenant uuid.UUID, since, least int64, t store.Touched) (store.Changes, error)
}

// Log is what watching needs of the event log.
type Log interface {
	Subscribe(ctx context.Context, in *eventlogv1.SubscribeRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[eventlogv1.SubscribeResponse], error)
	ReadLog(ctx context.Context, in *eventlogv1.ReadLogRequest, opts ...grpc.CallOption) (*eventlogv1.ReadLogResponse, error)
}

// Hub serves all watchers of this process.
type Hub struct {
	clock   clock.Clock
	rows    Rows
	log     Log
	cfg     Config
	metrics *metrics

	// root is the life of the feeds, ended by Close.
	root    context.Context //nolint:containedctx // feeds outlive the calls that begin them
	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	feeds    map[uuid.UUID]*feed
	watchers int
	closed   bool
}

// New makes a hub. Close ends it.
func New(ctx context.Context, clk clock.Clock, rows Rows, log Log, cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics()
	if err != nil {
		return nil, err
	}
	h := &Hub{clock: clk, rows: rows, log: log, cfg: cfg, metrics: m, feeds: map[uuid.UUID]*feed{}}
	h.root, h.end = context.WithCancel(context.WithoutCancel(ctx))
	return h, nil
}

// errStopping tells watchers to come again, to another replica or later.
var errStopping = fault.New(fault.Unavailable, "STOPPING", "this replica stops; watch again after the point that you were told")

// Close sends all watchers away and waits for the feeds. It may be called more than once.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	feeds := make([]*feed, 0, len(h.feeds))
	for _, f := range h.feeds {
		feeds = append(feeds, f)
	}
	h.mu.Unlock()
	for _, f := range feeds {
		f.fail(errStopping)
	}
	h.end()
	h.running.Wait()
}

// join gives a watcher's mailbox at the tenant's feed, which is begun for the first one.
func (h *Hub) join(tenant uuid.UUID, table string) (*feed, *mailbox, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errStopping
	}
	f := h.feeds[tenant]
	if h.watchers >= h.cfg.WatchersMax || f != nil && f.count() >= h.cfg.TenantWatchersMax {
		return nil, nil, fault.New(fault.Exhausted, "TOO_MANY_WATCHERS", "%d watch already, and of one tenant at most %d may", h.watchers, h.cfg.TenantWatchersMax).
			WithRetryAfter(h.cfg.HeartbeatEvery)
	}
	box := newMailbox(table, h.cfg.MailboxRows)
	if f == nil || !f.add(box) {
		f = newFeed(h, tenant)
		f.add(box)
		h.feeds[tenant] = f
		ctx, cancel := context.WithCancel(identity.WithTenant(h.root, tenant))
		f.stop = cancel
		h.running.Go(func() { f.run(ctx) })
	}
	h.watchers++
	h.metrics.watching(h.root, 1)
	return f, box, nil
}

// leave takes a watcher away; the last one of a tenant ends the feed.
func (h *Hub) leave(f *feed, box *mailbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
	h.metrics.watching(h.root, -1)
	if f.remove(box) == 0 {
		f.stop()
		if h.feeds[f.tenant] == f {
			delete(h.feeds, f.tenant)
		}
	}
}
