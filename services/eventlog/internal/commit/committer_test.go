package commit_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/commit"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog records the batches that it gets; each waits until it is let go.
type fakeLog struct {
	mu      sync.Mutex
	batches [][]*intake.Request
	begun   chan []*intake.Request
	letGo   chan struct{}
	// free lets those go that wait for a log which somebody else holds.
	free   chan struct{}
	busy   map[uuid.UUID]bool
	refuse map[uuid.UUID]error
}

func newFakeLog() *fakeLog {
	return &fakeLog{
		begun: make(chan []*intake.Request, 1000), letGo: make(chan struct{}, 1000), free: make(chan struct{}), busy: map[uuid.UUID]bool{}, refuse: map[uuid.UUID]error{},
	}
}

func (f *fakeLog) Append(_ context.Context, requests []*intake.Request, wait bool) []store.Result {
	f.begun <- requests
	if wait {
		<-f.free
	} else {
		<-f.letGo
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches = append(f.batches, requests)
	results := make([]store.Result, len(requests))
	for i, r := range requests {
		results[i] = store.Result{Answer: intake.Answer{Receipt: &intake.Receipt{Command: r.Command}}, Err: f.refuse[r.Command]}
		if f.busy[r.Tenant] && !wait {
			results[i] = store.Result{Busy: true}
		}
	}
	return results
}

// open lets every batch go at once.
func (f *fakeLog) open() { close(f.letGo) }

func start(t *testing.T, log commit.Log, cfg commit.Config) *commit.Committer {
	t.Helper()
	c, err := commit.New(clock.System(), log, cfg)
	require.NoError(t, err)
	c.Start(t.Context())
	return c
}

// How long a test waits for what another goroutine is about to do, and how often it looks.
const (
	waitMax  = 10 * time.Second
	waitStep = time.Millisecond
)

var tenants = []uuid.UUID{projectiontest.ID("one"), projectiontest.ID("two"), projectiontest.ID("three")}

// request is an append of one event for a tenant.
func request(t *testing.T, tenant uuid.UUID, name string) *intake.Request {
	t.Helper()
	account := projectiontest.ID("account")
	r, err := intake.New(&intake.Draft{
		Tenant: tenant, Command: projectiontest.ID(name), Digest: sha256.Sum256([]byte(name)), Trace: projectiontest.ID("trace"),
		Caller: intake.Caller{Service: "connector"},
		Streams: []intake.DraftStream{{Key: "account:" + account.String(), Events: []intake.DraftEvent{{
			Payload: event.Wrap(&eventv1.ExchangeDisconnected{
				AccountId: account.String(), Channel: eventv1.Channel_CHANNEL_REST, ConnectionId: "c", Reason: name,
			}),
			OccurredAt: projectiontest.Start, CausedBy: -1,
		}}}},
	}, mustLimits(t))
	require.NoError(t, err)
	return r
}

func mustLimits(t *testing.T) intake.Limits {
	t.Helper()
	limits, err := intake.Limits{}.WithDefaults()
	require.NoError(t, err)
	return limits
}

// send appends in the background.
func send(ctx context.Context, c *commit.Committer, requests ...*intake.Request) <-chan []store.Result {
	answered := make(chan []store.Result, 1)
	go func() { answered <- c.Append(ctx, requests) }()
	return answered
}

// TestCommitter_what_arrives_during_a_transaction_forms_the_next holds the first one until nine more are there.
func TestCommitter_what_arrives_during_a_transaction_forms_the_next(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 1})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	require.Len(t, <-log.begun, 1, "a lone append is not delayed")
	var rest []*intake.Request
	for i := range 9 {
		rest = append(rest, request(t, tenants[i%3], fmt.Sprint(i)))
	}
	answered := send(t.Context(), c, rest...)
	require.Eventually(t, func() bool { return c.Waiting() == 9 }, waitMax, waitStep)
	log.open()
	require.NoError(t, (<-first)[0].Err)
	for i, result := range <-answered {
		require.NoError(t, result.Err)
		require.Equal(t, rest[i].Command, result.Answer.Command, "results are in the order of the requests")
	}
	require.Len(t, <-log.begun, 9)
	c.Stop()
}

func TestCommitter_keeps_a_tenants_order_and_shares_batches(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 1, BatchEventsMax: 4})
	block := send(t.Context(), c, request(t, tenants[2], "block"))
	<-log.begun
	var greedy []*intake.Request
	for i := range 10 {
		greedy = append(greedy, request(t, tenants[0], fmt.Sprint("greedy", i)))
	}
	greedyAnswers := send(t.Context(), c, greedy...)
	require.Eventually(t, func() bool { return c.Waiting() == 10 }, waitMax, waitStep)
	modest := request(t, tenants[1], "modest")
	modestAnswer := send(t.Context(), c, modest)
	require.Eventually(t, func() bool { return c.Waiting() == 11 }, waitMax, waitStep)
	log.open()
	<-block
	<-greedyAnswers
	<-modestAnswer
	c.Stop()
	require.Contains(t, log.batches[1], modest, "who came last and wants little is in the very next batch")
	var order []*intake.Request
	for _, batch := range log.batches {
		require.LessOrEqual(t, len(batch), 4)
		for _, r := range batch {
			if r.Tenant == tenants[0] {
				order = append(order, r)
			}
		}
	}
	require.Equal(t, greedy, order)
}

func TestCommitter_answers_each_alone(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	log.refuse[projectiontest.ID("bad")] = fault.New(fault.Refused, "NO", "no")
	log.open()
	c := start(t, log, commit.Config{})
	results := c.Append(t.Context(), []*intake.Request{request(t, tenants[0], "good"), request(t, tenants[0], "bad")})
	require.NoError(t, results[0].Err)
	require.True(t, fault.Is(results[1].Err, fault.Refused))
	require.Empty(t, c.Append(t.Context(), nil))
	c.Stop()
}

// TestCommitter_gives_the_busy_a_lane_of_their_own keeps one tenant's log held while another works on.
func TestCommitter_gives_the_busy_a_lane_of_their_own(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	log.busy[tenants[0]] = true
	c := start(t, log, commit.Config{WorkersMax: 1})
	busy := send(t.Context(), c, request(t, tenants[0], "busy"))
	require.Len(t, <-log.begun, 1)
	log.letGo <- struct{}{} // it is left out
	require.Len(t, <-log.begun, 1, "in its own lane, where it waits")
	free := send(t.Context(), c, request(t, tenants[1], "free"))
	require.Len(t, <-log.begun, 1)
	log.letGo <- struct{}{}
	require.NoError(t, (<-free)[0].Err, "nobody waits for the busy")
	close(log.free)
	require.NoError(t, (<-busy)[0].Err)
	c.Stop()
}

func TestCommitter_refuses_the_busy_where_no_lane_is_left(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	log.busy[tenants[0]], log.busy[tenants[1]] = true, true
	c := start(t, log, commit.Config{WorkersMax: 1, LanesMax: 1})
	one := send(t.Context(), c, request(t, tenants[0], "one"))
	<-log.begun
	log.letGo <- struct{}{}
	<-log.begun // waits in the only lane
	two := send(t.Context(), c, request(t, tenants[1], "two"))
	<-log.begun
	log.letGo <- struct{}{}
	refused := (<-two)[0].Err
	require.Equal(t, "TENANT_BUSY", fault.ReasonOf(refused))
	require.Positive(t, fault.As(refused).RetryAfter)
	close(log.free)
	require.NoError(t, (<-one)[0].Err)
	c.Stop()
}

func TestCommitter_leaves_out_who_has_gone(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 1})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	<-log.begun
	gone, leave := context.WithCancel(t.Context())
	left := send(gone, c, request(t, tenants[0], "gone"))
	require.Eventually(t, func() bool { return c.Waiting() == 1 }, waitMax, waitStep)
	stays := send(t.Context(), c, request(t, tenants[0], "stays"))
	require.Eventually(t, func() bool { return c.Waiting() == 2 }, waitMax, waitStep)
	leave()
	require.ErrorIs(t, (<-left)[0].Err, context.Canceled)
	log.open()
	require.NoError(t, (<-first)[0].Err)
	require.NoError(t, (<-stays)[0].Err)
	c.Stop()
	require.Len(t, log.batches, 2)
	require.Equal(t, projectiontest.ID("stays"), log.batches[1][0].Command)
}

// TestCommitter_begins_beside_a_short_one_when_it_is_worth_it has a second worker wait until two are there, and none wait
// for a long transaction.
func TestCommitter_begins_beside_a_short_one_when_it_is_worth_it(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 3, BatchEventsMax: 16})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	require.Len(t, <-log.begun, 1)
	second := send(t.Context(), c, request(t, tenants[1], "second"))
	require.Eventually(t, func() bool { return c.Waiting() == 1 }, waitMax, waitStep)
	third := send(t.Context(), c, request(t, tenants[2], "third"))
	require.Len(t, <-log.begun, 2)
	log.open()
	for _, answered := range []<-chan []store.Result{first, second, third} {
		require.NoError(t, (<-answered)[0].Err)
	}
	c.Stop()

	log = newFakeLog()
	c = start(t, log, commit.Config{WorkersMax: 2, BatchEventsMax: 16})
	var many []*intake.Request
	for i := range 8 {
		many = append(many, request(t, tenants[0], fmt.Sprint(i)))
	}
	long := send(t.Context(), c, many...)
	require.Len(t, <-log.begun, 8)
	beside := send(t.Context(), c, request(t, tenants[1], "beside"))
	require.Len(t, <-log.begun, 1)
	log.open()
	require.NoError(t, (<-long)[7].Err)
	require.NoError(t, (<-beside)[0].Err)
	c.Stop()
}

// TestCommitter_slow_ones_hold_up_nobody has another tenant's append wait for a transaction that hangs: for a while only.
func TestCommitter_slow_ones_hold_up_nobody(t *testing.T) {
	t.Parallel()
	log, clk := newFakeLog(), clock.NewFake(projectiontest.Start)
	c, err := commit.New(clk, log, commit.Config{WorkersMax: 3})
	require.NoError(t, err)
	c.Start(t.Context())
	hangs := send(t.Context(), c, request(t, tenants[0], "hangs"))
	<-log.begun
	second := send(t.Context(), c, request(t, tenants[1], "second"))
	require.Eventually(t, func() bool { return c.Waiting() == 1 }, waitMax, waitStep)
	clk.Advance(10 * time.Millisecond)
	require.Len(t, <-log.begun, 1)
	clk.Advance(10 * time.Millisecond)
	third := send(t.Context(), c, request(t, tenants[2], "third"))
	require.Len(t, <-log.begun, 1, "what has taken long does not count any more")
	log.open()
	for _, answered := range []<-chan []store.Result{hangs, second, third} {
		require.NoError(t, (<-answered)[0].Err)
	}
	c.Stop()
}

// TestCommitter_Stop_ends_where_the_busy_have_gone stops it while a tenant's log is held by somebody else, and the tenant's
// senders leave.
func TestCommitter_Stop_ends_where_the_busy_have_gone(t *testing.T) {
	t.Parallel()
	for range 100 {
		log := newFakeLog()
		log.busy[tenants[0]] = true
		c := start(t, log, commit.Config{WorkersMax: 1})
		gone, leave := context.WithCancel(t.Context())
		left := send(gone, c, request(t, tenants[0], "gone"))
		<-log.begun
		leave()
		<-left
		stopped := make(chan struct{})
		go func() {
			c.Stop()
			close(stopped)
		}()
		log.open()
		close(log.free)
		select {
		case <-stopped:
		case <-time.After(waitMax):
			require.Fail(t, "it does not stop")
		}
	}
}

// TestCommitter_goes_on_where_all_have_gone has nothing left of what waited, and then something more.
func TestCommitter_goes_on_where_all_have_gone(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 1})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	<-log.begun
	gone, leave := context.WithCancel(t.Context())
	left := send(gone, c, request(t, tenants[0], "gone"), request(t, tenants[1], "gone too"))
	require.Eventually(t, func() bool { return c.Waiting() == 2 }, waitMax, waitStep)
	leave()
	require.ErrorIs(t, (<-left)[0].Err, context.Canceled)
	log.open()
	require.NoError(t, (<-first)[0].Err)
	require.Eventually(t, func() bool { return c.Waiting() == 0 }, waitMax, waitStep)
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	require.NoError(t, c.Append(ctx, []*intake.Request{request(t, tenants[0], "later")})[0].Err)
	c.Stop()
	require.Len(t, log.batches, 2)
}

func TestCommitter_is_bounded(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 1, QueueMax: 3, TenantQueueMax: 2})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	<-log.begun
	waiting := send(t.Context(), c, request(t, tenants[0], "a"), request(t, tenants[0], "b"))
	require.Eventually(t, func() bool { return c.Waiting() == 2 }, waitMax, waitStep)
	full := c.Append(t.Context(), []*intake.Request{request(t, tenants[0], "c")})[0].Err
	require.Equal(t, "TENANT_QUEUE_FULL", fault.ReasonOf(full))
	require.True(t, fault.Is(full, fault.Exhausted))
	require.Positive(t, fault.As(full).RetryAfter)
	other := send(t.Context(), c, request(t, tenants[1], "d"))
	require.Eventually(t, func() bool { return c.Waiting() == 3 }, waitMax, waitStep)
	require.Equal(t, "QUEUE_FULL", fault.ReasonOf(c.Append(t.Context(), []*intake.Request{request(t, tenants[2], "e")})[0].Err))
	log.open()
	<-first
	<-waiting
	<-other
	c.Stop()
	require.Equal(t, "STOPPING", fault.ReasonOf(c.Append(t.Context(), []*intake.Request{request(t, tenants[2], "f")})[0].Err))
}

// TestCommitter_Stop_takes_in_what_waits closes it while one transaction runs and more wait.
func TestCommitter_Stop_takes_in_what_waits(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	c := start(t, log, commit.Config{WorkersMax: 2})
	first := send(t.Context(), c, request(t, tenants[0], "first"))
	<-log.begun
	waiting := send(t.Context(), c, request(t, tenants[0], "waiting"))
	require.Eventually(t, func() bool { return c.Waiting() == 1 }, waitMax, waitStep)
	stopped := make(chan struct{})
	go func() {
		c.Stop()
		close(stopped)
	}()
	log.open()
	<-stopped
	require.NoError(t, (<-first)[0].Err)
	require.NoError(t, (<-waiting)[0].Err)
}

func TestNew_refuses_limits_that_are_none(t *testing.T) {
	t.Parallel()
	for _, cfg := range []commit.Config{{WorkersMax: -1}, {QueueMax: -1}, {RetryAfter: -1}} {
		_, err := commit.New(clock.System(), newFakeLog(), cfg)
		require.Error(t, err)
	}
}
