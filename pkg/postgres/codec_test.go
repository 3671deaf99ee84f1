package postgres_test

import (
	"math/big"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// connect is a connection with the codecs, text or binary.
func connect(t *testing.T, url string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	cfg.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	postgres.RegisterCodecs(conn.TypeMap())
	return conn
}

func TestCodec_Decimal(t *testing.T) {
	t.Parallel()
	db := testkit.EmptyDatabase(t)
	for name, mode := range map[string]pgx.QueryExecMode{
		"binary": pgx.QueryExecModeCacheStatement, "text": pgx.QueryExecModeSimpleProtocol, "guessed types": pgx.QueryExecModeExec,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, db.URL(), mode)
			for _, s := range []string{
				"0", "-0", "1", "-1", "0.000000000000000001", "-0.00000334", "6333.42483", "1e20", "1e-18", "10000", "0.1000",
				"99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999", "1.5000000000000000000000",
			} {
				var got decimal.Decimal
				var text string
				require.NoError(t, conn.QueryRow(t.Context(), "select $1::numeric, $2::numeric::text", dec(s), dec(s)).Scan(&got, &text), s)
				require.True(t, got.Equal(dec(s)), "%s came back as %s", s, got)
				require.True(t, dec(text).Equal(dec(s)), "%s was understood as %s", s, text)
			}
		})
	}

	t.Run("any that fits numeric(38,18) comes back equal", func(t *testing.T) {
		t.Parallel()
		conn := connect(t, db.URL(), pgx.QueryExecModeCacheStatement)
		rapid.Check(t, func(r *rapid.T) {
			digits := rapid.StringMatching(`-?[1-9][0-9]{0,37}`).Draw(r, "digits")
			n, ok := new(big.Int).SetString(digits, 10)
			require.True(t, ok)
			d := decimal.NewFromBigInt(n, -rapid.Int32Range(0, 18).Draw(r, "places"))
			var got decimal.Decimal
			require.NoError(t, conn.QueryRow(t.Context(), "select $1::numeric", d).Scan(&got))
			require.True(t, got.Equal(d), "%s came back as %s", d, got)
		})
	})
}

func TestCodec_DecimalRefuses(t *testing.T) {
	t.Parallel()
	conn := connect(t, testkit.EmptyDatabase(t).URL(), pgx.QueryExecModeCacheStatement)
	for name, tc := range map[string]struct {
		value decimal.Decimal
		text  string
	}{
		"what PostgreSQL would round":    {dec("0.0000000000000000001"), "would be rounded"},
		"a huge exponent":                {decimal.New(1, 1_000_000_000), "does not fit"},
		"a tiny exponent":                {decimal.New(1, -1_000_000_000), "does not fit"},
		"more digits than 38 in integer": {decimal.New(1, 39), "does not fit"},
	} {
		_, err := conn.Exec(t.Context(), "select $1::numeric", tc.value)
		require.ErrorContains(t, err, tc.text, name)
	}
	var d decimal.Decimal
	require.ErrorContains(t, conn.QueryRow(t.Context(), "select null::numeric").Scan(&d), "NULL")
	require.ErrorContains(t, conn.QueryRow(t.Context(), "select 'NaN'::numeric").Scan(&d), "finite")
	var n decimal.NullDecimal
	require.ErrorContains(t, conn.QueryRow(t.Context(), "select 'Infinity'::numeric").Scan(&n), "finite")
	var zero decimal.Decimal
	require.NoError(t, conn.QueryRow(t.Context(), "select $1::numeric", decimal.New(0, 1_000_000)).Scan(&zero))
	require.True(t, zero.IsZero())
}

func TestCodec_NullsPointersAndArrays(t *testing.T) {
	t.Parallel()
	conn := connect(t, testkit.EmptyDatabase(t).URL(), pgx.QueryExecModeCacheStatement)
	id := uuid.MustParse("018f3a5c-0000-7000-8000-000000000001")

	var d, none decimal.NullDecimal
	var u, noID uuid.NullUUID
	const sql = "select $1::numeric, $2::numeric, $3::uuid, $4::uuid"
	require.NoError(t, conn.QueryRow(t.Context(), sql,
		decimal.NewNullDecimal(dec("1.25")), decimal.NullDecimal{}, uuid.NullUUID{UUID: id, Valid: true}, uuid.NullUUID{}).Scan(&d, &none, &u, &noID))
	require.True(t, d.Valid && d.Decimal.Equal(dec("1.25")))
	require.False(t, none.Valid)
	require.Equal(t, uuid.NullUUID{UUID: id, Valid: true}, u)
	require.Equal(t, uuid.NullUUID{}, noID)

	var pd, pnil *decimal.Decimal
	var pu *uuid.UUID
	value := dec("2.5")
	require.NoError(t, conn.QueryRow(t.Context(), "select $1::numeric, $2::numeric, $3::uuid", &value, (*decimal.Decimal)(nil), &id).Scan(&pd, &pnil, &pu))
	require.True(t, pd.Equal(value))
	require.Nil(t, pnil)
	require.Equal(t, id, *pu)

	var ds []decimal.Decimal
	var us []uuid.UUID
	require.NoError(t, conn.QueryRow(t.Context(), "select $1::numeric[], $2::uuid[]", []decimal.Decimal{value, dec("-3")}, []uuid.UUID{id, {}}).Scan(&ds, &us))
	require.Len(t, ds, 2)
	require.True(t, ds[1].Equal(dec("-3")))
	require.Equal(t, []uuid.UUID{id, {}}, us)

	var notNull uuid.UUID
	require.ErrorContains(t, conn.QueryRow(t.Context(), "select null::uuid").Scan(&notNull), "NULL")
}

func TestCodec_CopyFrom(t *testing.T) {
	t.Parallel()
	conn := connect(t, testkit.EmptyDatabase(t).URL(), pgx.QueryExecModeCacheStatement)
	_, err := conn.Exec(t.Context(), "create table money (id uuid, amount numeric(38,18))")
	require.NoError(t, err)
	id := uuid.New()
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"money"}, []string{"id", "amount"}, pgx.CopyFromRows([][]any{{id, dec("0.5")}}))
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "select id, amount from money")
	require.NoError(t, err)
	type row struct {
		ID     uuid.UUID
		Amount decimal.Decimal
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[row])
	require.NoError(t, err)
	require.Equal(t, id, got.ID)
	require.True(t, got.Amount.Equal(dec("0.5")))
}

func BenchmarkCodec_Decimal(b *testing.B) {
	m := pgtype.NewMap()
	postgres.RegisterCodecs(m)
	d := dec("6333.42483")
	for b.Loop() {
		buf, err := m.Encode(pgtype.NumericOID, pgx.BinaryFormatCode, d, nil)
		if err != nil {
			b.Fatal(err)
		}
		var got decimal.Decimal
		if err := m.Scan(pgtype.NumericOID, pgx.BinaryFormatCode, buf, &got); err != nil {
			b.Fatal(err)
		}
	}
}
