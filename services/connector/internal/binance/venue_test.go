package binance_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/simexchange"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/binance"
	"github.com/robson/robson/services/connector/internal/venue"
)

var dec = decimal.RequireFromString

// bed is a venue over an exchange of its own.
type bed struct {
	t        *testing.T
	exchange *simexchange.Server
	keys     simexchange.Credentials
	venue    *binance.Venue
	account  venue.Account
	log      *logged
}

// logged keeps what is written.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// held gives one key for every account.
type held binance.Credentials

func (h held) Credentials(context.Context, venue.AccountKey) (binance.Credentials, error) {
	return binance.Credentials(h), nil
}

func open(t *testing.T, alter ...func(*binance.Config)) *bed {
	t.Helper()
	exchange, err := simexchange.New(simexchange.Config{Prices: map[string]string{"BTCUSDT": "60000"}})
	require.NoError(t, err)
	t.Cleanup(exchange.Close)
	keys, err := exchange.AddAccount(simexchange.Account{Name: "one", Balances: map[string]string{"USDT": "100000"}})
	require.NoError(t, err)
	b := &bed{t: t, exchange: exchange, keys: keys, log: &logged{}}
	cfg := binance.Config{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, RESTURL: exchange.URL(), WSAPIURL: exchange.WSAPI(),
		StreamURL: exchange.Streams()[:len(exchange.Streams())-len("/ws")], Credentials: held{APIKey: keys.Key, Secret: keys.Secret},
		Timing:     venue.Timing{ReceiveWindow: 5 * time.Second, Processing: 10 * time.Second, Margin: 5 * time.Second},
		RetryDelay: time.Millisecond,
	}
	for _, change := range alter {
		change(&cfg)
	}
	b.venue, err = binance.New(slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), clock.System(), cfg)
	require.NoError(t, err)
	require.NoError(t, b.venue.Start(t.Context()))
	t.Cleanup(b.venue.Stop)
	b.account = b.venue.Account(venue.AccountRef{Key: "one", Product: venue.Spot})
	return b
}

func (b *bed) fault(f simexchange.Fault) {
	b.t.Helper()
	_, err := b.exchange.AddFault(f)
	require.NoError(b.t, err)
}

func (b *bed) now() time.Time {
	b.t.Helper()
	now, err := b.venue.Time(b.t.Context())
	require.NoError(b.t, err)
	return now
}

func (b *bed) market(id, quantity string) venue.NewOrder {
	return venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Buy, Type: venue.Market, Quantity: dec(quantity), ClientOrderID: venue.ClientOrderID(id), Stamp: b.now(),
	}
}

func (b *bed) limit(id, price string) venue.NewOrder {
	order := b.market(id, "0.01")
	order.Type, order.TimeInForce, order.Price = venue.Limit, venue.GTC, dec(price)
	return order
}

// TestTrading_life places, asks, cancels and lists, and holds what comes back against the exchange.
func TestTrading_life(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx, trade := t.Context(), b.account.Trading

	placed, err := trade.Place(ctx, b.market("m-1", "0.01"))
	require.NoError(t, err)
	require.Equal(t, venue.StatusFilled, placed.Order.Status)
	require.NotEmpty(t, placed.Trades)
	asked, err := trade.QueryOrder(ctx, "BTCUSDT", "m-1")
	require.NoError(t, err)
	require.Equal(t, placed.Order.OrderID, asked.OrderID)
	require.True(t, asked.CumQuote.Equal(placed.Order.CumQuote))
	trades, err := trade.OrderTrades(ctx, "BTCUSDT", asked.OrderID)
	require.NoError(t, err)
	require.Len(t, trades, len(placed.Trades))
	for n, want := range placed.Trades {
		got := trades[n]
		require.Equal(t, want.TradeID, got.TradeID)
		require.Equal(t, venue.Buy, got.Side)
		require.True(t, want.Price.Equal(got.Price) && want.Fee.Equal(got.Fee) && want.QuoteQuantity.Equal(got.QuoteQuantity))
	}

	stop := b.limit("s-1", "50000")
	stop.Type, stop.Side, stop.StopPrice, stop.Quantity = venue.StopLossLimit, venue.Sell, dec("51000"), dec("0.005")
	resting, err := trade.Place(ctx, stop)
	require.NoError(t, err)
	require.Equal(t, venue.StatusNew, resting.Order.Status)
	listed, err := trade.OpenOrders(ctx, "")
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.True(t, listed[0].StopPrice.Equal(dec("51000")))
	canceled, err := trade.Cancel(ctx, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "s-1", CancelID: "c-1"})
	require.NoError(t, err)
	require.Equal(t, venue.StatusCanceled, canceled.Status)
	require.Equal(t, venue.ClientOrderID("s-1"), canceled.ClientOrderID)
	require.Equal(t, venue.ClientOrderID("c-1"), canceled.CancelID)
	require.True(t, canceled.StopPrice.Equal(dec("51000")))

	orders, err := trade.Orders(ctx, "BTCUSDT", 0, 1)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	orders, err = trade.Orders(ctx, "BTCUSDT", orders[0].OrderID+1, venue.PageMax)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	all, err := trade.Trades(ctx, "BTCUSDT", 0, venue.PageMax)
	require.NoError(t, err)
	require.Len(t, all, len(trades))
	none, err := trade.Trades(ctx, "BTCUSDT", all[len(all)-1].TradeID+1, 1)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = trade.Trades(ctx, "BTCUSDT", 0, venue.PageMax+1)
	require.ErrorIs(t, err, venue.ErrNotSent)
}

// TestWallets_are_the_exchange_s holds balances and rate against the exchange.
func TestWallets_are_the_exchange_s(t *testing.T) {
	t.Parallel()
	b := open(t)
	_, err := b.account.Trading.Place(t.Context(), b.market("m-1", "0.01"))
	require.NoError(t, err)
	sheet, err := b.account.Wallets.Balances(t.Context())
	require.NoError(t, err)
	want, err := b.exchange.Balances("one")
	require.NoError(t, err)
	require.Len(t, sheet.Balances, 2)
	for _, got := range sheet.Balances {
		require.True(t, got.Free.Equal(want[got.Asset].Free), got.Asset)
		require.Equal(t, "spot", got.Wallet)
	}
	rate, err := b.account.Wallets.TakerRate(t.Context(), "BTCUSDT")
	require.NoError(t, err)
	require.Equal(t, "0.001", rate.String())
	_, err = b.account.Wallets.TakerRate(t.Context(), "NONE")
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	_, err = b.account.Wallets.Margin(t.Context())
	require.ErrorIs(t, err, venue.ErrNoMargin)
}

// TestMarket_rules_time_and_price asks what everyone may ask.
func TestMarket_rules_time_and_price(t *testing.T) {
	t.Parallel()
	b := open(t)
	rules, err := b.venue.Instrument(t.Context(), "BTCUSDT")
	require.NoError(t, err)
	require.Equal(t, "0.01", rules.Price.Tick.String())
	_, err = b.venue.Instrument(t.Context(), "NONE")
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	first, err := b.venue.LastPrice(t.Context(), "BTCUSDT")
	require.NoError(t, err)
	require.True(t, first.Price.Equal(dec("60000")))
	require.NoError(t, b.exchange.SetPrice("BTCUSDT", "60001"))
	second, err := b.venue.LastPrice(t.Context(), "BTCUSDT")
	require.NoError(t, err)
	require.Greater(t, second.Sequence, first.Sequence)
	again, err := b.venue.LastPrice(t.Context(), "BTCUSDT")
	require.NoError(t, err)
	require.Equal(t, second, again, "the same trade is the same for ever")
	_, err = b.venue.LastPrice(t.Context(), "NONE")
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
	before := b.now()
	b.exchange.SetSkew(-time.Hour)
	require.False(t, b.now().Before(before))
}

// TestReports_first_gap_then_events follows an account through an order's life.
func TestReports_first_gap_then_events(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx, stop := context.WithCancel(t.Context())
	reports := make(chan venue.Report, 100)
	done := make(chan error, 1)
	go func() {
		done <- b.account.Reports.Follow(ctx, 7, func(_ context.Context, batch []venue.Report) error {
			for _, r := range batch {
				reports <- r
			}
			return nil
		})
	}()
	first := <-reports
	require.NotNil(t, first.Connected)
	require.True(t, first.Connected.Gap)
	require.Equal(t, venue.Cursor(7), first.Cursor)
	_, err := b.account.Trading.Place(ctx, b.limit("l-1", "50000"))
	require.NoError(t, err)
	_, err = b.account.Trading.Cancel(ctx, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "l-1", CancelID: "c-1"})
	require.NoError(t, err)
	var executions []*venue.Execution
	last := first.Cursor
	for len(executions) < 2 {
		r := <-reports
		require.Greater(t, r.Cursor, last)
		last = r.Cursor
		if r.Execution != nil {
			executions = append(executions, r.Execution)
		}
	}
	require.Equal(t, venue.ExecutionNew, executions[0].Type)
	require.Equal(t, venue.ExecutionCanceled, executions[1].Type)
	require.Equal(t, venue.ClientOrderID("l-1"), executions[1].Order.ClientOrderID)
	require.Equal(t, venue.ClientOrderID("c-1"), executions[1].Order.CancelID)
	stop()
	require.ErrorIs(t, <-done, context.Canceled)
}
