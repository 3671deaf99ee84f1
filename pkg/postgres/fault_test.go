package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
)

func TestFault_ByState(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]fault.Kind{
		"40001": fault.Unavailable, "40P01": fault.Unavailable, "55P03": fault.Unavailable, "57014": fault.Unavailable,
		"57P01": fault.Unavailable, "57P03": fault.Unavailable, "53300": fault.Unavailable, "53100": fault.Unavailable,
		"08006": fault.Unavailable, "25P03": fault.Unavailable, "25006": fault.Unavailable, "58030": fault.Unavailable,
		"23505": fault.Duplicate, "23P01": fault.Duplicate, "23502": fault.Invalid, "23503": fault.Invalid, "23514": fault.Unavailable,
		"22003": fault.Invalid, "22P02": fault.Invalid, "22021": fault.Invalid,
		"42501": fault.Denied, "XX001": fault.Corrupt, "XX002": fault.Corrupt,
		"42P01": fault.Unknown, "42601": fault.Unknown, "P0001": fault.Unknown, "": fault.Unknown,
	} {
		cause := fmt.Errorf("append: %w", &pgconn.PgError{Code: code, Message: "text"})
		err := postgres.Fault(cause)
		require.Equal(t, want, fault.KindOf(err), code)
		require.ErrorIs(t, err, cause, code)
	}
}

func TestFault_OtherErrors(t *testing.T) {
	t.Parallel()
	require.NoError(t, postgres.Fault(nil))
	require.True(t, fault.Is(postgres.Fault(pgx.ErrNoRows), fault.NotFound))
	require.True(t, fault.Is(postgres.Fault(io.ErrUnexpectedEOF), fault.Unavailable))
	for _, err := range []error{context.Canceled, context.DeadlineExceeded, errors.New("other"), fault.New(fault.Conflict, "X", "kept")} {
		require.Equal(t, err, postgres.Fault(err))
	}
	kept := fault.Wrap(&pgconn.PgError{Code: "23505"}, fault.Refused, "TAKEN", "kept")
	require.True(t, fault.Is(postgres.Fault(kept), fault.Refused), "what has a kind keeps it")
}

func TestFault_ByConstraintName(t *testing.T) {
	t.Parallel()
	pool := testkit.EmptyDatabase(t).Pool(t, "")
	_, err := pool.Exec(t.Context(), "create table thing (id int constraint thing_pkey primary key, n int constraint thing_n_positive check (n > 0))")
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "insert into thing values (1, 1)")
	require.NoError(t, err)
	taken := postgres.Constraint{Name: "thing_pkey", Kind: fault.Refused, Reason: "THING_EXISTS", Message: "there is such a thing"}

	_, err = pool.Exec(t.Context(), "insert into thing values (1, 1)")
	require.True(t, fault.Is(postgres.Fault(err), fault.Duplicate))
	got := fault.As(postgres.Fault(err, taken))
	require.Equal(t, fault.Refused, got.Kind)
	require.Equal(t, "THING_EXISTS", got.Reason)
	require.Equal(t, "there is such a thing", got.Message)

	_, err = pool.Exec(t.Context(), "insert into thing values (2, 0)")
	require.Equal(t, postgres.ReasonConstraint, fault.ReasonOf(postgres.Fault(err, taken)), "another constraint is not meant")
}

func TestFault_ServerGone(t *testing.T) {
	t.Parallel()
	pool := testkit.EmptyDatabase(t).Pool(t, "")
	_, err := pool.Exec(t.Context(), "select pg_terminate_backend(pg_backend_pid())")
	require.True(t, fault.Is(postgres.Fault(err), fault.Unavailable), "%v", err)
	pool.Close()
	_, err = pool.Exec(t.Context(), "select 1")
	require.Error(t, postgres.Fault(err))
}
