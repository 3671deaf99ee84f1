package checkpoint_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

func TestMaker_Make(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, err := b.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerCount)
	require.NoError(t, err)
	require.NoError(t, made.Untold)
	require.True(t, made.Created)
	require.Equal(t, []uuid.UUID{made.Snapshot.ID}, b.log.told)
	require.Equal(t, b.world.Position(), made.Snapshot.AsOf)
	require.Equal(t, checkpoint.TriggerCount, made.Snapshot.Trigger)

	again, err := b.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerRequest)
	require.NoError(t, err)
	require.False(t, again.Created, "nothing has happened since")
	require.Equal(t, made.Snapshot.ID, again.Snapshot.ID)
	require.NotNil(t, again.Snapshot.ToldAt)
	require.Len(t, b.log.told, 1)

	b.advance(t)
	later := b.make(t)
	require.NotEqual(t, made.Snapshot.ID, later.ID)
}

// A crash between storing and telling: what was stored is told by the next run, of whomever.
func TestMaker_tells_later_what_it_could_not_tell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log.err = errAway
	made, err := b.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerRequest)
	require.NoError(t, err)
	require.ErrorIs(t, made.Untold, errAway)
	require.True(t, made.Created)
	b.exec(t, "update snapshots set created_at = created_at - interval '1 s'")
	untold, err := b.store.Untold(t.Context(), []uuid.UUID{b.tenant}, 10)
	require.NoError(t, err)
	require.Len(t, untold, 1)
	require.ErrorIs(t, b.Tell(t.Context(), untold[0]), errAway)
	b.log.err = nil
	require.NoError(t, b.Tell(t.Context(), untold[0]))
	require.Equal(t, []uuid.UUID{made.Snapshot.ID}, b.log.told)
	untold, err = b.store.Untold(t.Context(), []uuid.UUID{b.tenant}, 10)
	require.NoError(t, err)
	require.Empty(t, untold)
}

func TestMaker_refusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Make(t.Context(), b.tenant, projection.Scope{Kind: projection.ScopeAccount, ID: uuid.Max}, checkpoint.TriggerRequest)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	small, err := checkpoint.NewMaker(b.store, b.store, b.log, snapshot.Config{TextMax: 100})
	require.NoError(t, err)
	_, err = small.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerRequest)
	require.Equal(t, "SNAPSHOT_TOO_LARGE", fault.ReasonOf(err))
	b.exec(t, "update tenant_log set rules_version = rules_version + 1")
	_, err = b.Make(t.Context(), b.tenant, b.scope(), checkpoint.TriggerRequest)
	require.Equal(t, "RULES_VERSION", fault.ReasonOf(err))
	require.Zero(t, b.count(t, "select count(*) from snapshots"))
	_, err = checkpoint.NewMaker(b.store, b.store, b.log, snapshot.Config{TextMax: -1})
	require.ErrorContains(t, err, "TextMax")
}

func TestTriggerOf(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]checkpoint.Trigger{
		"events": checkpoint.TriggerCount, "workflow_end": checkpoint.TriggerWorkflow, "time": checkpoint.TriggerTime,
		"remake": checkpoint.TriggerRemake, "whatever": checkpoint.TriggerRequest,
	} {
		require.Equal(t, want, checkpoint.TriggerOf(reason))
	}
}
