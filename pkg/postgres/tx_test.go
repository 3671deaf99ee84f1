package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
)

type txBundle struct {
	db   *testkit.DB
	pool *pgxpool.Pool
}

func setupTx(t *testing.T) txBundle {
	t.Helper()
	db := testkit.EmptyDatabase(t)
	pool := db.Pool(t, "")
	_, err := pool.Exec(t.Context(), "create table counter (id int constraint counter_pkey primary key, n int not null); insert into counter values (1, 0), (2, 0)")
	require.NoError(t, err)
	return txBundle{db: db, pool: pool}
}

func (b txBundle) n(t *testing.T, id int) int {
	t.Helper()
	var n int
	require.NoError(t, b.pool.QueryRow(t.Context(), "select n from counter where id = $1", id).Scan(&n))
	return n
}

func increment(ctx context.Context, tx pgx.Tx, id int) error {
	_, err := tx.Exec(ctx, "update counter set n = n + 1 where id = $1", id)
	return err
}

func TestInTx(t *testing.T) {
	t.Parallel()

	t.Run("commits what returns nil", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		require.NoError(t, postgres.InTx(t.Context(), b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			return increment(ctx, tx, 1)
		}))
		require.Equal(t, 1, b.n(t, 1))
	})

	t.Run("rolls back and returns an error as it is", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		mine := errors.New("mine")
		runs := 0
		err := postgres.InTx(t.Context(), b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			runs++
			return errors.Join(increment(ctx, tx, 1), mine)
		})
		require.ErrorIs(t, err, mine)
		require.Equal(t, 1, runs)
		require.Zero(t, b.n(t, 1))
	})

	t.Run("rolls back a panic and gives the connection back", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		require.PanicsWithValue(t, "boom", func() {
			_ = postgres.InTx(t.Context(), b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				if err := increment(ctx, tx, 1); err != nil {
					return err
				}
				panic("boom")
			})
		})
		require.Zero(t, b.n(t, 1))
		require.Zero(t, b.pool.Stat().AcquiredConns())
	})

	t.Run("rolls back when the caller has gone", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		ctx, cancel := context.WithCancel(t.Context())
		err := postgres.InTx(ctx, b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			defer cancel()
			return increment(ctx, tx, 1)
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, b.n(t, 1))
	})

	t.Run("may only read when told so", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		err := postgres.InTx(t.Context(), b.pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
			return increment(ctx, tx, 1)
		})
		require.True(t, fault.Is(err, fault.Unavailable))
	})

	t.Run("reports an error that fn swallowed", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		err := postgres.InTx(t.Context(), b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "select 1/0")
			return nil
		})
		require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
		require.False(t, postgres.IsCommitUncertain(err))
	})
}

func TestInTx_Retries(t *testing.T) {
	t.Parallel()
	opts := postgres.TxOptions{Isolation: pgx.Serializable, TriesMax: 3, Backoff: time.Millisecond}

	t.Run("a serialization failure, until it passes", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		runs := 0
		require.NoError(t, postgres.InTx(t.Context(), b.pool, opts, func(ctx context.Context, tx pgx.Tx) error {
			runs++
			var n int
			if err := tx.QueryRow(ctx, "select n from counter where id = 1").Scan(&n); err != nil {
				return err
			}
			if runs == 1 { // somebody else is faster
				_, err := b.pool.Exec(ctx, "update counter set n = n + 10 where id = 1")
				require.NoError(t, err)
			}
			return increment(ctx, tx, 1)
		}))
		require.Equal(t, 2, runs)
		require.Equal(t, 11, b.n(t, 1))
	})

	t.Run("a deadlock", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		first := make(chan struct{}, 2)
		both := make(chan struct{})
		go func() { <-first; <-first; close(both) }()
		crossing := func(a, z int) error {
			met := false
			return postgres.InTx(t.Context(), b.pool, postgres.TxOptions{Backoff: time.Millisecond}, func(ctx context.Context, tx pgx.Tx) error {
				if err := increment(ctx, tx, a); err != nil {
					return err
				}
				if !met {
					met = true
					first <- struct{}{}
					<-both
				}
				return increment(ctx, tx, z)
			})
		}
		other := make(chan error)
		go func() { other <- crossing(2, 1) }()
		require.NoError(t, crossing(1, 2))
		require.NoError(t, <-other)
		require.Equal(t, 2, b.n(t, 1))
		require.Equal(t, 2, b.n(t, 2))
	})

	t.Run("at most so often, and says what it was", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		runs := 0
		err := postgres.InTx(t.Context(), b.pool, opts, func(context.Context, pgx.Tx) error {
			runs++
			return &pgconn.PgError{Code: "40001"}
		})
		require.Equal(t, 3, runs)
		require.True(t, fault.Is(err, fault.Unavailable))
		require.Equal(t, postgres.ReasonSerialization, fault.ReasonOf(err))
	})

	t.Run("not past the caller's end", func(t *testing.T) {
		t.Parallel()
		b := setupTx(t)
		ctx, cancel := context.WithCancel(t.Context())
		err := postgres.InTx(ctx, b.pool, postgres.TxOptions{Backoff: time.Hour}, func(context.Context, pgx.Tx) error {
			cancel()
			return &pgconn.PgError{Code: "40P01"}
		})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestWait_GrowsToItsLimit(t *testing.T) {
	t.Parallel()
	for try := 1; try < 100; try++ {
		d := postgres.Wait(10*time.Millisecond, try)
		require.Positive(t, d)
		require.LessOrEqual(t, d, postgres.BackoffMax)
		if try == 1 {
			require.LessOrEqual(t, d, 10*time.Millisecond)
		}
	}
}

// cutter passes bytes between a client and the server until it is told to cut the line when COMMIT goes by: after
// the server got it, before the client hears of it.
func cutter(t *testing.T, server string) (string, chan struct{}) {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	upstream := u.Host
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	armed := make(chan struct{})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, upstream, armed)
		}
	}()
	u.Host = l.Addr().String()
	return u.String(), armed
}

func relay(client net.Conn, upstream string, armed chan struct{}) {
	server, err := net.Dial("tcp4", upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	defer func() { _ = client.Close() }()
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-armed:
			_ = server.Close()
			return
		default:
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestInTx_UncertainCommit(t *testing.T) {
	t.Parallel()
	b := setupTx(t)
	through, armed := cutter(t, b.db.URL())
	pool, err := postgres.New(t.Context(), postgres.Config{URL: through, ConnsMax: 1})
	require.NoError(t, err)
	defer pool.Close()
	runs := 0
	err = postgres.InTx(t.Context(), pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		runs++
		defer close(armed)
		return increment(ctx, tx, 1)
	})
	require.True(t, postgres.IsCommitUncertain(err), "%v", err)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Equal(t, 1, runs, "what may stand is not done again")
	require.Equal(t, 1, b.n(t, 1), "and here it stands")
}

func TestInTx_LockTimeoutIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setupTx(t)
	cfg := b.db.Config("")
	cfg.LockTimeout = 20 * time.Millisecond
	impatient, err := postgres.New(t.Context(), cfg)
	require.NoError(t, err)
	defer impatient.Close()
	require.NoError(t, postgres.InTx(t.Context(), b.pool, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if err := increment(ctx, tx, 1); err != nil {
			return err
		}
		err := postgres.InTx(ctx, impatient, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error { return increment(ctx, tx, 1) })
		require.Equal(t, postgres.ReasonLockTimeout, fault.ReasonOf(err))
		require.True(t, fault.Is(err, fault.Unavailable))
		return nil
	}))
}

// TestInTx_DeadPeerLetsGo shows that a client which holds a row and says nothing does not hold it for long.
func TestInTx_DeadPeerLetsGo(t *testing.T) {
	t.Parallel()
	b := setupTx(t)
	cfg := b.db.Config("")
	cfg.IdleInTransactionTimeout = 30 * time.Millisecond
	silent, err := postgres.New(t.Context(), cfg)
	require.NoError(t, err)
	defer silent.Close()
	err = postgres.InTx(t.Context(), silent, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if err := increment(ctx, tx, 1); err != nil {
			return err
		}
		_, err := b.pool.Exec(ctx, "update counter set n = 5 where id = 1") // gets the row once the server has let go
		return err
	})
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.Equal(t, 5, b.n(t, 1))
}
