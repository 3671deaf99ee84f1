package watch

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/projector/internal/store"
)

// feed looks for all watchers of one tenant.
type feed struct {
	*Hub
	tenant uuid.UUID
	stop   context.CancelFunc
	// listening is closed once the feed knows after which head it listens: only then may watchers read their first rows.
	listening chan struct{}
	// news says that events have come.
	news chan struct{}

	mu    sync.Mutex
	boxes map[*mailbox]bool
	ended error
	// names and upTo are of the events that have come since the last look; overflow says that names is not all.
	names    *touched
	upTo     int64
	overflow bool
}

func newFeed(h *Hub, tenant uuid.UUID) *feed {
	return &feed{Hub: h, tenant: tenant, listening: make(chan struct{}), news: make(chan struct{}, 1), boxes: map[*mailbox]bool{}, names: newTouched()}
}

// add gives a watcher's mailbox to the feed; false if the feed has ended.
func (f *feed) add(box *mailbox) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return false
	}
	f.boxes[box] = true
	return true
}

// remove takes a mailbox away and tells how many are left.
func (f *feed) remove(box *mailbox) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.boxes, box)
	return len(f.boxes)
}

func (f *feed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.boxes)
}

// fail ends the feed and all its watchers with a reason. Who comes later begins another.
func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil {
		f.ended = err
	}
	for box := range f.boxes {
		box.fail(err)
	}
}

// put gives a group to all watchers.
func (f *feed) put(g *group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for box := range f.boxes {
		box.put(g)
	}
}

// run listens and looks until the last watcher has gone, or it cannot go on.
func (f *feed) run(ctx context.Context) {
	defer f.stop()
	head, err := f.rows.Head(ctx, f.tenant)
	if err != nil {
		f.fail(err)
		return
	}
	f.upTo = head.Position
	close(f.listening)
	stream, err := f.log.Subscribe(ctx, &eventlogv1.SubscribeRequest{AfterPosition: head.Position})
	if err != nil {
		f.fail(err)
		return
	}
	var listener sync.WaitGroup
	listener.Go(func() { f.fail(f.listen(stream)); f.stop() })
	defer listener.Wait()
	if err := f.look(ctx, point{position: head.Position, generation: head.Generation}); err != nil {
		f.fail(err)
	}
	f.stop()
}

// eventStream is the receiving side of a subscription.
type eventStream interface {
	Recv() (*eventlogv1.SubscribeResponse, error)
}

// errLogEnded says that the log sends nothing more.
var errLogEnded = fault.New(fault.Unavailable, "LOG_STREAM_ENDED", "the event log ended the subscription")

// listen notes what the events of the log name, until the log ends.
func (f *feed) listen(stream eventStream) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errLogEnded
		}
		if err != nil {
			return err
		}
		if m.GetEvent() == nil {
			continue
		}
		f.mu.Lock()
		f.names.event(m.GetEvent())
		f.upTo = m.GetEvent().GetPosition()
		if f.names.size() > f.cfg.TouchedMax {
			f.names, f.overflow = newTouched(), true
		}
		f.mu.Unlock()
		select {
		case f.news <- struct{}{}:
		default:
		}
	}
}

// take gives what the events since the last look name, and how far they go.
func (f *feed) take() (names *touched, upTo int64, overflow bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	names, overflow = f.names, f.overflow
	f.names, f.overflow = newTouched(), false
	return names, f.upTo, overflow
}

// errLogBehind says that the log does not send what the tables show.
var errLogBehind = fault.New(fault.Unavailable, "LOG_BEHIND", "the event log does not send what is committed")

// look reads what has changed whenever events have come, and from time to time without any, and puts it to the watchers. A log
// that has not sent by one heartbeat what the tables showed at the one before is stuck: its watchers must not believe that
// nothing happens.
func (f *feed) look(ctx context.Context, seen point) error {
	heartbeat := f.clock.NewTicker(f.cfg.HeartbeatEvery)
	defer heartbeat.Stop()
	expected := seen.position
	for {
		beat := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.news:
		case <-heartbeat.C():
			beat = true
		}
		names, upTo, overflow := f.take()
		changes, err := f.rows.Changes(ctx, f.tenant, seen.position, upTo, names.lists())
		if err != nil {
			return err
		}
		next := point{position: upTo, generation: changes.Head.Generation}
		f.put(&group{upTo: next, at: changes.Head.Position, rows: changes.Rows, reset: overflow || changes.TooMany || next.generation != seen.generation})
		seen = next
		if beat {
			if upTo < expected {
				return errLogBehind
			}
			expected = changes.Head.Position
		}
		if err := clock.Sleep(ctx, f.clock, f.cfg.LookPause); err != nil {
			return err
		}
	}
}

// namesOf are what the events between two positions name; known is false where there are too many.
func (h *Hub) namesOf(ctx context.Context, after, upTo int64) (names *touched, known bool, err error) {
	names = newTouched()
	if upTo-after > int64(h.cfg.CatchUpMax) {
		return nil, false, nil
	}
	for after < upTo {
		page, err := h.log.ReadLog(ctx, &eventlogv1.ReadLogRequest{FromPosition: after + 1, Direction: eventlogv1.Direction_DIRECTION_FORWARDS, PageSize: store.PageSizeMax})
		if err != nil {
			return nil, false, err
		}
		if len(page.GetEvents()) == 0 {
			return nil, false, errLogBehind
		}
		for _, e := range page.GetEvents() {
			names.event(e)
			after = e.GetPosition()
		}
	}
	return names, true, nil
}
