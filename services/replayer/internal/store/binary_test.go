package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

// TestBinary_is_PostgreSQLs: the bytes that are made of a row are those that PostgreSQL gives of it, for all that random histories
// come to. Were they not, comparing would still be right, and slow.
func TestBinary_is_PostgreSQLs(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	s, err := New(clock.System(), db.Pool(t, storetest.Role), Config{})
	require.NoError(t, err)
	for seed := range 10 {
		events := rapid.Custom(func(t *rapid.T) []projection.Event {
			log, err := projectiontest.Random(t, 150)
			if err != nil {
				panic(err)
			}
			return log.Events
		}).Example(seed)
		w := storetest.NewWorld(db.Pool(t, ""), uuid.New())
		require.NoError(t, w.Write(t.Context(), events))
		err := s.Glance(t.Context(), w.Tenant, func(ctx context.Context, f replay.Frozen) error {
			of, ok := f.(*frozen)
			require.True(t, ok)
			for _, row := range w.State.Rows() {
				table := projection.TableOf(row)
				err := of.find(ctx, tables[table.Name], []projection.Key{row.Key()}, func(_ int, columns [][]byte) error {
					made, err := appendRow(nil, table, row)
					require.NoError(t, err)
					var stored []byte
					for _, column := range columns {
						if column == nil {
							stored = binary.BigEndian.AppendUint32(stored, null)
							continue
						}
						stored = append(binary.BigEndian.AppendUint32(stored, uint32(len(column))), column...)
					}
					require.True(t, bytes.Equal(stored, made), "%s\n%x\n%x", projection.RowJSON(row), stored, made)
					return nil
				})
				require.NoError(t, err)
			}
			return nil
		})
		require.NoError(t, err)
	}
}

// TestBinary_numbers come back as they went, however odd.
func TestBinary_numbers(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	rapid.Check(t, func(t *rapid.T) {
		d := decimal.New(rapid.Int64().Draw(t, "coefficient"), int32(rapid.IntRange(-18, 18).Draw(t, "exponent")))
		if rapid.Bool().Draw(t, "long") {
			d = d.Mul(decimal.New(rapid.Int64Range(1, 1<<40).Draw(t, "times"), 0))
		}
		var stored []byte
		require.NoError(t, pool.QueryRow(context.Background(), "select numeric_send($1::text::numeric(76,18))", d.String()).Scan(&stored))
		made, err := appendNumeric(nil, d)
		require.NoError(t, err)
		require.Equal(t, stored, made[4:], "%s", d)
	})
	for _, odd := range []string{"1e-19", "1e59", "0.1234567890123456789"} {
		_, err := appendNumeric(nil, decimal.RequireFromString(odd))
		require.Error(t, err, odd)
	}
}

// TestBinary_texts: jsonb is escaped as PostgreSQL does it.
func TestBinary_texts(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.StringMatching(`[ -~äöü☃\n\t"\\]{0,12}`), rapid.StringMatching(`[ -~äöü☃\n\t"\\/]{0,12}`)).Draw(t, "object")
		made, err := appendColumn(nil, &m)
		require.NoError(t, err)
		var stored []byte
		require.NoError(t, pool.QueryRow(context.Background(), "select jsonb_send($1::text::jsonb)", string(made[5:])).Scan(&stored))
		require.Equal(t, string(stored), string(made[4:]))
	})
}

// TestBinary_knows_every_column: a column of a new type, and a field that a check gains, must be taught here.
func TestBinary_knows_every_column(t *testing.T) {
	t.Parallel()
	require.Equal(t, 5, reflect.TypeFor[projection.RiskCheck]().NumField())
	for _, table := range projection.Tables() {
		_, err := appendRow(nil, table, table.NewRow())
		require.NoError(t, err, table.Name)
	}
	type odd struct{}
	_, err := appendColumn(nil, &odd{})
	require.ErrorContains(t, err, "no binary form")
}
