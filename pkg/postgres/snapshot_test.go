package postgres_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	const sum = "select sum(n) from counter"
	scan := func(into *int) func(pgx.Row) error {
		return func(row pgx.Row) error { return row.Scan(into) }
	}

	t.Run("all its queries see the same state", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		var before, after int
		require.NoError(t, postgres.Snapshot(t.Context(), b.pool, func(batch *pgx.Batch) {
			batch.Queue(sum).QueryRow(func(row pgx.Row) error {
				_, err := b.pool.Exec(t.Context(), "update counter set n = n + 1")
				return errors.Join(err, row.Scan(&before))
			})
			batch.Queue("select pg_sleep(0.05)")
			batch.Queue(sum).QueryRow(scan(&after))
		}))
		require.Zero(t, before)
		require.Zero(t, after)
		require.Equal(t, 1, b.n(t, 1))
	})

	t.Run("writes nothing", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		err := postgres.Snapshot(t.Context(), b.pool, func(batch *pgx.Batch) { batch.Queue("update counter set n = 7") })
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.Zero(t, b.n(t, 1))
	})

	t.Run("an error leaves no connection inside a transaction", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		mine := errors.New("mine")
		for range 20 {
			err := postgres.Snapshot(t.Context(), b.pool, func(batch *pgx.Batch) {
				batch.Queue(sum).QueryRow(func(pgx.Row) error { return mine })
			})
			require.ErrorIs(t, err, mine)
			require.Error(t, postgres.Snapshot(t.Context(), b.pool, func(batch *pgx.Batch) { batch.Queue("select 1/0") }))
		}
		var open int
		require.NoError(t, b.pool.QueryRow(t.Context(),
			"select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()").Scan(&open))
		require.Zero(t, open)
	})
}
