package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
)

// bulk is an account's state with so many orders, each with its fill: what a busy account of a year looks like.
func bulk(b testing.TB, orders int) (snapshot.Meta, projection.Cut) {
	b.Helper()
	log, plan := projectiontest.NewLog(), projectiontest.Long("a")
	require.NoError(b, log.Registered())
	require.NoError(b, log.Opening(plan))
	_, err := log.Append(log.Claim(plan.EntryID(), 1))
	require.NoError(b, err)
	intent := log.Intent(plan.EntryID())
	_, err = log.Append(log.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.01", Fee: "0.00001", FeeAsset: "BTC"}))
	require.NoError(b, err)
	scope := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
	cut := scope.Cut(log.State.Rows())
	for n := range orders {
		for _, row := range cut.Own[:len(cut.Own):len(cut.Own)] {
			switch r := row.(type) {
			case *projection.Order:
				if r.OrderID != intent.OrderID.UUID {
					continue
				}
				another := *r
				another.OrderID = uuid.NewSHA1(r.OrderID, fmt.Append(nil, n))
				cut.Own = append(cut.Own, &another)
			case *projection.Fill:
				if r.ExchangeTradeID != "1" {
					continue
				}
				another := *r
				another.ExchangeTradeID, another.FillID = fmt.Sprint("t", n), uuid.NewSHA1(r.FillID, fmt.Append(nil, n))
				cut.Own = append(cut.Own, &another)
			}
		}
	}
	return snapshot.Meta{TenantID: log.TenantID, Scope: scope, AsOf: 100, RulesVersion: projection.RulesVersion}, cut
}

// BenchmarkSnapshot reports how large a snapshot is, and how long it takes to write it, to open it with all that is verified, to find
// one row of it, and to restore all.
func BenchmarkSnapshot(b *testing.B) {
	for _, orders := range []int{100, 10_000} {
		meta, cut := bulk(b, orders)
		sealed, err := snapshot.Encode(meta, cut, snapshot.Config{})
		require.NoError(b, err)
		sizes := func(b *testing.B) {
			b.ReportMetric(float64(len(sealed.Stored)), "stored_B")
			b.ReportMetric(float64(sealed.Length), "text_B")
			b.ReportMetric(float64(sealed.Own), "rows")
		}
		b.Run(fmt.Sprintf("write/orders=%d", orders), func(b *testing.B) {
			for b.Loop() {
				_, err := snapshot.Encode(meta, cut, snapshot.Config{})
				require.NoError(b, err)
			}
			sizes(b)
		})
		b.Run(fmt.Sprintf("one row/orders=%d", orders), func(b *testing.B) {
			for b.Loop() {
				view, err := snapshot.Open(sealed.Stored, sealed.Expected())
				require.NoError(b, err)
				row, err := view.Get(cut.Own[len(cut.Own)-1].Key())
				require.NoError(b, err)
				require.NotNil(b, row)
			}
			sizes(b)
		})
		b.Run(fmt.Sprintf("restore/orders=%d", orders), func(b *testing.B) {
			for b.Loop() {
				view, err := snapshot.Open(sealed.Stored, sealed.Expected())
				require.NoError(b, err)
				_, err = view.All()
				require.NoError(b, err)
			}
			sizes(b)
		})
	}
}
