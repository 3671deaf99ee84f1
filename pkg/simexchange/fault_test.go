package simexchange_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
)

// Whatever the answer was, the log of the exchange says whether the order was processed.
func TestFault_of_placing(t *testing.T) {
	t.Parallel()
	for kind, processed := range map[string]bool{
		simexchange.DropBefore: false, simexchange.Reject: false, simexchange.RateLimit: false,
		simexchange.AcceptThenDrop: true, simexchange.AcceptThenError: true, simexchange.BadBody: true,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			client, keys := open(t, map[string]string{"USDT": "10000"})
			_, err := shared.AddFault(simexchange.Fault{Kind: kind, Method: http.MethodPost, Account: keys.Account, Code: -1006})
			require.NoError(t, err)
			_, err = buy(client, "x", "0.01").Do(t.Context())
			require.Error(t, err)
			orders, err := shared.Orders(keys.Account, "BTCUSDT")
			require.NoError(t, err)
			require.Equal(t, processed, len(orders) == 1)
			require.Equal(t, processed, shared.Requests(keys.Account)[0].Processed)
			_, err = buy(client, "y", "0.01").Do(t.Context())
			require.NoError(t, err, "a fault comes once")
		})
	}
}

func TestFault_partial_fill_and_race_and_lag(t *testing.T) {
	t.Parallel()
	client, keys := open(t, map[string]string{"USDT": "10000"})
	add := func(f simexchange.Fault) {
		f.Account = keys.Account
		_, err := shared.AddFault(f)
		require.NoError(t, err)
	}
	add(simexchange.Fault{Kind: simexchange.PartialFill, Method: http.MethodPost, Quantity: decimal.RequireFromString("0.004"), End: "CANCELED"})
	partial, err := buy(client, "p", "0.01").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "0.00400000", partial.ExecutedQuantity)

	_, err = client.NewCreateOrderService().Symbol("BTCUSDT").Side(binance.SideTypeBuy).Type(binance.OrderTypeLimit).
		TimeInForce(binance.TimeInForceTypeGTC).Quantity("0.01").Price("50000").NewClientOrderID("r").Do(t.Context())
	require.NoError(t, err)
	add(simexchange.Fault{Kind: simexchange.FillBeforeCancel, Method: http.MethodDelete})
	_, err = client.NewCancelOrderService().Symbol("BTCUSDT").OrigClientOrderID("r").Do(t.Context())
	require.ErrorContains(t, err, "-2011")

	add(simexchange.Fault{Kind: simexchange.QueryLag, Method: http.MethodGet, Lag: 1})
	lagging, err := client.NewGetOrderService().Symbol("BTCUSDT").OrigClientOrderID("r").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeNew, lagging.Status)
	now, err := client.NewGetOrderService().Symbol("BTCUSDT").OrigClientOrderID("r").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, binance.OrderStatusTypeFilled, now.Status)
}

// stream subscribes to an account's events and waits until that holds.
func stream(t *testing.T, keys simexchange.Credentials) (events chan *binance.WsUserDataEvent, done chan struct{}) {
	t.Helper()
	events = make(chan *binance.WsUserDataEvent, 100)
	done, stop, err := binance.WsUserDataServeSignature(keys.Key, keys.Secret, "HMAC", 0, func(e *binance.WsUserDataEvent) { events <- e }, func(error) {})
	require.NoError(t, err)
	t.Cleanup(func() { close(stop); <-done })
	require.Eventually(t, func() bool { return shared.Subscribers(keys.Account) == 1 }, 5*time.Second, time.Millisecond)
	return events, done
}

func TestFault_of_the_stream(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string][]string{
		simexchange.EventDrop: {"TRADE"}, simexchange.EventDuplicate: {"NEW", "NEW", "TRADE"}, simexchange.EventReorder: {"TRADE", "NEW"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			client, keys := open(t, map[string]string{"USDT": "10000"})
			_, err := shared.AddFault(simexchange.Fault{Kind: kind, Account: keys.Account, Event: "NEW"})
			require.NoError(t, err)
			events, _ := stream(t, keys)
			_, err = buy(client, "x", "0.01").Do(t.Context())
			require.NoError(t, err)
			for _, execution := range want {
				require.Equal(t, execution, (<-events).OrderUpdate.ExecutionType)
			}
		})
	}
	for _, kind := range []string{simexchange.Disconnect, simexchange.Shutdown, simexchange.Terminated} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			client, keys := open(t, map[string]string{"USDT": "10000"})
			_, err := shared.AddFault(simexchange.Fault{Kind: kind, Account: keys.Account, Event: "TRADE"})
			require.NoError(t, err)
			_, done := stream(t, keys)
			_, err = buy(client, "x", "0.01").Do(t.Context())
			require.NoError(t, err)
			<-done
		})
	}
}

func TestFault_subscription_refused(t *testing.T) {
	t.Parallel()
	_, keys := open(t, nil)
	_, err := shared.AddFault(simexchange.Fault{Kind: simexchange.SubscribeReject, Account: keys.Account})
	require.NoError(t, err)
	events := make(chan *binance.WsUserDataEvent, 1)
	done, stop, err := binance.WsUserDataServeSignature(keys.Key, keys.Secret, "HMAC", 0, func(e *binance.WsUserDataEvent) { events <- e }, func(error) {})
	require.NoError(t, err)
	require.Empty(t, (<-events).Event, "the library gives a refusal as an empty event")
	close(stop)
	<-done
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for kind, pair := range map[string][2]any{"ED25519": {secret, secret.Public()}, "RSA": {rsaKey, rsaKey.Public()}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			private, err := x509.MarshalPKCS8PrivateKey(pair[0])
			require.NoError(t, err)
			public, err := x509.MarshalPKIXPublicKey(pair[1])
			require.NoError(t, err)
			keys, err := shared.AddAccount(simexchange.Account{
				Name: unique(t), PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
			})
			require.NoError(t, err)
			document := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
			client := binance.NewClient(keys.Key, document)
			client.BaseURL, client.KeyType = shared.URL(), kind
			_, err = client.NewGetAccountService().Do(t.Context())
			require.NoError(t, err)
			done, stop, err := binance.WsUserDataServeSignature(keys.Key, document, kind, 0, func(*binance.WsUserDataEvent) {}, func(error) {})
			require.NoError(t, err)
			require.Eventually(t, func() bool { return shared.Subscribers(keys.Account) == 1 }, 5*time.Second, time.Millisecond)
			close(stop)
			<-done
		})
	}
	client, keys := open(t, nil)
	client.SecretKey = "wrong"
	_, err = client.NewGetAccountService().Do(t.Context())
	require.ErrorContains(t, err, "code=-1022")
	client.SecretKey, client.TimeOffset = keys.Secret, 10_000
	_, err = client.NewGetAccountService().Do(t.Context())
	require.ErrorContains(t, err, "outside of the recvWindow")
	client.TimeOffset = -10_000
	_, err = client.NewGetAccountService().Do(t.Context())
	require.ErrorContains(t, err, "ahead of the server's time")
	client.APIKey = "nobody"
	_, err = client.NewGetAccountService().Do(t.Context())
	require.ErrorContains(t, err, "code=-2015")
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	call := func(token, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shared.URL()+path, bytes.NewBufferString(body))
		require.NoError(t, err)
		r.Header.Set(simexchange.TokenHeader, token)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { require.NoError(t, answer.Body.Close()) }()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(text)
	}
	name := unique(t)
	status, _ := call("wrong", "/sim/step", `{"n":1}`)
	require.Equal(t, http.StatusForbidden, status)
	status, text := call("t", "/sim/accounts", `{"name":"`+name+`","balances":{"USDT":"1000"}}`)
	require.Equal(t, http.StatusOK, status, text)
	status, text = call("t", "/sim/orders/external", `{"account":"`+name+`","symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.01"}`)
	require.Equal(t, http.StatusOK, status, text)
	status, text = call("t", "/sim/deposits", `{"account":"`+name+`","asset":"ETH","amount":"2"}`)
	require.Equal(t, http.StatusOK, status, text)
	balances, err := shared.Balances(name)
	require.NoError(t, err)
	require.Equal(t, "2", balances["ETH"].Free.String())
	status, text = call("t", "/sim/faults", `{"kind":"nonsense"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, "fault kind")
}

func TestRestart_keeps_state_and_virtual_time_moves(t *testing.T) {
	t.Parallel()
	server, err := simexchange.New(simexchange.Config{
		Virtual: time.UnixMilli(1_700_000_000_000), Prices: map[string]string{"BTCUSDT": "60000", "ETHUSDT": "2000"},
		Walks: map[string]int64{"ETHUSDT": 10}, FirstID: 1<<53 + 1,
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	keys, err := server.AddAccount(simexchange.Account{Name: "one", Balances: map[string]string{"USDT": "1000"}})
	require.NoError(t, err)
	client := binance.NewClient(keys.Key, keys.Secret)
	client.BaseURL = server.URL()
	client.HTTPClient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	_, err = client.NewSetServerTimeService().Do(t.Context())
	require.NoError(t, err)
	placed, err := buy(client, "a", "0.01").Do(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1<<53+1, placed.OrderID)
	require.EqualValues(t, 1_700_000_000_000, placed.TransactTime)
	server.Restart()
	require.NoError(t, server.Advance(time.Hour))
	require.NoError(t, server.Step(3))
	client.HTTPClient.CloseIdleConnections()
	at, err := client.NewServerTimeService().Do(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1_700_003_600_000, at)
	orders, err := server.Orders("one", "")
	require.NoError(t, err)
	require.Len(t, orders, 1)
}
