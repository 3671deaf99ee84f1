package store

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

func TestStore_Tenants(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	var want []uuid.UUID
	for seed := range 5 {
		want = append(want, b.history(t, seed).Tenant)
	}
	slices.SortFunc(want, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	for size := range 7 {
		var got []uuid.UUID
		token := ""
		for {
			page, err := b.Tenants(t.Context(), size, token)
			require.NoError(t, err)
			got = append(got, page.IDs...)
			if token = page.Next; token == "" {
				break
			}
		}
		require.Equal(t, want, got, "in pages of %d", size)
	}
	_, err := b.Tenants(t.Context(), 1, "no token")
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
}

func TestStore_Heads(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	one, two := b.history(t, 1), b.history(t, 2)
	b.history(t, 3)
	heads, err := b.Heads(t.Context(), []uuid.UUID{one.Tenant, two.Tenant, uuid.New()})
	require.NoError(t, err)
	require.Equal(t, map[uuid.UUID]int64{one.Tenant: int64(len(one.Records)), two.Tenant: int64(len(two.Records))}, heads)

	many := []uuid.UUID{one.Tenant, two.Tenant}
	for len(many) <= headsNamedMax {
		many = append(many, uuid.New())
	}
	heads, err = b.Heads(t.Context(), many)
	require.NoError(t, err)
	require.Subset(t, heads, map[uuid.UUID]int64{one.Tenant: int64(len(one.Records)), two.Tenant: int64(len(two.Records))})

	b.exec(t, "update tenant_log set last_ingested_at = clock_timestamp() - interval '59 seconds' where tenant_id = $1", one.Tenant)
	b.exec(t, "update tenant_log set last_ingested_at = clock_timestamp() - interval '61 seconds' where tenant_id = $1", two.Tenant)
	heads, err = b.RecentHeads(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(len(one.Records)), heads[one.Tenant])
	require.NotContains(t, heads, two.Tenant)
}

// TestLaw09_reads_see_one_tenant holds the database to it: whatever a read asks for, it sees the rows of the tenants that it
// named, and listing heads sees nothing but heads.
func TestLaw09_reads_see_one_tenant(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	mine, other := b.history(t, 1), b.history(t, 2)
	for name, want := range map[string]map[string]int{
		mine.Tenant.String(): {"tenant_log": 1, "event_log": len(mine.Records), "commands": len(mine.Receipts)},
		"*":                  {"tenant_log": 2, "event_log": 0, "commands": 0, "stream_state": 0, "checkpoints": 0, "leases": 0},
		"":                   {"tenant_log": 0, "event_log": 0, "commands": 0},
	} {
		for table, count := range want {
			var got int
			require.NoError(t, postgres.Snapshot(t.Context(), b.pool, func(batch *pgx.Batch) {
				batch.Queue(tenantsChoose, name)
				batch.Queue("select count(*) from " + table).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
			}))
			require.Equal(t, count, got, "%s as %q", table, name)
		}
	}
	for i := range other.Records {
		_, err := b.Event(t.Context(), mine.Tenant, other.Records[i].EventID)
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	}
}

func TestStore_EnsurePartitions(t *testing.T) {
	t.Parallel()

	t.Run("makes the months that are missing", func(t *testing.T) {
		t.Parallel()
		db := testkit.Database(t)
		s, err := New(clock.System(), db.Pool(t, storetest.Role), Config{PartitionsAhead: 5})
		require.NoError(t, err)
		for range 2 { // The second time there is nothing to do.
			coverage, err := s.EnsurePartitions(t.Context())
			require.NoError(t, err)
			require.Len(t, coverage, 2)
			for i, table := range []string{"event_log", "snapshots"} {
				require.Equal(t, table, coverage[i].Table)
				require.GreaterOrEqual(t, coverage[i].MonthsAhead, 5)
				require.True(t, coverage[i].Until.After(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
			}
		}
	})

	t.Run("tells the coverage also when it cannot make any", func(t *testing.T) {
		t.Parallel()
		db := testkit.Database(t)
		s, err := New(clock.System(), db.Pool(t, storetest.Role), Config{PartitionsAhead: 999})
		require.NoError(t, err)
		coverage, err := s.EnsurePartitions(t.Context())
		require.ErrorContains(t, err, "make partitions")
		require.Len(t, coverage, 2)
		require.GreaterOrEqual(t, coverage[0].MonthsAhead, 0)
	})
}

// TestStore_KeepPartitions lets the months run out, and the clock bring the next look.
func TestStore_KeepPartitions(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	owner := db.Pool(t, "")
	dropAhead := func() {
		rows, err := owner.Query(t.Context(), `
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'event_log'::regclass and c.relname > 'event_log' || to_char(now() at time zone 'UTC', '_YYYY_MM')`)
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, name := range names {
			_, err := owner.Exec(t.Context(), "drop table "+name)
			require.NoError(t, err)
		}
	}
	// Nobody may make partitions: the coverage stays as it is.
	_, err := owner.Exec(t.Context(), "revoke execute on function create_event_log_partitions(integer) from robson_eventlog")
	require.NoError(t, err)
	dropAhead()

	clk := clock.NewFake(start)
	s, err := New(clk, db.Pool(t, storetest.Role), Config{})
	require.NoError(t, err)
	var lines bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.KeepPartitions(ctx, slog.New(slog.NewJSONHandler(&lines, nil)))
	}()
	clk.WaitFor(1) // It has looked once and waits.
	_, err = owner.Exec(t.Context(), "grant execute on function create_event_log_partitions(integer) to robson_eventlog")
	require.NoError(t, err)
	clk.Advance(partitionsRetry)
	clk.WaitFor(1)
	clk.Advance(partitionsRetry)
	cancel()
	<-kept

	var messages []string
	for line := range bytes.Lines(lines.Bytes()) {
		var entry struct {
			Message string `json:"msg"`
			Table   string `json:"table"`
			Months  int    `json:"months_ahead"`
		}
		require.NoError(t, json.Unmarshal(line, &entry))
		messages = append(messages, entry.Message)
		if entry.Table != "" {
			require.Equal(t, "event_log", entry.Table)
			require.Equal(t, 0, entry.Months)
		}
	}
	require.Equal(t, []string{"months are not looked after", "partitions run out"}, messages)
	coverage, err := s.coverage(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, coverage[0].MonthsAhead, 3)
}
