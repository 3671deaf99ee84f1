package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

// snapshotDue is a row of snapshots_due.
type snapshotDue struct {
	Scope, Reason string
	ID            uuid.UUID
	Position      int64
}

func (b *bench) dues(t testing.TB, tenant uuid.UUID) map[intake.Scope]snapshotDue {
	t.Helper()
	rows, err := b.super.Query(t.Context(), "select scope, reason, scope_id, position from snapshots_due where tenant_id = $1", tenant)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[snapshotDue])
	require.NoError(t, err)
	dues := map[intake.Scope]snapshotDue{}
	for _, d := range found {
		dues[intake.Scope{Kind: event.Kind(d.Scope), ID: d.ID}] = d
	}
	return dues
}

// counts are the stored counts of scopes and up to which position they go.
func (b *bench) counts(t testing.TB, tenant uuid.UUID) (counts map[intake.Scope]int64, position int64) {
	t.Helper()
	require.NoError(t, b.super.QueryRow(t.Context(), "select counted_position from tenant_log where tenant_id = $1", tenant).Scan(&position))
	rows, err := b.super.Query(t.Context(), "select scope, scope_id, events from snapshot_progress where tenant_id = $1", tenant)
	require.NoError(t, err)
	counts = map[intake.Scope]int64{}
	var kind string
	var id uuid.UUID
	var events int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &id, &events}, func() error {
		counts[intake.Scope{Kind: event.Kind(kind), ID: id}] = events
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, rows.Err())
	return counts, position
}

// schedule sets when snapshots of a tenant are due.
func (b *bench) schedule(t testing.TB, tenant uuid.UUID, events int, workflowEnd bool) {
	t.Helper()
	_, err := b.super.Exec(t.Context(), "update tenant_log set snapshot_every_events = $2, snapshot_at_workflow_end = $3 where tenant_id = $1", tenant, events, workflowEnd)
	require.NoError(t, err)
}

// TestStore_Append_records_what_is_due plays random histories through two stores by turns, each of which finds the other's
// events in the log, and counts them again from the start: a snapshot is due exactly where a scope's count has passed a multiple
// of the schedule's or its workflow has ended.
func TestStore_Append_records_what_is_due(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	stores := []*store.Store{b.Store, open(t, b.db, store.Config{})}
	rapid.Check(t, func(rt *rapid.T) {
		every := int64(rapid.IntRange(2, 20).Draw(rt, "every"))
		tenant, requests := b.history(rt, t)
		mustAppend(t, b.Store, requests[0])
		b.schedule(t, tenant, int(every), true)
		for requests = requests[1:]; len(requests) > 0; {
			size := rapid.IntRange(1, min(len(requests), 20)).Draw(rt, "batch")
			rapid.SampledFrom(stores).Draw(rt, "store").Append(t.Context(), requests[:size], true)
			requests = requests[size:]
		}

		// A fact that came before its order's claim belongs to no position then, and to the order's once the claim is there. Who
		// counts it later may count it either way.
		records := b.requireWhole(t, tenant)
		state := &projection.Memory{}
		then := make([][]intake.Scope, len(records))
		subjects := make([]event.Subjects, len(records))
		for i, r := range records {
			message, err := r.Message()
			require.NoError(rt, err)
			_, err = projection.Fold(state, projection.EventOf(r, message))
			require.NoError(rt, err)
			stream, err := event.ParseStreamKey(r.StreamKey)
			require.NoError(rt, err)
			subjects[i] = event.SubjectsOf(stream, message)
			then[i], err = intake.ScopesOf(state, subjects[i])
			require.NoError(rt, err)
		}
		stored, counted := b.counts(t, tenant)
		least, most := map[intake.Scope]int64{}, map[intake.Scope]int64{}
		leastStored, mostStored := map[intake.Scope]int64{}, map[intake.Scope]int64{}
		ended := map[intake.Scope]bool{}
		for i, r := range records {
			now, err := intake.ScopesOf(state, subjects[i])
			require.NoError(rt, err)
			for _, scope := range then[i] {
				least[scope]++
				if r.Position <= counted {
					leastStored[scope]++
				}
			}
			for _, scope := range now {
				most[scope]++
				if r.Position <= counted {
					mostStored[scope]++
				}
				switch r.Type {
				case "POSITION_CLOSED", "POSITION_DISARMED":
					ended[scope] = ended[scope] || scope.Kind == event.KindPosition
				case "RECONCILIATION_COMPLETED":
					ended[scope] = ended[scope] || scope.Kind == event.KindAccount
				}
			}
		}
		dues := b.dues(t, tenant)
		for scope := range most {
			require.GreaterOrEqual(rt, stored[scope], leastStored[scope], "%v", scope)
			require.LessOrEqual(rt, stored[scope], mostStored[scope], "%v", scope)
			if least[scope]/every == most[scope]/every {
				_, due := dues[scope]
				require.Equal(rt, ended[scope] || least[scope] >= every, due, "%v: %d events, one snapshot each %d", scope, least[scope], every)
			}
		}
	})
}

// TestStore_Append_counts_on counts over many appends, so that the stored counts come along, and goes on in a store that
// begins anew.
func TestStore_Append_counts_on(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	b.schedule(t, log.TenantID, 300, false)
	account := intake.Scope{Kind: event.KindAccount, ID: projectiontest.Spot}
	before := 0
	for _, ev := range log.Events {
		scopes, err := intake.ScopesOf(log.State, event.SubjectsOf(streamOf(t, ev), ev.Payload))
		require.NoError(t, err)
		for _, scope := range scopes {
			if scope == account {
				before++
			}
		}
	}
	through := b.Store
	for i := before; i < 299; i++ {
		if i == 200 {
			through = open(t, b.db, store.Config{})
		}
		mustAppend(t, through, requestOf(t, through, log.Next(sample(log, string(rune(i)), "1"))))
	}
	require.Empty(t, b.dues(t, log.TenantID))
	stored, counted := b.counts(t, log.TenantID)
	require.Positive(t, stored[account])
	require.Positive(t, counted)

	answer := mustAppend(t, through, requestOf(t, through, log.Next(sample(log, "the 300th", "1"))))
	require.Equal(t, map[intake.Scope]snapshotDue{
		account: {Scope: "account", Reason: "events", ID: account.ID, Position: answer.FirstPosition},
	}, b.dues(t, log.TenantID))

	b.schedule(t, log.TenantID, 0, false)
	b.exec(t, "delete from snapshots_due")
	for i := range 310 {
		mustAppend(t, through, requestOf(t, through, log.Next(sample(log, "off"+string(rune(i)), "1"))))
	}
	require.Empty(t, b.dues(t, log.TenantID), "the schedule is off")
}

func streamOf(t testing.TB, ev projection.Event) event.StreamKey {
	t.Helper()
	stream, err := event.ParseStreamKey(ev.StreamKey)
	require.NoError(t, err)
	return stream
}

// TestStore_Append_knows_only_the_live_epoch makes another epoch's rows the live ones, as a rebuild does: what was known of the
// old ones is worth nothing then, and they do not change any more.
func TestStore_Append_knows_only_the_live_epoch(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	log := begun(t, b.Store)
	mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "a", "100"))))
	for _, table := range projection.Tables() {
		columns := ""
		for _, name := range table.ColumnNames() {
			columns += ", " + name
		}
		b.exec(t, "insert into "+table.Name+" (epoch"+columns+") select 1"+columns+" from "+table.Name)
	}
	b.exec(t, "update tenant_log set epoch = 1, generation = generation + 1")
	b.exec(t, "update balances_current set free = 7 where epoch = 0")
	mustAppend(t, b.Store, requestOf(t, b.Store, log.Next(sample(log, "b", "90"))))
	b.exec(t, "delete from accounts_current where epoch = 0")

	var old, live string
	require.NoError(t, b.super.QueryRow(t.Context(), "select free::text from balances_current where epoch = 0 and asset = 'USDT'").Scan(&old))
	require.NoError(t, b.super.QueryRow(t.Context(), "select free::text from balances_current where epoch = 1 and asset = 'USDT'").Scan(&live))
	require.Equal(t, "7.000000000000000000", old)
	require.Equal(t, "90.000000000000000000", live)
	for _, table := range projection.Tables() {
		b.exec(t, "delete from "+table.Name+" where epoch = 0")
	}
	b.requireWhole(t, log.TenantID)
}
