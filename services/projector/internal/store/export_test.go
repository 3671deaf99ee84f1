package store_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

func TestStore_Export(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{ExportFetch: 4, ExportsMax: 20})
	var all []projection.Row
	for _, table := range projection.Tables() {
		n := 1 + b.rng.IntN(10)
		if len(table.Key) == 0 {
			n = 1
		}
		for range n {
			row := b.crowded(table)
			all = append(all, row)
			require.NoError(t, b.writer.Append(t.Context(), id(7), 3, table.NewRow()), "another tenant's: %s", table.Name)
		}
	}
	b.append(t, 50, all...)
	slices.SortFunc(all, func(x, y projection.Row) int { return x.Key().Compare(y.Key()) })

	export := func(t *testing.T, tenant uuid.UUID, p store.ExportParams) (store.Head, []store.ExportedRow) {
		t.Helper()
		var heads []store.Head
		var rows []store.ExportedRow
		err := b.Export(t.Context(), tenant, p,
			func(h store.Head) error { heads = append(heads, h); return nil },
			func(r store.ExportedRow) error {
				require.Len(t, heads, 1, "the header comes first")
				rows = append(rows, r)
				return nil
			})
		require.NoError(t, err)
		require.Len(t, heads, 1)
		return heads[0], rows
	}
	exported := func(rows []projection.Row) []store.ExportedRow {
		var out []store.ExportedRow
		for _, row := range rows {
			out = append(out, store.ExportedRow{Table: row.Key().Table, Key: row.Key().ID(), JSON: projection.RowJSON(row)})
		}
		return out
	}

	t.Run("hands over every row of the tenant, by table and key", func(t *testing.T) {
		t.Parallel()
		head, rows := export(t, b.tenant, store.ExportParams{})
		require.Equal(t, store.Head{Position: 50, Hash: storetest.Hash(50), Generation: 1}, head)
		require.Equal(t, exported(all), rows)
	})

	t.Run("hands over only the tables asked for, each once", func(t *testing.T) {
		t.Parallel()
		wanted := []string{projection.TablePositions, projection.TableFills, projection.TableFills}
		_, rows := export(t, b.tenant, store.ExportParams{Tables: wanted})
		require.Equal(t, exported(slices.DeleteFunc(slices.Clone(all), func(row projection.Row) bool {
			return !slices.Contains(wanted, row.Key().Table)
		})), rows)
	})

	t.Run("a tenant without a log has nothing", func(t *testing.T) {
		t.Parallel()
		head, rows := export(t, uuid.New(), store.ExportParams{})
		require.Equal(t, store.Head{}, head)
		require.Empty(t, rows)
	})

	t.Run("refuses a table that is none, by its place", func(t *testing.T) {
		t.Parallel()
		err := b.Export(t.Context(), b.tenant, store.ExportParams{Tables: []string{projection.TableFills, "event_log"}}, nil, nil)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, "tables[1]", fault.As(err).Fields[0].Path)
	})

	t.Run("ends when the receiver does", func(t *testing.T) {
		t.Parallel()
		gone := errors.New("gone")
		err := b.Export(t.Context(), b.tenant, store.ExportParams{}, func(store.Head) error { return gone }, nil)
		require.ErrorIs(t, err, gone)
		rows := 0
		err = b.Export(t.Context(), b.tenant, store.ExportParams{}, func(store.Head) error { return nil }, func(store.ExportedRow) error {
			rows++
			return gone
		})
		require.ErrorIs(t, err, gone)
		require.Equal(t, 1, rows)
	})

	t.Run("ends when the caller goes away", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Export(ctx, b.tenant, store.ExportParams{}, func(store.Head) error { return nil }, func(store.ExportedRow) error {
			cancel()
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestStore_Export_bounds(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{ExportsMax: 1})
	none := func(store.ExportedRow) error { return nil }
	err := b.Export(t.Context(), b.tenant, store.ExportParams{}, func(store.Head) error {
		return b.Export(t.Context(), b.tenant, store.ExportParams{}, nil, nil)
	}, none)
	require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
	require.NotZero(t, fault.As(err).RetryAfter)
	require.NoError(t, b.Export(t.Context(), b.tenant, store.ExportParams{}, func(store.Head) error { return nil }, none), "the place is free again")
}

// TestStore_Export_folded holds law 2's read side: what the rules made of a history comes back byte by byte, and the
// account that it is about can be decided on.
func TestStore_Export_folded(t *testing.T) {
	t.Parallel()
	for seed := range 5 {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t, store.Config{})
			log := rapid.Custom(func(t *rapid.T) *projectiontest.Log {
				log, err := projectiontest.Random(t, 200)
				require.NoError(t, err)
				return log
			}).Example(seed)
			last := int64(len(log.Events))
			require.NoError(t, b.writer.Append(t.Context(), log.TenantID, last, log.State.Rows()...))

			got := map[projection.Key]string{}
			err := b.Export(t.Context(), log.TenantID, store.ExportParams{Least: last}, func(h store.Head) error {
				require.Equal(t, last, h.Position)
				return nil
			}, func(r store.ExportedRow) error {
				key, err := projection.ParseKey(r.Table, r.Key)
				got[key] = string(r.JSON)
				return err
			})
			require.NoError(t, err)
			require.Equal(t, log.State.Render(), got)

			view, err := b.DecisionView(t.Context(), log.TenantID, store.ViewParams{
				AccountID: projectiontest.Margin, StrategyID: projectiontest.StrategyID, At: projectiontest.Start,
			})
			require.NoError(t, err)
			require.NotNil(t, view.Account)
			require.NotNil(t, view.AccountRisk)
		})
	}
}
