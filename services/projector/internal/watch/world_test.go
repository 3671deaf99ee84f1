package watch_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
	"github.com/robson/robson/services/projector/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a hub over a real store, and a log in memory.
type world struct {
	*watch.Hub
	t      *testing.T
	writer *storetest.Writer
	log    *fakeLog
	tenant uuid.UUID

	mu       sync.Mutex
	rng      *rand.Rand
	position map[uuid.UUID]int64
}

func setup(t *testing.T, cfg watch.Config) *world {
	t.Helper()
	db := testkit.Database(t)
	rows, err := store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	if cfg.LookPause == 0 {
		cfg.LookPause = time.Millisecond
	}
	w := &world{
		t: t, writer: storetest.NewWriter(db.Pool(t, "")), log: &fakeLog{logs: map[uuid.UUID][]*eventv1.Event{}, grown: make(chan struct{})}, tenant: uuid.New(),
		rng: rand.New(rand.NewPCG(7, 8)), position: map[uuid.UUID]int64{},
	}
	w.Hub, err = watch.New(t.Context(), clock.System(), rows, w.log, cfg)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// order makes a row of a tenant.
func (w *world) order(tenant uuid.UUID, change func(*projection.Order)) *projection.Order {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := storetest.Random[projection.Order](w.rng)
	o.TenantID, o.PositionID = tenant, uuid.NullUUID{}
	if change != nil {
		change(o)
	}
	return o
}

// commit changes rows by one event, which the log sends a little later; it gives the event's position.
func (w *world) commit(tenant uuid.UUID, stream string, rows ...projection.Row) int64 {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.position[tenant]++
	at := w.position[tenant]
	for _, row := range rows {
		switch r := row.(type) {
		case *projection.Order:
			r.LastPosition = at
		case *projection.Position:
			r.LastPosition = at
		case *projection.Balance:
			r.LastPosition = at
		}
	}
	require.NoError(w.t, w.writer.Append(context.WithoutCancel(w.t.Context()), tenant, at, rows...))
	w.log.publish(tenant, &eventv1.Event{Position: at, StreamKey: stream})
	return at
}

// put commits orders of the world's tenant, each by an event of its stream.
func (w *world) put(orders ...*projection.Order) {
	w.t.Helper()
	for _, o := range orders {
		w.commit(o.TenantID, "order:"+o.OrderID.String(), o)
	}
}

// fakeLog is a log of few words: what was published, and what is.
type fakeLog struct {
	mu         sync.Mutex
	logs       map[uuid.UUID][]*eventv1.Event
	grown      chan struct{}
	subscribed int
	// broken, if set, is what listening and reading answer; silent keeps what is published back.
	broken error
	silent bool
}

func (l *fakeLog) publish(tenant uuid.UUID, events ...*eventv1.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[tenant] = append(l.logs[tenant], events...)
	l.change()
}

func (l *fakeLog) change() {
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *fakeLog) breaks(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
	l.change()
}

func (l *fakeLog) Subscribe(ctx context.Context, in *eventlogv1.SubscribeRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[eventlogv1.SubscribeResponse], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribed++
	return &fakeStream{log: l, ctx: ctx, after: in.GetAfterPosition()}, nil
}

// ReadLog has what is committed, as a log does that reads the same database.
func (l *fakeLog) ReadLog(ctx context.Context, in *eventlogv1.ReadLogRequest, _ ...grpc.CallOption) (*eventlogv1.ReadLogResponse, error) {
	for {
		l.mu.Lock()
		events, broken, grown := l.logs[identity.Tenant(ctx)], l.broken, l.grown
		l.mu.Unlock()
		switch from := int(in.GetFromPosition()) - 1; {
		case broken != nil:
			return nil, broken
		case from < len(events):
			return &eventlogv1.ReadLogResponse{Events: events[from:]}, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type fakeStream struct {
	grpc.ClientStream
	log   *fakeLog
	ctx   context.Context
	after int64
}

func (s *fakeStream) Recv() (*eventlogv1.SubscribeResponse, error) {
	for {
		s.log.mu.Lock()
		events, broken, grown, silent := s.log.logs[identity.Tenant(s.ctx)], s.log.broken, s.log.grown, s.log.silent
		s.log.mu.Unlock()
		switch {
		case broken != nil:
			return nil, broken
		case !silent && int64(len(events)) > s.after:
			s.after++
			return &eventlogv1.SubscribeResponse{Message: &eventlogv1.SubscribeResponse_Event{Event: events[s.after-1]}}, nil
		}
		select {
		case <-grown:
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
}

// told is what a watcher was told.
type told struct {
	what       string // reset, row, left or synced
	position   int64
	generation int64
	row        projection.Row
}

// seer keeps what it is told, and the rows as it would show them.
type seer struct {
	t *testing.T
	// words carries what is told; a seer that nobody listens to holds its watcher up.
	words chan told
	ended chan error
	stop  context.CancelFunc
	rows  map[string]projection.Row
	point watch.After
}

// watch begins to watch.
func (w *world) watch(tenant uuid.UUID, q watch.Query) *seer {
	w.t.Helper()
	ctx, cancel := context.WithCancel(identity.WithTenant(w.t.Context(), tenant))
	s := &seer{t: w.t, words: make(chan told), ended: make(chan error, 1), stop: cancel, rows: map[string]projection.Row{}}
	go func() { s.ended <- w.Watch(ctx, tenant, q, mouth{ctx, s.words}) }()
	w.t.Cleanup(func() { cancel() })
	return s
}

// mouth hands over what is told, when it is wanted.
type mouth struct {
	ctx context.Context
	to  chan told
}

func (m mouth) say(t told) error {
	select {
	case m.to <- t:
		return nil
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

func (m mouth) Reset(at int64) error { return m.say(told{what: "reset", position: at}) }
func (m mouth) Row(at int64, row projection.Row) error {
	return m.say(told{what: "row", position: at, row: row})
}

func (m mouth) Left(at int64, row projection.Row) error {
	return m.say(told{what: "left", position: at, row: row})
}

func (m mouth) Synced(at, generation int64) error {
	return m.say(told{what: "synced", position: at, generation: generation})
}

// next is the next word.
func (s *seer) next() told {
	s.t.Helper()
	select {
	case word := <-s.words:
		s.learn(word)
		return word
	case err := <-s.ended:
		require.FailNow(s.t, "the watching ended", "%v", err)
		return told{}
	}
}

// learn keeps a word as a screen would.
func (s *seer) learn(word told) {
	switch word.what {
	case "reset":
		s.rows = map[string]projection.Row{}
	case "row":
		require.LessOrEqual(s.t, word.row.Changed().LastPosition, word.position, "a row is true where it says")
		s.rows[word.row.Key().String()] = word.row
	case "left":
		delete(s.rows, word.row.Key().String())
	case "synced":
		require.GreaterOrEqual(s.t, word.position, s.point.Position, "it never goes back")
		s.point = watch.After{Position: word.position, Generation: word.generation}
	}
}

// until listens until everything up to a position has been told.
func (s *seer) until(position int64) {
	s.t.Helper()
	for s.next(); s.point.Position < position; {
		s.next()
	}
}

// end waits for the end of the watching, and learns what was told before.
func (s *seer) end() error {
	for {
		select {
		case word := <-s.words:
			s.learn(word)
		case err := <-s.ended:
			return err
		}
	}
}
