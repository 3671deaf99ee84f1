package store_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/store/storetest"
)

// lists are the promised ones, with their orders told a second time.
var lists = []struct {
	listing store.Listing
	table   string
	newest  bool
	order   []string
}{
	{store.Accounts, projection.TableAccounts, false, []string{"account_id"}},
	{store.Strategies, projection.TableStrategies, false, []string{"strategy_id"}},
	{store.Positions, projection.TablePositions, true, []string{"last_position", "position_id"}},
	{store.Orders, projection.TableOrders, true, []string{"last_position", "order_id"}},
	{store.Intents, projection.TableIntents, true, []string{"last_position", "intent_id"}},
	{store.Decisions, projection.TableDecisions, true, []string{"last_position", "decision_id"}},
	{store.Signals, projection.TableSignals, true, []string{"last_position", "signal_id"}},
	{store.Fills, projection.TableFills, true, []string{"last_position", "fill_id"}},
	{store.Discrepancies, projection.TableDiscrepancies, true, []string{"created_at", "discrepancy_id"}},
	{store.Balances, projection.TableBalances, false, []string{"account_id", "wallet", "asset"}},
	{store.RiskStates, projection.TableRisk, false, []string{"account_id", "strategy_id"}},
	{store.PnLPeriods, projection.TablePnLPeriods, true, []string{"period", "account_id", "strategy_id"}},
	{store.MarginLoans, projection.TableMarginLoans, false, []string{"account_id", "symbol", "asset"}},
	{store.Connectors, projection.TableConnector, false, []string{"account_id", "channel"}},
	{store.MarginStates, projection.TableMarginState, false, []string{"account_id", "symbol"}},
	{store.Runs, projection.TableReconciliations, true, []string{"last_position", "run_id"}},
	{store.Replays, projection.TableReplays, true, []string{"last_position", "run_id"}},
	{store.Snapshots, projection.TableSnapshots, false, []string{"scope", "scope_id"}},
}

// TestStore_List pages through each list in pages of any size: every row once, in the promised order.
func TestStore_List(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	all := map[string][]projection.Row{}
	for _, l := range lists {
		for range 23 {
			all[l.table] = append(all[l.table], b.crowded(projection.TableNamed(l.table)))
		}
		b.append(t, 99, all[l.table]...)
	}
	require.NoError(t, b.writer.Append(t.Context(), uuid.New(), 5, storetest.Random[projection.Order](b.rng)), "another tenant")

	for _, l := range lists {
		t.Run(l.table, func(t *testing.T) {
			t.Parallel()
			want := slices.Clone(all[l.table])
			slices.SortFunc(want, func(x, y projection.Row) int {
				c := slices.CompareFunc(sortKey(x, l.order), sortKey(y, l.order), compareAny)
				if l.newest {
					return -c
				}
				return c
			})
			for _, size := range []int{1, 7, 22, 23, 24, 0} {
				requireRows(t, want, b.pages(t, l.listing, size), "pages of %d", size)
			}
		})
	}
}

// crowded is a random row whose sort columns collide with those of others, but not its key.
func (b *bundle) crowded(table *projection.Table) projection.Row {
	row := table.NewRow()
	storetest.RandomInto(b.rng, row)
	set := func(name string, value any) {
		v := reflect.ValueOf(row).Elem()
		for _, f := range reflect.VisibleFields(v.Type()) {
			if f.Tag.Get("db") == name {
				v.FieldByIndex(f.Index).Set(reflect.ValueOf(value))
			}
		}
	}
	set("tenant_id", b.tenant)
	set("last_position", int64(b.rng.IntN(4)))
	set("created_at", storetest.Epoch.Add(time.Duration(b.rng.IntN(4))*time.Microsecond))
	// Of the lines of an account there are so few that their keys would collide.
	if len(table.Key) > 1 && table.Name != projection.TableFills && table.Name != projection.TableConnector {
		set("account_id", id(b.rng.IntN(3)))
	}
	if table.Name == projection.TablePnLPeriods {
		set("period", []string{"2026-11", "2026-11-23", "2026-12"}[b.rng.IntN(3)])
	}
	return row
}

// pages reads a whole list.
func (b *bundle) pages(t *testing.T, l store.Listing, size int, conditions ...store.Condition) []projection.Row {
	t.Helper()
	var rows []projection.Row
	p := store.ListParams{Size: size, Conditions: conditions}
	for {
		page, err := b.List(t.Context(), b.tenant, l, p)
		require.NoError(t, err)
		require.EqualValues(t, 99, page.AsOf)
		rows = append(rows, page.Rows...)
		if page.Next == "" {
			return rows
		}
		require.Len(t, page.Rows, size, "only the last page is short")
		require.LessOrEqual(t, len(page.Next), 512, "the contract's limit")
		p.Token = page.Next
	}
}

func sortKey(row projection.Row, order []string) []any {
	table := projection.TableOf(row)
	values := table.Values(row)
	key := make([]any, len(order))
	for i, name := range order {
		key[i] = values[slices.Index(table.ColumnNames(), name)]
	}
	return key
}

func compareAny(x, y any) int {
	switch x := x.(type) {
	case int64:
		return cmp.Compare(x, y.(int64))
	case string:
		return strings.Compare(x, y.(string))
	case time.Time:
		return x.Compare(y.(time.Time))
	case uuid.UUID:
		y := y.(uuid.UUID)
		return bytes.Compare(x[:], y[:])
	default:
		panic(fmt.Sprintf("%T", x))
	}
}

func TestStore_List_conditions(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	accounts, positions := []uuid.UUID{id(1), id(2)}, []uuid.UUID{id(11), id(12), id(13)}
	var all []projection.Row
	for range 60 {
		all = append(all, b.order(int64(b.rng.IntN(90)), func(o *projection.Order) {
			o.AccountID = accounts[b.rng.IntN(2)]
			o.PositionID = uuid.NullUUID{UUID: positions[b.rng.IntN(3)], Valid: b.rng.IntN(4) > 0}
			o.Symbol = []string{"BTCUSDT", "ETHUSDT"}[b.rng.IntN(2)]
		}))
	}
	b.append(t, 99, all...)
	for name, c := range map[string]struct {
		conditions []store.Condition
		keep       func(o *projection.Order) bool
	}{
		"account":  {[]store.Condition{store.IsID("account_id", id(1))}, func(o *projection.Order) bool { return o.AccountID == id(1) }},
		"position": {[]store.Condition{store.IsID("position_id", id(12))}, func(o *projection.Order) bool { return o.PositionID.Valid && o.PositionID.UUID == id(12) }},
		"symbol":   {[]store.Condition{store.IsText("symbol", "ETHUSDT")}, func(o *projection.Order) bool { return o.Symbol == "ETHUSDT" }},
		"truth":    {[]store.Condition{store.IsTrue("needs_resolution", true)}, func(o *projection.Order) bool { return o.NeedsResolution }},
		"untruth":  {[]store.Condition{store.IsTrue("needs_resolution", false)}, func(o *projection.Order) bool { return !o.NeedsResolution }},
		"one of some": {
			[]store.Condition{store.InTexts("status", []string{"filled", "canceled"})},
			func(o *projection.Order) bool {
				return o.Status == projection.OrderFilled || o.Status == projection.OrderCanceled
			},
		},
		"all at once": {
			[]store.Condition{
				store.IsID("account_id", id(2)), store.IsText("symbol", "BTCUSDT"), store.IsTrue("needs_resolution", true),
				store.InTexts("status", []string{"pending", "submitted", "acknowledged", "partial"}),
			},
			func(o *projection.Order) bool {
				return o.AccountID == id(2) && o.Symbol == "BTCUSDT" && o.NeedsResolution && !o.Status.Ended()
			},
		},
		"none that is there": {[]store.Condition{store.IsText("symbol", "XRPUSDT")}, func(*projection.Order) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := slices.DeleteFunc(slices.Clone(all), func(row projection.Row) bool { return !c.keep(row.(*projection.Order)) })
			got := b.pages(t, store.Orders, 4, c.conditions...)
			require.ElementsMatch(t, texts(want), texts(got))
		})
	}
}

func TestStore_List_token(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	for i := range 3 {
		b.append(t, 99, b.order(int64(i), func(o *projection.Order) { o.Symbol, o.AccountID = "BTCUSDT", id(1) }))
	}
	btc := []store.Condition{store.IsText("symbol", "BTCUSDT"), store.InTexts("side", []string{"buy", "sell"})}
	first, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Size: 1, Conditions: btc})
	require.NoError(t, err)
	require.NotEmpty(t, first.Next)
	decoded, err := base64.RawURLEncoding.DecodeString(first.Next)
	require.NoError(t, err)
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

	t.Run("goes on with a page of another size", func(t *testing.T) {
		t.Parallel()
		page, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Size: 2, Conditions: btc, Token: first.Next})
		require.NoError(t, err)
		require.Len(t, page.Rows, 2)
		require.Empty(t, page.Next)
	})

	t.Run("does not mind in which order the texts are named", func(t *testing.T) {
		t.Parallel()
		other := []store.Condition{btc[0], store.InTexts("side", []string{"sell", "buy", "sell"})}
		_, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Conditions: other, Token: first.Next})
		require.NoError(t, err)
	})

	for name, c := range map[string]struct {
		token      string
		tenant     uuid.UUID
		listing    store.Listing
		conditions []store.Condition
	}{
		"other conditions":     {first.Next, b.tenant, store.Orders, []store.Condition{store.IsText("symbol", "ETHUSDT"), btc[1]}},
		"fewer conditions":     {first.Next, b.tenant, store.Orders, btc[:1]},
		"more conditions":      {first.Next, b.tenant, store.Orders, append(slices.Clone(btc), store.IsTrue("known", true))},
		"another tenant":       {first.Next, uuid.New(), store.Orders, btc},
		"another list":         {first.Next, b.tenant, store.Intents, btc},
		"not base64":           {"%%%", b.tenant, store.Orders, btc},
		"not a token":          {encode("hello"), b.tenant, store.Orders, btc},
		"an empty token":       {encode("{}"), b.tenant, store.Orders, btc},
		"a changed place":      {encode(strings.Replace(string(decoded), `["2"`, `["1"`, 1)), b.tenant, store.Orders, btc},
		"a cut token":          {first.Next[:len(first.Next)/2], b.tenant, store.Orders, btc},
		"too short a sort key": {encode(strings.Replace(string(decoded), `"2",`, ``, 1)), b.tenant, store.Orders, btc},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := b.List(t.Context(), c.tenant, c.listing, store.ListParams{Conditions: c.conditions, Token: c.token})
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			require.Len(t, fault.As(err).Fields, 1)
			require.Equal(t, "page_token", fault.As(err).Fields[0].Path)
		})
	}
}

// TestStore_List_changes pages through the newest changes while rows change: no row comes twice, none that stayed as
// it was is missed, and the ones that changed stand before the first page.
func TestStore_List_changes(t *testing.T) {
	t.Parallel()
	b := setup(t, store.Config{})
	const rows = 40
	orders := make([]*projection.Order, rows)
	for i := range orders {
		orders[i] = b.order(int64(i+1), nil)
		b.append(t, int64(i+1), orders[i])
	}
	changed, seen := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	p := store.ListParams{Size: 3}
	for head := int64(rows); ; {
		page, err := b.List(t.Context(), b.tenant, store.Orders, p)
		require.NoError(t, err)
		require.Equal(t, head, page.AsOf)
		for _, row := range page.Rows {
			order := row.(*projection.Order)
			require.False(t, seen[order.OrderID], "twice")
			seen[order.OrderID] = true
		}
		if p.Token = page.Next; p.Token == "" {
			break
		}
		for range 2 {
			head++
			order := *orders[b.rng.IntN(rows)]
			order.LastPosition = head
			changed[order.OrderID] = true
			b.append(t, head, &order)
		}
	}
	for _, order := range orders {
		require.True(t, seen[order.OrderID] || changed[order.OrderID], "missed")
	}
	front, err := b.List(t.Context(), b.tenant, store.Orders, store.ListParams{Size: len(changed)})
	require.NoError(t, err)
	for _, row := range front.Rows {
		require.True(t, changed[row.(*projection.Order).OrderID])
	}
}
