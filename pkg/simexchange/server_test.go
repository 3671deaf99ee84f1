package simexchange_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adshao/go-binance/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
)

// The library keeps its socket URLs for the whole process, so one exchange serves all tests; each has its own account.
var shared *simexchange.Server

func TestMain(m *testing.M) {
	var err error
	shared, err = simexchange.New(simexchange.Config{
		WeightMax: 1_000_000, Token: "t", Seed: 1, Prices: map[string]string{"BTCUSDT": "60000", "ETHUSDT": "2000", "BNBUSDT": "600"},
	})
	if err != nil {
		panic(err)
	}
	binance.BaseWsApiMainURL = shared.WSAPI()
	binance.BaseWsMainURL, binance.BaseCombinedMainURL = shared.Streams(), shared.CombinedStreams()
	m.Run()
	shared.Close()
}

var opened atomic.Int64

// unique is an account's name that no other test has, however often it is run.
func unique(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%s-%d", t.Name(), opened.Add(1))
}

func open(t *testing.T, balances map[string]string) (*binance.Client, simexchange.Credentials) {
	t.Helper()
	keys, err := shared.AddAccount(simexchange.Account{Name: unique(t), Balances: balances})
	require.NoError(t, err)
	client := binance.NewClient(keys.Key, keys.Secret)
	client.BaseURL = shared.URL()
	client.HTTPClient = &http.Client{Timeout: 2 * time.Second}
	return client, keys
}

func buy(client *binance.Client, id, quantity string) *binance.CreateOrderService {
	return client.NewCreateOrderService().Symbol("BTCUSDT").Side(binance.SideTypeBuy).Type(binance.OrderTypeMarket).Quantity(quantity).
		NewClientOrderID(id).NewOrderRespType(binance.NewOrderRespTypeFULL)
}

func TestREST_order_life(t *testing.T) {
	t.Parallel()
	client, _ := open(t, map[string]string{"USDT": "10000"})
	placed, err := buy(client, "a", "0.01").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeFilled, placed.Status)
	require.Len(t, placed.Fills, 1)
	require.Equal(t, "60000.01000000", placed.Fills[0].Price)
	require.Equal(t, "0.00001000", placed.Fills[0].Commission)
	require.Equal(t, "BTC", placed.Fills[0].CommissionAsset)

	trades, err := client.NewListTradesService().Symbol("BTCUSDT").OrderId(placed.OrderID).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, trades, 1)
	require.Equal(t, placed.Fills[0].TradeID, trades[0].ID)

	limit, err := client.NewCreateOrderService().Symbol("BTCUSDT").Side(binance.SideTypeBuy).Type(binance.OrderTypeLimit).
		TimeInForce(binance.TimeInForceTypeGTC).Quantity("0.01").Price("50000").NewClientOrderID("b").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeNew, limit.Status)
	open, err := client.NewListOpenOrdersService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	account, err := client.NewGetAccountService().OmitZeroBalances(true).Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, []binance.Balance{{Asset: "BTC", Free: "0.00999000", Locked: "0.00000000"}, {Asset: "USDT", Free: "8899.99990000", Locked: "500.00000000"}}, account.Balances)

	canceled, err := client.NewCancelOrderService().Symbol("BTCUSDT").OrigClientOrderID("b").NewClientOrderID("c").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeCanceled, canceled.Status)
	_, err = client.NewCancelOrderService().Symbol("BTCUSDT").OrigClientOrderID("b").Do(t.Context())
	require.ErrorContains(t, err, "code=-2011, msg=Unknown order sent.")
	_, err = client.NewGetOrderService().Symbol("BTCUSDT").OrigClientOrderID("none").Do(t.Context())
	require.ErrorContains(t, err, "code=-2013, msg=Order does not exist.")
	all, err := client.NewListOrdersService().Symbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
}

func TestStream_tells_order_life(t *testing.T) {
	t.Parallel()
	client, keys := open(t, map[string]string{"USDT": "10000"})
	events := make(chan *binance.WsUserDataEvent, 100)
	done, stop, err := binance.WsUserDataServeSignature(keys.Key, keys.Secret, "HMAC", 0, func(e *binance.WsUserDataEvent) { events <- e }, func(error) {})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return shared.Subscribers(keys.Account) == 1 }, 5*time.Second, time.Millisecond)
	_, err = buy(client, "a", "0.01").Do(t.Context())
	require.NoError(t, err)
	first, second, third := <-events, <-events, <-events
	require.Equal(t, "NEW", first.OrderUpdate.ExecutionType)
	require.EqualValues(t, -1, first.OrderUpdate.TradeId)
	require.Equal(t, "TRADE", second.OrderUpdate.ExecutionType)
	require.Equal(t, "FILLED", second.OrderUpdate.Status)
	require.Equal(t, "0.00001000", second.OrderUpdate.FeeCost)
	require.Equal(t, binance.UserDataEventTypeOutboundAccountPosition, third.Event)
	close(stop)
	<-done
}

func TestFault_accepts_and_never_answers(t *testing.T) {
	t.Parallel()
	client, keys := open(t, map[string]string{"USDT": "10000"})
	client.HTTPClient.Timeout = 100 * time.Millisecond
	_, err := shared.AddFault(simexchange.Fault{Kind: simexchange.AcceptThenTimeout, Method: http.MethodPost, Account: keys.Account})
	require.NoError(t, err)
	_, err = buy(client, "x", "0.01").Do(t.Context())
	require.Error(t, err)
	client.HTTPClient.Timeout = 5 * time.Second
	order, err := client.NewGetOrderService().Symbol("BTCUSDT").OrigClientOrderID("x").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeFilled, order.Status)
	posts := shared.Requests(keys.Account)
	require.Len(t, posts, 2)
	require.True(t, posts[0].Processed)
	require.Equal(t, simexchange.AcceptThenTimeout, posts[0].Fault)
}
