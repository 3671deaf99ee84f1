package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/connector/internal/venue"
)

// What an account has done on a symbol is listed by id, page by page, ended orders too, and outlives the process.
func TestEngine_History(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "100000")
	b.fund(iso, "USDT", "100000")
	b.market(BookConfig{}, "95000", "94000")
	for n := range 3 {
		b.place(spot, order(fmt.Sprintf("m%d", n), venue.Buy, venue.Market, "0.01"))
		b.place(iso, order(fmt.Sprintf("i%d", n), venue.Buy, venue.Market, "0.01"))
	}
	b.place(spot, limit("rest", venue.Buy, "0.01", "90000"))
	_, err := b.Cancel(spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "rest"})
	require.NoError(t, err)
	b.reopen()

	trades, err := b.Trades(spot, "BTCUSDT", 0, venue.PageMax)
	require.NoError(t, err)
	require.Equal(t, []venue.TradeID{1, 3, 5}, tradeIDs(trades), "those of another account are between them")
	trades, err = b.Trades(spot, "BTCUSDT", 3, 1)
	require.NoError(t, err)
	require.Equal(t, []venue.TradeID{3}, tradeIDs(trades))
	trades, err = b.Trades(spot, "BTCUSDT", 6, 1)
	require.NoError(t, err)
	require.Empty(t, trades)
	orders, err := b.Orders(spot, "BTCUSDT", 2, venue.PageMax)
	require.NoError(t, err)
	require.Len(t, orders, 3)
	require.Equal(t, venue.StatusCanceled, orders[2].Status)
	require.EqualValues(t, 7, orders[2].OrderID)
	orders, err = b.Orders(spot, "BTCUSDT", 0, 2)
	require.NoError(t, err)
	require.Equal(t, venue.ClientOrderID("m1"), orders[1].ClientOrderID)
	orders, err = b.Orders(spot, "ETHUSDT", 0, 2)
	require.NoError(t, err)
	require.Empty(t, orders)

	for _, limit := range []int{0, venue.PageMax + 1} {
		_, err = b.Trades(spot, "BTCUSDT", 0, limit)
		require.ErrorIs(t, err, ErrInvalid)
		_, err = b.Orders(spot, "BTCUSDT", 0, limit)
		require.ErrorIs(t, err, ErrInvalid)
	}
	_, err = b.Trades(spot, "NOPE", 0, 1)
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	other := spot
	other.Product, other.MarginSymbol = venue.IsolatedMargin, "BTCUSDT"
	_, err = b.Orders(other, "BTCUSDT", 0, 1)
	require.Error(t, err, "the key is that of another account")
}

func tradeIDs(trades []venue.Trade) []venue.TradeID {
	var ids []venue.TradeID
	for _, trade := range trades {
		ids = append(ids, trade.TradeID)
	}
	return ids
}
