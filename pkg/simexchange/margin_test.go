package simexchange_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/adshao/go-binance/v2"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
)

// margined opens an account with an isolated margin account of BTCUSDT that holds some USDT.
func margined(t *testing.T, amount string) (*binance.Client, simexchange.Credentials) {
	t.Helper()
	client, keys := open(t, map[string]string{"USDT": "10000"})
	require.NoError(t, shared.EnableMargin(keys.Account, "BTCUSDT"))
	moved, err := client.NewUserUniversalTransferService().Type("MAIN_ISOLATED_MARGIN").Asset("USDT").Amount(amount).
		ToSymbol("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Positive(t, moved.ID)
	return client, keys
}

func marginOf(t *testing.T, client *binance.Client) binance.IsolatedMarginAsset {
	t.Helper()
	account, err := client.NewGetIsolatedMarginAccountService().Symbols("BTCUSDT").Do(t.Context())
	require.NoError(t, err)
	require.Len(t, account.Assets, 1)
	return account.Assets[0]
}

// A short of twice the account's money: sold with what the order borrowed, bought back with what its fills repay.
func TestMargin_a_short(t *testing.T) {
	t.Parallel()
	client, keys := margined(t, "10000")
	sold, err := client.NewCreateMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).Side(binance.SideTypeSell).Type(binance.OrderTypeMarket).
		Quantity("0.3").NewClientOrderID("short").SideEffectType(binance.SideEffectTypeMarginBuy).NewOrderRespType(binance.NewOrderRespTypeFULL).Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeFilled, sold.Status)
	require.True(t, sold.IsIsolated)
	require.Equal(t, "0.30000000", sold.MarginBuyBorrowAmount)
	require.Equal(t, "BTC", sold.MarginBuyBorrowAsset)
	owed := marginOf(t, client)
	require.Equal(t, "0.30000000", owed.BaseAsset.Borrowed)
	require.Equal(t, "0.00000030", owed.BaseAsset.Interest)
	require.Equal(t, "27982.00000000", owed.QuoteAsset.Free, "10000 + 18000 - 18")
	require.Equal(t, "1.55455400", owed.MarginLevel, "27982 / (0.3000003 x 60000)")
	require.Equal(t, "NORMAL", owed.MarginLevelStatus)

	lent, err := client.NewListMarginBorrowRepayService().IsolatedSymbol("BTCUSDT").Type(binance.MarginAccountBorrow).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, lent.Rows, 1)
	require.Equal(t, "AUTO", lent.Rows[0].Type)
	require.Equal(t, "0.30000000", lent.Rows[0].Principal)

	bought, err := client.NewCreateMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).Side(binance.SideTypeBuy).Type(binance.OrderTypeMarket).
		Quantity("0.3005").NewClientOrderID("cover").SideEffectType(binance.SideEffectTypeAutoRepay).NewOrderRespType(binance.NewOrderRespTypeFULL).Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeFilled, bought.Status)
	free := marginOf(t, client)
	require.Equal(t, "0.00000000", free.BaseAsset.Borrowed)
	require.Equal(t, "0.00000000", free.BaseAsset.Interest)
	require.Equal(t, "0.00019920", free.BaseAsset.Free, "0.3005 - 0.0003005 - 0.3000003")
	require.Equal(t, "999.00000000", free.MarginLevel)
	repaid, err := client.NewListMarginBorrowRepayService().IsolatedSymbol("BTCUSDT").Type(binance.MarginAccountRepay).Size(100).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, repaid.Rows, 1)
	require.Equal(t, "0.00000030", repaid.Rows[0].Interest)

	spot, err := shared.Orders(keys.Account, "")
	require.NoError(t, err)
	require.Empty(t, spot, "the spot account has no part in it")
	trades, err := client.NewListMarginTradesService().Symbol("BTCUSDT").IsIsolated(true).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, trades, 2)
}

// What an order borrowed and did not use goes back when it ends.
func TestMargin_unused_loans_go_back(t *testing.T) {
	t.Parallel()
	client, keys := margined(t, "10000")
	limit, err := client.NewCreateMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).Side(binance.SideTypeBuy).Type(binance.OrderTypeLimit).
		TimeInForce(binance.TimeInForceTypeGTC).Quantity("0.4").Price("50000").NewClientOrderID("rest").SideEffectType(binance.SideEffectTypeMarginBuy).Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "10000.00000000", marginOf(t, client).QuoteAsset.Borrowed)
	asked, err := client.NewGetMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).OrigClientOrderID("rest").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, limit.OrderID, asked.OrderID)
	open, err := client.NewListMarginOpenOrdersService().Symbol("BTCUSDT").IsIsolated(true).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	canceled, err := client.NewCancelMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).OrigClientOrderID("rest").NewClientOrderID("end").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeCanceled, canceled.Status)
	after := marginOf(t, client)
	require.Equal(t, "0.00000000", after.QuoteAsset.Locked)
	require.Equal(t, "0.01000000", after.QuoteAsset.Borrowed, "the interest of the first hour was paid out of what went back")
	all, err := client.NewListMarginOrdersService().Symbol("BTCUSDT").IsIsolated(true).Limit(10).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	held, deposited := shared.Sums("USDT")
	require.True(t, held.Equal(deposited), "%s is held, and %s was deposited", held, deposited)
	require.Equal(t, []string{"BTCUSDT"}, shared.Margins(keys.Account))
}

func TestMargin_loans_and_transfers(t *testing.T) {
	t.Parallel()
	client, _ := margined(t, "10000")
	lend := func(kind binance.MarginAccountBorrowRepayType, amount string) (*binance.TransactionResponse, error) {
		return client.NewMarginBorrowRepayService().Asset("USDT").Amount(amount).IsIsolated(true).Symbol("BTCUSDT").Type(kind).Do(t.Context())
	}
	_, err := lend(binance.MarginAccountBorrow, "90000.01")
	require.ErrorContains(t, err, "code=-3006")
	loan, err := lend(binance.MarginAccountBorrow, "5000")
	require.NoError(t, err)
	record, err := client.NewListMarginBorrowRepayService().IsolatedSymbol("BTCUSDT").Type(binance.MarginAccountBorrow).TxId(loan.TranID).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, record.Rows, 1)
	require.Equal(t, "MANUAL", record.Rows[0].Type)
	out := func(amount string) error {
		_, err := client.NewUserUniversalTransferService().Type("ISOLATED_MARGIN_MAIN").Asset("USDT").Amount(amount).
			FromSymbol("BTCUSDT").Do(t.Context())
		return err
	}
	require.ErrorContains(t, out("5001"), "code=-3020", "the margin level would fall below 2")
	require.NoError(t, out("4000"))
	require.ErrorContains(t, out("100000"), "code=-2010")
	_, err = lend(binance.MarginAccountRepay, "5001")
	require.NoError(t, err, "what is more than the debt stays")
	_, err = lend(binance.MarginAccountRepay, "1")
	require.ErrorContains(t, err, "code=-3015")
	require.Equal(t, "5999.99500000", marginOf(t, client).QuoteAsset.Free)
	_, err = client.NewGetMarginOrderService().Symbol("BTCUSDT").OrigClientOrderID("x").Do(t.Context())
	require.ErrorContains(t, err, "code=-3003", "there is no cross margin")
	_, err = client.NewGetMarginOrderService().Symbol("ETHUSDT").IsIsolated(true).OrigClientOrderID("x").Do(t.Context())
	require.ErrorContains(t, err, "code=-3003")
	_, err = client.NewCreateOrderService().Symbol("BTCUSDT").Side(binance.SideTypeBuy).Type(binance.OrderTypeMarket).Quantity("0.001").Do(t.Context())
	require.NoError(t, err, "the money that came back is spot money")
}

// The user stream of an isolated margin account is joined with a listen token.
func TestMargin_user_stream(t *testing.T) {
	t.Parallel()
	client, keys := margined(t, "10000")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shared.URL()+"/sapi/v1/userListenToken?"+url.Values{"symbol": {"BTCUSDT"}, "isIsolated": {"TRUE"}}.Encode(), nil)
	require.NoError(t, err)
	request.Header.Set("X-MBX-APIKEY", keys.Key)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	var made struct {
		Token          string
		ExpirationTime int64
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&made))
	require.NoError(t, response.Body.Close())
	require.Greater(t, made.ExpirationTime, time.Now().UnixMilli()) //nolint:forbidigo // the exchange's time is the machine's here

	socket, upgrade, err := websocket.DefaultDialer.DialContext(t.Context(), shared.WSAPI(), nil)
	require.NoError(t, err)
	require.NoError(t, upgrade.Body.Close())
	defer func() { require.NoError(t, socket.Close()) }()
	ask := func(token string) map[string]any {
		require.NoError(t, socket.WriteJSON(map[string]any{"id": "1", "method": "userDataStream.subscribe.listenToken", "params": map[string]any{"listenToken": token}}))
		var answer map[string]any
		require.NoError(t, socket.ReadJSON(&answer))
		return answer
	}
	require.InDelta(t, 400, ask("none")["status"], 0)
	require.InDelta(t, 200, ask(made.Token)["status"], 0)
	_, err = client.NewCreateMarginOrderService().Symbol("BTCUSDT").IsIsolated(true).Side(binance.SideTypeBuy).Type(binance.OrderTypeMarket).
		Quantity("0.01").NewClientOrderID("told").Do(t.Context())
	require.NoError(t, err)
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(5*time.Second))) //nolint:forbidigo // see above
	_, message, err := socket.ReadMessage()
	require.NoError(t, err)
	require.True(t, bytes.Contains(message, []byte(`"c":"told"`)), "%s", message)
}

// An account that is sold up has no orders and no debts left, and what was done is there to be found.
func TestMargin_liquidation(t *testing.T) {
	t.Parallel()
	client, keys := margined(t, "10000")
	for id, service := range map[string]*binance.CreateMarginOrderService{
		"short": client.NewCreateMarginOrderService().Type(binance.OrderTypeMarket).Quantity("0.3").SideEffectType(binance.SideEffectTypeMarginBuy),
		"rest":  client.NewCreateMarginOrderService().Type(binance.OrderTypeLimit).TimeInForce(binance.TimeInForceTypeGTC).Quantity("0.01").Price("70000").SideEffectType(binance.SideEffectTypeMarginBuy),
	} {
		_, err := service.Symbol("BTCUSDT").IsIsolated(true).Side(binance.SideTypeSell).NewClientOrderID(id).Do(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, shared.Liquidate(keys.Account, "BTCUSDT"))
	open, err := client.NewListMarginOpenOrdersService().Symbol("BTCUSDT").IsIsolated(true).Do(t.Context())
	require.NoError(t, err)
	require.Empty(t, open)
	all, err := client.NewListMarginOrdersService().Symbol("BTCUSDT").IsIsolated(true).Do(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Contains(t, all[2].ClientOrderID, "autoclose-")
	require.Equal(t, binance.OrderStatusTypeFilled, all[2].Status)
	after := marginOf(t, client)
	require.Equal(t, "EXCESSIVE", after.MarginLevelStatus)
	owed, err := shared.Margin(keys.Account, "BTCUSDT")
	require.NoError(t, err)
	require.True(t, owed.Debts.LessThan(owed.Assets))
	require.Error(t, shared.Liquidate(keys.Account, "ETHUSDT"))
}
