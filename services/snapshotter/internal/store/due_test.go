package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
)

// due records that a snapshot of a scope is due.
func (b *testBundle) due(t *testing.T, scope projection.Scope, position int64, reason string) {
	t.Helper()
	b.exec(t, `insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason) values ($1, $2, $3, $4, clock_timestamp(), $5)`,
		b.tenant, string(scope.Kind), scope.ID, position, reason)
}

func (b *testBundle) claim(t *testing.T, by string, size int) []checkpoint.Due {
	t.Helper()
	claimed, err := b.Claim(t.Context(), []uuid.UUID{b.tenant}, by, size)
	require.NoError(t, err)
	return claimed
}

// expire ends all claims, as time does.
func (b *testBundle) expire(t *testing.T) {
	t.Helper()
	b.exec(t, "update snapshots_due set claimed_until = now() - interval '1 s' where claimed_until is not null")
}

func account() projection.Scope {
	return projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
}

func TestStore_Claim_shares_out(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	b.due(t, b.position(), 3, "workflow_end")
	b.due(t, account(), 4, "events")
	first := b.claim(t, "one", 1)
	require.Equal(t, []checkpoint.Due{{TenantID: b.tenant, Scope: b.position(), Position: 3, Trigger: checkpoint.TriggerWorkflow}}, first)
	second := b.claim(t, "two", 10)
	require.Equal(t, []checkpoint.Due{{TenantID: b.tenant, Scope: account(), Position: 4, Trigger: checkpoint.TriggerCount}}, second)
	require.Empty(t, b.claim(t, "three", 10))
	count, oldest, err := b.Waiting(t.Context(), []uuid.UUID{b.tenant})
	require.NoError(t, err)
	require.Equal(t, 2, count)
	require.Positive(t, oldest)

	b.expire(t)
	require.Len(t, b.claim(t, "three", 10), 2, "who died with a claim has lost it")

	require.NoError(t, b.Drop(t.Context(), first[0]))
	b.exec(t, "update snapshots_due set position = 5 where scope = 'account'")
	require.NoError(t, b.Drop(t.Context(), second[0]))
	require.Equal(t, 1, b.count(t, "select count(*) from snapshots_due"), "what became due again since stays")
}

// Two that claim at the same moment do not wait for each other, nor get the same.
func TestStore_Claim_at_the_same_moment(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	b.due(t, b.position(), 3, "workflow_end")
	b.due(t, account(), 4, "events")
	tx, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "select from snapshots_due where scope = 'position' for update")
	require.NoError(t, err)
	require.Equal(t, account(), b.claim(t, "two", 10)[0].Scope)
}

func TestStore_DueByTime(t *testing.T) {
	t.Parallel()
	byTime := func(t *testing.T, b *testBundle) []string {
		t.Helper()
		_, _, err := b.DueByTime(t.Context(), b.tenant, 100)
		require.NoError(t, err)
		rows, err := b.super.Query(t.Context(), "select scope || ' ' || position || ' ' || reason from snapshots_due order by 1")
		require.NoError(t, err)
		defer rows.Close()
		var found []string
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			found = append(found, text)
		}
		require.NoError(t, rows.Err())
		return found
	}
	// The log's events are days old by the database's clock: every scope has changed, and has no snapshot.
	everything := []string{"account 11 time", "account 3 time", "position 11 time", "strategy 11 time"}

	t.Run("what was not counted yet", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		require.Equal(t, everything, byTime(t, b))
		require.Equal(t, everything, byTime(t, b), "once")
		require.Equal(t, checkpoint.TriggerTime, b.claim(t, "one", 1)[0].Trigger)
	})
	t.Run("what was counted", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		b.exec(t, "update tenant_log set counted_position = last_position")
		require.Empty(t, byTime(t, b))
		b.exec(t, "insert into snapshot_progress (tenant_id, scope, scope_id, events, last_position) values ($1, 'position', $2, 5, 9)", b.tenant, b.plan.PositionID())
		require.Equal(t, []string{"position 9 time"}, byTime(t, b))
	})
	t.Run("not what has a newer snapshot, nor a young one", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		saved := b.save(t, b.position())
		require.Equal(t, []string{"account 11 time", "account 3 time", "strategy 11 time"}, byTime(t, b))
		b.exec(t, "delete from snapshots_due")
		require.NoError(t, b.Mark(t.Context(), b.tenant, saved.ID, snapshot.ReasonHash))
		require.Equal(t, everything, byTime(t, b), "an unfit one is none")
		b.exec(t, "delete from snapshots_due")
		require.NoError(t, b.Mark(t.Context(), b.tenant, saved.ID, ""))
		b.exec(t, "update snapshots set as_of_position = 5")
		require.NotContains(t, byTime(t, b), "position 11 time", "it changed since, and the hour is not over")
		b.exec(t, "update tenant_log set snapshot_every_seconds = 1")
		b.exec(t, "update snapshots set created_at = created_at - interval '2 s'")
		require.Contains(t, byTime(t, b), "position 11 time")
	})
	t.Run("never, if the schedule says so", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		b.exec(t, "update tenant_log set snapshot_every_seconds = 0")
		require.Empty(t, byTime(t, b))
	})
	t.Run("not what has no state", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		b.exec(t, "update tenant_log set counted_position = last_position")
		b.exec(t, "insert into snapshot_progress (tenant_id, scope, scope_id, events, last_position) values ($1, 'account', $2, 5, 9)", b.tenant, uuid.Max)
		require.Empty(t, byTime(t, b))
	})
	t.Run("at most so many", func(t *testing.T) {
		t.Parallel()
		b := setup(t, store.Config{})
		made, every, err := b.DueByTime(t.Context(), b.tenant, 2)
		require.NoError(t, err)
		require.Equal(t, 2, made)
		require.Equal(t, time.Hour, every)
	})
}

func TestStore_Remake(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	require.NoError(t, b.Remake(t.Context(), b.tenant, b.position(), 7))
	require.NoError(t, b.Remake(t.Context(), b.tenant, b.position(), 8))
	require.Equal(t, []checkpoint.Due{{TenantID: b.tenant, Scope: b.position(), Position: 7, Trigger: checkpoint.TriggerRemake}}, b.claim(t, "one", 10))
}

func TestStore_Untold(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{Lease: time.Millisecond})
	tenants := []uuid.UUID{b.tenant}
	saved := b.save(t, b.position())
	b.exec(t, "update snapshots set created_at = created_at - interval '1 s'")
	untold, err := b.Untold(t.Context(), tenants, 10)
	require.NoError(t, err)
	require.Len(t, untold, 1)
	require.Equal(t, saved.ID, untold[0].ID)
	require.Equal(t, saved.Streams, untold[0].Streams)
	require.NoError(t, b.Told(t.Context(), b.tenant, saved.ID))
	untold, err = b.Untold(t.Context(), tenants, 10)
	require.NoError(t, err)
	require.Empty(t, untold)

	t.Run("not while its maker may still be telling", func(t *testing.T) {
		b := setup(t, store.Config{})
		b.save(t, b.position())
		untold, err := b.Untold(t.Context(), []uuid.UUID{b.tenant}, 10)
		require.NoError(t, err)
		require.Empty(t, untold)
	})
}
