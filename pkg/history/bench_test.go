package history_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/history/historytest"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
)

// BenchmarkReader is what it takes to read a log of 200,000 events out of PostgreSQL: alone, with the hash chain, and with
// folding it. One iteration is the whole log.
func BenchmarkReader(b *testing.B) {
	log, err := projectiontest.Lives(200, 6900)
	require.NoError(b, err)
	db := testkit.Database(b)
	pool := db.Pool(b, role)
	super := db.Pool(b, "")
	require.NoError(b, historytest.NewWriter(super).Write(b.Context(), log.Events))
	_, err = super.Exec(b.Context(), "vacuum (analyze) event_log")
	require.NoError(b, err)
	tenant := log.TenantID
	log = nil // Its rows are no part of what is measured.

	run := func(name string, cfg history.Config, scope history.Scope, fold bool) {
		b.Run(name, func(b *testing.B) {
			scope.Tenant = tenant
			b.ReportAllocs()
			events := int64(0)
			for b.Loop() {
				events += read(b, pool, cfg, scope, fold)
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
	run("read", history.Config{}, history.Scope{}, false)
	run("read by two decoders", history.Config{Decoders: 2}, history.Scope{}, false)
	run("read and verify", history.Config{Verify: true}, history.Scope{}, false)
	run("read and fold", history.Config{}, history.Scope{}, true)
	run("read and fold one account of 200", history.Config{}, history.Scope{Account: projectiontest.Account(7)}, true)
}

// read reads a scope once and says how many events there were.
func read(b *testing.B, pool *pgxpool.Pool, cfg history.Config, scope history.Scope, fold bool) int64 {
	b.Helper()
	reader, err := history.New(cfg)
	require.NoError(b, err)
	var summary history.Summary
	err = postgres.InTx(b.Context(), pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
		state := &projection.Scratch{}
		summary, err = reader.Each(ctx, tx, scope, func(ev *projection.Event) error {
			if !fold {
				return nil
			}
			_, err := projection.Fold(state, *ev)
			return err
		})
		return err
	})
	require.NoError(b, err)
	return summary.Events
}
