package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNew_SetsTheSession(t *testing.T) {
	t.Parallel()
	db := testkit.EmptyDatabase(t)
	cfg := db.Config("pg_monitor")
	cfg.Application = "robson-eventlog"
	cfg.LockTimeout = 1500 * time.Millisecond
	pool, err := postgres.New(t.Context(), cfg)
	require.NoError(t, err)
	defer pool.Close()
	for setting, want := range map[string]string{
		"role": "pg_monitor", "timezone": "UTC", "application_name": "robson-eventlog", "search_path": "public",
		"default_transaction_isolation": "read committed", "transaction_isolation": "read committed",
		"lock_timeout": "1500ms", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "10s",
	} {
		rows, err := pool.Query(t.Context(), "select current_setting($1)", setting)
		require.NoError(t, err)
		got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, want, got, setting)
	}
	var user, session string
	require.NoError(t, pool.QueryRow(t.Context(), "select current_user, session_user").Scan(&user, &session))
	require.Equal(t, "pg_monitor", user)
	require.NotEqual(t, user, session)
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	db := testkit.EmptyDatabase(t)
	for name, tc := range map[string]struct {
		change func(*postgres.Config)
		text   string
	}{
		"no URL":                        {func(c *postgres.Config) { c.URL = "" }, "URL is empty"},
		"a URL that is none":            {func(c *postgres.Config) { c.URL = "postgres://u:secret@h:port/x" }, "URL"},
		"a role that is no name":        {func(c *postgres.Config) { c.Role = "x; drop" }, "Role"},
		"a role that is not there":      {func(c *postgres.Config) { c.Role = "robson_nobody" }, "robson_nobody"},
		"too many connections":          {func(c *postgres.Config) { c.ConnsMax = 1001 }, "ConnsMax"},
		"negative connections":          {func(c *postgres.Config) { c.ConnsMin = -1 }, "ConnsMin"},
		"less than a millisecond":       {func(c *postgres.Config) { c.TCPUserTimeout = time.Microsecond }, "TCPUserTimeout"},
		"a negative time-out":           {func(c *postgres.Config) { c.StatementTimeout = -time.Second }, "StatementTimeout"},
		"a lock time-out never reached": {func(c *postgres.Config) { c.LockTimeout = time.Hour }, "LockTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := db.Config("")
			tc.change(&cfg)
			_, err := postgres.New(t.Context(), cfg)
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	t.Run("a server that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := postgres.New(t.Context(), postgres.Config{URL: "postgres://u:secret@127.0.0.1:1/x"})
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.NotContains(t, err.Error(), "secret")
	})
}

func TestQueryName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "EventAppend", postgres.QueryName("-- name: EventAppend\ninsert into event_log"))
	require.Equal(t, "EventAppend", postgres.QueryName("\n-- name: EventAppend"))
	require.Equal(t, "begin", postgres.QueryName("BEGIN read write"))
	require.Equal(t, "commit", postgres.QueryName("commit"))
}
