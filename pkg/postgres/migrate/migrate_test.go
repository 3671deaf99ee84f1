package migrate_test

import (
	"context"
	"io/fs"
	"slices"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/migrations"
	"github.com/robson/robson/pkg/postgres/migrate"
	"github.com/robson/robson/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newest is the highest number of the repository's migrations.
func newest(t *testing.T) (uint, int) {
	t.Helper()
	ups, err := fs.Glob(migrations.FS, "*.up.sql")
	require.NoError(t, err)
	require.NotEmpty(t, ups)
	number, err := strconv.ParseUint(slices.Max(ups)[:3], 10, 32)
	require.NoError(t, err)
	return uint(number), len(ups)
}

// shape is every column of the schema, for comparing.
func shape(t *testing.T, url string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), `select format('%s.%s %s', table_name, column_name, data_type) from information_schema.columns
		where table_schema = 'public' and table_name <> 'schema_migrations' order by table_name, ordinal_position`)
	require.NoError(t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return columns
}

func TestMigrations_UpDownUp(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyDatabase(t).URL()
	number, count := newest(t)

	at, err := migrate.Current(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, migrate.Version{}, at)

	require.NoError(t, migrate.Up(t.Context(), url))
	require.NoError(t, migrate.Up(t.Context(), url), "nothing left to do")
	at, err = migrate.Current(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, migrate.Version{Number: number}, at)
	full := shape(t, url)
	require.NotEmpty(t, full)

	require.NoError(t, migrate.Down(t.Context(), url, 1))
	if count > 1 {
		require.NoError(t, migrate.To(t.Context(), url, 0))
	}
	require.Empty(t, shape(t, url))
	require.NoError(t, migrate.To(t.Context(), url, number))
	require.Equal(t, full, shape(t, url))
}

func TestUp_TwiceAtOnce(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyDatabase(t).URL()
	other := make(chan error)
	go func() { other <- migrate.Up(t.Context(), url) }()
	require.NoError(t, migrate.Up(t.Context(), url))
	require.NoError(t, <-other)
}

func TestUp_Dirty(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyDatabase(t).URL()
	files := fstest.MapFS{
		"001_good.up.sql":   {Data: []byte("create table good ();")},
		"001_good.down.sql": {Data: []byte("drop table good;")},
		"002_bad.up.sql":    {Data: []byte("create table half ();\nselect nonsense;")},
		"002_bad.down.sql":  {Data: []byte("drop table half;")},
	}
	err := migrate.UpWith(t.Context(), url, files)
	require.ErrorContains(t, err, `line 2: migration failed: column "nonsense" does not exist`)
	at, err := migrate.Current(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, migrate.Version{Number: 2, Dirty: true}, at)

	err = migrate.UpWith(t.Context(), url, files)
	require.ErrorIs(t, err, migrate.ErrDirty)
	require.ErrorContains(t, err, "robson migrate force 2")

	require.NoError(t, migrate.Force(t.Context(), url, 1))
	files["002_bad.up.sql"] = &fstest.MapFile{Data: []byte("create table half ();")}
	require.NoError(t, migrate.UpWith(t.Context(), url, files), "half was rolled back with its file")
	require.NoError(t, migrate.Force(t.Context(), url, 0))
	at, err = migrate.Current(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, migrate.Version{}, at)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyDatabase(t).URL()
	require.ErrorContains(t, migrate.Down(t.Context(), url, 0), "0 steps")
	require.Error(t, migrate.To(t.Context(), url, 9999))
	require.ErrorContains(t, migrate.Up(t.Context(), "postgres://u:secret@h:port/x"), "database URL")
	err := migrate.Up(t.Context(), "postgres://u:secret@127.0.0.1:1/x")
	require.ErrorContains(t, err, "connect")
	require.NotContains(t, err.Error(), "secret")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, migrate.Up(ctx, url), context.Canceled)
}
