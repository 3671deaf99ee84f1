package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

// random is a random history, the same for the same seed.
func random(seed, steps int) []projection.Event {
	return rapid.Custom(func(t *rapid.T) []projection.Event {
		log, err := projectiontest.Random(t, steps)
		if err != nil {
			panic(err)
		}
		return log.Events
	}).Example(seed)
}

// TestLaw_state_is_the_fold: the live state, a replay, a rebuild and a build with more events after it are the same, byte for byte,
// over random histories; with so little memory that rows go home and come back all the time. Tenants never meet: all are in one
// database.
func TestLaw_state_is_the_fold(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t)
	super := db.Pool(t, "")
	tables, err := store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{CompareMax: 7, SweepMax: 11})
	require.NoError(t, err)
	for seed := range 30 {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		events := random(seed, 40+rng.IntN(160))
		cut := 1 + rng.IntN(len(events)-1)
		b := &bundle{World: storetest.NewWorld(super, uuid.New()), super: super, store: tables, told: make(chan replay.Result, 100)}
		b.rebuilder, err = replay.NewRebuilder(clock.System(), tables, silent{b.told}, replay.Config{
			RowsMax: 1 + rng.IntN(12), StretchMax: int64(1 + rng.IntN(50)), MendMax: 5,
		})
		require.NoError(t, err)
		require.NoError(t, b.Write(t.Context(), events[:cut]))
		first := b.run(t, replay.Request{DryRun: true})
		require.Equal(t, replay.OutcomeIdentical, first.Outcome, "seed %d: %v", seed, first.Differences)
		built := b.run(t, replay.Request{Build: true})
		require.Equal(t, replay.OutcomeBuilt, built.Outcome)
		require.True(t, built.Identical)
		require.Equal(t, first.ChecksumBefore, built.ChecksumAfter)
		require.NoError(t, b.Write(t.Context(), events[cut:]))
		require.Equal(t, replay.OutcomeIdentical, b.run(t, replay.Request{}).Outcome)
		b.spoil(t, rng)
		found := b.run(t, replay.Request{DryRun: true})
		require.Positive(t, found.Found, "seed %d", seed)
		b.run(t, replay.Request{})
		last := b.run(t, replay.Request{DryRun: true})
		require.Equal(t, replay.OutcomeIdentical, last.Outcome, "seed %d: %v", seed, last.Differences)
		b.sameRows(t)
	}
}

// spoil alters, takes away and adds rows behind everybody's back.
func (b *bundle) spoil(t *testing.T, rng *rand.Rand) {
	t.Helper()
	rows := b.State.Rows()
	for range 1 + rng.IntN(8) {
		row := rows[rng.IntN(len(rows))]
		table := projection.TableOf(row)
		where := "tenant_id = $1"
		for i, part := range row.Key().Parts() {
			where += fmt.Sprintf(" and %s::text = '%s'", table.Key[i], part)
		}
		sql := fmt.Sprintf("update %s set updated_at = updated_at + interval '1 hour' where %s", table.Name, where)
		if rng.IntN(3) == 0 {
			sql = fmt.Sprintf("delete from %s where %s", table.Name, where)
		}
		_, err := b.super.Exec(t.Context(), sql, b.Tenant)
		require.NoError(t, err)
	}
}

// sameRows requires the live rows to be the fold's.
func (b *bundle) sameRows(t *testing.T) {
	t.Helper()
	keys := []projection.Key{}
	for _, row := range b.State.Rows() {
		keys = append(keys, row.Key())
	}
	require.NoError(t, b.store.Frozen(t.Context(), b.Tenant, func(ctx context.Context, f replay.Frozen) error {
		rows, err := f.Load(ctx, keys)
		require.NoError(t, err)
		require.Len(t, rows, len(keys))
		for _, row := range b.State.Rows() {
			require.Equal(t, string(projection.RowJSON(row)), string(projection.RowJSON(rows[row.Key()])))
		}
		counts, err := f.Counts(ctx)
		require.NoError(t, err)
		total := int64(0)
		for _, n := range counts {
			total += n
		}
		require.Equal(t, int64(len(keys)), total)
		return nil
	}))
}
