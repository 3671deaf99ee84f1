package replay_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/snapshot"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

// behind is a log of 600 events of which an account's snapshot is some behind.
func behind(t *testing.T) (*bundle, replay.Request) {
	t.Helper()
	b := setup(t, 500, replay.Config{RowsMax: 40})
	_, err := b.Snapshot(t.Context(), projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}, nil)
	require.NoError(t, err)
	more, err := storetest.Lives(600)
	require.NoError(t, err)
	require.NoError(t, b.Write(t.Context(), more[len(b.events):]))
	return b, replay.Request{Scope: replay.Scope{Kind: replay.ScopeAccount, ID: projectiontest.Spot}, FromSnapshot: true}
}

// since asks which rows of the account may have been written since its snapshot.
func (b *bundle) since(t *testing.T, change func(*replay.Horizon)) (recent replay.Recent, known bool) {
	t.Helper()
	scope := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
	err := b.store.Frozen(t.Context(), b.Tenant, func(ctx context.Context, f replay.Frozen) error {
		return b.store.WithSnapshot(ctx, b.Tenant, []projection.Scope{scope}, f.Head().Position, func(o *replay.Opened) error {
			horizon := o.Horizon
			if change != nil {
				change(&horizon)
			}
			var err error
			recent, known, err = f.Since(ctx, scope, horizon, 1000)
			return err
		})
	})
	require.NoError(t, err)
	return recent, known
}

// What was altered behind our back is found from a snapshot as it is from the first event, and mended.
func TestRebuild_from_a_snapshot_finds_what_was_altered(t *testing.T) {
	t.Parallel()
	old, young := projectiontest.Long("life 1").PositionID(), projectiontest.Long("life 30").PositionID()
	for name, sql := range map[string]string{
		"nothing":                   "select",
		"an old row":                fmt.Sprintf("update positions_current set total_fees = 7.5 where position_id = '%s'", old),
		"a row of the tail":         fmt.Sprintf("update positions_current set total_fees = 7.5 where position_id = '%s'", young),
		"an old row is gone":        "delete from fills where exchange_trade_id = '1e1'",
		"a row of the tail gone":    fmt.Sprintf("delete from positions_current where position_id = '%s'", young),
		"one too many":              "insert into fills select tenant_id, account_id, symbol, exchange_order_id, 'none', fill_id, order_id, position_id, client_order_id, side, fill_price, fill_quantity, quote_quantity, fee, fee_asset, fee_quote, is_maker, synthetic, source, filled_at, last_event_id, last_position, created_at, updated_at, epoch from fills where exchange_trade_id = '1e1'",
		"one for another":           "update fills set exchange_trade_id = 'none' where exchange_trade_id = '1e1'",
		"all written again":         "update fills set fee = fee; update orders_current set symbol = symbol; update positions_current set symbol = symbol; update intents_current set symbol = symbol",
		"all written again but one": "update fills set fee = fee; update fills set fee = fee + 1 where exchange_trade_id = '1e1'",
		"an old row of no account":  fmt.Sprintf("update positions_current set account_id = '%s' where position_id = '%s'", uuid.New(), old),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, request := behind(t)
			require.NoError(t, b.Exec(t.Context(), sql))
			wanted := b.run(t, replay.Request{DryRun: true})
			request.DryRun = true
			dry := b.run(t, request)
			require.NotEqual(t, uuid.Nil, dry.Snapshot, "%s", dry.Note)
			require.Equal(t, wanted.Found, dry.Found)
			require.Equal(t, keysOf(wanted.Differences), keysOf(dry.Differences))
			request.DryRun = false
			b.run(t, request)
			b.right(t)
		})
	}
}

func keysOf(differences []replay.Difference) []string {
	keys := make([]string, len(differences))
	for i, d := range differences {
		keys[i] = d.Key.String()
	}
	slices.Sort(keys)
	return keys
}

// Rows that nobody has written since are not read again, and none that somebody has is taken for one of them.
func TestSince(t *testing.T) {
	t.Parallel()
	b, _ := behind(t)
	// What the snapshot has for a horizon may be held back by any transaction in the cluster; all that was written here has ended.
	var now int64
	require.NoError(t, b.super.QueryRow(t.Context(), "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&now))
	fromNow := func(h *replay.Horizon) { h.XID = now }
	before, known := b.since(t, fromNow)
	require.True(t, known)
	require.Empty(t, before.Rows)
	require.Positive(t, before.Older[projection.TableFills])
	require.NoError(t, b.Exec(t.Context(), "update fills set fee = fee where exchange_trade_id = '1e1'"))
	after, known := b.since(t, fromNow)
	require.True(t, known)
	require.Equal(t, []string{"1e1"}, fills(after.Rows))
	require.Equal(t, before.Older[projection.TableFills]-1, after.Older[projection.TableFills])
	require.NoError(t, b.store.Frozen(t.Context(), b.Tenant, func(ctx context.Context, f replay.Frozen) error {
		scope := projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}
		return b.store.WithSnapshot(ctx, b.Tenant, []projection.Scope{scope}, f.Head().Position, func(o *replay.Opened) error {
			_, known, err := f.Since(ctx, scope, replay.Horizon{XID: now, Cluster: o.Horizon.Cluster}, len(after.Rows)-1)
			require.False(t, known, "more than are wanted")
			return err
		})
	}))
	for name, change := range map[string]func(*replay.Horizon){
		"another cluster":     func(h *replay.Horizon) { h.Cluster++ },
		"no cluster":          func(h *replay.Horizon) { h.Cluster = 0 },
		"of the future":       func(h *replay.Horizon) { h.XID += 1 << 40 },
		"too long ago":        func(h *replay.Horizon) { h.XID -= 1 << 31 },
		"of another counting": func(h *replay.Horizon) { h.XID -= 1 << 40 },
	} {
		_, known := b.since(t, change)
		require.False(t, known, name)
	}
}

// A transaction that began before the snapshot and ends after it has written after it, though its number is lower.
func TestSince_counts_who_ends_later(t *testing.T) {
	t.Parallel()
	b := setup(t, 300, replay.Config{RowsMax: 40})
	slow, err := b.super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = slow.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = slow.Exec(t.Context(), "update fills set fee = fee + 1 where exchange_trade_id = '1e1'")
	require.NoError(t, err)
	// Others have begun and ended since.
	require.NoError(t, b.Exec(t.Context(), "update fills set fee = fee where exchange_trade_id = '2e1'"))
	_, err = b.Snapshot(t.Context(), projection.Scope{Kind: projection.ScopeAccount, ID: projectiontest.Spot}, nil)
	require.NoError(t, err)
	require.NoError(t, slow.Commit(t.Context()))
	recent, known := b.since(t, nil)
	require.True(t, known)
	require.Contains(t, fills(recent.Rows), "1e1")
	r := b.run(t, replay.Request{Scope: replay.Scope{Kind: replay.ScopeAccount, ID: projectiontest.Spot}, FromSnapshot: true})
	require.Equal(t, replay.OutcomeMended, r.Outcome)
	b.right(t)
}

func fills(rows []projection.Row) []string {
	var trades []string
	for _, row := range rows {
		if fill, is := row.(*projection.Fill); is {
			trades = append(trades, fill.ExchangeTradeID)
		}
	}
	return trades
}

// A block that turns out not to be what was hashed only when it is wanted is answered for by an older snapshot, or by the log.
func TestStateAt_passes_over_a_block_that_does_not_fit(t *testing.T) {
	t.Parallel()
	b, _ := behind(t)
	// A forger has summed up the bytes anew: only the hash that the log knows tells.
	require.NoError(t, pgx.BeginFunc(t.Context(), b.super, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
update snapshots set state = forged.bytes || sha256(forged.bytes)
from (select snapshot_id, substring(set_byte(state, 300, get_byte(state, 300) # 1) for octet_length(state) - 32) as bytes from snapshots) as forged
where snapshots.snapshot_id = forged.snapshot_id`)
		return err
	}))
	historian := replay.NewHistorian(b.store, replay.HistorianConfig{})
	a, err := historian.StateAt(t.Context(), b.Tenant, replay.Question{Position: 590, Kind: event.KindAccount, ID: projectiontest.Spot})
	require.NoError(t, err)
	require.Equal(t, uuid.Nil, a.Snapshot)
	require.NotEmpty(t, a.Rows)
	var marked, due string
	require.NoError(t, b.super.QueryRow(t.Context(), "select unfit from snapshots").Scan(&marked))
	// Compressed bytes that were altered may still be some, or none.
	require.Contains(t, []string{string(snapshot.ReasonHash), string(snapshot.ReasonCompression), string(snapshot.ReasonLength)}, marked)
	require.NoError(t, b.super.QueryRow(t.Context(), "select reason from snapshots_due").Scan(&due))
	require.Equal(t, "remake", due)
}
