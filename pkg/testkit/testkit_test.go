package testkit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/testkit"
)

func scalar[T any](t *testing.T, db *testkit.DB, sql string, args ...any) T {
	t.Helper()
	rows, err := db.Pool(t, "").Query(t.Context(), sql, args...)
	require.NoError(t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return v
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	t.Run("has the schema, and is the test's own", func(t *testing.T) {
		t.Parallel()
		one, two := testkit.Database(t), testkit.Database(t)
		require.NotEqual(t, one.URL(), two.URL())
		_, err := one.Pool(t, "").Exec(t.Context(), "create table mine ()")
		require.NoError(t, err)
		for db, want := range map[*testkit.DB]bool{one: true, two: false} {
			require.Equal(t, want, scalar[bool](t, db, "select to_regclass('mine') is not null"))
			require.True(t, scalar[bool](t, db, "select to_regclass('schema_migrations') is not null"))
		}
	})
	t.Run("is gone after the test", func(t *testing.T) {
		t.Parallel()
		var gone string
		t.Run("test", func(t *testing.T) { gone = testkit.Database(t).URL() })
		_, err := pgx.Connect(t.Context(), gone)
		require.ErrorContains(t, err, "3D000")
	})
	t.Run("is empty when asked for empty", func(t *testing.T) {
		t.Parallel()
		require.Zero(t, scalar[int](t, testkit.EmptyDatabase(t), "select count(*)::int from pg_tables where schemaname = 'public'"))
	})
	t.Run("is reached as a role without the superuser's rights", func(t *testing.T) {
		t.Parallel()
		db := testkit.EmptyDatabase(t)
		_, err := db.Pool(t, "pg_monitor").Exec(t.Context(), "create table mine ()")
		require.ErrorContains(t, err, "42501")
	})
}

func TestMarketData(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ROBSON_MARKET_DATA", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "klines.json"), nil, 0o600))
	require.Equal(t, filepath.Join(dir, "klines.json"), testkit.MarketData(t, "klines.json"))
	skipped := false
	t.Run("absent", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		testkit.MarketData(t, "nothing.json")
	})
	require.True(t, skipped)
}

// recorder is a testing.TB that remembers what was logged.
type recorder struct {
	testing.TB
	lines   []string
	cleanup []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Log(args ...any)  { r.lines = append(r.lines, args[0].(string)) }
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }

func TestLogger(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	log := testkit.Logger(r)
	log.DebugContext(t.Context(), "hello", "error", errors.New("x"))
	require.Len(t, r.lines, 1)
	require.True(t, strings.HasSuffix(r.lines[0], `level=DEBUG msg=hello error=x`), r.lines[0])
	for _, f := range r.cleanup {
		f()
	}
	log.InfoContext(t.Context(), "too late")
	require.Len(t, r.lines, 1)
}
