package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/store/storetest"
	"github.com/robson/robson/services/snapshotter/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log stands in for eventlog.
type log struct {
	mu   sync.Mutex
	told []uuid.UUID
	err  error
}

func (l *log) Tell(_ context.Context, s checkpoint.Snapshot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.told = append(l.told, s.ID)
	}
	return l.err
}

func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

type testBundle struct {
	store  *store.Store
	world  *storetest.World
	super  *pgxpool.Pool
	log    *log
	clock  *clock.Fake
	tenant uuid.UUID
	plans  []projectiontest.Plan
}

func setup(t *testing.T, lease time.Duration) *testBundle {
	t.Helper()
	db := testkit.Database(t)
	s, err := store.New(db.Pool(t, storetest.Role), store.Config{Lease: lease})
	require.NoError(t, err)
	b := &testBundle{store: s, super: db.Pool(t, ""), log: &log{}, clock: clock.NewFake(projectiontest.Start)}
	b.world = storetest.NewWorld(b.super)
	b.tenant = b.world.Log.TenantID
	require.NoError(t, b.world.Log.Registered())
	b.plans = []projectiontest.Plan{projectiontest.Long("a"), projectiontest.Short("b")}
	for _, plan := range b.plans {
		require.NoError(t, b.world.Log.Opening(plan))
	}
	require.NoError(t, b.world.Write(t.Context()))
	b.exec(t, "update tenant_log set snapshot_every_seconds = 0, counted_position = last_position")
	return b
}

func (b *testBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.super.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (b *testBundle) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, b.super.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// due makes a snapshot of every position due, and of each account.
func (b *testBundle) due(t *testing.T) int {
	t.Helper()
	scopes := []projection.Scope{
		{Kind: projection.ScopeAccount, ID: projectiontest.Spot},
		{Kind: projection.ScopeAccount, ID: projectiontest.Margin},
		{Kind: projection.ScopeStrategy, ID: projectiontest.StrategyID},
	}
	for _, plan := range b.plans {
		scopes = append(scopes, projection.Scope{Kind: projection.ScopePosition, ID: plan.PositionID()})
	}
	for _, scope := range scopes {
		b.exec(t, "insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason) values ($1, $2, $3, 5, now(), 'events')", b.tenant, string(scope.Kind), scope.ID)
	}
	return len(scopes)
}

func (b *testBundle) maker(t *testing.T) *checkpoint.Maker {
	t.Helper()
	maker, err := checkpoint.NewMaker(b.store, b.store, b.log, snapshot.Config{})
	require.NoError(t, err)
	return maker
}

func (b *testBundle) worker(t *testing.T, maker worker.Maker, cfg worker.Config) *worker.Worker {
	t.Helper()
	w, err := worker.New(testkit.Logger(t), b.clock, b.store, maker, cfg)
	require.NoError(t, err)
	return w
}

func TestWorker_Round_makes_what_is_due(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	w := b.worker(t, b.maker(t), worker.Config{})
	made, err := w.Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, made)
	due := b.due(t)
	made, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, due, made)
	require.Equal(t, due, b.count(t, "select count(*) from snapshots where trigger = 'count' and told_at is not null"))
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"))
	require.Len(t, b.log.told, due)
}

// Two workers do together what is due, and nothing twice.
func TestWorker_two_share_the_work(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	due := b.due(t)
	meet := &meeting{Maker: b.maker(t), here: make(chan struct{}, 2), both: make(chan struct{})}
	one, two := b.worker(t, meet, worker.Config{ClaimMax: 2}), b.worker(t, meet, worker.Config{ClaimMax: 3})
	var group sync.WaitGroup
	results := make(chan int, 2)
	for _, w := range []*worker.Worker{one, two} {
		group.Go(func() {
			made, err := w.Round(t.Context())
			if err != nil {
				made = -100
			}
			results <- made
		})
	}
	<-meet.here
	<-meet.here
	close(meet.both) // Both have claimed, and neither has made any.
	group.Wait()
	require.Equal(t, due, <-results+<-results)
	require.Equal(t, due, b.count(t, "select count(*) from snapshots"))
	require.Len(t, b.log.told, due)
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"))
}

// meeting is a maker at which two workers wait for each other.
type meeting struct {
	worker.Maker
	here chan struct{}
	both chan struct{}
}

func (m *meeting) Make(ctx context.Context, tenant uuid.UUID, scope projection.Scope, trigger checkpoint.Trigger) (checkpoint.Made, error) {
	select {
	case m.here <- struct{}{}:
	case <-m.both:
	}
	<-m.both
	return m.Maker.Make(ctx, tenant, scope, trigger)
}

// mortal is a maker that dies: what it was to make is not made.
type mortal struct{ worker.Maker }

var errDied = errors.New("the process died")

func (mortal) Make(context.Context, uuid.UUID, projection.Scope, checkpoint.Trigger) (checkpoint.Made, error) {
	return checkpoint.Made{}, errDied
}

// A worker that dies with claims loses them when they are over, and another does the work.
func TestWorker_a_crash_after_claiming_loses_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	due := b.due(t)
	_, err := b.worker(t, mortal{}, worker.Config{}).Round(t.Context())
	require.NoError(t, err, "one that cannot be made harms no other")
	next := b.worker(t, b.maker(t), worker.Config{})
	made, err := next.Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, made, "claimed, as far as anybody knows")
	b.exec(t, "update snapshots_due set claimed_until = now() - interval '1 s'")
	made, err = next.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, due, made)
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"))
}

// A crash between storing and telling: the next look tells, once.
func TestWorker_a_crash_before_telling_is_mended(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Millisecond)
	due := b.due(t)
	w := b.worker(t, b.maker(t), worker.Config{})
	b.log.fail(errDied)
	made, err := w.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, due, made)
	require.Zero(t, b.count(t, "select count(*) from snapshots where told_at is not null"))
	b.exec(t, "update snapshots set created_at = created_at - interval '1 s'")
	_, err = w.Round(t.Context())
	require.NoError(t, err, "it is not yet time to look")
	b.clock.Advance(time.Minute)
	_, err = w.Round(t.Context())
	require.ErrorIs(t, err, errDied)
	b.log.fail(nil)
	_, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Len(t, b.log.told, due)
	b.clock.Advance(time.Minute)
	_, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Len(t, b.log.told, due)
}

func TestWorker_makes_what_time_makes_due(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	b.exec(t, "update tenant_log set snapshot_every_seconds = 60, counted_position = 0")
	w := b.worker(t, b.maker(t), worker.Config{})
	made, err := w.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, made)
	require.Equal(t, 5, b.count(t, "select count(*) from snapshots where trigger = 'time'"))
	b.clock.Advance(time.Minute)
	made, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, made, "nothing has changed since")

	// With a long time it does not look each time.
	b.exec(t, "update tenant_log set snapshot_every_seconds = 3600")
	b.exec(t, "update snapshots set as_of_position = 1, created_at = created_at - interval '2 h'")
	b.clock.Advance(time.Minute)
	made, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, made)
	b.exec(t, "delete from snapshots")
	b.clock.Advance(time.Minute)
	made, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, made)
	b.clock.Advance(2 * time.Minute)
	made, err = w.Round(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, made)
}

// What names a scope that was never registered has no state: it is no longer due.
func TestWorker_drops_what_has_no_state(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	b.exec(t, "insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason) values ($1, 'account', $2, 5, now(), 'events')", b.tenant, uuid.Max)
	_, err := b.worker(t, b.maker(t), worker.Config{}).Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"))
	require.Zero(t, b.count(t, "select count(*) from snapshots"))
}

// Start makes what is due as it becomes due, until Stop; a database that is away is asked again.
func TestWorker_Start_and_Stop(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	b.exec(t, "revoke select on tenant_log from robson_snapshotter")
	w := b.worker(t, b.maker(t), worker.Config{Poll: time.Second})
	require.NoError(t, w.Start(t.Context()))
	require.NoError(t, w.Start(t.Context()), "a second time it does nothing")
	b.clock.WaitFor(1)
	b.exec(t, "grant select on tenant_log to robson_snapshotter")
	due := b.due(t)
	b.clock.Advance(time.Second)
	b.clock.WaitFor(1) // It waits again: all is made.
	require.Equal(t, due, b.count(t, "select count(*) from snapshots"))
	w.Stop()
	w.Stop()
}

func TestNew_refusals(t *testing.T) {
	t.Parallel()
	for _, cfg := range []worker.Config{{Poll: -1}, {SweepEvery: -1}, {MakeTimeout: -1}, {ClaimMax: -1}, {Parallel: -1}} {
		_, err := worker.New(testkit.Logger(t), clock.System(), nil, nil, cfg)
		require.ErrorContains(t, err, "worker config")
	}
}

// broken is a store of which everything fails but the list of tenants.
type broken struct{ worker.Work }

var errBroken = errors.New("broken")

func (broken) Tenants(context.Context, uuid.UUID, int) ([]uuid.UUID, error) {
	return []uuid.UUID{uuid.Max}, nil
}

func (broken) Claim(context.Context, []uuid.UUID, string, int) ([]checkpoint.Due, error) {
	return nil, errBroken
}

func (broken) DueByTime(context.Context, uuid.UUID, int) (int, time.Duration, error) {
	return 0, 0, errBroken
}

func (broken) Untold(context.Context, []uuid.UUID, int) ([]checkpoint.Snapshot, error) {
	return nil, errBroken
}

func (broken) Waiting(context.Context, []uuid.UUID) (int, time.Duration, error) {
	return 0, 0, errBroken
}

func TestWorker_Round_tells_every_failure(t *testing.T) {
	t.Parallel()
	w, err := worker.New(testkit.Logger(t), clock.System(), broken{}, nil, worker.Config{})
	require.NoError(t, err)
	_, err = w.Round(t.Context())
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "broken\nbroken\nbroken\nbroken", "the rest is tried all the same")
}
