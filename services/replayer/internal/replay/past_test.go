package replay_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/history/historytest"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

// past is the state after each event, by position.
func (b *bundle) past(t *testing.T, events []projection.Event) []*projection.Memory {
	t.Helper()
	states := make([]*projection.Memory, len(events)+1)
	states[0] = &projection.Memory{}
	for i, ev := range events {
		states[i+1] = &projection.Memory{}
		for _, row := range states[i].Rows() {
			states[i+1].Put(row)
		}
		own := historytest.Stored(ev)
		own.TenantID = b.Tenant
		_, err := projection.Fold(states[i+1], own)
		require.NoError(t, err)
	}
	return states
}

// wanted are the rows that an answer must have.
func wanted(state *projection.Memory, q replay.Question, at time.Time) map[projection.Key]string {
	rows := map[projection.Key]string{}
	for _, row := range state.Rows() {
		is := false
		switch r := row.(type) {
		case *projection.Account:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.Position:
			is = q.Kind == event.KindPosition && r.PositionID == q.ID || q.Kind == event.KindAccount && r.AccountID == q.ID && r.State != projection.PositionClosed
		case *projection.Order:
			is = q.Kind == event.KindPosition && r.PositionID.UUID == q.ID || q.Kind == event.KindOrder && r.OrderID == q.ID ||
				q.Kind == event.KindAccount && r.AccountID == q.ID && !r.Status.Ended()
		case *projection.Fill:
			is = q.Kind == event.KindPosition && r.PositionID.UUID == q.ID || q.Kind == event.KindOrder && r.OrderID == q.ID
		case *projection.Intent:
			is = q.Kind == event.KindPosition && r.PositionID.UUID == q.ID || q.Kind == event.KindOrder && r.OrderID.Valid && r.OrderID.UUID == q.ID ||
				q.Kind == event.KindAccount && r.AccountID == q.ID && !r.Ended
		case *projection.Decision:
			is = q.Kind == event.KindPosition && r.PositionID == q.ID
		case *projection.Signal:
			is = q.Kind == event.KindPosition && r.PositionID.UUID == q.ID
		case *projection.Discrepancy:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID && r.IsOpen
		case *projection.Risk:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.Strategy:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.Balance:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.MarginLoan:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.MarginState:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID
		case *projection.PnLPeriod:
			is = q.Kind == event.KindAccount && r.AccountID == q.ID && (r.Period == projection.Day(at) || r.Period == projection.Month(at))
		}
		if is {
			rows[row.Key()] = string(projection.RowJSON(row))
		}
	}
	return rows
}

// TestLaw_state_at_any_position: what StateAt tells of any position, order or account is the fold up to there, with and without
// snapshots, of which some are not fit.
func TestLaw_state_at_any_position(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	super := db.Pool(t, "")
	for seed := range 8 {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		events := random(seed, 120)
		b := &bundle{World: storetest.NewWorld(super, uuid.New())}
		var err error
		b.store, err = store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{})
		require.NoError(t, err)
		states := b.past(t, events)
		b.writeWithSnapshots(t, events, rng)
		historian := replay.NewHistorian(b.store, replay.HistorianConfig{})
		served := 0
		for range 60 {
			position := int64(1 + rng.IntN(len(events)))
			q := replay.Question{Position: position}
			rows := states[rng.IntN(len(states))].Rows()
			if len(rows) == 0 {
				continue
			}
			switch r := rows[rng.IntN(len(rows))].(type) {
			case *projection.Order:
				q.Kind, q.ID = event.KindOrder, r.OrderID
			case *projection.Position:
				q.Kind, q.ID = event.KindPosition, r.PositionID
			default:
				q.Kind, q.ID = event.KindAccount, projectiontest.Spot
			}
			place := historytest.Stored(events[position-1])
			want := wanted(states[position], q, place.IngestedAt)
			if rng.IntN(2) == 0 {
				q.Position, q.Time = 0, place.IngestedAt
			}
			a, err := historian.StateAt(t.Context(), b.Tenant, q)
			if fault.Is(err, fault.NotFound) {
				require.NotContains(t, want, rootOf(q), "seed %d position %d: %v", seed, position, err)
				continue
			}
			require.NoError(t, err, "seed %d position %d", seed, position)
			require.Equal(t, position, a.AsOf)
			got := map[projection.Key]string{}
			for _, row := range a.Rows {
				got[row.Key()] = string(projection.RowJSON(row))
			}
			require.Equal(t, want, got, "seed %d position %d %v from %s", seed, position, q, a.Snapshot)
			if a.Snapshot != uuid.Nil {
				served++
			}
		}
		require.Positive(t, served, "snapshots are used")
	}
}

func rootOf(q replay.Question) projection.Key {
	switch q.Kind {
	case event.KindOrder:
		return projection.OrderKey(q.ID)
	case event.KindPosition:
		return projection.PositionKey(q.ID)
	default:
		return projection.AccountKey(q.ID)
	}
}

// writeWithSnapshots writes the log part by part, with snapshots of accounts and positions in between, some of them spoiled.
func (b *bundle) writeWithSnapshots(t *testing.T, events []projection.Event, rng *rand.Rand) {
	t.Helper()
	for len(events) > 0 {
		n := min(1+rng.IntN(25), len(events))
		require.NoError(t, b.Write(t.Context(), events[:n]))
		events = events[n:]
		for _, row := range b.State.Rows() {
			var scope projection.Scope
			switch r := row.(type) {
			case *projection.Account:
				scope = projection.Scope{Kind: projection.ScopeAccount, ID: r.AccountID}
			case *projection.Position:
				scope = projection.Scope{Kind: projection.ScopePosition, ID: r.PositionID}
			default:
				continue
			}
			var spoil func([]byte) []byte
			if rng.IntN(4) == 0 {
				spoil = func(state []byte) []byte {
					state[rng.IntN(len(state))] ^= 1 << rng.IntN(8)
					return state
				}
			}
			_, err := b.Snapshot(t.Context(), scope, spoil)
			require.NoError(t, err)
		}
	}
}

// TestLaw_from_a_snapshot: a rebuild from a snapshot finds and mends the same as one from zero.
func TestLaw_from_a_snapshot(t *testing.T) {
	t.Parallel()
	for _, scope := range []replay.Scope{
		{Kind: replay.ScopeAccount, ID: projectiontest.Spot},
		{Kind: replay.ScopeStrategy, ID: projectiontest.StrategyID},
		{Kind: replay.ScopePosition, ID: projectiontest.Long("life 3").PositionID()},
	} {
		t.Run(string(scope.Kind), func(t *testing.T) {
			t.Parallel()
			b := setup(t, 200, replay.Config{})
			id, err := b.Snapshot(t.Context(), projection.Scope{Kind: projection.ScopeKind(scope.Kind), ID: scope.ID}, nil)
			require.NoError(t, err)
			more, err := storetest.Lives(400)
			require.NoError(t, err)
			require.NoError(t, b.Write(t.Context(), more[len(b.events):]))
			request := replay.Request{Scope: scope, FromSnapshot: true}
			r := b.run(t, request)
			require.Equal(t, replay.OutcomeIdentical, r.Outcome, "%v", r.Differences)
			require.Equal(t, id, r.Snapshot, r.Note)
			for _, sql := range []string{
				"update orders_current set symbol = 'X' where order_id in (select order_id from fills where exchange_trade_id = '3e1')",
				"delete from fills where exchange_trade_id = '3e1'",
				"update signals_current set symbol = 'X' where signal_id = '" + projectiontest.Long("life 3").SignalID().String() + "'",
			} {
				require.NoError(t, b.Exec(t.Context(), sql))
			}
			zero := b.run(t, replay.Request{Scope: scope, DryRun: true})
			dry := b.run(t, replay.Request{Scope: scope, FromSnapshot: true, DryRun: true})
			require.Equal(t, int64(3), zero.Found)
			for i := range zero.Differences {
				require.Equal(t, zero.Differences[i].Key, dry.Differences[i].Key)
				require.Equal(t, zero.Differences[i].Fields, dry.Differences[i].Fields)
			}
			r = b.run(t, request)
			require.Equal(t, replay.OutcomeMended, r.Outcome)
			require.Equal(t, id, r.Snapshot)
			b.right(t)
		})
	}
}

func TestRebuild_of_a_scope_leaves_the_rest(t *testing.T) {
	t.Parallel()
	three, five := projectiontest.Long("life 3"), projectiontest.Long("life 5")
	for name, scope := range map[string]replay.Scope{
		"position": {Kind: replay.ScopePosition, ID: three.PositionID()},
		"stream":   {Kind: replay.ScopeStream, Stream: "position:" + three.PositionID().String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, 200, replay.Config{})
			for _, plan := range []projectiontest.Plan{three, five} {
				require.NoError(t, b.Exec(t.Context(), fmt.Sprintf("update positions_current set symbol = 'X' where position_id = '%s'", plan.PositionID())))
			}
			r := b.run(t, replay.Request{Scope: scope, FromSnapshot: name == "position"})
			require.Equal(t, replay.OutcomeMended, r.Outcome)
			require.Equal(t, int64(1), r.Changed)
			rest := b.run(t, replay.Request{DryRun: true})
			require.Len(t, rest.Differences, 1)
			require.Equal(t, projection.PositionKey(five.PositionID()), rest.Differences[0].Key)
			b.run(t, replay.Request{Scope: replay.Scope{Kind: replay.ScopeStream, Stream: "position:" + five.PositionID().String()}})
			b.right(t)
		})
	}
}

func TestStateAt_refusals(t *testing.T) {
	t.Parallel()
	b := setup(t, 100, replay.Config{})
	ask := func(q replay.Question) error {
		_, err := replay.NewHistorian(b.store, replay.HistorianConfig{RowsMax: 20}).StateAt(t.Context(), b.Tenant, q)
		return err
	}
	account := replay.Question{Kind: event.KindAccount, ID: projectiontest.Spot}
	with := func(change func(*replay.Question)) replay.Question {
		q := account
		change(&q)
		return q
	}
	require.True(t, fault.Is(ask(with(func(q *replay.Question) { q.Position = 1000 })), fault.Invalid))
	require.True(t, fault.Is(ask(with(func(q *replay.Question) { q.Time = projectiontest.Start.Add(-time.Hour) })), fault.NotFound))
	require.True(t, fault.Is(ask(with(func(q *replay.Question) { q.Position, q.ID = 50, uuid.New() })), fault.NotFound))
	require.True(t, fault.Is(ask(with(func(q *replay.Question) { q.Position = 1 })), fault.NotFound), "the account comes later")
	require.True(t, fault.Is(ask(with(func(q *replay.Question) { q.Position = 90 })), fault.Exhausted), "there are more rows than may be")
	require.NoError(t, ask(with(func(q *replay.Question) { q.Position = 5 })))
	require.NoError(t, ask(with(func(q *replay.Question) { q.Time, q.Occurred = projectiontest.Start.Add(5*time.Second), true })))
}
