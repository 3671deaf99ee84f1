package replay_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/replayer/internal/replay"
	"github.com/robson/robson/services/replayer/internal/store"
	"github.com/robson/robson/services/replayer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// silent is a log that is told of rebuilds.
type silent struct{ told chan replay.Result }

func (s silent) Announce(_ context.Context, _ uuid.UUID, r *replay.Result) error {
	s.told <- *r
	return nil
}

// bundle is a tenant with a log of lives, and a rebuilder.
type bundle struct {
	*storetest.World
	super     *pgxpool.Pool
	pool      *pgxpool.Pool
	store     *store.Store
	rebuilder *replay.Rebuilder
	told      chan replay.Result
	events    []projection.Event
}

func setup(t testing.TB, events int, cfg replay.Config) *bundle {
	t.Helper()
	db := testkit.Database(t)
	b := &bundle{super: db.Pool(t, ""), told: make(chan replay.Result, 100)}
	b.World = storetest.NewWorld(b.super, uuid.New())
	lives, err := storetest.Lives(events)
	require.NoError(t, err)
	b.events = lives
	require.NoError(t, b.Write(t.Context(), lives))
	b.pool = db.Pool(t, storetest.Role)
	cfgStore := store.Config{}
	if _, is := t.(*testing.T); is {
		cfgStore.History.Window = 64 // A test's log is longer than a window, as a real one is.
	}
	b.store, err = store.New(clock.System(), b.pool, cfgStore)
	require.NoError(t, err)
	b.rebuilder, err = replay.NewRebuilder(clock.System(), b.store, silent{b.told}, cfg)
	require.NoError(t, err)
	return b
}

// run does a run to its end.
func (b *bundle) run(t testing.TB, request replay.Request) *replay.Result {
	t.Helper()
	result, err := b.rebuilder.Run(t.Context(), replay.Start{Tenant: b.Tenant, Run: uuid.New(), Kind: replay.KindRebuild, Request: request}, func(replay.Telling) {})
	require.NoError(t, err)
	return result
}

// right requires the live rows to be what the log folds to, byte for byte, and no other rows to be left.
func (b *bundle) right(t testing.TB) {
	t.Helper()
	keys := []projection.Key{}
	for _, row := range b.State.Rows() {
		keys = append(keys, row.Key())
	}
	err := b.store.Frozen(t.Context(), b.Tenant, func(ctx context.Context, f replay.Frozen) error {
		rows, err := f.Load(ctx, keys)
		require.NoError(t, err)
		for _, row := range b.State.Rows() {
			require.NotNil(t, rows[row.Key()], "%s", row.Key())
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
	})
	require.NoError(t, err)
	for _, table := range projection.Tables() {
		var epochs int
		require.NoError(t, b.super.QueryRow(t.Context(), "select count(distinct epoch) from "+table.Name).Scan(&epochs))
		require.LessOrEqual(t, epochs, 1, table.Name)
	}
}

func TestRebuild_of_what_is_right_changes_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t, 500, replay.Config{RowsMax: 40})
	r := b.run(t, replay.Request{})
	require.Equal(t, replay.OutcomeIdentical, r.Outcome)
	require.True(t, r.Identical)
	require.Equal(t, r.ChecksumBefore, r.ChecksumAfter)
	require.Equal(t, int64(b.State.Len()), r.Rows)
	require.Zero(t, r.Changed)
	require.True(t, r.Announced)
	require.Len(t, b.told, 1)
	b.right(t)
}

func TestRebuild_mends_what_was_altered(t *testing.T) {
	t.Parallel()
	position := projectiontest.Long("life 3").PositionID()
	for name, c := range map[string]struct {
		sql    string
		kind   replay.Kind
		table  string
		fields []replay.Field
	}{
		"an altered field": {
			"update positions_current set total_fees = 7.5 where position_id = '" + position.String() + "'", replay.Altered, "positions_current",
			[]replay.Field{{Name: "total_fees", Expected: `"0"`, Found: `"7.5"`}},
		},
		"a lost row":   {"delete from fills where exchange_trade_id = '3e1'", replay.Lost, "fills", nil},
		"a phantom":    {"insert into fills select tenant_id, account_id, symbol, exchange_order_id, 'none', fill_id, order_id, position_id, client_order_id, side, fill_price, fill_quantity, quote_quantity, fee, fee_asset, fee_quote, is_maker, synthetic, source, filled_at, last_event_id, last_position, created_at, updated_at, epoch from fills where exchange_trade_id = '3e1'", replay.Phantom, "fills", nil},
		"a null field": {"update orders_current set submitted_at = null where order_id in (select order_id from fills where exchange_trade_id = '3e1')", replay.Altered, "orders_current", nil},
		"an altered key": {
			"update intents_current set intent_id = gen_random_uuid() where intent_id = '" + projectiontest.Long("life 3").EntryID().String() + "'", replay.Lost, "intents_current", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, 300, replay.Config{RowsMax: 40})
			require.NoError(t, b.Exec(t.Context(), c.sql))
			dry := b.run(t, replay.Request{DryRun: true})
			require.Equal(t, replay.OutcomeDiffers, dry.Outcome)
			require.NotEmpty(t, dry.Differences)
			require.Equal(t, c.kind, dry.Differences[0].Kind)
			require.Equal(t, c.table, dry.Differences[0].Key.Table)
			if c.fields != nil {
				require.Equal(t, c.fields, dry.Differences[0].Fields)
			}
			require.NotEqual(t, dry.ChecksumBefore, dry.ChecksumAfter)
			require.Empty(t, b.told)

			r := b.run(t, replay.Request{})
			require.Equal(t, replay.OutcomeMended, r.Outcome)
			require.Equal(t, dry.Found, r.Changed)
			require.Equal(t, int64(2), r.Generation)
			b.right(t)
			again := b.run(t, replay.Request{DryRun: true})
			require.Equal(t, replay.OutcomeIdentical, again.Outcome)
			require.Equal(t, r.ChecksumAfter, again.ChecksumBefore)
		})
	}
}

func TestRebuild_builds_anew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   []string
		request replay.Request
	}{
		"what was emptied":      {[]string{"delete from fills", "delete from orders_current", "delete from positions_current"}, replay.Request{}},
		"what all differs":      {[]string{"update orders_current set symbol = 'X'", "update fills set side = 'y'", "update decisions_current set symbol = 'Z'"}, replay.Request{}},
		"what other rules made": {[]string{fmt.Sprint("update tenant_log set rules_version = ", projection.RulesVersion-1)}, replay.Request{}},
		"what was asked for":    {nil, replay.Request{Build: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, 1000, replay.Config{RowsMax: 60, MendMax: 20, StretchMax: 150})
			for _, sql := range c.spoil {
				require.NoError(t, b.Exec(t.Context(), sql))
			}
			r := b.run(t, c.request)
			require.Equal(t, replay.OutcomeBuilt, r.Outcome)
			require.Equal(t, int64(b.State.Len()), r.Rows)
			b.right(t)
			again := b.run(t, replay.Request{DryRun: true})
			require.Equal(t, replay.OutcomeIdentical, again.Outcome)
			require.Equal(t, r.ChecksumAfter, again.ChecksumBefore)
		})
	}
}
