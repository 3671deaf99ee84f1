package projection_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Each table is decided upon: a new one makes somebody think about which scopes its rows belong to.
func TestScope_decides_upon_every_table(t *testing.T) {
	t.Parallel()
	for _, kind := range []projection.ScopeKind{projection.ScopeAccount, projection.ScopeStrategy, projection.ScopePosition} {
		scope := projection.Scope{Kind: kind, ID: projectiontest.ID("x")}
		for _, table := range projection.Tables() {
			clauses, decided := scope.Own(table.Name)
			require.True(t, decided, "%s: say in scopeTables which rows belong to a scope", table.Name)
			requireColumns(t, table, clauses)
			requireColumns(t, table, scope.Context(table.Name))
			if kind == projection.ScopeAccount {
				require.Empty(t, scope.Context(table.Name))
			}
		}
		require.NotNil(t, projection.TableNamed(scope.Root().Table))
		require.Equal(t, string(kind)+":"+scope.ID.String(), scope.String())
	}
	require.Zero(t, projection.Scope{}.Root())
}

// requireColumns wants every column that a clause names to be one of ids, so that neither SQL nor memory stumbles.
func requireColumns(t *testing.T, table *projection.Table, clauses []projection.Clause) {
	t.Helper()
	kindOf := func(table *projection.Table, name string) projection.Kind {
		for _, c := range table.Columns {
			if c.Name == name {
				return c.Kind
			}
		}
		t.Fatalf("%s has no column %s", table.Name, name)
		return 0
	}
	for _, c := range clauses {
		require.Equal(t, projection.KindUUID, kindOf(table, c.Column))
		require.True(t, !c.Unclaimed || table.Name == projection.TableOrders)
		if c.Among != nil {
			other := projection.TableNamed(c.Among.Table)
			require.NotNil(t, other)
			require.Equal(t, projection.KindUUID, kindOf(other, c.Among.Column))
			requireColumns(t, other, c.Among.Clauses)
		}
	}
}

// base is a scope's part of a state, as a snapshot holds it.
type base map[projection.Key]projection.Row

func baseOf(cut projection.Cut) base {
	b := base{}
	for _, row := range append(cut.Own, cut.Context...) {
		b[row.Key()] = row
	}
	return b
}

func (b base) Get(key projection.Key) (projection.Row, error) { return b[key], nil }

func (b base) All() ([]projection.Row, error) {
	rows := make([]projection.Row, 0, len(b))
	for _, row := range b {
		rows = append(rows, row)
	}
	return rows, nil
}

func render(rows []projection.Row) map[string]string {
	rendered := map[string]string{}
	for _, row := range rows {
		rendered[row.Key().String()] = string(projection.RowJSON(row))
	}
	return rendered
}

// scopes are all scopes of a state.
func scopes(state *projection.Memory) []projection.Scope {
	var all []projection.Scope
	for _, row := range state.Rows() {
		switch r := row.(type) {
		case *projection.Account:
			all = append(all, projection.Scope{Kind: projection.ScopeAccount, ID: r.AccountID})
		case *projection.Strategy:
			all = append(all, projection.Scope{Kind: projection.ScopeStrategy, ID: r.StrategyID})
		case *projection.Position:
			all = append(all, projection.Scope{Kind: projection.ScopePosition, ID: r.PositionID})
		}
	}
	return all
}

// foldOn folds a tail on a scope's base. ok is false where an event turned out to rest on what may be another scope's.
func foldOn(t *rapid.T, scope projection.Scope, b base, tail []projection.Event) (rows []projection.Row, ok bool) {
	fold, err := projection.NewScopeFold(scope, b)
	require.NoError(t, err)
	for _, ev := range tail {
		_, err := fold.Fold(ev)
		var outside *projection.Outside
		if errors.As(err, &outside) {
			require.Equal(t, ev.Position, outside.Position)
			return nil, false
		}
		require.NoError(t, err, "%s at %d", ev.Type, ev.Position)
	}
	rows, err = fold.Own()
	require.NoError(t, err)
	return rows, true
}

// A scope's rows at any position are those at an earlier one with the tail folded on: snapshot + tail = full replay.
func TestProperty_a_scope_folded_on_is_the_scope_replayed(t *testing.T) {
	t.Parallel()
	var folded, outside atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		at := rapid.IntRange(5, len(log.Events)).Draw(t, "snapshot at")
		end := rapid.IntRange(at, len(log.Events)).Draw(t, "read at")
		before, err := projectiontest.Replay(log.Events[:at])
		require.NoError(t, err)
		after, err := projectiontest.Replay(log.Events[:end])
		require.NoError(t, err)
		for _, scope := range scopes(before) {
			rows, ok := foldOn(t, scope, baseOf(scope.Cut(before.Rows())), log.Events[at:end])
			if !ok {
				outside.Add(1)
				continue
			}
			folded.Add(1)
			if diff := cmp.Diff(render(scope.Cut(after.Rows()).Own), render(rows)); diff != "" {
				t.Fatalf("%s: %s", scope, diff)
			}
		}
	})
	require.Greater(t, folded.Load(), 2*outside.Load(), "most tails can be folded on: %d, not %d", folded.Load(), outside.Load())
}

// A position's rows are in its strategy and its account, and every account's rows are its own alone.
func TestProperty_scopes_lie_within_each_other(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		rows := log.State.Rows()
		accounts := map[string]projection.Scope{}
		for _, scope := range scopes(log.State) {
			if scope.Kind != projection.ScopeAccount {
				continue
			}
			for name := range render(scope.Cut(rows).Own) {
				require.Empty(t, accounts[name].Kind, "%s is in two accounts", name)
				accounts[name] = scope
			}
		}
		for _, scope := range scopes(log.State) {
			cut := scope.Cut(rows)
			require.NotEmpty(t, cut.Own)
			for name := range render(cut.Own) {
				require.NotEmpty(t, accounts[name].Kind, "%s of %s is in no account", name, scope)
			}
			for name := range render(cut.Context) {
				require.NotContains(t, render(cut.Own), name)
			}
		}
	})
}

// What the fold of a scope cannot know it does not guess.
func TestScopeFold_stops_at_what_may_be_another_scopes(t *testing.T) {
	t.Parallel()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(t, log.Registered())
	require.NoError(t, log.Opening(plan))
	_, err := log.Append(log.Claim(plan.EntryID(), 1))
	require.NoError(t, err)
	intent := log.Intent(plan.EntryID())
	margin := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Margin}
	spot := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
	misnamed := func(payload interface{ GetAccountId() string }) projection.Event {
		switch p := payload.(type) {
		case *eventv1.OrderAcked:
			p.AccountId = projectiontest.Margin.String()
			return log.Next(p)
		case *eventv1.FillReceived:
			p.AccountId = projectiontest.Margin.String()
			return log.Next(p)
		case *eventv1.ExchangeStateUncertain:
			p.AccountId = projectiontest.Margin.String()
			return log.Next(p)
		}
		return projection.Event{}
	}
	ack := misnamed(log.Ack(intent, 1))
	fill := misnamed(log.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.01"}))
	uncertain := misnamed(log.Uncertain(intent, 1, "place"))
	for name, c := range map[string]struct {
		scope projection.Scope
		event projection.Event
		stops bool
	}{
		"a report of another account's order":         {margin, ack, true},
		"a trade of another account's order":          {margin, fill, true},
		"an unknown outcome of another's order":       {margin, uncertain, true},
		"its own order's trade under another account": {spot, fill, true},
		"its own order's report under another":        {spot, ack, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fold, err := projection.NewScopeFold(c.scope, baseOf(c.scope.Cut(log.State.Rows())))
			require.NoError(t, err)
			_, err = fold.Fold(c.event)
			var outside *projection.Outside
			require.Equal(t, c.stops, errors.As(err, &outside), "%v", err)
			if c.stops {
				require.ErrorContains(t, err, "is not known to belong to "+c.scope.String())
			}
		})
	}
}

// An order of which a position's fold cannot know whose facts it has, stops that fold once it turns out to be the position's.
func TestScopeFold_remembers_what_it_did_not_fold(t *testing.T) {
	t.Parallel()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(t, log.Registered())
	require.NoError(t, log.Opening(plan))
	intent := log.Intent(plan.EntryID())
	scope := projection.Scope{Kind: projection.ScopePosition, ID: plan.PositionID()}
	begin := baseOf(scope.Cut(log.State.Rows()))
	at := len(log.Events)
	_, err := log.Append(log.Uncertain(intent, 1, "place"))
	require.NoError(t, err)
	claim := log.Claim(plan.EntryID(), 1)
	claim.Recovered = true
	_, err = log.Append(claim)
	require.NoError(t, err)

	fold, err := projection.NewScopeFold(scope, begin)
	require.NoError(t, err)
	var outside *projection.Outside
	for _, ev := range log.Events[at:] {
		if _, err = fold.Fold(ev); err != nil {
			break
		}
	}
	require.ErrorAs(t, err, &outside)
	require.Equal(t, projection.TableOrders, outside.Key.Table)
}

func TestNewScopeFold_needs_the_root(t *testing.T) {
	t.Parallel()
	_, err := projection.NewScopeFold(projection.Scope{Kind: projection.ScopePosition, ID: uuid.Max}, base{})
	require.ErrorContains(t, err, "has no row positions_current/")
	broken := errors.New("disk")
	_, err = projection.NewScopeFold(projection.Scope{Kind: projection.ScopeAccount, ID: uuid.Max}, failing{broken})
	require.ErrorIs(t, err, broken)
}

// failing is a base that cannot be read.
type failing struct{ err error }

func (f failing) Get(projection.Key) (projection.Row, error) { return nil, f.err }
func (f failing) All() ([]projection.Row, error)             { return nil, f.err }
