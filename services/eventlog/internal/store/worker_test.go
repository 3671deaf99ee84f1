package store

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestStore_Checkpoint(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	w := Worker{Tenant: uuid.New(), Service: "command", Name: "process-manager"}

	none, err := b.Checkpoint(t.Context(), w)
	require.NoError(t, err)
	require.Equal(t, Checkpoint{}, none)

	first, err := b.CheckpointSave(t.Context(), w, 7)
	require.NoError(t, err)
	require.EqualValues(t, 7, first.Value)
	require.False(t, first.SavedAt.IsZero())

	for _, value := range []int64{3, 7} {
		behind, err := b.CheckpointSave(t.Context(), w, value)
		require.NoError(t, err)
		require.Equal(t, first, behind, "what is not ahead changes nothing")
	}
	ahead, err := b.CheckpointSave(t.Context(), w, 8)
	require.NoError(t, err)
	require.EqualValues(t, 8, ahead.Value)
	require.True(t, ahead.SavedAt.After(first.SavedAt))

	for _, other := range []Worker{
		{Tenant: uuid.New(), Service: w.Service, Name: w.Name},
		{Tenant: w.Tenant, Service: "connector", Name: w.Name},
		{Tenant: w.Tenant, Service: w.Service, Name: "monitor"},
	} {
		got, err := b.Checkpoint(t.Context(), other)
		require.NoError(t, err)
		require.Equal(t, Checkpoint{}, got)
	}

	t.Run("of many saves at a time the greatest stays", func(t *testing.T) {
		var all sync.WaitGroup
		for value := range int64(20) {
			all.Go(func() {
				_, _ = b.CheckpointSave(t.Context(), w, 100+value)
			})
		}
		all.Wait()
		got, err := b.Checkpoint(t.Context(), w)
		require.NoError(t, err)
		require.EqualValues(t, 119, got.Value)
	})
}

func TestStore_Lease(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	w := Worker{Tenant: uuid.New(), Service: "connector", Name: "account/1"}
	const ttl = time.Hour

	first, err := b.LeaseAcquire(t.Context(), w, "one", ttl)
	require.NoError(t, err)
	require.Equal(t, "one", first.Holder)

	held, err := b.LeaseAcquire(t.Context(), w, "two", ttl)
	require.NoError(t, err)
	require.Equal(t, first, held, "the holder that has it keeps it")

	renewed, err := b.LeaseAcquire(t.Context(), w, "one", 2*ttl)
	require.NoError(t, err)
	require.Equal(t, "one", renewed.Holder)
	require.Greater(t, renewed.ExpiresAt.Sub(first.ExpiresAt), 59*time.Minute)

	require.NoError(t, b.LeaseRelease(t.Context(), w, "two"), "nothing happens if another holds it")
	held, err = b.LeaseAcquire(t.Context(), w, "two", ttl)
	require.NoError(t, err)
	require.Equal(t, renewed, held)

	require.NoError(t, b.LeaseRelease(t.Context(), w, "one"))
	taken, err := b.LeaseAcquire(t.Context(), w, "two", ttl)
	require.NoError(t, err)
	require.Equal(t, "two", taken.Holder)

	b.exec(t, "update leases set expires_at = clock_timestamp() - interval '1 second'")
	lapsed, err := b.LeaseAcquire(t.Context(), w, "three", ttl)
	require.NoError(t, err)
	require.Equal(t, "three", lapsed.Holder)

	other := Worker{Tenant: uuid.New(), Service: w.Service, Name: w.Name}
	free, err := b.LeaseAcquire(t.Context(), other, "one", ttl)
	require.NoError(t, err)
	require.Equal(t, "one", free.Holder, "another tenant's is another lease")

	t.Run("of many who ask at a time one gets it", func(t *testing.T) {
		w.Name = "account/2"
		var mu sync.Mutex
		holders := map[string]int{}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				me := uuid.NewString()
				lease, err := b.LeaseAcquire(t.Context(), w, me, ttl)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					holders[lease.Holder]++
				}
			})
		}
		all.Wait()
		require.Len(t, holders, 1, "and all are told who")
	})
}
