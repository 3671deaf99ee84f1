package venue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer Answer
		want   error
	}{
		{"filter", Answer{OpPlace, 400, -1013, "Filter failure: LOT_SIZE", 0}, &RejectedError{OpPlace, -1013, "Filter failure: LOT_SIZE", 400}},
		{"insufficient balance", Answer{OpPlace, 400, -2010, "Account has insufficient balance for requested action.", 0}, &RejectedError{OpPlace, -2010, "Account has insufficient balance for requested action.", 400}},
		{"duplicate", Answer{OpPlace, 400, -2010, "Duplicate order sent.", 0}, &OrderError{ErrDuplicateOrder, OpPlace, -2010, "Duplicate order sent.", 400}},
		{"timestamp", Answer{OpPlace, 400, -1021, "outside of the recvWindow", 0}, &RejectedError{OpPlace, -1021, "outside of the recvWindow", 400}},
		{"bad key", Answer{OpPlace, 401, -2015, "Invalid API-key", 0}, &RejectedError{OpPlace, -2015, "Invalid API-key", 401}},
		{"cancel of nothing open", Answer{OpCancel, 400, -2011, "Unknown order sent.", 0}, &OrderError{ErrUnknownOrder, OpCancel, -2011, "Unknown order sent.", 400}},
		{"query of nothing", Answer{OpQuery, 400, -2013, "Order does not exist.", 0}, &OrderError{ErrOrderNotFound, OpQuery, -2013, "Order does not exist.", 400}},
		{"archived", Answer{OpQuery, 400, -2026, "Order was archived", 0}, &OrderError{ErrOrderArchived, OpQuery, -2026, "Order was archived", 400}},
		{"weight", Answer{OpPlace, 429, -1003, "Too many requests", time.Minute}, &RateLimitedError{OpPlace, 429, -1003, "Too many requests", time.Minute}},
		{"ban", Answer{OpPlace, 418, 0, "", time.Hour}, &RateLimitedError{OpPlace, 418, 0, "", time.Hour}},
		{"too many orders", Answer{OpPlace, 400, -1015, "Too many new orders", 0}, &RateLimitedError{OpPlace, 400, -1015, "Too many new orders", 0}},
		{"matching engine timeout", Answer{OpPlace, 400, -1007, "", 0}, &UncertainError{OpPlace, Cause1007, -1007, 400, nil}},
		{"unexpected response", Answer{OpPlace, 503, -1006, "", 0}, &UncertainError{OpPlace, Cause1006, -1006, 503, nil}},
		{"disconnected", Answer{OpPlace, 400, -1001, "", 0}, &UncertainError{OpPlace, Cause5xx, -1001, 400, nil}},
		{"busy", Answer{OpPlace, 503, -1008, "", 0}, &UncertainError{OpPlace, Cause5xx, -1008, 503, nil}},
		{"gateway page", Answer{OpPlace, 502, 0, "", 0}, &UncertainError{OpPlace, Cause5xx, 0, 502, nil}},
		{"unreadable success", Answer{OpPlace, 200, 0, "", 0}, &UncertainError{OpPlace, CauseBadBody, 0, 200, nil}},
		{"unreadable refusal", Answer{OpCancel, 403, 0, "", 0}, &UncertainError{OpCancel, CauseBadBody, 0, 403, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Classify(c.answer)
			require.Equal(t, c.want, got)
			var uncertain *UncertainError
			require.Equal(t, errors.As(c.want, &uncertain), IsUncertain(fmt.Errorf("wrapped: %w", got)))
			require.NotEmpty(t, got.Error())
		})
	}
}

func TestIsUncertain(t *testing.T) {
	t.Parallel()
	require.False(t, IsUncertain(nil))
	require.False(t, IsUncertain(fmt.Errorf("dial: %w", ErrNotSent)))
	require.True(t, IsUncertain(context.DeadlineExceeded))
	require.True(t, IsUncertain(errors.New("never seen before")))
	require.ErrorIs(t, &UncertainError{Err: context.Canceled}, context.Canceled)
}

func btc() Instrument {
	return Instrument{
		Symbol: "BTCUSDT", BaseAsset: "BTC", QuoteAsset: "USDT", Status: StatusTrading, BasePrecision: 8, QuotePrecision: 8,
		Price:     PriceFilter{Min: dec("0.01"), Max: dec("1000000"), Tick: dec("0.01")},
		Lot:       LotFilter{Min: dec("0.00001"), Max: dec("9000"), Step: dec("0.00001")},
		MarketLot: LotFilter{Max: dec("100")},
		Notional:  NotionalFilter{Min: dec("5"), Max: dec("9000000"), ApplyMinToMarket: true},
	}
}

func TestInstrument_CheckFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		order NewOrder
		want  string
	}{
		{"market", NewOrder{Type: Market, Quantity: dec("0.06666")}, ""},
		{"limit", NewOrder{Type: Limit, Quantity: dec("0.1"), Price: dec("95000.01")}, ""},
		{"quantity between steps", NewOrder{Type: Market, Quantity: dec("0.066666")}, "LOT_SIZE"},
		{"quantity zero", NewOrder{Type: Market}, "LOT_SIZE"},
		{"quantity above", NewOrder{Type: Limit, Quantity: dec("9001"), Price: dec("1")}, "LOT_SIZE"},
		{"market quantity above", NewOrder{Type: Market, Quantity: dec("101")}, "MARKET_LOT_SIZE"},
		{"limit quantity above the market's", NewOrder{Type: Limit, Quantity: dec("101"), Price: dec("100")}, ""},
		{"price between ticks", NewOrder{Type: Limit, Quantity: dec("1"), Price: dec("95000.005")}, "PRICE_FILTER"},
		{"price above", NewOrder{Type: Limit, Quantity: dec("1"), Price: dec("1000000.01")}, "PRICE_FILTER"},
		{"stop price between ticks", NewOrder{Type: StopLoss, Quantity: dec("1"), StopPrice: dec("1.001")}, "PRICE_FILTER"},
		{"notional of a market order", NewOrder{Type: Market, Quantity: dec("0.00005")}, "NOTIONAL"},
		{"notional of a limit order", NewOrder{Type: Limit, Quantity: dec("0.0001"), Price: dec("49999.99")}, "NOTIONAL"},
		{"notional exactly", NewOrder{Type: Limit, Quantity: dec("0.0001"), Price: dec("50000")}, ""},
		{"notional of a stop order", NewOrder{Type: StopLoss, Quantity: dec("0.0001"), StopPrice: dec("49999.99")}, "NOTIONAL"},
		{"notional above", NewOrder{Type: Limit, Quantity: dec("9000"), Price: dec("1000.01")}, "NOTIONAL"},
		{"notional above is not asked of market orders", NewOrder{Type: Market, Quantity: dec("99.99")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := btc().CheckFilters(c.order, dec("95000"))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, &RejectedError{OpPlace, -1013, "Filter failure: " + c.want, 400}, err)
		})
	}
}

func TestInstrument_CheckPrecision(t *testing.T) {
	t.Parallel()
	require.NoError(t, btc().CheckPrecision(NewOrder{Quantity: dec("0.00000001"), Price: dec("1.10000000000")}))
	for want, order := range map[string]NewOrder{
		"'quantity'":  {Quantity: dec("0.000000001")},
		"'price'":     {Price: dec("0.000000001")},
		"'stopPrice'": {StopPrice: dec("0.000000001")},
	} {
		err := btc().CheckPrecision(order)
		var rejected *RejectedError
		require.ErrorAs(t, err, &rejected)
		require.Equal(t, -1111, rejected.Code)
		require.Contains(t, rejected.Message, want)
	}
}

func TestParseExchangeInfo_Recorded(t *testing.T) {
	t.Parallel()
	document := recorded(t, "exchange-info.json")
	instruments, odd, err := ParseExchangeInfo(document)
	require.NoError(t, err)
	require.Empty(t, odd)
	require.Len(t, instruments, 3)
	require.Equal(t, "BTCUSDT", instruments[0].Symbol)
	require.Equal(t, "0.00001", instruments[0].Lot.Step.String())
	require.Equal(t, "0.01", instruments[0].Price.Tick.String())
	require.Equal(t, "5", instruments[0].Notional.Min.String())
	require.True(t, instruments[0].MarketLot.Step.IsZero(), "the real one has step 0")
	require.NoError(t, instruments[0].CheckFilters(NewOrder{Type: Market, Quantity: dec("0.06666")}, dec("95000")))
	require.Equal(t, 5, instruments[0].MaxAlgoOrders)
	require.Equal(t, "0.0001", instruments[2].Lot.Step.String())
}

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("ROBSON_MARKET_DATA")
	for up := "."; dir == "" && len(up) < 40; up = filepath.Join(up, "..") {
		if info, err := os.Stat(filepath.Join(up, "shared", "data")); err == nil && info.IsDir() {
			dir = filepath.Join(up, "shared", "data")
		}
	}
	document, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("recorded market data is absent (set ROBSON_MARKET_DATA): %v", err)
	}
	return document
}

func TestParseExchangeInfo_Refuses(t *testing.T) {
	t.Parallel()
	symbol := func(rest string) string {
		return `{"symbol":"XY","status":"TRADING","baseAsset":"X","quoteAsset":"Y","baseAssetPrecision":8,"quoteAssetPrecision":8` + rest + `}`
	}
	const lot, price = `{"filterType":"LOT_SIZE","minQty":"1","maxQty":"2","stepSize":"1"}`, `{"filterType":"PRICE_FILTER","minPrice":"1","maxPrice":"2","tickSize":"1"}`
	whole := symbol(`,"filters":[` + lot + `,` + price + `,{"filterType":"MIN_NOTIONAL","minNotional":"10","applyToMarket":true},{"filterType":"NEVER_HEARD_OF"}]`)
	instruments, odd, err := ParseExchangeInfo([]byte(`{"symbols":[{"symbol":"ODD"},` + whole + `]}`))
	require.NoError(t, err)
	require.Len(t, instruments, 1)
	require.Len(t, odd, 1)
	require.ErrorContains(t, odd[0], `symbol "ODD": symbol, baseAsset and quoteAsset must be set`)
	require.Equal(t, NotionalFilter{Min: dec("10"), ApplyMinToMarket: true}, instruments[0].Notional)
	for _, c := range []struct{ name, document, want string }{
		{"not JSON", "{", "read exchange info"},
		{"no symbols", "{}", "lists no symbols"},
		{"no name", `{"symbols":[{}]}`, "must be set"},
		{"no lot size", `{"symbols":[` + symbol(`,"filters":[`+price+`]`) + `]}`, "filter LOT_SIZE is missing"},
		{"no price filter", `{"symbols":[` + symbol(`,"filters":[`+lot+`]`) + `]}`, "filter PRICE_FILTER is missing"},
		{"broken filter", `{"symbols":[` + symbol(`,"filters":[{"filterType":"LOT_SIZE","minQty":"x"}]`) + `]}`, `symbol "XY": filter`},
		{"listed twice", `{"symbols":[` + whole + `,` + whole + `]}`, "listed twice"},
		{"tick zero", `{"symbols":[` + symbol(`,"filters":[`+lot+`,{"filterType":"PRICE_FILTER"}]`) + `]}`, "tick size 0"},
		{"step zero", `{"symbols":[` + symbol(`,"filters":[`+price+`,{"filterType":"LOT_SIZE"}]`) + `]}`, "lot step 0"},
		{"negative bound", `{"symbols":[` + symbol(`,"filters":[`+price+`,`+lot+`,{"filterType":"NOTIONAL","minNotional":"-1"}]`) + `]}`, "must not be negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := ParseExchangeInfo([]byte(c.document))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestOrderStatus(t *testing.T) {
	t.Parallel()
	require.True(t, StatusNew.IsOpen())
	require.True(t, StatusPartiallyFilled.IsOpen())
	require.False(t, StatusExpiredInMatch.IsOpen())
	require.True(t, StatusExpiredInMatch.IsKnown())
	require.False(t, OrderStatus("PENDING_NEW").IsKnown())
	require.Equal(t, "0.4", Order{Quantity: dec("1"), Executed: dec("0.6")}.Remaining().String())
}
