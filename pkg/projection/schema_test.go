package projection_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/migrations"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The tables of the schema are those of the row structs: names, types, nullability, keys, tenant first. The epoch that a row
// belongs to is the tables' own, and no part of the state.
func TestSchema_is_that_of_the_rows(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	for _, table := range projection.Tables() {
		t.Run(table.Name, func(t *testing.T) {
			rows, err := pool.Query(t.Context(), `
				select column_name, case data_type when 'ARRAY' then ltrim(udt_name, '_') || '[]' when 'timestamp with time zone' then 'timestamptz' else data_type end,
				       is_nullable = 'YES'
				from information_schema.columns where table_schema = current_schema() and table_name = $1 order by ordinal_position`, table.Name)
			require.NoError(t, err)
			type column struct {
				Name, Type string
				Nullable   bool
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
			require.NoError(t, err)
			want := []column{{"epoch", "integer", false}}
			for _, c := range table.Columns {
				want = append(want, column{c.Name, c.Kind.SQLType(), c.Nullable})
			}
			require.ElementsMatch(t, want, found)

			var key []string
			require.NoError(t, pool.QueryRow(t.Context(), `
				select array_agg(a.attname::text order by k.ordinality)
				from pg_constraint c, unnest(c.conkey) with ordinality k(attnum, ordinality), pg_attribute a
				where c.conrelid = $1::regclass and c.contype = 'p' and a.attrelid = c.conrelid and a.attnum = k.attnum`, table.Name).Scan(&key))
			require.Equal(t, append([]string{"tenant_id", "epoch"}, table.Key...), key)
		})
	}
}

// What is written is read again byte for byte: sums and odd amounts, enumerations, times, arrays and maps.
func TestSchema_keeps_rows_as_they_are(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	log := everything(t)
	seen := map[string]bool{}
	for _, row := range log.State.Rows() {
		seen[row.Key().Table] = true
		write(t, pool, row)
		require.Equal(t, string(projection.RowJSON(row)), string(projection.RowJSON(read(t, pool, row.Key(), row))))
	}
	require.Len(t, seen, len(projection.Tables()))
}

// largest is the most that an event may carry.
const largest = "99999999999999999999.999999999999999999"

// everything is a log that has a row in every table, with amounts at the edge of what an event may carry.
func everything(t *testing.T) *projectiontest.Log {
	t.Helper()
	s := sceneAt(t, "closed")
	_, err := s.Append(s.Failed(s.plan))
	require.Error(t, err)
	add(t, s.Log, s.Sample("1", `odd|as\set`, largest))
	add(t, s.Log, &eventv1.MarginBorrowed{AccountId: projectiontest.Spot.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: "1", TranId: "1"})
	next := projectiontest.Long("b")
	entry := entered(t, s.Log, next)
	for i := range 3 {
		trade := projectiontest.Trade{ID: fmt.Sprint("huge", i), Price: largest, Quantity: largest, Fee: largest, FeeAsset: "BTC", FeeQuote: largest}
		fill := s.Fill(entry, 1, trade)
		fill.QuoteQuantity = largest
		_, err = s.Append(fill) // In sum far more than fits into what one event may carry.
		require.NoError(t, err)
	}
	add(t, s.Log, panicked("1"))
	addObserved(t, s.Log)
	return s.Log
}

// addObserved adds what our own services and the lines to the venue tell.
func addObserved(t *testing.T, log *projectiontest.Log) {
	t.Helper()
	level := log.MarginLevel("1", "1")
	level.MarginLevel, level.MarginRatio, level.IndexPrice, level.LiquidatePrice, level.Borrowed, level.Interest = largest, largest, largest, largest, largest, largest
	add(t, log, log.Connected("c1"), log.Disconnected("c1"), log.RequestFailed(), log.RateLimited(5000), level,
		log.Transferred("1", largest), log.Transferred("2", largest), log.Transferred("3", largest),
		log.Reconciled("run"), log.SnapshotMade("s1", 3), log.Rebuilt("r1", 3), log.Rotated("key-2"))
}

func write(t *testing.T, pool *pgxpool.Pool, row projection.Row) {
	t.Helper()
	table := projection.TableOf(row)
	marks := make([]string, len(table.Columns))
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	_, err := pool.Exec(t.Context(), fmt.Sprintf("insert into %s (%s) values (%s)",
		table.Name, strings.Join(table.ColumnNames(), ", "), strings.Join(marks, ", ")), table.Values(row)...)
	require.NoError(t, err, "%s", projection.RowJSON(row))
}

func read(t *testing.T, pool *pgxpool.Pool, key projection.Key, like projection.Row) projection.Row {
	t.Helper()
	table := projection.TableNamed(key.Table)
	where, args := "tenant_id = $1", []any{like.Tenant()}
	for i, part := range key.Parts() {
		args = append(args, part)
		where += fmt.Sprintf(" and %s::text = $%d", table.Key[i], i+2)
	}
	row := table.NewRow()
	require.NoError(t, pool.QueryRow(t.Context(), fmt.Sprintf("select %s from %s where %s",
		strings.Join(table.ColumnNames(), ", "), table.Name, where), args...).Scan(table.ScanTargets(row)...))
	return row
}

func TestSchema_goes_down_and_up_again_on_filled_tables(t *testing.T) {
	t.Parallel()
	pool := testkit.Database(t).Pool(t, "")
	for _, row := range sceneAt(t, "closed").State.Rows() {
		write(t, pool, row)
	}
	for _, direction := range []string{"down", "up"} {
		files := []string{"003_projections", "007_all_types", "008_epochs"}
		if direction == "down" {
			slices.Reverse(files)
		}
		for _, file := range files {
			text, err := migrations.FS.ReadFile(file + "." + direction + ".sql")
			require.NoError(t, err)
			_, err = pool.Exec(context.WithoutCancel(t.Context()), string(text))
			require.NoError(t, err)
		}
		var count int
		require.NoError(t, pool.QueryRow(t.Context(), `
			select count(*) from information_schema.tables where table_schema = current_schema() and (table_name like '%\_current' or table_name = 'fills')`).Scan(&count))
		require.Equal(t, map[string]int{"down": 0, "up": len(projection.Tables())}[direction], count)
	}
}
