package subscription

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a database of logs: of each tenant so many events, every third of type ODD.
type memory struct {
	mu    sync.Mutex
	heads map[uuid.UUID]int64
	// fails is what every read gives.
	fails error
	// asked counts the askings for heads, reads those of a log, news those of several.
	asked, reads, news int
	// holds, unless nil, keeps News waiting.
	holds chan struct{}
}

func newMemory() *memory { return &memory{heads: map[uuid.UUID]int64{}} }

func (m *memory) set(tenant uuid.UUID, head int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heads[tenant] = head
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = err
}

func (m *memory) RecentHeads(context.Context) (map[uuid.UUID]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	return maps.Clone(m.heads), m.fails
}

func (m *memory) Heads(_ context.Context, tenants []uuid.UUID) (map[uuid.UUID]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	heads := map[uuid.UUID]int64{}
	for _, tenant := range tenants {
		if head := m.heads[tenant]; head > 0 {
			heads[tenant] = head
		}
	}
	return heads, m.fails
}

func (m *memory) Follow(_ context.Context, tenant uuid.UUID, after int64, f Filter, size int) (Stretch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	s := Stretch{Looked: after, Head: m.heads[tenant]}
	for s.Looked < s.Head && len(s.Events) < size {
		s.Looked++
		e := eventAt(tenant, s.Looked)
		if f.passes(e) {
			s.Events = append(s.Events, e)
		}
	}
	return s, m.fails
}

func (m *memory) News(_ context.Context, after map[uuid.UUID]int64, size int) (map[uuid.UUID][]*Event, bool, error) {
	if m.holds != nil {
		<-m.holds
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.news++
	found := map[uuid.UUID][]*Event{}
	for tenant, position := range after {
		for len(found[tenant]) < size && position < m.heads[tenant] {
			position++
			found[tenant] = append(found[tenant], eventAt(tenant, position))
		}
	}
	return found, false, m.fails
}

// eventAt is what a log has at a position: every third is of type ODD, every fourth about a position, every fifth about
// an account.
func eventAt(tenant uuid.UUID, position int64) *Event {
	r := &event.Record{TenantID: tenant, Position: position, Type: "EVEN", StreamKey: "order:1", PrevHash: [32]byte{byte(position - 1)}, Hash: [32]byte{byte(position)}}
	e := &Event{Record: r}
	if position%3 == 0 {
		r.Type = "ODD"
	}
	if position%4 == 0 {
		r.StreamKey = "position:1"
	}
	if position%5 == 0 {
		e.AccountID = account
	}
	return e
}

var account = uuid.MustParse("00000000-0000-4000-8000-00000000000a")

// commit makes a log longer, up to a position, as this process does, and tells the hub.
func (b *testBundle) commit(tenant uuid.UUID, position int64) {
	first := b.log.head(tenant) + 1
	b.log.set(tenant, position)
	b.Committed(tenant, recordsOf(tenant, first, position))
}

// recordsOf are the events from one position to another, as an append has them.
func recordsOf(tenant uuid.UUID, first, last int64) []intake.Record {
	var records []intake.Record
	for ; first <= last; first++ {
		e := eventAt(tenant, first)
		records = append(records, intake.Record{Record: *e.Record, Subjects: event.Subjects{AccountID: e.AccountID}})
	}
	return records
}

// count reads a counter.
func (m *memory) count(counter *int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *counter
}

func (m *memory) head(tenant uuid.UUID) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heads[tenant]
}

// inbox is a receiver: what comes can be read one by one. It takes nothing while blocked.
type inbox struct {
	messages chan string
	blocked  chan struct{}
	refuses  error
}

func newInbox() *inbox { return &inbox{messages: make(chan string, 10_000)} }

func (i *inbox) take(text string) error {
	if i.blocked != nil {
		<-i.blocked
	}
	i.messages <- text
	return i.refuses
}

func (i *inbox) Event(e *Event) error { return i.take(fmt.Sprint(e.Position)) }

func (i *inbox) CaughtUp(position int64) error { return i.take(fmt.Sprint("all to ", position)) }

func (i *inbox) next(n int) []string {
	all := make([]string, n)
	for k := range all {
		all[k] = <-i.messages
	}
	return all
}

// testBundle is a hub that runs.
type testBundle struct {
	*Hub

	log  *memory
	stop func()
}

// setup makes a hub on a clock that stands still: what comes does not come by waiting.
func setup(t *testing.T, cfg Config) *testBundle {
	t.Helper()
	return setupAt(t, clock.NewFake(time.Unix(0, 0)), cfg)
}

func setupAt(t *testing.T, clk clock.Clock, cfg Config) *testBundle {
	t.Helper()
	b := &testBundle{log: newMemory()}
	hub, err := NewHub(clk, b.log, cfg)
	require.NoError(t, err)
	b.Hub = hub
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan struct{})
	go func() { defer close(ran); hub.Run(ctx) }()
	b.stop = sync.OnceFunc(func() { cancel(); <-ran })
	t.Cleanup(b.stop)
	return b
}

// subscribe begins a subscription, which ends with the test; its error comes by the channel.
func (b *testBundle) subscribe(t *testing.T, r Request, to Receiver) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended, left := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(left)
		ended <- b.Subscribe(ctx, r, to)
	}()
	t.Cleanup(func() { cancel(); <-left })
	return ended
}

var tenant = uuid.MustParse("00000000-0000-4000-8000-000000000001")

func TestHub_Subscribe(t *testing.T) {
	t.Parallel()

	t.Run("sends what is there, then that it was all, then what is committed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{PageSize: 2})
		b.log.set(tenant, 5)
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant, After: 1}, in)
		require.Equal(t, []string{"2", "3", "4", "5", "all to 5"}, in.next(5))
		b.commit(tenant, 7)
		b.commit(uuid.New(), 99)
		require.Equal(t, []string{"6", "7"}, in.next(2))
	})

	t.Run("of a log that does not exist yet sends that there is nothing, then its first events", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		require.Equal(t, []string{"all to 0"}, in.next(1))
		b.commit(tenant, 1)
		require.Equal(t, []string{"1"}, in.next(1))
	})

	t.Run("finds what another process has committed", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{})
		in, other := newInbox(), newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		b.subscribe(t, Request{Tenant: uuid.Max}, other)
		require.Equal(t, []string{"all to 0"}, in.next(1))
		require.Equal(t, []string{"all to 0"}, other.next(1))
		b.log.set(tenant, 2)
		require.Equal(t, []string{"1", "2"}, in.next(2))
		require.Empty(t, other.messages)
	})

	t.Run("asks for no heads while nobody listens", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		b.stop()
		require.Zero(t, b.log.count(&b.log.asked))
	})

	t.Run("tells how far it has looked while the filter holds everything back", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{CaughtUpEvery: 20 * time.Millisecond})
		b.log.set(tenant, 3)
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant, Filter: Filter{Types: []event.Type{"ODD"}}}, in)
		require.Equal(t, []string{"3", "all to 3"}, in.next(2))
		b.commit(tenant, 5)
		require.Equal(t, []string{"all to 5"}, in.next(1))
		b.commit(tenant, 6)
		require.Equal(t, []string{"6"}, in.next(1))
	})

	t.Run("ends with the caller", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		in := newInbox()
		ended := make(chan error, 1)
		go func() { ended <- b.Subscribe(ctx, Request{Tenant: tenant}, in) }()
		in.next(1)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Empty(t, b.heads())
	})
}

func TestHub_Subscribe_failures(t *testing.T) {
	t.Parallel()

	t.Run("a receiver who takes nothing is left", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{SendMax: 20 * time.Millisecond})
		b.log.set(tenant, 3)
		in := newInbox()
		in.blocked = make(chan struct{})
		t.Cleanup(func() { close(in.blocked) }) // As a gRPC send ends when its call has.
		err := b.Subscribe(t.Context(), Request{Tenant: tenant}, in)
		require.Equal(t, "SUBSCRIBER_TOO_SLOW", fault.ReasonOf(err))
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		require.Positive(t, fault.As(err).RetryAfter)
		require.Empty(t, b.heads(), "nobody listens any more")
	})

	t.Run("a receiver who takes a message now and then is not", func(t *testing.T) {
		t.Parallel()
		clk := clock.NewFake(time.Unix(0, 0))
		b := setupAt(t, clk, Config{SendMax: time.Minute, PageSize: 3})
		b.log.set(tenant, 9)
		in := newInbox()
		in.blocked = make(chan struct{})
		ended := b.subscribe(t, Request{Tenant: tenant}, in)
		for range 10 {
			clk.WaitFor(2) // The hub's timer, and the one that watches the receiver, who needs 75 s for each stretch.
			clk.Advance(25 * time.Second)
			in.blocked <- struct{}{}
			<-in.messages
		}
		require.Empty(t, ended)
	})

	t.Run("one too many is told to come later", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{SubscribersMax: 3, TenantSubscribersMax: 2})
		in := newInbox()
		for _, id := range []uuid.UUID{tenant, tenant, uuid.Max} {
			b.subscribe(t, Request{Tenant: id}, in)
			in.next(1)
			if id == tenant {
				continue
			}
			for _, more := range []uuid.UUID{tenant, uuid.New()} {
				err := b.Subscribe(t.Context(), Request{Tenant: more}, in)
				require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
				require.Positive(t, fault.As(err).RetryAfter)
			}
		}
	})

	t.Run("one tenant does not take all the room", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{SubscribersMax: 3, TenantSubscribersMax: 1})
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		err := b.Subscribe(t.Context(), Request{Tenant: tenant}, in)
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		b.subscribe(t, Request{Tenant: uuid.Max}, in)
		in.next(1)
	})

	t.Run("a position that the log does not reach is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		b.log.set(tenant, 3)
		err := b.Subscribe(t.Context(), Request{Tenant: tenant, After: 4}, newInbox())
		require.True(t, fault.Is(err, fault.Refused), "%v", err)
		require.Equal(t, map[string]string{"after_position": "4", "position": "3"}, fault.As(err).Metadata)
	})

	t.Run("a log that becomes shorter is told", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{})
		b.log.set(tenant, 3)
		in := newInbox()
		ended := b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(4)
		b.commit(tenant, 4)
		in.next(1)
		b.log.set(tenant, 2)
		err := <-ended
		require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
		require.Equal(t, "LOG_SHORTENED", fault.ReasonOf(err))
	})

	t.Run("what the log or the receiver cannot do ends it", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		b.log.set(tenant, 3)
		broken := fault.New(fault.Corrupt, "EVENT_MISSING", "position 1")
		in := newInbox()
		in.refuses = broken
		require.ErrorIs(t, b.Subscribe(t.Context(), Request{Tenant: tenant}, in), broken)
		require.Equal(t, []string{"1"}, in.next(1))
		require.Empty(t, in.messages, "what follows it is not sent")
		b.log.fail(broken)
		require.ErrorIs(t, b.Subscribe(t.Context(), Request{Tenant: tenant}, newInbox()), broken)
	})

	t.Run("who sleeps learns that the log cannot be read", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{})
		in := newInbox()
		ended := b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		gone := fault.New(fault.Unavailable, "DATABASE_UNAVAILABLE", "gone")
		b.log.fail(gone)
		require.ErrorIs(t, <-ended, gone)
	})

	t.Run("a read that takes too long is UNAVAILABLE", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		b.log.fail(fmt.Errorf("read: %w", context.DeadlineExceeded))
		err := b.Subscribe(t.Context(), Request{Tenant: tenant}, newInbox())
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	})

	t.Run("a process that stops sends everybody away", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		ended := b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		b.stop()
		require.True(t, fault.Is(<-ended, fault.Unavailable))
		err := b.Subscribe(t.Context(), Request{Tenant: tenant}, in)
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	})
}

func TestProgress_take(t *testing.T) {
	t.Parallel()
	begun := time.Unix(100, 0)
	events := []*Event{{Record: &event.Record{Position: 7}}, {Record: &event.Record{Position: 8}}}
	for name, c := range map[string]struct {
		at      progress
		stretch Stretch
		after   time.Duration
		want    progression
		then    progress
	}{
		"far from the end nothing is told, however long it takes": {
			progress{looked: 5, told: 5},
			Stretch{Looked: 500, Head: 900},
			time.Hour,
			progression{},
			progress{looked: 500, told: 5, since: begun},
		},
		"the end is told at once, the first time": {
			progress{looked: 5, told: 5},
			Stretch{Events: events, Looked: 9, Head: 9},
			0,
			progression{events: events, caughtUp: true, position: 9},
			progress{looked: 9, told: 9, since: begun, live: true},
		},
		"then events speak for themselves": {
			progress{looked: 6, told: 6, live: true},
			Stretch{Events: events, Looked: 8, Head: 8},
			time.Hour,
			progression{events: events},
			progress{looked: 8, told: 8, since: begun.Add(time.Hour), live: true},
		},
		"what was held back is not told yet": {
			progress{looked: 6, told: 6, live: true},
			Stretch{Looked: 8, Head: 8},
			time.Second - 1,
			progression{},
			progress{looked: 8, told: 6, since: begun, live: true},
		},
		"what was held back for a while is": {
			progress{looked: 7, told: 6, live: true},
			Stretch{Looked: 8, Head: 800},
			time.Second,
			progression{caughtUp: true, position: 8},
			progress{looked: 8, told: 8, since: begun.Add(time.Second), live: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := c.at
			at.since = begun
			require.Equal(t, c.want, at.take(c.stretch, begun.Add(c.after), time.Second))
			require.Equal(t, c.then, at)
		})
	}
}

func TestNewHub_refusals(t *testing.T) {
	t.Parallel()
	_, err := NewHub(clock.System(), newMemory(), Config{PollEvery: time.Nanosecond})
	require.ErrorContains(t, err, "PollEvery")
	_, err = NewHub(clock.System(), newMemory(), Config{PageSize: -1})
	require.ErrorContains(t, err, "PageSize")
}
