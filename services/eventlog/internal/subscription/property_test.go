package subscription

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
)

// TestHub_exactly_the_log: while logs grow by own commits, told of in any order, late or never, and by other processes', while
// subscribers come and go and some are slow, each gets exactly the events after his position that his filter lets through.
func TestHub_exactly_the_log(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			interleave(t, rand.New(rand.NewPCG(seed, 9)))
		})
	}
}

func interleave(t *testing.T, rng *rand.Rand) {
	t.Helper()
	const last = 700
	log := newMemory()
	pick := func(values ...int) int { return values[rng.IntN(len(values))] }
	hub, err := NewHub(clock.System(), log, Config{
		PollEvery: time.Millisecond, CaughtUpEvery: time.Millisecond, ReadsMax: 2, PageSize: pick(1, 7, 500), NewsSize: pick(1, 5, 200),
		NewsTenantsMax: pick(1, 2, 64), RingEventsMax: pick(1, 10, 1000), RingBytesMax: pick(1, 20_000, 2<<20), RingsBytesMax: pick(1, 60_000, 48<<20),
		HeadsNamedMax: pick(1, 100),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); hub.Run(ctx) }()
	tenants := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var readers, writers sync.WaitGroup
	for _, id := range tenants {
		log.set(id, 5)
	}
	for n := range 15 {
		request := Request{Tenant: tenants[n%len(tenants)], After: rng.Int64N(6)}
		switch n % 5 {
		case 3:
			request.Filter.Types = []event.Type{"ODD"}
		case 4:
			request.Filter.Kinds, request.Filter.AccountID = []event.Kind{event.KindPosition}, uuid.NullUUID{UUID: account, Valid: true}
		}
		reader := rand.New(rand.NewPCG(rng.Uint64(), 3))
		readers.Go(func() { resume(ctx, t, hub, log, request, last, reader) })
	}
	for _, id := range tenants {
		own, writer := rng.IntN(4), rand.New(rand.NewPCG(rng.Uint64(), 5))
		writers.Go(func() { write(hub, log, id, last, own, writer) })
	}
	writers.Wait()
	readers.Wait()
	cancel()
	<-ran
	require.Zero(t, hub.held.Load(), "nothing is kept when nobody listens")
}

// write makes a log longer. Of four commits so many are this process's own; some of those are told of late, or never.
func write(hub *Hub, log *memory, tenant uuid.UUID, last int64, own int, rng *rand.Rand) {
	var late func()
	for head := log.head(tenant); head < last; {
		first := head + 1
		head = min(head+1+rng.Int64N(9), last)
		log.set(tenant, head)
		if rng.IntN(4) >= own {
			continue
		}
		tell := func() { hub.Committed(tenant, recordsOf(tenant, first, head)) }
		switch rng.IntN(6) {
		case 0: // Another transaction's is told of first.
			late = tell
			continue
		case 1: // It is not told of at all.
			continue
		}
		tell()
		if late != nil {
			late()
			late = nil
		}
		if rng.IntN(3) == 0 {
			runtime.Gosched()
		}
	}
}

var (
	errDone  = errors.New("done")
	errLeave = errors.New("leaves")
)

// resume subscribes, again after the last position that was handled whenever the receiver leaves, until it has the whole log.
func resume(ctx context.Context, t *testing.T, hub *Hub, log *memory, r Request, last int64, rng *rand.Rand) {
	t.Helper()
	in := &checker{filter: r.Filter, at: r.After, last: last, rng: rng}
	for {
		r.After, in.least = in.at, log.head(r.Tenant)
		err := hub.Subscribe(ctx, r, in)
		if errors.Is(err, errDone) {
			return
		}
		if !errors.Is(err, errLeave) {
			t.Errorf("after %d: %v", in.at, err)
			return
		}
	}
}

// checker is a receiver that knows what must come next. It leaves now and then, and is slow now and then.
type checker struct {
	filter   Filter
	at, last int64
	// least is where the log's end is at least when that is first said to be reached.
	least int64
	rng   *rand.Rand
}

// next is the position of the next event that the filter lets through.
func (c *checker) next() int64 {
	for position := c.at + 1; ; position++ {
		if c.filter.passes(eventAt(tenant, position)) {
			return position
		}
	}
}

func (c *checker) Event(e *Event) error {
	if next := c.next(); next != e.Position {
		return fmt.Errorf("position %d came after %d, and not %d", e.Position, c.at, next)
	}
	for range c.rng.IntN(3) * c.rng.IntN(100) {
		runtime.Gosched()
	}
	return c.reached(e.Position)
}

func (c *checker) CaughtUp(position int64) error {
	if position < max(c.at, c.least) || c.next() <= position {
		return fmt.Errorf("all up to %d is said to have come after %d, and the log went to %d", position, c.at, c.least)
	}
	c.least = 0
	return c.reached(position)
}

func (c *checker) reached(position int64) error {
	c.at = position
	switch {
	case position == c.last:
		return errDone
	case c.rng.IntN(150) == 0:
		return errLeave
	}
	return nil
}

func TestHub_memory(t *testing.T) {
	t.Parallel()

	t.Run("a hundred at the end of a log are served without a read", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		b.log.set(tenant, 3)
		all := make([]*inbox, 100)
		for i := range all {
			all[i] = newInbox()
			b.subscribe(t, Request{Tenant: tenant, After: 3}, all[i])
			require.Equal(t, []string{"all to 3"}, all[i].next(1))
		}
		reads := b.log.count(&b.log.reads)
		require.LessOrEqual(t, reads, 100)
		for head := int64(4); head < 20; head += 2 {
			b.commit(tenant, head)
			b.commit(tenant, head+1)
			for _, in := range all {
				require.Equal(t, []string{fmt.Sprint(head), fmt.Sprint(head + 1)}, in.next(2))
			}
		}
		require.Equal(t, reads, b.log.count(&b.log.reads))
		require.Zero(t, b.log.count(&b.log.news))
	})

	t.Run("of another process's commits there is one read for all", func(t *testing.T) {
		t.Parallel()
		b := setupAt(t, clock.System(), Config{})
		all := make([]*inbox, 100)
		tenants := []uuid.UUID{tenant, uuid.Max}
		for i := range all {
			all[i] = newInbox()
			b.subscribe(t, Request{Tenant: tenants[i%2]}, all[i])
			require.Equal(t, []string{"all to 0"}, all[i].next(1))
		}
		reads := b.log.count(&b.log.reads)
		b.log.mu.Lock()
		b.log.heads[tenants[0]], b.log.heads[tenants[1]] = 2, 2
		b.log.mu.Unlock()
		for _, in := range all {
			require.Equal(t, []string{"1", "2"}, in.next(2))
		}
		require.Equal(t, reads, b.log.count(&b.log.reads))
		require.LessOrEqual(t, b.log.count(&b.log.news), 2)
	})

	t.Run("a commit that is told of before the one in front of it leaves no gap", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		b.log.set(tenant, 4)
		b.Committed(tenant, recordsOf(tenant, 3, 4))
		require.Equal(t, []string{"1", "2", "3", "4"}, in.next(4))
		b.Committed(tenant, recordsOf(tenant, 1, 2))
		b.commit(tenant, 5)
		require.Equal(t, []string{"5"}, in.next(1))
	})

	t.Run("what is not chained to what was there is not believed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		b.commit(tenant, 1)
		in.next(1)
		b.log.set(tenant, 2)
		forged := recordsOf(tenant, 2, 2)
		forged[0].PrevHash, forged[0].Type = [32]byte{99}, "FORGED"
		reads := b.log.count(&b.log.reads)
		b.Committed(tenant, forged)
		require.Equal(t, []string{"2"}, in.next(1))
		require.Greater(t, b.log.count(&b.log.reads), reads, "it comes from the log")
	})

	t.Run("news that are not to be had are looked for by everybody", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		ended := b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		gone := errors.New("gone")
		b.log.fail(gone)
		b.Committed(tenant, recordsOf(tenant, 3, 4))
		require.ErrorIs(t, <-ended, gone)
	})

	t.Run("news that are missing are looked for by everybody", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{})
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenant}, in)
		in.next(1)
		looks := func() int { return b.log.count(&b.log.reads) + b.log.count(&b.log.news) }
		before := looks()
		b.Committed(tenant, recordsOf(tenant, 3, 4)) // Nothing is there.
		b.commit(tenant, 1)
		require.Equal(t, []string{"1"}, in.next(1))
		require.Eventually(t, func() bool { return looks() > before }, 10*time.Second, time.Millisecond)
	})
}

func TestHub_rings_bounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{RingsBytesMax: 100_000, RingEventsMax: 40})
	tenants := make([]uuid.UUID, 20)
	for i := range tenants {
		tenants[i] = uuid.New()
		in := newInbox()
		b.subscribe(t, Request{Tenant: tenants[i]}, in)
		in.next(1)
	}
	for head := int64(1); head < 60; head++ {
		for _, id := range tenants {
			b.commit(id, head)
			require.LessOrEqual(t, b.held.Load(), int64(100_000))
		}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	total := 0
	for _, topic := range b.topics {
		topic.mu.Lock()
		require.LessOrEqual(t, len(topic.ring.events), 40)
		require.EqualValues(t, 59, topic.ring.last)
		total += topic.ring.bytes
		topic.mu.Unlock()
	}
	require.EqualValues(t, total, b.held.Load())
	require.Positive(t, total)
}

func TestFilter_passes(t *testing.T) {
	t.Parallel()
	e := &Event{Record: &event.Record{Type: "A", StreamKey: "order:1"}, AccountID: account}
	about := func(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: true} }
	for i, c := range []struct {
		filter Filter
		want   bool
	}{
		{Filter{}, true},
		{Filter{Types: []event.Type{"B", "A"}}, true},
		{Filter{Types: []event.Type{"B"}}, false},
		{Filter{Kinds: []event.Kind{event.KindOrder}}, true},
		{Filter{Kinds: []event.Kind{event.KindAccount}}, false},
		{Filter{AccountID: about(account)}, true},
		{Filter{AccountID: about(uuid.Max)}, false},
		{Filter{AccountID: about(uuid.Nil)}, false},
		{Filter{Types: []event.Type{"A"}, Kinds: []event.Kind{event.KindAccount}, AccountID: about(account)}, false},
	} {
		require.Equal(t, c.want, c.filter.passes(e), i)
	}
	require.True(t, slices.Equal([]bool{true, false}, []bool{(&Filter{}).IsZero(), (&Filter{AccountID: about(account)}).IsZero()}))
}
