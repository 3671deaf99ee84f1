package binance_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/binance"
	"github.com/robson/robson/services/connector/internal/venue"
)

// recordings answers each request with what Binance gives as an example.
func recordings(t *testing.T) *binance.Venue {
	t.Helper()
	files := map[string]string{
		"POST /api/v3/order": "orderFull", "DELETE /api/v3/order": "orderCanceled", "GET /api/v3/order": "order", "GET /api/v3/openOrders": "openOrders",
		"GET /api/v3/allOrders": "allOrders", "GET /api/v3/myTrades": "myTrades", "GET /api/v3/account": "account", "GET /api/v3/exchangeInfo": "exchangeInfo",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v3/time" {
			_, _ = w.Write([]byte(`{"serverTime":` + strconv.FormatInt(clock.System().Now().UnixMilli(), 10) + `}`))
			return
		}
		body, err := os.ReadFile(filepath.Join("testdata", files[r.Method+" "+r.URL.Path]+".json"))
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	v, err := binance.New(slog.New(slog.DiscardHandler), clock.System(), binance.Config{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, RESTURL: server.URL, WSAPIURL: "ws://127.0.0.1:1", StreamURL: "ws://127.0.0.1:1",
		Credentials: held{APIKey: "key", Secret: "secret"}, Timing: venue.Timing{ReceiveWindow: 5 * time.Second},
	})
	require.NoError(t, err)
	require.NoError(t, v.Start(t.Context()))
	t.Cleanup(v.Stop)
	return v
}

// requireSame compares to the last field, decimals by their value.
func requireSame[T any](t *testing.T, want, got T) {
	t.Helper()
	wanted, err := json.Marshal(want)
	require.NoError(t, err)
	gotten, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wanted), string(gotten))
}

// TestRecorded_answers reads the answers that Binance itself gives as examples, to the last field that is used.
func TestRecorded_answers(t *testing.T) {
	t.Parallel()
	v := recordings(t)
	trading, wallets := v.Account(venue.AccountRef{Key: "one", Product: venue.Spot}).Trading, v.Account(venue.AccountRef{Key: "one", Product: venue.Spot}).Wallets
	ctx := t.Context()

	at := time.UnixMilli(1507725176595).UTC()
	placed, err := trading.Place(ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: dec("10"), ClientOrderID: "6gCrw2kRUAF9CvJDGP16IP", Stamp: clock.System().Now(),
	})
	require.NoError(t, err)
	want := venue.Placed{Order: venue.Order{
		Symbol: "BTCUSDT", OrderID: 28, ClientOrderID: "6gCrw2kRUAF9CvJDGP16IP", Status: venue.StatusFilled, Side: venue.Sell, Type: venue.Market,
		TimeInForce: venue.GTC, Quantity: dec("10"), Executed: dec("10"), CumQuote: dec("10"), CreatedAt: at, UpdatedAt: at,
	}}
	for n, fill := range [][3]string{{"4000", "1", "4"}, {"3999", "5", "19.995"}, {"3998", "2", "7.996"}, {"3997", "1", "3.997"}, {"3995", "1", "3.995"}} {
		want.Trades = append(want.Trades, venue.Trade{
			Symbol: "BTCUSDT", TradeID: venue.TradeID(56 + n), OrderID: 28, Side: venue.Sell, Price: dec(fill[0]), Quantity: dec(fill[1]),
			QuoteQuantity: dec(fill[0]).Mul(dec(fill[1])), Fee: dec(fill[2]), FeeAsset: "USDT", Time: at,
		})
	}
	requireSame(t, want, placed)

	canceled, err := trading.Cancel(ctx, venue.CancelOrder{Symbol: "LTCBTC", ClientOrderID: "myOrder1", CancelID: "cancelMyOrder1"})
	require.NoError(t, err)
	requireSame(t, venue.Order{
		Symbol: "LTCBTC", OrderID: 4, ClientOrderID: "myOrder1", CancelID: "cancelMyOrder1", Status: venue.StatusCanceled, CanceledBy: venue.CanceledByUs,
		Side: venue.Buy, Type: venue.Limit, TimeInForce: venue.GTC, Quantity: dec("1"), Price: dec("2"), UpdatedAt: time.UnixMilli(1684804350068).UTC(),
	}, canceled)

	made := time.UnixMilli(1499827319559).UTC()
	resting := venue.Order{
		Symbol: "LTCBTC", OrderID: 1, ClientOrderID: "myOrder1", Status: venue.StatusNew, Side: venue.Buy, Type: venue.Limit, TimeInForce: venue.GTC,
		Quantity: dec("1"), Price: dec("0.1"), CreatedAt: made, UpdatedAt: made,
	}
	asked, err := trading.QueryOrder(ctx, "LTCBTC", "myOrder1")
	require.NoError(t, err)
	requireSame(t, resting, asked)
	open, err := trading.OpenOrders(ctx, "")
	require.NoError(t, err)
	requireSame(t, []venue.Order{resting}, open)
	all, err := trading.Orders(ctx, "LTCBTC", 0, 10)
	require.NoError(t, err)
	requireSame(t, []venue.Order{resting}, all)
	trades, err := trading.Trades(ctx, "BNBBTC", 0, 10)
	require.NoError(t, err)
	requireSame(t, []venue.Trade{{
		Symbol: "BNBBTC", TradeID: 28457, OrderID: 100234, Side: venue.Buy, Price: dec("4.000001"), Quantity: dec("12"), QuoteQuantity: dec("48.000012"),
		Fee: dec("10.1"), FeeAsset: "BNB", Time: time.UnixMilli(1499865549590).UTC(),
	}}, trades)
	sheet, err := wallets.Balances(ctx)
	require.NoError(t, err)
	requireSame(t, []venue.Balance{
		{Wallet: "spot", Asset: "BTC", Free: dec("4723846.89208129")}, {Wallet: "spot", Asset: "LTC", Free: dec("4763368.68006011")},
	}, sheet.Balances)

	instruments, err := v.Instruments(ctx)
	require.NoError(t, err)
	bounds := venue.LotFilter{Min: dec("0.001"), Max: dec("100000"), Step: dec("0.001")}
	requireSame(t, []venue.Instrument{{
		Symbol: "ETHBTC", BaseAsset: "ETH", QuoteAsset: "BTC", Status: venue.StatusTrading, BasePrecision: 8, QuotePrecision: 8, MarginAllowed: true,
		Price: venue.PriceFilter{Min: dec("0.000001"), Max: dec("100000"), Tick: dec("0.000001")}, Lot: bounds, MarketLot: bounds,
		Notional: venue.NotionalFilter{Min: dec("10"), Max: dec("10000")}, MaxOrders: 25, MaxAlgoOrders: 5,
	}}, instruments)
}
