package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a balance sample of its own run.
func sample(log *projectiontest.Log, run, free string) *eventv1.BalanceSampled {
	return log.Sample(run, "USDT", free)
}

func TestStore_Append_makes_a_log(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	records := b.requireWhole(t, log.TenantID)
	require.Len(t, records, 5)
	require.EqualValues(t, "TENANT_CREATED", records[0].Type)
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_CLI, records[0].ActorType)
	require.Equal(t, "owner", records[0].ActorID)
	require.Empty(t, b.stored(t, uuid.New()))
}

// TestLaw01_and_02_whatever_happens_the_tables_are_the_fold plays random histories, duplicated, late and out of order, in
// batches of any size, and holds every one to the laws.
func TestLaw01_and_02_whatever_happens_the_tables_are_the_fold(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	rapid.Check(t, func(rt *rapid.T) {
		tenant, requests := b.history(rt, t)
		whole := len(requests)
		for len(requests) > 0 {
			size := rapid.IntRange(1, min(len(requests), 20)).Draw(rt, "batch")
			for _, result := range b.Append(t.Context(), requests[:size], true) {
				// A fact that comes again with other values is a discrepancy here and a change in the history, so a
				// command of the history may find another state.
				require.True(rt, result.Err == nil || fault.Is(result.Err, fault.Refused), "%v", result.Err)
			}
			requests = requests[size:]
		}
		// A fact that the history reports twice is in the log once; a discrepancy comes with the fact that it is about.
		asked := 0
		for _, r := range b.requireWhole(t, tenant) {
			if r.Type != "DISCREPANCY_DETECTED" {
				asked++
			}
		}
		require.LessOrEqual(rt, asked, whole)
	})
}

func TestStore_Append_refuses_one_and_takes_the_rest(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	wrong := draftOf(t, log.Next(log.StrategyRegistered())) // it is registered already
	stale := draftOf(t, log.Next(sample(log, "a", "3")))
	stale.Streams[0].Expected = intake.Expected{Mode: intake.Exact, Seq: 7}
	results := b.Append(t.Context(), []*intake.Request{
		requestOf(t, b.Store, log.Next(sample(log, "b", "100"))), prepare(t, b.Store, wrong), prepare(t, b.Store, stale),
		requestOf(t, b.Store, log.Next(sample(log, "c", "90"))),
	}, true)
	require.NoError(t, results[0].Err)
	require.True(t, fault.Is(results[1].Err, fault.Refused), "%v", results[1].Err)
	require.True(t, fault.Is(results[2].Err, fault.Conflict), "%v", results[2].Err)
	require.NoError(t, results[3].Err)
	require.Equal(t, results[0].Answer.FirstPosition+1, results[3].Answer.FirstPosition, "what is refused burns no number")
	b.requireWhole(t, log.TenantID)
}

// TestLaw04_once sends one command through two stores at a time, a hundred times in all.
func TestLaw04_once(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	other := open(t, b.db, store.Config{})
	log := begun(t, b.Store)
	request := requestOf(t, b.Store, log.Next(sample(log, "once", "100")))
	answers := make([]intake.Answer, 100)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() {
			through := b.Store
			if i%2 == 0 {
				through = other
			}
			answers[i] = mustAppend(t, through, request)
		})
	}
	wait.Wait()
	first := 0
	for _, a := range answers {
		require.Equal(t, answers[0].Receipt, a.Receipt)
		if !a.Duplicate {
			first++
		}
	}
	require.Equal(t, 1, first)
	require.Len(t, b.requireWhole(t, log.TenantID), 6)
	next := mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "next", "1"))))
	require.EqualValues(t, 7, next.FirstPosition)
}

func TestLaw05_a_conflict_is_told(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	other := open(t, b.db, store.Config{})
	log := begun(t, b.Store)
	stream := "account:" + projectiontest.Spot.String()
	require.EqualValues(t, 1, b.requireWhole(t, log.TenantID)[1].Seq)
	racers := make([]store.Result, 2)
	var wait sync.WaitGroup
	for i, s := range []*store.Store{b.Store, other} {
		draft := draftOf(t, log.Next(sample(log, fmt.Sprint("racer ", i), "100")))
		draft.Streams[0].Expected = intake.Expected{Mode: intake.Exact, Seq: 1}
		request := prepare(t, s, draft)
		wait.Go(func() { racers[i] = one(t, s, request) })
	}
	wait.Wait()
	if racers[0].Err == nil {
		racers[0], racers[1] = racers[1], racers[0]
	}
	require.NoError(t, racers[1].Err)
	require.EqualValues(t, 2, racers[1].Answer.Entries[0].Seq)
	told := fault.As(racers[0].Err)
	require.NotNil(t, told)
	require.Equal(t, fault.Conflict, told.Kind)
	require.Equal(t, map[string]string{"stream_key": stream, "expected": "1", "found": "2"}, told.Metadata)
	b.requireWhole(t, log.TenantID)
}

func TestLaw03_a_hundred_at_a_time_are_numbered_without_gaps(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	var wait sync.WaitGroup
	for i := range 100 {
		request := requestOf(t, b.Store, log.Next(sample(log, fmt.Sprint("distinct ", i), fmt.Sprint(i))))
		wait.Go(func() { mustAppend(t, b.Store, request) })
	}
	wait.Wait()
	require.Len(t, b.requireWhole(t, log.TenantID), 105)
}

func TestLaw07_another_price_for_one_trade_is_recorded_once_each(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	first := sample(log, "run", "100")
	receipt := mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(first)))
	differing := sample(log, "run", "99")
	var told intake.Answer
	for range 3 {
		told = mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(differing)))
		require.True(t, told.Duplicate)
		require.Equal(t, receipt.Receipt, told.Receipt)
		require.NotEqual(t, uuid.Nil, told.Discrepancy)
	}
	another := mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "run", "98"))))
	require.NotEqual(t, told.Discrepancy, another.Discrepancy)
	records := b.requireWhole(t, log.TenantID)
	require.Len(t, records, 8)
	found := typed[*eventv1.DiscrepancyDetected](t, records[6])
	require.Equal(t, map[string]string{"free": "100", "locked": "0"}, pick(found.GetExpected(), "free", "locked"))
	require.Equal(t, map[string]string{"free": "99", "locked": "0"}, pick(found.GetActual(), "free", "locked"))
	require.Equal(t, records[5].EventID, records[6].CausationID)
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_SYSTEM, records[6].ActorType)
}

func pick(m map[string]string, keys ...string) map[string]string {
	out := map[string]string{}
	for _, k := range keys {
		out[k] = m[k]
	}
	return out
}

func TestLaw09_two_tenants_with_equal_streams_do_not_meet(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	one, two := begun(t, b.Store), begun(t, b.Store)
	var requests []*intake.Request
	for i := range 10 {
		for _, log := range []*projectiontest.Log{one, two} {
			requests = append(requests, requestOf(t, b.Store, log.Next(sample(log, fmt.Sprint(i), "5"))))
		}
	}
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	for _, result := range b.Append(t.Context(), requests, true) {
		require.NoError(t, result.Err)
	}
	require.Len(t, b.requireWhole(t, one.TenantID), 15)
	require.Len(t, b.requireWhole(t, two.TenantID), 15)
}

func TestStore_Append_of_a_tenant_that_is_not(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := projectiontest.NewLog()
	require.NoError(t, log.Registered())
	log.TenantID = uuid.New()
	result := one(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "x", "1"))))
	require.True(t, fault.Is(result.Err, fault.NotFound), "%v", result.Err)
	require.Empty(t, b.stored(t, log.TenantID))
}

// TestStore_Append_finds_the_culprit has the database itself refuse one append of many.
func TestStore_Append_finds_the_culprit(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	b.exec(t, `
create function refuse() returns trigger language plpgsql as $$
begin
    if new.payload::jsonb ->> 'free' = '13' then
        raise exception 'thirteen' using errcode = 'check_violation', constraint = 'thirteen';
    end if;
    return new;
end $$;
create trigger refuse before insert on event_log for each row execute function refuse()`)
	var requests []*intake.Request
	for i := range 20 {
		requests = append(requests, requestOf(t, b.Store, log.Next(sample(log, fmt.Sprint(i), fmt.Sprint(i)))))
	}
	for i, result := range b.Append(t.Context(), requests, true) {
		if i == 13 {
			require.True(t, fault.Is(result.Err, fault.Invalid), "%v", result.Err)
			continue
		}
		require.NoError(t, result.Err, "append %d", i)
	}
	require.Len(t, b.requireWhole(t, log.TenantID), 24)
}

func (b *bench) exec(t testing.TB, sql string) {
	t.Helper()
	_, err := b.super.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// TestStore_Append_survives_an_uncertain_commit loses the connection at COMMIT: once before it counts, once after.
func TestStore_Append_survives_an_uncertain_commit(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{RetryDelay: time.Millisecond})
	log := begun(t, b.Store)
	b.exec(t, `
create sequence tries;
grant usage on sequence tries to public;
create function die() returns trigger language plpgsql security definer as $$
begin
    if nextval('tries') <= 2 then
        perform pg_terminate_backend(pg_backend_pid());
    end if;
    return null;
end $$;
create constraint trigger die after update on tenant_log deferrable initially deferred for each row execute function die()`)
	answer := mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "x", "1"))))
	require.EqualValues(t, 6, answer.FirstPosition)
	require.Len(t, b.requireWhole(t, log.TenantID), 6)
}

// TestStore_Append_leaves_out_who_is_busy holds one tenant's lock while both are written to.
func TestStore_Append_leaves_out_who_is_busy(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	free, busy := begun(t, b.Store), begun(t, b.Store)
	held, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = held.Rollback(t.Context()) }()
	_, err = held.Exec(t.Context(), "select pg_advisory_xact_lock($1)", postgres.TenantLockKey(busy.TenantID))
	require.NoError(t, err)
	results := b.Append(t.Context(), []*intake.Request{
		requestOf(t, b.Store, busy.Next(sample(busy, "b", "1"))), requestOf(t, b.Store, free.Next(sample(free, "f", "1"))),
	}, true)
	require.NoError(t, results[1].Err)
	require.True(t, fault.Is(results[0].Err, fault.Unavailable), "%v", results[0].Err)
	require.Equal(t, "DATABASE_LOCK_TIMEOUT", fault.ReasonOf(results[0].Err))
	require.NoError(t, held.Rollback(t.Context()))
	mustAppend(t, b.Store, requestOf(t, b.Store, busy.Next(sample(busy, "b", "1"))))
	b.requireWhole(t, busy.TenantID)
	b.requireWhole(t, free.TenantID)
}

func TestStore_Append_tells_of_commits(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []store.Committed
	b := setup(t, store.Config{OnCommit: func(c store.Committed) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, c)
	}})
	log := begun(t, b.Store)
	request := requestOf(t, b.Store, log.Next(sample(log, "x", "1")))
	mustAppend(t, b.Store, request)
	mustAppend(t, b.Store, request) // nothing new
	require.Len(t, told, 6)
	require.Equal(t, log.TenantID, told[5].Tenant)
	require.EqualValues(t, 6, told[5].Position)
	stored := b.requireWhole(t, log.TenantID)
	require.Len(t, told[5].Records, 1)
	require.Empty(t, cmp.Diff(stored[5], &told[5].Records[0].Record), "what is told of is what is stored")
}

// TestStore_Append_without_a_month takes this month's partition away.
func TestStore_Append_without_a_month(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	month := partition(t, b)
	b.exec(t, "alter table event_log detach partition "+month)
	result := one(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "x", "1"))))
	require.True(t, fault.Is(result.Err, fault.Unavailable), "%v", result.Err)
	require.Equal(t, "PARTITION_MISSING", fault.ReasonOf(result.Err))
}

// TestLaw10_nobody_changes_history tries to, as the service's role and as the owner of the tables.
func TestLaw10_nobody_changes_history(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	for _, pool := range []string{role, ""} {
		p := b.db.Pool(t, pool)
		for _, sql := range []string{
			"update event_log set seq = 9", "delete from event_log", "truncate event_log",
			"update " + partition(t, b) + " set seq = 9", "delete from " + partition(t, b), "truncate " + partition(t, b),
		} {
			_, err := p.Exec(t.Context(), sql)
			require.Error(t, err, "%s as %q", sql, pool)
		}
	}
	b.requireWhole(t, log.TenantID)
}

func partition(t *testing.T, b *bench) string {
	t.Helper()
	var name string
	require.NoError(t, b.super.QueryRow(t.Context(), "select 'event_log_' || to_char(now() at time zone 'utc', 'YYYY_MM')").Scan(&name))
	return name
}

func TestNew_refusals(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]store.Config{
		"TriesMax":    {TriesMax: -1},
		"RoundsMax":   {RoundsMax: -1},
		"EventsMax":   {Limits: intake.Limits{EventsMax: -1}},
		"Partitions":  {PartitionsAhead: -1},
		"AppendTimeo": {AppendTimeout: -1},
	} {
		_, err := store.New(nil, nil, cfg)
		require.ErrorContains(t, err, name)
	}
}

// TestStore_Append_leaves_out_whose_head_is_held has somebody work on a log by its head alone: the others of the batch are taken in
// at once, and the log's own wait for it.
func TestStore_Append_leaves_out_whose_head_is_held(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	held, free := begun(t, b.Store), begun(t, b.Store)
	tx, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "select from tenant_log where tenant_id = $1 for update", held.TenantID)
	require.NoError(t, err)
	requests := []*intake.Request{
		requestOf(t, b.Store, held.Next(sample(held, "one", "1"))), requestOf(t, b.Store, free.Next(sample(free, "one", "1"))),
		requestOf(t, b.Store, held.Next(sample(held, "two", "1"))),
	}
	results := b.Append(t.Context(), requests, false)
	require.True(t, results[0].Busy)
	require.NoError(t, results[1].Err)
	require.False(t, results[1].Busy)
	require.True(t, results[2].Busy)

	waited := make(chan []store.Result, 1)
	go func() { waited <- b.Append(t.Context(), []*intake.Request{requests[0], requests[2]}, true) }()
	require.NoError(t, tx.Rollback(t.Context()))
	for _, result := range <-waited {
		require.NoError(t, result.Err)
	}
	b.requireWhole(t, held.TenantID)
	b.requireWhole(t, free.TenantID)
}

// TestStore_reads_take_no_connection_from_appends has every connection for reads taken.
func TestStore_reads_take_no_connection_from_appends(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	cfg := b.db.Config(role)
	cfg.ConnsMax = 1
	reads, err := postgres.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(reads.Close)
	s := open(t, b.db, store.Config{ReadPool: reads})
	conn, err := reads.Acquire(t.Context())
	require.NoError(t, err)
	mustAppend(t, s, requestOf(t, s, log.Next(sample(log, "one", "1"))))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.Head(ctx, log.TenantID)
	require.Error(t, err, "there is no connection for it")
	conn.Release()
	_, err = s.Head(t.Context(), log.TenantID)
	require.NoError(t, err)
}

func BenchmarkStore_Append(b *testing.B) {
	bench := setup(b, store.Config{})
	log := begun(b, bench.Store)
	for _, size := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				requests := make([]*intake.Request, size)
				for i := range requests {
					requests[i] = requestOf(b, bench.Store, log.Next(sample(log, uuid.NewString(), "1")))
				}
				for _, r := range bench.Append(b.Context(), requests, true) {
					require.NoError(b, r.Err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
