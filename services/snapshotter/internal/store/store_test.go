package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/store/storetest"
)

// What SQL cuts out of the tables is what Scope.Cut finds in memory, for every scope of random histories.
func TestStore_State_is_the_cut_of_the_fold(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	super, pool := db.Pool(t, ""), db.Pool(t, storetest.Role)
	s, err := store.New(pool, store.Config{})
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		log, err := projectiontest.Random(rt, 60)
		require.NoError(rt, err)
		for _, table := range []string{"tenant_log", "stream_state"} {
			_, err = super.Exec(t.Context(), "delete from "+table)
			require.NoError(rt, err)
		}
		for _, table := range projection.Tables() {
			_, err = super.Exec(t.Context(), "delete from "+table.Name)
			require.NoError(rt, err)
		}
		tenant := uuid.New()
		for i := range log.Events { // The log cannot be emptied: each history is another tenant's.
			log.Events[i].TenantID = tenant
			if p, is := log.Events[i].Payload.(*eventv1.TenantCreated); is {
				p.TenantId, log.Events[i].StreamKey = tenant.String(), "tenant:"+tenant.String()
			}
		}
		world := storetest.NewWorld(super)
		world.Log = log
		log.TenantID = tenant
		require.NoError(rt, world.Write(t.Context()))
		for _, row := range world.Fold.Rows() {
			scope, is := scopeOf(row)
			if !is {
				continue
			}
			state, err := s.State(t.Context(), tenant, scope)
			require.NoError(rt, err)
			require.Equal(rt, int64(len(log.Events)), state.Position)
			cut := scope.Cut(world.Fold.Rows())
			if diff := cmp.Diff(texts(cut.Own), texts(state.Cut.Own)); diff != "" {
				rt.Fatalf("%s: %s", scope, diff)
			}
			if diff := cmp.Diff(texts(cut.Context), texts(state.Cut.Context)); diff != "" {
				rt.Fatalf("context of %s: %s", scope, diff)
			}
		}
	})
}

func scopeOf(row projection.Row) (projection.Scope, bool) {
	switch r := row.(type) {
	case *projection.Account:
		return projection.Scope{Kind: projection.ScopeAccount, ID: r.AccountID}, true
	case *projection.Strategy:
		return projection.Scope{Kind: projection.ScopeStrategy, ID: r.StrategyID}, true
	case *projection.Position:
		return projection.Scope{Kind: projection.ScopePosition, ID: r.PositionID}, true
	}
	return projection.Scope{}, false
}

func TestStore_State_tells_where_it_is_true(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	state, err := b.State(t.Context(), b.tenant, b.position())
	require.NoError(t, err)
	hash, found, err := b.ChainHash(t.Context(), b.tenant, state.Position)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, hash, state.Hash)
	require.EqualValues(t, projection.RulesVersion, state.RulesVersion)
	require.EqualValues(t, 6, state.EventCount, "armed, detected, proposed, passed, intended, claimed")
	require.EqualValues(t, 2, state.StreamCount, "the position's and its order's")
	require.Equal(t, []string{"order:" + b.Log.Intent(b.plan.EntryID()).OrderID.UUID.String(), "position:" + b.plan.PositionID().String()},
		[]string{state.Streams[0].StreamKey, state.Streams[1].StreamKey})
	require.Equal(t, []int64{1, 5}, []int64{state.Streams[0].Seq, state.Streams[1].Seq})

	t.Run("counting on from what is stored", func(t *testing.T) {
		b := setup(t, store.Config{})
		b.exec(t, "update tenant_log set counted_position = last_position - 1")
		b.exec(t, "insert into snapshot_progress (tenant_id, scope, scope_id, events, last_position) values ($1, 'position', $2, 100, 1)", b.tenant, b.plan.PositionID())
		state, err := b.State(t.Context(), b.tenant, b.position())
		require.NoError(t, err)
		require.EqualValues(t, 101, state.EventCount)
	})
}

// A read sees one moment: what is appended meanwhile is in it with its head, or not at all; and no append waits for it.
func TestStore_State_is_of_one_moment(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	tx, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "select pg_advisory_xact_lock($1)", postgres.TenantLockKey(b.tenant))
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "update tenant_log set last_position = last_position + 1")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "update positions_current set symbol = 'OTHER'")
	require.NoError(t, err)
	state, err := b.State(t.Context(), b.tenant, b.position())
	require.NoError(t, err, "an append that is under way holds nobody up")
	require.Equal(t, b.Position(), state.Position)
	require.Equal(t, texts(b.position().Cut(b.Fold.Rows()).Own), texts(state.Cut.Own))
}

// Only rows of the live epoch are the state.
func TestStore_State_is_that_of_the_live_epoch(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	b.exec(t, "update tenant_log set epoch = 7")
	_, err := b.State(t.Context(), b.tenant, b.position())
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	for _, table := range projection.Tables() {
		b.exec(t, "update "+table.Name+" set epoch = 7")
	}
	_, err = b.State(t.Context(), b.tenant, b.position())
	require.NoError(t, err)
}

func TestStore_State_failures(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	_, err := b.State(t.Context(), b.tenant, projection.Scope{Kind: projection.ScopePosition, ID: uuid.Max})
	require.Equal(t, "SCOPE_UNKNOWN", fault.ReasonOf(err))
	_, err = b.State(t.Context(), uuid.Max, b.position())
	require.Equal(t, "TENANT_UNKNOWN", fault.ReasonOf(err))
	_, err = b.Schedule(t.Context(), uuid.Max)
	require.Equal(t, "TENANT_UNKNOWN", fault.ReasonOf(err))
	_, err = b.SetSchedule(t.Context(), uuid.Max, store.ScheduleChange{})
	require.Equal(t, "TENANT_UNKNOWN", fault.ReasonOf(err))
	_, err = b.Get(t.Context(), b.tenant, uuid.Max)
	require.Equal(t, "SNAPSHOT_UNKNOWN", fault.ReasonOf(err))
	_, _, err = b.Load(t.Context(), b.tenant, uuid.Max)
	require.Equal(t, "SNAPSHOT_UNKNOWN", fault.ReasonOf(err))
	_, found, err := b.ChainHash(t.Context(), b.tenant, 1000)
	require.NoError(t, err)
	require.False(t, found)
	b.exec(t, "update tenant_log set last_hash = 'x'")
	_, err = b.State(t.Context(), b.tenant, b.position())
	require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
	for _, cfg := range []store.Config{{Lease: -1}, {TailMax: -1}} {
		_, err = store.New(nil, cfg)
		require.ErrorContains(t, err, "store config")
	}
}

// Everything that is asked of a database that is away is Unavailable, and says what was being done.
func TestStore_without_a_database(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	pool, err := postgres.New(t.Context(), db.Config(storetest.Role))
	require.NoError(t, err)
	s, err := store.New(pool, store.Config{})
	require.NoError(t, err)
	pool.Close()
	tenants := []uuid.UUID{uuid.Max}
	for name, ask := range map[string]func() error{
		"read the state": func() error { _, err := s.State(t.Context(), uuid.Max, projection.Scope{}); return err },
		"read the hash":  func() error { _, _, err := s.ChainHash(t.Context(), uuid.Max, 1); return err },
		"list tenants":   func() error { _, err := s.Tenants(t.Context(), uuid.Nil, 1); return err },
		"the schedule":   func() error { _, err := s.Schedule(t.Context(), uuid.Max); return err },
		"store snapshot": func() error { _, err := s.Save(t.Context(), &snapshot.Sealed{}, checkpoint.Snapshot{}); return err },
		"read snapshot":  func() error { _, err := s.Get(t.Context(), uuid.Max, uuid.Max); return err },
		"load snapshot":  func() error { _, _, err := s.Load(t.Context(), uuid.Max, uuid.Max); return err },
		"list snapshots": func() error { _, err := s.List(t.Context(), uuid.Max, checkpoint.Filter{}, nil, 1); return err },
		"mark snapshot":  func() error { return s.Mark(t.Context(), uuid.Max, uuid.Max, "") },
		"many snapshots": func() error {
			_, err := s.Crowded(t.Context(), uuid.Max, checkpoint.Filter{}, 1, projection.Scope{}, 1)
			return err
		},
		"claim due":      func() error { _, err := s.Claim(t.Context(), tenants, "x", 1); return err },
		"time makes due": func() error { _, _, err := s.DueByTime(t.Context(), uuid.Max, 1); return err },
		"count due":      func() error { _, _, err := s.Waiting(t.Context(), tenants); return err },
		"were not told":  func() error { _, err := s.Untold(t.Context(), tenants, 1); return err },
		"replay the log": func() error { return s.Replay(t.Context(), uuid.Max, 1, nil) },
		"find snapshots": func() error {
			_, err := s.Candidates(t.Context(), uuid.Max, projection.Scope{}, 0, noTime, 1)
			return err
		},
		"snapshots of ":   func() error { _, err := s.OfScope(t.Context(), uuid.Max, projection.Scope{}); return err },
		"remove snapshot": func() error { return s.Delete(t.Context(), uuid.Max, tenants) },
	} {
		require.ErrorContains(t, ask(), name)
	}
}

func TestStore_Save(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	b.exec(t, "insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason) values ($1, 'position', $2, 3, now(), 'events')", b.tenant, b.plan.PositionID())
	saved := b.save(t, b.position())
	require.Zero(t, b.count(t, "select count(*) from snapshots_due"), "what was due is made")
	got, stored, err := b.Load(t.Context(), b.tenant, saved.ID)
	require.NoError(t, err)
	require.Equal(t, saved, got)
	view, err := snapshot.Open(stored, got.Expected)
	require.NoError(t, err)
	require.EqualValues(t, len(stored), got.StoredBytes)
	own, _ := view.Rows()
	require.Equal(t, own, got.Own)
	require.Nil(t, got.ToldAt)

	t.Run("again, it is the same one", func(t *testing.T) {
		require.NoError(t, b.Told(t.Context(), b.tenant, saved.ID))
		again := b.save(t, b.position())
		require.Equal(t, saved.ID, again.ID)
		require.NotNil(t, again.ToldAt)
		require.Equal(t, 1, b.count(t, "select count(*) from snapshots"))
	})
	t.Run("in the place of an unfit one", func(t *testing.T) {
		require.NoError(t, b.Mark(t.Context(), b.tenant, saved.ID, snapshot.ReasonHash))
		again := b.save(t, b.position())
		require.Equal(t, saved.ID, again.ID)
		require.Empty(t, again.Unfit)
		require.Nil(t, again.ToldAt)
		require.Equal(t, 1, b.count(t, "select count(*) from snapshots"))
	})
	t.Run("what became due later stays due, and free", func(t *testing.T) {
		b.exec(t, `insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason, claimed_by, claimed_until)
values ($1, 'position', $2, 1000, now(), 'events', 'x', now() + interval '1 h')`, b.tenant, b.plan.PositionID())
		b.save(t, b.position())
		require.Equal(t, 1, b.count(t, "select count(*) from snapshots_due where claimed_until is null and claimed_by is null"))
	})
}

// Snapshots of two makers at once are one.
func TestStore_Save_by_two_at_once(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	state, err := b.State(t.Context(), b.tenant, b.position())
	require.NoError(t, err)
	meta := snapshot.Meta{TenantID: b.tenant, Scope: b.position(), AsOf: state.Position, ChainHash: state.Hash, RulesVersion: state.RulesVersion}
	sealed, err := snapshot.Encode(meta, state.Cut, snapshot.Config{})
	require.NoError(t, err)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			_, err := b.Save(t.Context(), sealed, checkpoint.Snapshot{ID: checkpoint.IDOf(meta), Trigger: checkpoint.TriggerRequest, Streams: state.Streams})
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, 1, b.count(t, "select count(*) from snapshots"))
}

func TestStore_List(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	state, err := b.State(t.Context(), b.tenant, b.position())
	require.NoError(t, err)
	account := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
	var all []checkpoint.Snapshot
	for position := int64(1); position <= 5; position++ {
		all = append(all, b.saveAt(t, b.position(), state, position))
	}
	all = append(all, b.save(t, account))
	require.NoError(t, b.Mark(t.Context(), b.tenant, all[1].ID, snapshot.ReasonChain))
	ids := func(f checkpoint.Filter, after *checkpoint.Snapshot, size int) []uuid.UUID {
		found, err := b.List(t.Context(), b.tenant, f, after, size)
		require.NoError(t, err)
		out := []uuid.UUID{}
		for _, s := range found {
			out = append(out, s.ID)
		}
		return out
	}
	id := func(places ...int) []uuid.UUID {
		out := []uuid.UUID{}
		for _, i := range places {
			out = append(out, all[i].ID)
		}
		return out
	}
	yes, no := true, false
	require.Equal(t, id(5, 4, 3, 2, 1, 0), ids(checkpoint.Filter{}, nil, 100))
	require.Equal(t, id(5, 4), ids(checkpoint.Filter{}, nil, 2))
	require.Equal(t, id(3, 2), ids(checkpoint.Filter{}, &all[4], 2))
	require.Equal(t, id(5), ids(checkpoint.Filter{Kind: projection.ScopeAccount}, nil, 100))
	require.Equal(t, id(4, 3, 2, 1, 0), ids(checkpoint.Filter{ScopeID: b.plan.PositionID()}, nil, 100))
	require.Equal(t, id(1), ids(checkpoint.Filter{Unfit: &yes}, nil, 100))
	require.Equal(t, id(5, 4, 3, 2, 0), ids(checkpoint.Filter{Unfit: &no}, nil, 100))
	require.Equal(t, id(3), ids(checkpoint.Filter{ID: all[3].ID}, nil, 100))
	require.Equal(t, id(2, 1, 0), ids(checkpoint.Filter{CreatedBefore: all[3].CreatedAt}, nil, 100))
	require.Equal(t, id(5, 4, 3), ids(checkpoint.Filter{CreatedFrom: all[3].CreatedAt}, nil, 100))

	candidates := func(position int64, at time.Time) []uuid.UUID {
		found, err := b.Candidates(t.Context(), b.tenant, b.position(), position, at, 2)
		require.NoError(t, err)
		out := []uuid.UUID{}
		for _, s := range found {
			out = append(out, s.ID)
		}
		return out
	}
	require.Equal(t, id(4, 3), candidates(0, noTime))
	require.Equal(t, id(2, 0), candidates(3, noTime), "marked ones are passed over")
	require.Empty(t, candidates(0, state.IngestedAt.Add(-time.Second)))
	require.Equal(t, id(4, 3), candidates(0, state.IngestedAt))

	scopes, err := b.Crowded(t.Context(), b.tenant, checkpoint.Filter{}, 4, projection.Scope{}, 10)
	require.NoError(t, err)
	require.Equal(t, []projection.Scope{b.position()}, scopes)
	scopes, err = b.Crowded(t.Context(), b.tenant, checkpoint.Filter{Kind: projection.ScopeAccount}, 1, projection.Scope{}, 10)
	require.NoError(t, err)
	require.Empty(t, scopes)
	require.NoError(t, b.Delete(t.Context(), b.tenant, id(0, 1)))
	require.Equal(t, id(5, 4, 3, 2), ids(checkpoint.Filter{}, nil, 100))
	of, err := b.OfScope(t.Context(), b.tenant, b.position())
	require.NoError(t, err)
	require.Len(t, of, 3)
}

func TestStore_Schedule(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	got, err := b.Schedule(t.Context(), b.tenant)
	require.NoError(t, err)
	require.Equal(t, checkpoint.Schedule{EveryEvents: 5000, EverySeconds: 3600, AtWorkflowEnd: true}, got)
	events, never, no := int32(200), int32(0), false
	got, err = b.SetSchedule(t.Context(), b.tenant, store.ScheduleChange{EveryEvents: &events})
	require.NoError(t, err)
	require.Equal(t, checkpoint.Schedule{EveryEvents: 200, EverySeconds: 3600, AtWorkflowEnd: true}, got)
	_, err = b.SetSchedule(t.Context(), b.tenant, store.ScheduleChange{EverySeconds: &never, AtWorkflowEnd: &no})
	require.NoError(t, err)
	got, err = b.Schedule(t.Context(), b.tenant)
	require.NoError(t, err)
	require.Equal(t, checkpoint.Schedule{EveryEvents: 200}, got)
}

// Law 9: what one tenant has, no other sees.
func TestStore_tenants_never_meet(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	saved := b.save(t, b.position())
	stranger := uuid.New()
	_, err := b.Get(t.Context(), stranger, saved.ID)
	require.True(t, fault.Is(err, fault.NotFound))
	found, err := b.List(t.Context(), stranger, checkpoint.Filter{}, nil, 10)
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, b.Mark(t.Context(), stranger, saved.ID, snapshot.ReasonHash))
	require.NoError(t, b.Delete(t.Context(), stranger, []uuid.UUID{saved.ID}))
	got, err := b.Get(t.Context(), b.tenant, saved.ID)
	require.NoError(t, err)
	require.Empty(t, got.Unfit)
	tenants, err := b.Tenants(t.Context(), uuid.Nil, 10)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.tenant}, tenants)
	tenants, err = b.Tenants(t.Context(), b.tenant, 10)
	require.NoError(t, err)
	require.Empty(t, tenants)
}

// Replay gives the whole log in order; a hole in it is told.
func TestStore_Replay(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	state := &projection.Memory{}
	require.NoError(t, b.Replay(t.Context(), b.tenant, b.Position(), func(ev *projection.Event) error {
		_, err := projection.Fold(state, *ev)
		return err
	}))
	require.Equal(t, b.Fold.Render(), state.Render())
	enough := fmt.Errorf("enough")
	require.ErrorIs(t, b.Replay(t.Context(), b.tenant, b.Position(), func(*projection.Event) error { return enough }), enough)
	require.Error(t, b.Replay(t.Context(), b.tenant, b.Position()+1, func(*projection.Event) error { return nil }))
}
