package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a store on a database of the test's own.
type bundle struct {
	*store.Store
	clock  *clock.Fake
	pool   *pgxpool.Pool
	writer *storetest.Writer
	rng    *rand.Rand
	tenant uuid.UUID
}

func setup(t testing.TB, cfg store.Config) *bundle {
	t.Helper()
	db := testkit.Database(t)
	writer, pool := storetest.NewWriter(db.Pool(t, "")), db.Pool(t, storetest.Role)
	clk := clock.NewFake(storetest.Epoch)
	s, err := store.New(clk, pool, cfg)
	require.NoError(t, err)
	return &bundle{
		Store: s, clock: clk, pool: pool, writer: writer, rng: rand.New(rand.NewPCG(1, 2)), tenant: uuid.New(),
	}
}

func (b *bundle) append(t testing.TB, position int64, rows ...projection.Row) {
	t.Helper()
	require.NoError(t, b.writer.Append(t.Context(), b.tenant, position, rows...))
}

// order is a random order of the bundle's tenant, last changed at a position.
func (b *bundle) order(position int64, change func(*projection.Order)) *projection.Order {
	o := storetest.Random[projection.Order](b.rng)
	o.TenantID, o.LastPosition = b.tenant, position
	if change != nil {
		change(o)
	}
	return o
}

func (b *bundle) position(position int64, change func(*projection.Position)) *projection.Position {
	p := storetest.Random[projection.Position](b.rng)
	p.TenantID, p.LastPosition = b.tenant, position
	if change != nil {
		change(p)
	}
	return p
}

// requireRows compares by canonical JSON: two rows are equal iff theirs is.
func requireRows(t require.TestingT, want, got []projection.Row, msg ...any) {
	require.Equal(t, texts(want), texts(got), msg...)
}

func texts(rows []projection.Row) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = row.Key().String() + " " + string(projection.RowJSON(row))
	}
	return out
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]store.Config{
		"a poll that never rests":    {WaitPoll: time.Microsecond},
		"a wait shorter than a poll": {WaitPoll: time.Second, WaitMax: time.Millisecond},
		"no waiters":                 {WaitersMax: -1},
		"no rows to fetch":           {ExportFetch: -1},
		"no exports":                 {ExportsMax: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := store.New(clock.System(), nil, cfg)
			require.Error(t, err)
		})
	}
}

func TestStore_Get(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	order := b.order(7, nil)
	b.append(t, 9, order, b.order(8, nil))
	orders := projection.TableNamed(projection.TableOrders)

	t.Run("gives the whole row and the head", func(t *testing.T) {
		t.Parallel()
		found, err := b.Get(t.Context(), b.tenant, 0, orders, store.IsID("order_id", order.OrderID))
		require.NoError(t, err)
		requireRows(t, []projection.Row{order}, []projection.Row{found.Row})
		require.EqualValues(t, 9, found.AsOf)
	})

	t.Run("tells what is not there", func(t *testing.T) {
		t.Parallel()
		found, err := b.Get(t.Context(), b.tenant, 0, orders, store.IsID("order_id", uuid.New()))
		require.NoError(t, err)
		require.Nil(t, found.Row)
		require.EqualValues(t, 9, found.AsOf)
	})

	t.Run("sees nothing of another tenant", func(t *testing.T) {
		t.Parallel()
		found, err := b.Get(t.Context(), uuid.New(), 0, orders, store.IsID("order_id", order.OrderID))
		require.NoError(t, err)
		require.Equal(t, store.Found{}, found)
	})

	t.Run("a database that went away is unavailable", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Get(ctx, b.tenant, 0, orders)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestStore_rowLevelSecurity goes past the store's own tenant condition: the database itself hides other tenants.
func TestStore_rowLevelSecurity(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	other := uuid.New()
	for i, table := range projection.Tables() {
		row := table.NewRow()
		storetest.RandomInto(b.rng, row)
		require.NoError(t, b.writer.Append(t.Context(), row.Tenant(), int64(i+1), row))
	}
	tables := []string{"tenant_log"}
	for _, table := range projection.Tables() {
		tables = append(tables, table.Name)
	}
	for _, chosen := range []string{"", other.String()} {
		for _, table := range tables {
			tx, err := b.pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "select set_config('robson.tenants', $1, true)", chosen)
			require.NoError(t, err)
			var seen int
			require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from "+table).Scan(&seen))
			require.Zero(t, seen, "%s with tenants %q", table, chosen)
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	for _, table := range tables {
		for _, sql := range []string{"delete from " + table, "update " + table + " set tenant_id = tenant_id", "truncate " + table} {
			_, err := b.pool.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "permission denied", sql)
		}
	}
}

func TestStore_minPosition(t *testing.T) {
	t.Parallel()
	orders := projection.TableNamed(projection.TableOrders)

	t.Run("waits until the head is there, and reads then", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		order := b.order(5, nil)
		b.append(t, 3)
		type answer struct {
			found store.Found
			err   error
		}
		answers := make(chan answer)
		go func() {
			found, err := b.Get(t.Context(), b.tenant, 5, orders, store.IsID("order_id", order.OrderID))
			answers <- answer{found, err}
		}()
		b.clock.WaitFor(1)
		b.clock.Advance(10 * time.Millisecond) // looks in vain
		b.clock.WaitFor(1)
		b.append(t, 6, order)
		b.clock.Advance(10 * time.Millisecond)
		got := <-answers
		require.NoError(t, got.err)
		require.EqualValues(t, 6, got.found.AsOf)
		requireRows(t, []projection.Row{order}, []projection.Row{got.found.Row})
	})

	t.Run("says how far it is when the caller's deadline comes", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		b.append(t, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := b.Get(ctx, b.tenant, 5, orders)
		requireNotReached(t, err)
		require.NoError(t, ctx.Err(), "there is time left to answer")
	})

	t.Run("says so after the longest wait", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{WaitMax: 50 * time.Millisecond})
		b.append(t, 3)
		_, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Least: 5})
		requireNotReached(t, err)
		_, err = b.DecisionView(t.Context(), b.tenant, store.ViewParams{Least: 5})
		requireNotReached(t, err)
		err = b.Export(t.Context(), b.tenant, store.ExportParams{Least: 5}, nil, nil)
		requireNotReached(t, err)
	})

	t.Run("bounds those who wait", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{WaitersMax: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := b.Get(ctx, b.tenant, 5, orders)
			ended <- err
		}()
		b.clock.WaitFor(1)
		_, err := b.Get(t.Context(), b.tenant, 5, orders)
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		require.NotZero(t, fault.As(err).RetryAfter)
		cancel()
		require.Error(t, <-ended)
	})

	t.Run("a query that fails while waiting is told", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		ended := make(chan error)
		go func() {
			_, err := b.Get(t.Context(), b.tenant, 5, orders)
			ended <- err
		}()
		b.clock.WaitFor(1)
		_, err := b.writer.Pool().Exec(t.Context(), "alter table tenant_log rename to tenant_log_gone")
		require.NoError(t, err)
		b.clock.Advance(10 * time.Millisecond)
		require.ErrorContains(t, <-ended, "tenant_log")
	})
}

func requireNotReached(t *testing.T, err error) {
	t.Helper()
	require.True(t, fault.Is(err, fault.Stale), "%v", err)
	require.Equal(t, "POSITION_NOT_REACHED", fault.ReasonOf(err))
	require.Equal(t, map[string]string{"min_position": "5", "position": "3"}, fault.As(err).Metadata)
}

func id(n int) uuid.UUID { return uuid.MustParse(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }
