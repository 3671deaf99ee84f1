package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

// benchEvents is how many events the log has that is verified.
const benchEvents = 1_000_000

// BenchmarkStore_Verify verifies a log of a million events over three months, with its receipts and heads:
//
//	go test -run '^$' -bench Store_Verify -benchtime 3x ./services/eventlog/internal/store
func BenchmarkStore_Verify(b *testing.B) {
	bench := setup(b, store.Config{})
	log := storetest.NewLog(bench.super, uuid.New(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(b, log.Fill(b.Context(), benchEvents, 90*24*time.Hour/benchEvents))
	_, err := bench.super.Exec(b.Context(), "vacuum (freeze, analyze)")
	require.NoError(b, err)
	for b.Loop() {
		verdict, err := bench.Verify(b.Context(), log.Tenant, store.VerifyParams{})
		require.NoError(b, err)
		require.Nil(b, verdict.Breach)
		require.EqualValues(b, benchEvents, verdict.Events)
	}
	b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
}
