package projection_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

func TestTables_are_ordered_and_found(t *testing.T) {
	t.Parallel()
	tables := projection.Tables()
	require.Len(t, tables, 21)
	for i, table := range tables {
		require.Same(t, table, projection.TableNamed(table.Name))
		require.Equal(t, "tenant_id", table.Columns[0].Name)
		require.Len(t, table.ColumnNames(), len(table.Columns))
		require.Len(t, table.ScanTargets(table.NewRow()), len(table.Columns))
		require.Len(t, table.Values(table.NewRow()), len(table.Columns))
		require.Equal(t, table.Name, table.NewRow().Key().Table)
		if i > 0 {
			require.Less(t, tables[i-1].Name, table.Name)
		}
	}
	require.Nil(t, projection.TableNamed("orders"))
}

// The contract shows every column of every row that the projector serves.
func TestTables_agree_with_the_contract(t *testing.T) {
	t.Parallel()
	served := map[string]protoreflect.MessageDescriptor{}
	messages := projectorv1.File_robson_projector_v1_state_proto.Messages()
	for i := range messages.Len() {
		served[string(messages.Get(i).Name())] = messages.Get(i)
	}
	for _, table := range projection.Tables() {
		name := strings.TrimPrefix(strings.SplitN(strings.TrimPrefix(typeName(table.NewRow()), "*"), ".", 2)[1], "projection.")
		message, ok := served[name]
		if !ok {
			require.Contains(t, []string{"APIKey", "PositionSlot"}, name) // For uniqueness only.
			continue
		}
		require.Equal(t, len(table.Columns), message.Fields().Len(), name)
		for _, column := range table.Columns {
			require.NotNil(t, message.Fields().ByName(protoreflect.Name(column.Name)), "%s.%s", name, column.Name)
		}
	}
}

func TestRowJSON_is_canonical(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 11, 0, 0, 123456000, time.FixedZone("", 3600))
	row := &projection.Order{
		OrderID: projectiontest.ID("o"), Quantity: dec("1.500"), CumQuote: decimal.New(5, 3), Price: decimal.NewNullDecimal(dec("-0.00")),
		Status: projection.OrderPartial, Fees: projection.Amounts{"USDT": dec("0.10"), "BTC": dec("0.0000100")}, SubmittedAt: &at,
		Symbol: "a\"b\\c\u2028é\x01<", ExchangeTradeIDs: []string{"2", "1"},
	}
	text := string(projection.RowJSON(row))
	for _, part := range []string{
		`"quantity":"1.5"`, `"cum_quote":"5000"`, `"price":"0"`, `"status":"partial"`, `"fees":{"BTC":"0.00001","USDT":"0.1"}`,
		`"submitted_at":"2026-11-23T10:00:00.123456Z"`, `"symbol":"a\"b\\c\u2028é\u0001<"`, `"exchange_trade_ids":["2","1"]`,
		`"cancel_intent_ids":[]`, `"known":false`, `"attempt":0`,
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "stop_price") // Null.
	require.Less(t, strings.Index(text, `"account_id"`), strings.Index(text, `"acked_at"`)+len(text))
	parsed, err := projection.ParseRow("orders_current", projection.RowJSON(row))
	require.NoError(t, err)
	require.Equal(t, text, string(projection.RowJSON(parsed)))
}

func TestParseRow_reads_what_RowJSON_wrote(t *testing.T) {
	t.Parallel()
	for _, row := range everything(t).State.Rows() {
		text := projection.RowJSON(row)
		parsed, err := projection.ParseRow(row.Key().Table, text)
		require.NoError(t, err)
		require.Equal(t, row.Key(), parsed.Key())
		require.Equal(t, string(text), string(projection.RowJSON(parsed)))
	}
	_, err := projection.ParseRow("orders", nil)
	require.ErrorContains(t, err, "no table")
	_, err = projection.ParseRow("orders_current", []byte(`{"colour":"red"}`))
	require.ErrorContains(t, err, "orders_current")
}

func TestKey_parts_never_meet(t *testing.T) {
	t.Parallel()
	id := projectiontest.ID("a")
	one := projection.FillKey(projection.TradeID{Account: id, Symbol: "S", ExchangeOrderID: `a|b`, ExchangeTradeID: `c\`})
	other := projection.FillKey(projection.TradeID{Account: id, Symbol: "S", ExchangeOrderID: `a`, ExchangeTradeID: `b|c\`})
	require.NotEqual(t, one, other)
	require.Equal(t, []string{id.String(), "S", `a|b`, `c\`}, one.Parts())
	require.Empty(t, projection.TenantKey().Parts())
	require.Equal(t, "tenants_current/", projection.TenantKey().String())
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a|\\]{1,4}`), 2, 2).Draw(t, "parts")
		key := projection.BalanceKey(uuid.Nil, parts[0], parts[1])
		require.Equal(t, append([]string{uuid.Nil.String()}, parts...), key.Parts())
	})
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	cache := &projection.Cache{}
	key := projection.TenantKey()
	_, err := cache.Get(key)
	require.EqualError(t, err, "rows not loaded: tenants_current/")
	cache.Load(key, nil)
	require.Equal(t, 1, cache.Len())
	batch := projection.NewOverlay(cache)
	row, err := batch.Get(key)
	require.NoError(t, err)
	require.Nil(t, row)

	one := projection.NewOverlay(batch)
	one.Put(&projection.Tenant{Name: "one"})
	one.Discard()
	require.Empty(t, one.Rows())
	two := projection.NewOverlay(batch)
	two.Put(&projection.Tenant{Name: "two"})
	two.Put(&projection.Account{AccountID: projectiontest.ID("a")})
	require.Empty(t, batch.Changed())
	two.MergeInto(batch)
	require.Equal(t, []projection.Key{projection.AccountKey(projectiontest.ID("a")), key}, batch.Changed())
	tenant, err := batch.Get(key)
	require.NoError(t, err)
	require.Equal(t, "two", tenant.(*projection.Tenant).Name)
	absent, err := cache.Get(key)
	require.NoError(t, err)
	require.Nil(t, absent)

	require.Equal(t, []projection.Key{projection.OrderKey(uuid.Nil)},
		cache.Missing([]projection.Key{projection.OrderKey(uuid.Nil), key, projection.OrderKey(uuid.Nil)}))
}

func TestTouches_names_what_a_fact_is_about(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	fill := s.Next(s.Fill(s.Intent(s.plan.EntryID()), 1, projectiontest.Trade{ID: "t", Price: "1", Quantity: "1", Fee: "1", FeeAsset: "BTC"}))
	keys := projection.Touches(fill)
	require.Contains(t, keys, projection.OrderKey(s.Order(s.Intent(s.plan.EntryID()).OrderID.UUID).OrderID))
	require.Contains(t, keys, projection.PositionKey(s.plan.PositionID()))
	require.Contains(t, keys, projection.RiskKey(projectiontest.Spot, uuid.Nil))
	require.Contains(t, keys, projection.AccountKey(projectiontest.Spot))
	require.Len(t, keys, 5) // And the fill itself.
	require.Len(t, projection.Touches(s.Next(s.Sample("1", "USDT", "1"))), 1)
}

// A key's text is for people, for the API and for comparing states: it is read back as the same key, for every table.
func TestParseKey_reads_what_ID_writes(t *testing.T) {
	t.Parallel()
	keys := []projection.Key{
		projection.TenantKey(), projection.APIKeyKey(`a|b\c`), projection.APIKeyKey(""), projection.AccountKey(projectiontest.ID("a")),
		projection.BalanceKey(projectiontest.ID("a"), "isolated:BTC|USDT", ""), projection.RiskKey(projectiontest.ID("a"), uuid.Nil),
		projection.PnLPeriodKey(projectiontest.ID("a"), projectiontest.ID("b"), "2026-11"),
		projection.FillKey(projection.TradeID{Account: projectiontest.ID("a"), Symbol: "BTCUSDT", ExchangeOrderID: `1\|`, ExchangeTradeID: "2"}),
	}
	for _, key := range keys {
		parsed, err := projection.ParseKey(key.Table, key.ID())
		require.NoError(t, err, key)
		require.Equal(t, key, parsed)
		require.Len(t, key.Parts(), len(projection.TableNamed(key.Table).Key), key)
	}
	require.Equal(t, `api_keys_current/a\|b\\c`, keys[1].String())
	require.Equal(t, projectiontest.ID("a").String()+"|"+projectiontest.ID("b").String()+"|2026-11", keys[6].ID())
	for name, wrong := range map[string]struct{ table, id string }{
		"no table":           {"moons", "a"},
		"too few columns":    {projection.TableRisk, projectiontest.ID("a").String()},
		"too many columns":   {projection.TableOrders, projectiontest.ID("a").String() + "|b"},
		"no UUID":            {projection.TableOrders, "a"},
		"a UUID in capitals": {projection.TableOrders, strings.ToUpper(projectiontest.ID("a").String())},
		"an id for a tenant": {projection.TableTenants, "a"},
	} {
		_, err := projection.ParseKey(wrong.table, wrong.id)
		require.True(t, fault.Is(err, fault.Invalid), name)
	}
}

// Keys order as their texts do: what is sorted here is compared with what a database sorted.
func TestProperty_keys_order_as_their_texts(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) projection.Key {
		id := func(name string) uuid.UUID { return uuid.UUID{15: rapid.Byte().Draw(t, name)} }
		text := rapid.StringMatching(`[a|\\]{0,2}`)
		switch rapid.IntRange(0, 3).Draw(t, "table") {
		case 0:
			return projection.RiskKey(id("account"), id("strategy"))
		case 1:
			return projection.BalanceKey(id("account"), text.Draw(t, "wallet"), text.Draw(t, "asset"))
		case 2:
			return projection.PnLPeriodKey(id("account"), id("strategy"), text.Draw(t, "period"))
		}
		return projection.APIKeyKey(text.Draw(t, "fingerprint"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		byText := strings.Compare(a.Table, b.Table)
		if byText == 0 {
			byText = strings.Compare(a.ID(), b.ID())
		}
		require.Equal(t, byText, a.Compare(b))
		require.Equal(t, a == b, a.String() == b.String())
	})
}
