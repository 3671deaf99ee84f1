package checkpoint_test

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

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
	"github.com/robson/robson/services/snapshotter/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noTime  time.Time
	errAway = errors.New("the log is away")
)

// log stands in for eventlog: it knows what it was told, once.
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

// watcher notes what it was told.
type watcher struct {
	mu    sync.Mutex
	unfit []snapshot.Reason
}

func (w *watcher) Unfit(_ context.Context, _ checkpoint.Snapshot, why *snapshot.Unfit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unfit = append(w.unfit, why.Reason)
}

// testBundle is all of the package on a database with a tenant, whose position was opened.
type testBundle struct {
	*checkpoint.Maker
	*checkpoint.Checker
	*checkpoint.Verifier
	*checkpoint.Pruner
	world   *storetest.World
	store   *store.Store
	super   *pgxpool.Pool
	log     *log
	watcher *watcher
	tenant  uuid.UUID
	plan    projectiontest.Plan
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	db := testkit.Database(t)
	s, err := store.New(db.Pool(t, storetest.Role), store.Config{Lease: time.Millisecond})
	require.NoError(t, err)
	b := &testBundle{store: s, super: db.Pool(t, ""), log: &log{}, watcher: &watcher{}, plan: projectiontest.Long("a")}
	b.world = storetest.NewWorld(b.super)
	b.tenant = b.world.Log.TenantID
	require.NoError(t, b.world.Log.Registered())
	require.NoError(t, b.world.Log.Opening(b.plan))
	require.NoError(t, b.world.Write(t.Context()))
	b.Maker, err = checkpoint.NewMaker(s, s, b.log, snapshot.Config{})
	require.NoError(t, err)
	b.Checker = checkpoint.NewChecker(s, b.watcher)
	b.Verifier, b.Pruner = checkpoint.NewVerifier(s, b.Checker), checkpoint.NewPruner(s, b.Checker)
	return b
}

func (b *testBundle) scope() projection.Scope {
	return projection.Scope{Kind: projection.ScopePosition, ID: b.plan.PositionID()}
}

// make makes a snapshot of the position.
func (b *testBundle) make(t *testing.T) checkpoint.Snapshot {
	t.Helper()
	made, err := b.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerRequest)
	require.NoError(t, err)
	require.NoError(t, made.Untold)
	return made.Snapshot
}

// advance lets something happen that makes a later snapshot another one.
func (b *testBundle) advance(t *testing.T) {
	t.Helper()
	_, err := b.world.Log.Append(b.world.Log.Sample(uuid.NewString(), "USDT", "7"))
	require.NoError(t, err)
	require.NoError(t, b.world.Write(t.Context()))
}

// several makes as many snapshots of the position, the oldest first.
func (b *testBundle) several(t *testing.T, n int) []checkpoint.Snapshot {
	t.Helper()
	var all []checkpoint.Snapshot
	for range n {
		all = append(all, b.make(t))
		b.advance(t)
	}
	return all
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

// damage flips a bit of a snapshot's state.
func (b *testBundle) damage(t *testing.T, id uuid.UUID) {
	t.Helper()
	b.exec(t, "update snapshots set state = set_byte(state, octet_length(state) / 2, get_byte(state, octet_length(state) / 2) # 1) where snapshot_id = $1", id)
}

func requireUnfit(t *testing.T, err error, reasons ...snapshot.Reason) {
	t.Helper()
	var why *snapshot.Unfit
	require.ErrorAs(t, err, &why)
	require.Contains(t, reasons, why.Reason)
}
