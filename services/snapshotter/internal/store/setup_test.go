package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a store on a database with a tenant, whose position was opened.
type testBundle struct {
	*store.Store
	*storetest.World
	super  *pgxpool.Pool
	tenant uuid.UUID
	plan   projectiontest.Plan
}

func setup(t *testing.T, cfg store.Config) *testBundle {
	t.Helper()
	db := testkit.Database(t)
	s, err := store.New(db.Pool(t, storetest.Role), cfg)
	require.NoError(t, err)
	b := &testBundle{Store: s, super: db.Pool(t, ""), plan: projectiontest.Long("a")}
	b.plan.Strategy = projectiontest.StrategyID
	b.World = storetest.NewWorld(b.super)
	b.tenant = b.Log.TenantID
	require.NoError(t, b.Log.Registered())
	require.NoError(t, b.Log.Opening(b.plan))
	_, err = b.Log.Append(b.Log.Claim(b.plan.EntryID(), 1))
	require.NoError(t, err)
	require.NoError(t, b.Write(t.Context()))
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

func (b *testBundle) position() projection.Scope {
	return projection.Scope{Kind: projection.ScopePosition, ID: b.plan.PositionID()}
}

// save stores a snapshot of a scope as of now.
func (b *testBundle) save(t *testing.T, scope projection.Scope) checkpoint.Snapshot {
	t.Helper()
	state, err := b.State(t.Context(), b.tenant, scope)
	require.NoError(t, err)
	return b.saveAt(t, scope, state, state.Position)
}

// saveAt stores a snapshot as if it had been made at a position.
func (b *testBundle) saveAt(t *testing.T, scope projection.Scope, state *checkpoint.State, position int64) checkpoint.Snapshot {
	t.Helper()
	meta := snapshot.Meta{TenantID: b.tenant, Scope: scope, AsOf: position, ChainHash: state.Hash, RulesVersion: state.RulesVersion}
	sealed, err := snapshot.Encode(meta, state.Cut, snapshot.Config{})
	require.NoError(t, err)
	saved, err := b.Save(t.Context(), sealed, checkpoint.Snapshot{
		ID: checkpoint.IDOf(meta), AsOfTime: state.IngestedAt, Trigger: checkpoint.TriggerRequest, EventCount: state.EventCount,
		StreamCount: state.StreamCount, Streams: state.Streams,
	})
	require.NoError(t, err)
	return saved
}

func texts(rows []projection.Row) map[string]string {
	out := map[string]string{}
	for _, row := range rows {
		out[row.Key().String()] = string(projection.RowJSON(row))
	}
	return out
}

var noTime time.Time
