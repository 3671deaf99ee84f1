package store

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func TestStore_crew(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	var tenants []uuid.UUID
	heads := map[uuid.UUID]int64{}
	for i := range 3 {
		log := b.history(t, i)
		tenants = append(tenants, log.Tenant)
		heads[log.Tenant] = int64(len(log.Records))
	}
	for range 2 * crewChunk { // More than a statement treats at a time.
		tenant := uuid.New()
		b.exec(t, `insert into tenant_log select $1, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version
from tenant_log where tenant_id = $2`, tenant, tenants[0])
		tenants = append(tenants, tenant)
		heads[tenant] = heads[tenants[0]]
	}
	const ttl = time.Hour
	crew := subscription.Crew{Service: "command", Name: "process-manager"}
	other := subscription.Crew{Service: "command", Name: "monitor"}
	holders := func(c subscription.Crew, me string, renew time.Duration) map[string]int {
		found, err := b.Holders(t.Context(), c, me, renew, len(tenants))
		require.NoError(t, err)
		require.ElementsMatch(t, tenants, slices.Collect(maps.Keys(found)))
		counts := map[string]int{}
		for _, holder := range found {
			counts[holder]++
		}
		return counts
	}
	require.Equal(t, map[string]int{"": len(tenants)}, holders(crew, "one", ttl))

	_, err := b.CheckpointSave(t.Context(), Worker{Tenant: tenants[0], Service: crew.Service, Name: crew.Name}, 5)
	require.NoError(t, err)
	taken, err := b.Take(t.Context(), crew, "one", tenants[:200], ttl)
	require.NoError(t, err)
	require.Len(t, taken, 200)
	for _, got := range taken {
		want := subscription.Taken{Tenant: got.Tenant, Head: heads[got.Tenant]}
		if got.Tenant == tenants[0] {
			want.Checkpoint = 5
		}
		require.Equal(t, want, got)
	}
	taken, err = b.Take(t.Context(), crew, "two", tenants, ttl)
	require.NoError(t, err)
	require.Len(t, taken, len(tenants)-200, "what another has stays with him")
	require.Equal(t, map[string]int{"one": 200, "two": len(tenants) - 200}, holders(crew, "one", 0))
	require.Equal(t, map[string]int{"": len(tenants)}, holders(other, "one", 0), "of another crew")

	b.exec(t, "update leases set expires_at = clock_timestamp() - interval '1 second'")
	require.Equal(t, map[string]int{"": len(tenants)}, holders(crew, "three", ttl), "leases lapse")
	require.Equal(t, map[string]int{"one": 200, "": len(tenants) - 200}, holders(crew, "one", ttl), "and are renewed while nobody has taken them")

	require.NoError(t, b.Release(t.Context(), crew, "one", tenants[:10]))
	require.NoError(t, b.Release(t.Context(), crew, "two", tenants))
	require.Equal(t, map[string]int{"one": 190, "": len(tenants) - 190}, holders(crew, "one", 0))

	_, err = b.Holders(t.Context(), crew, "one", 0, len(tenants)-1)
	require.Equal(t, "TOO_MANY_TENANTS", fault.ReasonOf(err), "%v", err)
}

func TestStore_Want(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	crew := subscription.Crew{Service: "command", Name: "process-manager"}
	want := func(c subscription.Crew, holder string, ttl time.Duration, others ...string) {
		t.Helper()
		got, err := b.Want(t.Context(), c, holder, ttl)
		require.NoError(t, err)
		require.ElementsMatch(t, others, got)
	}
	want(crew, "one", time.Hour)
	want(crew, "two", time.Hour, "one")
	want(crew, "three", 0, "one", "two")
	want(subscription.Crew{Service: "command", Name: "monitor"}, "four", time.Hour)
	want(subscription.Crew{Service: "connector", Name: "process-manager"}, "five", time.Hour)
	want(crew, "one", 0, "two")
	want(crew, "three", 0, "two")
	b.exec(t, "update leases set expires_at = clock_timestamp() - interval '1 second'")
	want(crew, "one", time.Hour)
	want(crew, "two", 0, "one")
}
