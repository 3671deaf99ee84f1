package simexchange_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
)

func TestREST_market_and_account(t *testing.T) {
	t.Parallel()
	client, _ := open(t, map[string]string{"USDT": "1000"})
	require.NoError(t, client.NewPingService().Do(t.Context()))
	info, err := client.NewExchangeInfoService().Symbols("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, info.Symbols, 1)
	require.Equal(t, "0.00001000", info.Symbols[0].LotSizeFilter().StepSize)
	require.Equal(t, "0.01000000", info.Symbols[0].PriceFilter().TickSize)
	require.Equal(t, "5.00000000", info.Symbols[0].NotionalFilter().MinNotional)
	require.Equal(t, "0.00000000", info.Symbols[0].MarketLotSizeFilter().StepSize)
	price, err := client.NewListPricesService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "60000.00000000", price[0].Price)
	book, err := client.NewListBookTickersService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "60000.01000000", book[0].AskPrice)
	depth, err := client.NewDepthService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, depth.Asks, 3)
	klines, err := client.NewKlinesService().Symbol("BTCUSDT").Interval("1h").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "60000.00000000", klines[0].Open)
	_, err = client.NewKlinesService().Symbol("BTCUSDT").Interval("7h").Do(t.Context())
	require.ErrorContains(t, err, "code=-1120")
	rates, err := client.NewGetCommissionRatesService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "0.00100000", rates.StandardCommission.Taker)
	require.NoError(t, buy(client, "t", "0.001").Test(t.Context()))
	_, err = buy(client, "t", "0.001").Do(t.Context())
	require.NoError(t, err)
	limits, err := client.NewRateLimitService().Do(t.Context())
	require.NoError(t, err)
	require.Len(t, limits, 2)
	require.ErrorContains(t, buy(client, "t", "0.0000001").Test(t.Context()), "LOT_SIZE")
	_, err = client.NewStartUserStreamService().Do(t.Context())
	require.Error(t, err, "listen keys are retired")
}

func TestREST_cancel_all_and_pages(t *testing.T) {
	t.Parallel()
	client, _ := open(t, map[string]string{"USDT": "10000"})
	for _, id := range []string{"a", "b", "c"} {
		_, err := buy(client, id, "0.001").Do(t.Context())
		require.NoError(t, err)
	}
	trades, err := client.NewListTradesService().Symbol("BTCUSDT").Limit(2).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, trades, 2, "without a beginning: the last ones")
	from, err := client.NewListTradesService().Symbol("BTCUSDT").FromID(trades[1].ID).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, from, 1)
	_, err = client.NewListTradesService().Symbol("BTCUSDT").StartTime(1).EndTime(100_000_000).Do(t.Context())
	require.ErrorContains(t, err, "code=-1127")
	_, err = client.NewCreateOrderService().Symbol("BTCUSDT").Side(binance.SideTypeBuy).Type(binance.OrderTypeLimit).
		TimeInForce(binance.TimeInForceTypeGTC).Quantity("0.01").Price("50000").NewClientOrderID("r").Do(t.Context())
	require.NoError(t, err)
	gone, err := client.NewCancelOpenOrdersService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, gone.Orders, 1)
	require.Equal(t, "r", gone.Orders[0].OrigClientOrderID)
}

func TestStreams_of_the_market(t *testing.T) {
	t.Parallel()
	trades, books := make(chan *binance.WsTradeEvent, 1000), make(chan *binance.WsBookTickerEvent, 1000)
	done, stop, err := binance.WsTradeServe("ETHUSDT", func(e *binance.WsTradeEvent) { trades <- e }, func(error) {})
	require.NoError(t, err)
	bookDone, bookStop, err := binance.WsCombinedBookTickerServe([]string{"ETHUSDT"}, func(e *binance.WsBookTickerEvent) { books <- e }, func(error) {})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		require.NoError(t, shared.SetPrice("ETHUSDT", "2001.5"))
		return len(trades) > 0 && len(books) > 0
	}, 5e9, 1e6)
	require.Equal(t, "2001.50000000", (<-trades).Price)
	require.Equal(t, "2001.51000000", (<-books).BestAskPrice)
	close(stop)
	close(bookStop)
	<-done
	<-bookDone
}

// Weight is refused when it is used up, unless the exchange is unlimited; an order that was taken costs none.
func TestREST_weight(t *testing.T) {
	t.Parallel()
	server, err := simexchange.New(simexchange.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	keys, err := server.AddAccount(simexchange.Account{Name: "one"})
	require.NoError(t, err)
	client := binance.NewClient(keys.Key, keys.Secret)
	client.BaseURL = server.URL()
	client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 80 {
		if _, err = client.NewListOpenOrdersService().Do(t.Context()); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "code=-1003")
}

// The same seed harms the same occasions of an account.
func TestChaos_is_seeded(t *testing.T) {
	t.Parallel()
	harmed := func() (out []string) {
		server, err := simexchange.New(simexchange.Config{WeightMax: 1_000_000, Prices: map[string]string{"BTCUSDT": "60000"}})
		require.NoError(t, err)
		defer server.Close()
		keys, err := server.AddAccount(simexchange.Account{Name: "one", Balances: map[string]string{"USDT": "100000"}})
		require.NoError(t, err)
		require.NoError(t, server.SetChaos(simexchange.Chaos{
			Seed: 9, Limit: 6, Permille: map[string]int{simexchange.AcceptThenError: 300, simexchange.Reject: 300},
		}))
		client := binance.NewClient(keys.Key, keys.Secret)
		client.BaseURL = server.URL()
		for range 20 {
			_, _ = buy(client, "x", "0.001").Do(t.Context())
		}
		for _, r := range server.Requests("one") {
			out = append(out, r.Fault)
		}
		return out
	}
	first := harmed()
	require.Len(t, first, 20)
	require.Contains(t, first, simexchange.Reject)
	require.Equal(t, first, harmed())
}

func TestREST_order_limit(t *testing.T) {
	t.Parallel()
	server, err := simexchange.New(simexchange.Config{Virtual: time.UnixMilli(1_700_000_000_000), Prices: map[string]string{"BTCUSDT": "60000"}})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	keys, err := server.AddAccount(simexchange.Account{Name: "one", Balances: map[string]string{"USDT": "10000"}})
	require.NoError(t, err)
	client := binance.NewClient(keys.Key, keys.Secret)
	client.BaseURL = server.URL()
	client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, err = client.NewSetServerTimeService().Do(t.Context())
	require.NoError(t, err)
	for range 100 {
		_, err = buy(client, "x", "0.0001").Do(t.Context())
		require.NoError(t, err)
	}
	_, err = buy(client, "x", "0.0001").Do(t.Context())
	require.ErrorContains(t, err, "code=-1015")
	require.NoError(t, server.Advance(10*time.Second))
	_, err = client.NewSetServerTimeService().Do(t.Context())
	require.NoError(t, err)
	_, err = buy(client, "x", "0.0001").Do(t.Context())
	require.NoError(t, err)
}

// A half-open stream says nothing more and does not end; the order is there all the same.
func TestFault_half_open(t *testing.T) {
	t.Parallel()
	client, keys := open(t, map[string]string{"USDT": "10000"})
	_, err := shared.AddFault(simexchange.Fault{Kind: simexchange.HalfOpen, Account: keys.Account, Event: "TRADE"})
	require.NoError(t, err)
	events, done := stream(t, keys)
	_, err = buy(client, "x", "0.01").Do(t.Context())
	require.NoError(t, err)
	_, err = buy(client, "y", "0.01").Do(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, len(events), 1, "nothing after NEW")
	select {
	case <-done:
		t.Fatal("the stream ended")
	default:
	}
}

// A thousand accounts fit on one exchange, and none of them sees the others.
func TestServer_many_accounts(t *testing.T) {
	t.Parallel()
	server, err := simexchange.New(simexchange.Config{WeightMax: 1_000_000, Prices: map[string]string{"BTCUSDT": "60000"}})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	order := simexchange.OrderRequest{
		Symbol: "BTCUSDT", Side: "BUY", Type: "LIMIT", Quantity: decimal.RequireFromString("0.5"), Price: decimal.NewFromInt(59_000),
	}
	for n := range 1000 {
		name := strconv.Itoa(n)
		_, err := server.AddAccount(simexchange.Account{Name: name, Balances: map[string]string{"USDT": "30000"}})
		require.NoError(t, err)
		_, err = server.Place(name, order)
		require.NoError(t, err)
	}
	require.NoError(t, server.SetPrice("BTCUSDT", "59000"))
	for n := range 1000 {
		balances, err := server.Balances(strconv.Itoa(n))
		require.NoError(t, err)
		require.Equal(t, "0.4995", balances["BTC"].Free.String())
	}
	held, deposited := server.Sums("USDT")
	require.True(t, held.Equal(deposited))
}

func TestServer_SetSkew_makes_requests_late(t *testing.T) {
	t.Parallel()
	server, err := simexchange.New(simexchange.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	keys, err := server.AddAccount(simexchange.Account{Name: "one"})
	require.NoError(t, err)
	client := binance.NewClient(keys.Key, keys.Secret)
	client.BaseURL = server.URL()
	client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	server.SetSkew(time.Minute)
	_, err = client.NewGetAccountService().Do(t.Context())
	require.ErrorContains(t, err, "code=-1021")
	_, err = client.NewSetServerTimeService().Do(t.Context())
	require.NoError(t, err)
	_, err = client.NewGetAccountService().Do(t.Context())
	require.NoError(t, err)
}

// A clock that drifts is wrong by more and more; what it is wrong by stays when it goes right again.
func TestServer_SetDrift(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	server, err := simexchange.New(simexchange.Config{Virtual: began})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client := binance.NewClient("", "")
	client.BaseURL = server.URL()
	client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	wrong := func() time.Duration {
		at, err := client.NewServerTimeService().Do(t.Context())
		require.NoError(t, err)
		return time.Duration(at-began.UnixMilli()) * time.Millisecond
	}
	server.SetDrift(2000)
	require.NoError(t, server.Advance(time.Hour))
	require.Equal(t, time.Hour+7200*time.Millisecond, wrong())
	server.SetDrift(-1000)
	require.NoError(t, server.Advance(time.Hour))
	require.Equal(t, 2*time.Hour+3600*time.Millisecond, wrong())
	server.SetDrift(0)
	require.NoError(t, server.Advance(time.Hour))
	require.Equal(t, 3*time.Hour+3600*time.Millisecond, wrong())
}
