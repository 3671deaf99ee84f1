package replay_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

// BenchmarkRebuild rebuilds a log of ROBSON_BENCH_EVENTS events, 100 000 where it is not set: comparing what is right, and folding
// everything into a new epoch.
func BenchmarkRebuild(b *testing.B) {
	events := 100_000
	if n, err := strconv.Atoi(os.Getenv("ROBSON_BENCH_EVENTS")); err == nil {
		events = n
	}
	w := setup(b, events, replay.Config{})
	_, err := w.super.Exec(b.Context(), "vacuum analyze")
	require.NoError(b, err)
	w.State, w.events = nil, nil // What a service would not hold must not be looked through by its collector.
	for name, request := range map[string]replay.Request{"compare": {}, "build": {Build: true}} {
		b.Run(name, func(b *testing.B) {
			folded, memory := int64(0), watchMemory(b)
			for b.Loop() {
				r := w.run(b, request)
				folded += r.Events
				b.Logf("%s: %d events, %d rows, held %s, took %s", r.Outcome, r.Events, r.Rows, r.Held, r.Took)
			}
			b.ReportMetric(float64(folded)/b.Elapsed().Seconds(), "events/s")
			memory.report(b)
		})
	}
}

// BenchmarkFromSnapshot compares an account of as many events from zero, and from a snapshot that is 2 500 events behind.
func BenchmarkFromSnapshot(b *testing.B) {
	events := 100_000
	if n, err := strconv.Atoi(os.Getenv("ROBSON_BENCH_EVENTS")); err == nil {
		events = n
	}
	w := setup(b, events-2500, replay.Config{})
	scope := replay.Scope{Kind: replay.ScopeAccount, ID: projectiontest.Spot}
	_, err := w.Snapshot(b.Context(), projection.Scope{Kind: projection.ScopeAccount, ID: scope.ID}, nil)
	require.NoError(b, err)
	more, err := storetest.Lives(events)
	require.NoError(b, err)
	require.NoError(b, w.Write(b.Context(), more[len(w.events):]))
	_, err = w.super.Exec(b.Context(), "vacuum analyze")
	require.NoError(b, err)
	w.State, w.events = nil, nil
	for _, from := range []bool{false, true} {
		b.Run(map[bool]string{false: "zero", true: "snapshot"}[from], func(b *testing.B) {
			memory := watchMemory(b)
			for b.Loop() {
				r := w.run(b, replay.Request{Scope: scope, FromSnapshot: from, DryRun: true})
				require.Equal(b, from, r.Snapshot != uuid.Nil)
				b.Logf("%s: %d events, %d rows, took %s", r.Outcome, r.Events, r.Rows, r.Took)
			}
			memory.report(b)
		})
	}
}

// BenchmarkStateAt asks for an account as it was, at places up to 5 000 events behind a snapshot.
func BenchmarkStateAt(b *testing.B) {
	w := setup(b, 50_000, replay.Config{})
	head := int64(len(w.events))
	_, err := w.Snapshot(b.Context(), projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}, nil)
	require.NoError(b, err)
	more, err := storetest.Lives(55_000)
	require.NoError(b, err)
	require.NoError(b, w.Write(b.Context(), more[len(w.events):]))
	w.State, w.events = nil, nil
	historian := replay.NewHistorian(w.store, replay.HistorianConfig{})
	rng := rand.New(rand.NewPCG(1, 1))
	var took []time.Duration
	for b.Loop() {
		begun := time.Now() //nolint:forbidigo // A benchmark measures.
		a, err := historian.StateAt(b.Context(), w.Tenant, replay.Question{Position: head + rng.Int64N(5000), Kind: event.KindAccount, ID: projectiontest.Spot})
		require.NoError(b, err)
		require.NotEqual(b, uuid.Nil, a.Snapshot)
		took = append(took, time.Since(begun)) //nolint:forbidigo // A benchmark measures.
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}
