package store_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, db *testkit.DB) *store.Store {
	t.Helper()
	s, err := store.New(clock.System(), db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	return s
}

func size(def int) int {
	if n, err := strconv.Atoi(os.Getenv("ROBSON_BENCH_EVENTS")); err == nil {
		return n
	}
	return def
}

func BenchmarkCompare(b *testing.B) {
	db := testkit.Database(b)
	w := storetest.NewWorld(db.Pool(b, ""), uuid.New())
	events, err := storetest.Lives(size(100_000))
	require.NoError(b, err)
	require.NoError(b, w.Write(b.Context(), events))
	_, err = db.Pool(b, "").Exec(b.Context(), "vacuum analyze")
	require.NoError(b, err)
	s := open(b, db)
	for b.Loop() {
		begun := clock.System().Now()
		err := s.Frozen(b.Context(), w.Tenant, func(ctx context.Context, f replay.Frozen) error {
			c, err := replay.Compare(ctx, f, replay.MachineConfig{}, func(int64, int64) error { return nil })
			if err != nil {
				return err
			}
			for _, d := range c.Differences[:min(5, len(c.Differences))] {
				b.Log(d.Key, d.Kind, d.Fields)
			}
			require.Zero(b, c.Count())
			d := clock.System().Now().Sub(begun)
			b.Log(c.Rows(), c.Events, fmt.Sprint(float64(c.Events)/d.Seconds()), d)
			begun = clock.System().Now()
			x, err := f.Digest(ctx)
			b.Log(x.Checksum(), x.Rows(), clock.System().Now().Sub(begun))
			return err
		})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}
