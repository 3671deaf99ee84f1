package binance_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/simexchange"
	"github.com/robson/robson/services/connector/internal/venue"
)

// margined is a bed whose account has an isolated margin account of BTCUSDT with 10 000 USDT.
func margined(t *testing.T) (*bed, venue.Account) {
	t.Helper()
	b := open(t)
	require.NoError(t, b.exchange.EnableMargin("one", "BTCUSDT"))
	require.NoError(t, b.exchange.Transfer("one", "BTCUSDT", "USDT", dec("10000"), false))
	return b, b.venue.Account(venue.AccountRef{Key: "one", Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT"})
}

// followed gives an account's reports as they come.
func followed(t *testing.T, account venue.Account, after venue.Cursor) <-chan venue.Report {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	reports, done := make(chan venue.Report, 1000), make(chan error, 1)
	go func() {
		done <- account.Reports.Follow(ctx, after, func(_ context.Context, batch []venue.Report) error {
			for _, r := range batch {
				reports <- r
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	require.NotNil(t, (<-reports).Connected)
	return reports
}

// TestMargin_short sells what the order borrows and buys it back, and has everything told: executions, balances and loans.
func TestMargin_short(t *testing.T) {
	t.Parallel()
	b, account := margined(t)
	reports := followed(t, account, 7)
	sell := b.market("short", "0.1")
	sell.Side, sell.SideEffect = venue.Sell, venue.MarginBuy
	placed, err := account.Trading.Place(t.Context(), sell)
	require.NoError(t, err)
	require.Equal(t, venue.StatusFilled, placed.Order.Status)
	require.Len(t, placed.Trades, 1)
	state, err := account.Wallets.Margin(t.Context())
	require.NoError(t, err)
	require.Equal(t, "BTCUSDT", state.Symbol)
	require.Equal(t, "15994", state.Assets.String(), "10000 + 6000 - 6")
	require.Equal(t, "6000.006", state.Debts.String())
	require.Equal(t, "2.665664", state.Level.String())
	require.Equal(t, "9993.994", state.Equity.String())
	require.Equal(t, venue.MarginExcessive, state.Status)
	require.Equal(t, "10", state.Ratio.String())
	require.Equal(t, "6000 and 0.006", state.Borrowed.String()+" and "+state.Interest.String())
	require.Equal(t, "145399.85460015", state.LiquidatePrice.String(), "15994 / (1.1 x 0.1000001)")

	cover := b.market("cover", "0.1002")
	cover.SideEffect = venue.AutoRepay
	bought, err := account.Trading.Place(t.Context(), cover)
	require.NoError(t, err)
	sheet, err := account.Wallets.Balances(t.Context())
	require.NoError(t, err)
	require.Equal(t, venue.IsolatedWallet("BTCUSDT"), sheet.Balances[0].Wallet)
	require.Equal(t, "BTC", sheet.Balances[0].Asset)
	require.True(t, sheet.Balances[0].Borrowed.IsZero())
	require.Equal(t, "0.0000997", sheet.Balances[0].Free.String(), "0.1002 - 0.0001002 - 0.1000001")

	var loans []venue.Loan
	executions, positions := 0, 0
	for len(loans) < 2 || executions < 4 {
		switch r := <-reports; {
		case r.Loan != nil:
			loans = append(loans, *r.Loan)
		case r.Execution != nil:
			executions++
		case r.Position != nil:
			positions++
			require.Equal(t, venue.IsolatedWallet("BTCUSDT"), r.Position.Balances[0].Wallet)
		}
	}
	require.Positive(t, positions)
	for n, want := range []venue.Loan{
		{Kind: venue.Borrow, Amount: dec("0.1"), Principal: dec("0.1"), Interest: dec("0")},
		{Kind: venue.Repay, Amount: dec("0.1000001"), Principal: dec("0.1"), Interest: dec("0.0000001")},
	} {
		want.Symbol, want.Asset, want.SideEffect, want.TranID = "BTCUSDT", "BTC", true, loans[n].TranID
		requireSame(t, want, loans[n])
		require.Positive(t, loans[n].TranID)
	}

	trades, err := account.Trading.OrderTrades(t.Context(), "BTCUSDT", bought.Order.OrderID)
	require.NoError(t, err)
	requireSame(t, bought.Trades[0].TradeID, trades[0].TradeID)
	require.Len(t, trades, 1)
	all, err := account.Trading.Trades(t.Context(), "BTCUSDT", 0, 1000)
	require.NoError(t, err)
	require.Len(t, all, 2)
	spot, err := b.account.Trading.Trades(t.Context(), "BTCUSDT", 0, 1000)
	require.NoError(t, err)
	require.Empty(t, spot)
}

// TestMargin_tradesOfAnOrderWithoutTime tells of an answer that lacks the times by which trades are listed: from the year 1 on there are
// 740,000 days to ask for.
func TestMargin_tradesOfAnOrderWithoutTime(t *testing.T) {
	t.Parallel()
	for _, times := range []string{`"time":0,"updateTime":1499827319559`, `"time":1499827319559,"updateTime":0`} {
		b, account := margined(t)
		body := `{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"old","price":"0","origQty":"1","executedQty":"1","status":"FILLED",` +
			`"timeInForce":"GTC","type":"MARKET","side":"BUY","isIsolated":true,` + times + `}`
		b.fault(simexchange.Fault{Kind: simexchange.AcceptThenError, Method: "GET", Path: "/sapi/v1/margin/order", HTTP: 200, Body: body, Times: 1})
		_, err := account.Trading.OrderTrades(t.Context(), "BTCUSDT", 7)
		require.ErrorContains(t, err, "order 7 has no time")
	}
}

// TestMargin_orders places, asks for, lists and cancels an order that rests on a loan.
func TestMargin_orders(t *testing.T) {
	t.Parallel()
	b, account := margined(t)
	rest := b.limit("rest", "50000")
	rest.Quantity, rest.SideEffect = dec("0.4"), venue.MarginBuy
	placed, err := account.Trading.Place(t.Context(), rest)
	require.NoError(t, err)
	require.Equal(t, venue.StatusNew, placed.Order.Status)
	asked, err := account.Trading.QueryOrder(t.Context(), "BTCUSDT", "rest")
	require.NoError(t, err)
	require.Equal(t, placed.Order.OrderID, asked.OrderID)
	open, err := account.Trading.OpenOrders(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, open, 1)
	open, err = account.Trading.OpenOrders(t.Context(), "ETHUSDT")
	require.NoError(t, err)
	require.Empty(t, open)
	canceled, err := account.Trading.Cancel(t.Context(), venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "rest", CancelID: "end"})
	require.NoError(t, err)
	require.Equal(t, placed.Order.OrderID, canceled.OrderID)
	require.Equal(t, venue.StatusCanceled, canceled.Status)
	all, err := account.Trading.Orders(t.Context(), "BTCUSDT", 0, 1000)
	require.NoError(t, err)
	require.Len(t, all, 1)

	_, err = account.Trading.QueryOrder(t.Context(), "BTCUSDT", "never")
	require.ErrorIs(t, err, venue.ErrOrderNotFound)
	_, err = account.Trading.Cancel(t.Context(), venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "rest"})
	require.ErrorIs(t, err, venue.ErrUnknownOrder)
	for _, foreign := range []func() error{
		func() error { _, err := account.Trading.QueryOrder(t.Context(), "ETHUSDT", "rest"); return err },
		func() error { _, err := account.Trading.Trades(t.Context(), "ETHUSDT", 0, 10); return err },
		func() error { _, err := account.Trading.Orders(t.Context(), "ETHUSDT", 0, 10); return err },
		func() error {
			_, err := account.Trading.Cancel(t.Context(), venue.CancelOrder{Symbol: "ETHUSDT", ClientOrderID: "rest"})
			return err
		},
	} {
		require.ErrorIs(t, foreign(), venue.ErrNotSent)
	}
	none := b.venue.Account(venue.AccountRef{Key: "one", Product: venue.IsolatedMargin, MarginSymbol: "ETHUSDT"})
	_, err = none.Wallets.Balances(t.Context())
	require.ErrorIs(t, err, venue.ErrNoMargin)
}

// More orders than one listing gives are listed over as many as it takes.
func TestMargin_many_orders(t *testing.T) {
	t.Parallel()
	b, account := margined(t)
	for range 620 {
		placed, err := b.exchange.Place("one@BTCUSDT", simexchange.OrderRequest{
			Symbol: "BTCUSDT", Side: "BUY", Type: "LIMIT", TimeInForce: "GTC", Quantity: dec("0.001"), Price: dec("50000"),
		})
		require.NoError(t, err)
		_, err = b.exchange.Cancel("one@BTCUSDT", simexchange.OrderRef{Symbol: "BTCUSDT", ID: placed.ID})
		require.NoError(t, err)
	}
	all, err := account.Trading.Orders(t.Context(), "BTCUSDT", 0, 1000)
	require.NoError(t, err)
	require.Len(t, all, 620)
	some, err := account.Trading.Orders(t.Context(), "BTCUSDT", 0, 510)
	require.NoError(t, err)
	require.Len(t, some, 510)
}

// A list of loans that fails is asked for again, and the stream goes on.
func TestMargin_loans_are_asked_for_again(t *testing.T) {
	t.Parallel()
	b, account := margined(t)
	reports := followed(t, account, 0)
	b.fault(simexchange.Fault{Kind: "accept_then_5xx", Method: "GET", Path: "/sapi/v1/margin/borrow-repay", HTTP: 503, Times: 2})
	sell := b.market("short", "0.1")
	sell.Side, sell.SideEffect = venue.Sell, venue.MarginBuy
	_, err := account.Trading.Place(t.Context(), sell)
	require.NoError(t, err)
	for r := range reports {
		if r.Loan != nil {
			require.Equal(t, venue.Borrow, r.Loan.Kind)
			return
		}
	}
}

// A loan of an order that the stream has lost is told of once an answer about balances shows that another sum is owed.
func TestMargin_loans_of_a_lost_execution(t *testing.T) {
	t.Parallel()
	b, account := margined(t)
	reports := followed(t, account, 0)
	other := b.venue.Account(venue.AccountRef{Key: "one", Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT"})
	_, err := other.Wallets.Balances(t.Context())
	require.NoError(t, err)
	b.fault(simexchange.Fault{Kind: "ws_drop_event", Account: "one@BTCUSDT", Event: "executionReport", Times: 10})
	sell := b.market("short", "0.1")
	sell.Side, sell.SideEffect = venue.Sell, venue.MarginBuy
	_, err = account.Trading.Place(t.Context(), sell)
	require.NoError(t, err)
	_, err = other.Wallets.Balances(t.Context())
	require.NoError(t, err)
	late := time.After(20 * time.Second) // of a minute after which they are listed anyway
	for {
		select {
		case r := <-reports:
			if r.Loan != nil {
				require.Equal(t, venue.Borrow, r.Loan.Kind)
				return
			}
		case <-late:
			t.Fatal("the loan was not told of")
		}
	}
}
