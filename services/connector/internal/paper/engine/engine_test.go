package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	spot  = venue.AccountRef{Key: "t/spot", Product: venue.Spot}
	iso   = venue.AccountRef{Key: "t/iso", Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT"}
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// bench is an engine in a directory of its own with a clock that the test moves.
type bench struct {
	*Engine
	t     *testing.T
	dir   string
	clock *clock.Fake
	ids   int
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: clock.NewFake(start)}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	e, err := Open(b.dir, b.clock, DefaultTiming)
	require.NoError(b.t, err)
	b.Engine = e
	b.t.Cleanup(func() { _ = e.Close() })
}

// reopen closes the engine and opens its directory again, and requires that nothing was forgotten.
func (b *bench) reopen() {
	b.t.Helper()
	before := b.bytes()
	require.NoError(b.t, b.Close())
	b.open()
	require.Equal(b.t, before, b.bytes())
}

func (b *bench) bytes() string {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, err := json.Marshal(b.s)
	require.NoError(b.t, err)
	return string(raw)
}

func (b *bench) market(book BookConfig, prices ...string) {
	b.t.Helper()
	var script []feed.ScriptTick
	for n, price := range prices {
		script = append(script, feed.ScriptTick{Time: start.Add(time.Duration(n) * time.Minute), Price: dec(price)})
	}
	_, err := b.Load("BTCUSDT", book, feed.Source{Script: script}, "script")
	require.NoError(b.t, err)
}

func (b *bench) fund(ref venue.AccountRef, asset, amount string) {
	b.t.Helper()
	b.ids++
	wallet := NewAccountConfig(ref).wallet()
	_, err := b.Deposit(ref, fmt.Sprintf("deposit-%d", b.ids), wallet, asset, dec(amount))
	require.NoError(b.t, err)
}

func (b *bench) tick(n int) {
	b.t.Helper()
	market, err := b.Market("BTCUSDT")
	require.NoError(b.t, err)
	_, err = b.Advance(b.t.Context(), "BTCUSDT", market.Last.Sequence+int64(n))
	require.NoError(b.t, err)
}

func order(id string, side venue.Side, kind venue.OrderType, quantity string) venue.NewOrder {
	return venue.NewOrder{
		Symbol: "BTCUSDT", Side: side, Type: kind, Quantity: dec(quantity), ClientOrderID: venue.ClientOrderID(id), Stamp: start,
	}
}

func limit(id string, side venue.Side, quantity, price string) venue.NewOrder {
	o := order(id, side, venue.Limit, quantity)
	o.Price, o.TimeInForce = dec(price), venue.GTC
	return o
}

func stop(id string, side venue.Side, quantity, at string) venue.NewOrder {
	o := order(id, side, venue.StopLoss, quantity)
	o.StopPrice = dec(at)
	return o
}

func (b *bench) place(ref venue.AccountRef, o venue.NewOrder) venue.Placed {
	b.t.Helper()
	placed, err := b.Place(ref, o)
	require.NoError(b.t, err)
	return placed
}

func (b *bench) order(ref venue.AccountRef, id string) venue.Order {
	b.t.Helper()
	o, err := b.Order(ref, "BTCUSDT", venue.ClientOrderID(id))
	require.NoError(b.t, err)
	return o
}

// holds requires what an asset amounts to: "free+locked" or "free+locked-borrowed".
func (b *bench) holds(ref venue.AccountRef, asset, want string) {
	b.t.Helper()
	sheet, err := b.Balances(ref)
	require.NoError(b.t, err)
	got := "0+0"
	for _, held := range sheet.Balances {
		if held.Asset == asset {
			got = held.Free.String() + "+" + held.Locked.String()
			if owed := held.Borrowed.Add(held.Interest); !owed.IsZero() {
				got += "-" + owed.String()
			}
		}
	}
	require.Equal(b.t, want, got, asset)
}

func describe(trades []venue.Trade) []string {
	var out []string
	for _, trade := range trades {
		out = append(out, fmt.Sprintf("%d %s@%s fee %s %s", trade.TradeID, trade.Quantity, trade.Price, trade.Fee, trade.FeeAsset))
	}
	return out
}

func refusal(t *testing.T, err error) string {
	t.Helper()
	var rejected *venue.RejectedError
	if errors.As(err, &rejected) {
		return fmt.Sprintf("%d %s", rejected.Code, rejected.Message)
	}
	var orderErr *venue.OrderError
	require.ErrorAs(t, err, &orderErr)
	return fmt.Sprintf("%d %s", orderErr.Code, orderErr.Message)
}

// S2 and S3 of the domain, to the last decimal.
func TestEngine_WorkedScenarios(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "10000")
	depth := []Level{{dec("0.02"), 0}, {dec("0.03"), 1000}, {dec("1"), 2550}}
	b.market(BookConfig{Depth: depth, LatencyTicks: 1}, "95000", "95000", "95000", "96500")

	placed := b.place(spot, order("entry", venue.Buy, venue.Market, "0.06666"))
	require.Equal(t, venue.StatusPartiallyFilled, placed.Order.Status)
	require.Equal(t, []string{"1 0.02@95000 fee 0.00002 BTC"}, describe(placed.Trades))
	b.reopen()
	b.tick(1)
	require.Equal(t, "0.05", b.order(spot, "entry").Executed.String())
	require.Equal(t, "95006", b.order(spot, "entry").CumQuote.Div(dec("0.05")).String())
	b.tick(1)
	entry := b.order(spot, "entry")
	require.Equal(t, venue.StatusFilled, entry.Status)
	require.Equal(t, "6333.42483", entry.CumQuote.String())
	require.Equal(t, "95010.87353735", entry.CumQuote.DivRound(entry.Executed, 8).String())
	trades, err := b.OrderTrades(spot, "BTCUSDT", entry.OrderID)
	require.NoError(t, err)
	require.Equal(t, []string{
		"1 0.02@95000 fee 0.00002 BTC", "2 0.03@95010 fee 0.00003 BTC", "3 0.01666@95025.5 fee 0.00001666 BTC",
	}, describe(trades))
	b.holds(spot, "BTC", "0.06659334+0")

	b.market(BookConfig{}, "96500")
	placed = b.place(spot, order("exit", venue.Sell, venue.Market, "0.06659"))
	require.Equal(t, []string{"4 0.06659@96500 fee 6.425935 USDT"}, describe(placed.Trades))
	b.holds(spot, "BTC", "0.00000334+0")
	b.holds(spot, "USDT", "10086.084235+0") // the cash change of S3
	b.reopen()
}

func TestEngine_Market(t *testing.T) {
	t.Parallel()
	depth := []Level{{dec("0.02"), 0}, {dec("0.03"), 1000}}
	t.Run("the ladder ends", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "100000")
		b.market(BookConfig{Depth: depth, SpreadTicks: 100}, "95000", "95000")
		placed := b.place(spot, order("a", venue.Buy, venue.Market, "0.06"))
		require.Equal(t, venue.StatusExpired, placed.Order.Status)
		require.Equal(t, "INSUFFICIENT_LIQUIDITY", placed.Order.ExpiryReason)
		require.Equal(t, []string{"1 0.02@95001 fee 0.00002 BTC", "2 0.03@95011 fee 0.00003 BTC"}, describe(placed.Trades))
		b.holds(spot, "USDT", "95249.65+0")
		// Eaten until the next tick refills it.
		placed = b.place(spot, order("b", venue.Buy, venue.Market, "0.01"))
		require.Equal(t, venue.StatusExpired, placed.Order.Status)
		require.Empty(t, placed.Trades)
		b.tick(1)
		require.Equal(t, venue.StatusFilled, b.place(spot, order("c", venue.Buy, venue.Market, "0.01")).Order.Status)
	})
	t.Run("sellers meet the bid", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "1")
		b.market(BookConfig{Depth: depth, SpreadTicks: 100}, "95000")
		placed := b.place(spot, order("a", venue.Sell, venue.Market, "0.05"))
		require.Equal(t, []string{"1 0.02@95000 fee 1.9 USDT", "2 0.03@94990 fee 2.8497 USDT"}, describe(placed.Trades))
	})
	t.Run("cannot pay", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "949.99")
		b.market(BookConfig{}, "95000")
		_, err := b.Place(spot, order("a", venue.Buy, venue.Market, "0.01"))
		require.Equal(t, "-2010 Account has insufficient balance for requested action.", refusal(t, err))
		b.fund(spot, "USDT", "0.01")
		b.place(spot, order("a", venue.Buy, venue.Market, "0.01"))
		b.holds(spot, "USDT", "0+0")
	})
	t.Run("the price runs away between fills", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "5000")
		b.market(BookConfig{Depth: depth, LatencyTicks: 1}, "95000", "120000")
		b.place(spot, order("a", venue.Buy, venue.Market, "0.05"))
		b.tick(1)
		o := b.order(spot, "a")
		require.Equal(t, venue.StatusExpired, o.Status)
		require.Equal(t, "INSUFFICIENT_BALANCE", o.ExpiryReason)
		require.Equal(t, "0.02", o.Executed.String())
		b.holds(spot, "USDT", "3100+0")
	})
	t.Run("canceled between fills", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "1")
		b.market(BookConfig{Depth: depth, LatencyTicks: 1}, "95000", "95000")
		b.place(spot, order("a", venue.Sell, venue.Market, "0.05"))
		canceled, err := b.Cancel(spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "a", CancelID: "x"})
		require.NoError(t, err)
		require.Equal(t, venue.StatusCanceled, canceled.Status)
		require.EqualValues(t, "x", canceled.CancelID)
		b.tick(1)
		b.holds(spot, "BTC", "0.98+0")
	})
}

func TestEngine_Limit(t *testing.T) {
	t.Parallel()
	t.Run("rests, then fills as maker over several ticks", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "1000")
		b.market(BookConfig{TickVolume: dec("0.004")}, "95000", "94000.01", "94000", "93000", "94000", "93999")
		placed := b.place(spot, limit("a", venue.Buy, "0.01", "94000"))
		require.Equal(t, venue.StatusNew, placed.Order.Status)
		b.holds(spot, "USDT", "60+940")
		b.tick(1)
		require.Equal(t, venue.StatusNew, b.order(spot, "a").Status)
		b.tick(1)
		require.Equal(t, venue.StatusPartiallyFilled, b.order(spot, "a").Status)
		b.holds(spot, "USDT", "60+564")
		b.reopen()
		b.tick(2)
		require.Equal(t, venue.StatusFilled, b.order(spot, "a").Status)
		trades, err := b.OrderTrades(spot, "BTCUSDT", 1)
		require.NoError(t, err)
		require.Equal(t, []string{
			"1 0.004@94000 fee 0.000004 BTC", "2 0.004@94000 fee 0.000004 BTC", "3 0.002@94000 fee 0.000002 BTC",
		}, describe(trades))
		require.True(t, trades[0].IsMaker)
		b.holds(spot, "USDT", "60+0")
		b.holds(spot, "BTC", "0.00999+0")
	})
	t.Run("best price first, then oldest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "1")
		b.market(BookConfig{TickVolume: dec("0.015")}, "95000", "97000")
		b.place(spot, limit("high", venue.Sell, "0.01", "96500"))
		b.place(spot, limit("old", venue.Sell, "0.01", "96000"))
		b.place(spot, limit("new", venue.Sell, "0.01", "96000"))
		b.tick(1)
		require.Equal(t, "0.01", b.order(spot, "old").Executed.String())
		require.Equal(t, "0.005", b.order(spot, "new").Executed.String())
		require.Equal(t, "0", b.order(spot, "high").Executed.String())
	})
	t.Run("the marketable part takes and what it saves is given back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "1000")
		b.market(BookConfig{Depth: []Level{{dec("0.003"), 0}, {dec("0.003"), 100_000}, {dec("1"), 200_000}}}, "95000")
		placed := b.place(spot, limit("a", venue.Buy, "0.01", "96000"))
		require.Equal(t, []string{"1 0.003@95000 fee 0.000003 BTC", "2 0.003@96000 fee 0.000003 BTC"}, describe(placed.Trades))
		require.False(t, placed.Trades[0].IsMaker)
		require.Equal(t, venue.StatusPartiallyFilled, placed.Order.Status)
		b.holds(spot, "USDT", "43+384") // 1000 - 285 - 288, of which 0.004 x 96000 stay locked
		_, err := b.Cancel(spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "a"})
		require.NoError(t, err)
		b.holds(spot, "USDT", "427+0")
	})
	t.Run("IOC and FOK", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "1000")
		b.market(BookConfig{Depth: []Level{{dec("0.003"), 0}}}, "95000")
		fok := limit("fok", venue.Buy, "0.004", "95000")
		fok.TimeInForce = venue.FOK
		placed := b.place(spot, fok)
		require.Equal(t, venue.StatusExpired, placed.Order.Status)
		require.Empty(t, placed.Trades)
		ioc := limit("ioc", venue.Buy, "0.004", "95000")
		ioc.TimeInForce = venue.IOC
		placed = b.place(spot, ioc)
		require.Equal(t, venue.StatusExpired, placed.Order.Status)
		require.Len(t, placed.Trades, 1)
		b.holds(spot, "USDT", "715+0")
	})
}

func TestEngine_Stop(t *testing.T) {
	t.Parallel()
	t.Run("triggers on touch and sells at market", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "0.1")
		b.market(BookConfig{}, "95000", "93500.01", "93500")
		b.place(spot, stop("s", venue.Sell, "0.06659", "93500"))
		b.holds(spot, "BTC", "0.03341+0.06659")
		_, err := b.Place(spot, order("x", venue.Sell, venue.Market, "0.05"))
		require.Equal(t, "-2010 Account has insufficient balance for requested action.", refusal(t, err), "a resting stop locks the asset")
		b.tick(1)
		require.Equal(t, venue.StatusNew, b.order(spot, "s").Status)
		b.reopen()
		b.tick(1)
		require.Equal(t, venue.StatusFilled, b.order(spot, "s").Status)
		b.holds(spot, "BTC", "0.03341+0")
	})
	t.Run("a gap fills at the price that there is", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "0.1")
		b.market(BookConfig{}, "95000", "92000")
		b.place(spot, stop("s", venue.Sell, "0.01", "93500"))
		b.tick(1)
		require.Equal(t, "920", b.order(spot, "s").CumQuote.String())
	})
	t.Run("a buying stop", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "USDT", "1000")
		b.market(BookConfig{}, "95000", "96000", "97000")
		b.place(spot, stop("s", venue.Buy, "0.01", "96500"))
		b.holds(spot, "USDT", "35+965")
		b.tick(2)
		require.Equal(t, venue.StatusFilled, b.order(spot, "s").Status)
		b.holds(spot, "USDT", "30+0") // paid from what was free, too
	})
	t.Run("a stop limit rests at its price", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "0.1")
		b.market(BookConfig{}, "95000", "92000", "93400", "93000")
		o := stop("s", venue.Sell, "0.01", "93500")
		o.Type, o.Price, o.TimeInForce = venue.StopLossLimit, dec("93300"), venue.GTC
		b.place(spot, o)
		b.tick(1)
		require.Equal(t, venue.StatusNew, b.order(spot, "s").Status)
		b.tick(1)
		require.Equal(t, venue.StatusFilled, b.order(spot, "s").Status)
		require.Equal(t, "933", b.order(spot, "s").CumQuote.String())
	})
	t.Run("would trigger immediately", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "1")
		b.fund(spot, "USDT", "1000")
		b.market(BookConfig{}, "95000")
		for _, o := range []venue.NewOrder{stop("s", venue.Sell, "0.01", "95000"), stop("s", venue.Buy, "0.01", "95000")} {
			_, err := b.Place(spot, o)
			require.Equal(t, "-2010 Order would trigger immediately.", refusal(t, err))
		}
	})
	t.Run("at most five", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(spot, "BTC", "1")
		b.market(BookConfig{}, "95000")
		for n := range 5 {
			b.place(spot, stop(fmt.Sprintf("s%d", n), venue.Sell, "0.01", "93500"))
		}
		_, err := b.Place(spot, stop("s6", venue.Sell, "0.01", "93500"))
		require.Equal(t, "-1013 Filter failure: MAX_NUM_ALGO_ORDERS", refusal(t, err))
	})
}

func TestEngine_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "100000")
	_, err := b.Place(spot, order("a", venue.Buy, venue.Market, "0.01"))
	require.Equal(t, "-1013 Market is closed.", refusal(t, err))
	b.market(BookConfig{}, "95000")
	change := func(f func(*venue.NewOrder)) venue.NewOrder {
		o := limit("a", venue.Buy, "0.01", "90000")
		f(&o)
		return o
	}
	before, err := b.Balances(spot)
	require.NoError(t, err)
	for _, c := range []struct {
		want string
		in   venue.NewOrder
	}{
		{"-1121 Invalid symbol.", change(func(o *venue.NewOrder) { o.Symbol = "NOPE" })},
		{"-1100 Illegal characters found", change(func(o *venue.NewOrder) { o.ClientOrderID = "a b" })},
		{"-1100 Illegal characters found", change(func(o *venue.NewOrder) { o.ClientOrderID = venue.ClientOrderID(strings.Repeat("x", 37)) })},
		{"-1116 Invalid orderType.", change(func(o *venue.NewOrder) { o.Type = "OCO" })},
		{"-1115 Invalid timeInForce.", change(func(o *venue.NewOrder) { o.TimeInForce = "DAY" })},
		{"-1117 Invalid side.", change(func(o *venue.NewOrder) { o.Side = "LONG" })},
		{"-1013 Invalid quantity.", change(func(o *venue.NewOrder) { o.Quantity = dec("0") })},
		{"-1013 Invalid quantity.", change(func(o *venue.NewOrder) { o.Quantity = dec("-1") })},
		{"-1111 Parameter 'quantity' has too much precision.", change(func(o *venue.NewOrder) { o.Quantity = dec("0.000000001") })},
		{"-1013 Filter failure: LOT_SIZE", change(func(o *venue.NewOrder) { o.Quantity = dec("0.010001") })},
		{"-1013 Filter failure: PRICE_FILTER", change(func(o *venue.NewOrder) { o.Price = dec("90000.001") })},
		{"-1013 Filter failure: NOTIONAL", change(func(o *venue.NewOrder) { o.Quantity = dec("0.00005") })},
		{"-1102 Mandatory parameter 'price'", change(func(o *venue.NewOrder) { o.Price = dec("0") })},
		{"-1102 Mandatory parameter 'timeInForce'", change(func(o *venue.NewOrder) { o.TimeInForce = "" })},
		{"-1106 Parameter 'price'", change(func(o *venue.NewOrder) { o.Type = venue.Market })},
		{"-1102 Mandatory parameter 'stopPrice'", change(func(o *venue.NewOrder) { o.Type = venue.StopLossLimit })},
		{"-1106 Parameter 'stopPrice'", change(func(o *venue.NewOrder) { o.StopPrice = dec("1") })},
		{"-1106 Parameter 'timeInForce'", change(func(o *venue.NewOrder) { o.Type, o.Price = venue.Market, dec("0") })},
		{"-1106 Parameter 'sideEffectType'", change(func(o *venue.NewOrder) { o.SideEffect = venue.MarginBuy })},
		{"-1021 Timestamp for this request is outside", change(func(o *venue.NewOrder) { o.Stamp = start.Add(-5001 * time.Millisecond) })},
		{"-1021 Timestamp for this request was 1000ms ahead", change(func(o *venue.NewOrder) { o.Stamp = start.Add(1100 * time.Millisecond) })},
	} {
		_, err := b.Place(spot, c.in)
		require.Contains(t, refusal(t, err), c.want)
	}
	after, err := b.Balances(spot)
	require.NoError(t, err)
	require.Equal(t, before.Balances, after.Balances)
	open, err := b.OpenOrders(spot, "")
	require.NoError(t, err)
	require.Empty(t, open)
	_, err = b.Place(venue.AccountRef{Key: "t/spot", Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT"}, limit("a", venue.Buy, "0.01", "90000"))
	require.Contains(t, refusal(t, err), "-2015")
	_, err = b.Place(iso, change(func(o *venue.NewOrder) { o.Symbol = "ETHUSDT" }))
	require.Contains(t, refusal(t, err), "-11001")
}

func TestEngine_ClientOrderIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "100000")
	b.market(BookConfig{}, "95000")
	b.place(spot, limit("a", venue.Buy, "0.01", "90000"))
	_, err := b.Place(spot, limit("a", venue.Buy, "0.01", "90000"))
	require.ErrorIs(t, err, venue.ErrDuplicateOrder)
	require.Equal(t, "-2010 Duplicate order sent.", refusal(t, err))
	_, err = b.Cancel(spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "a"})
	require.NoError(t, err)
	_, err = b.Cancel(spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "a"})
	require.ErrorIs(t, err, venue.ErrUnknownOrder)
	_, err = b.Order(spot, "BTCUSDT", "never")
	require.ErrorIs(t, err, venue.ErrOrderNotFound)
	// Once it is not open any more the id is free, and buys again: a market order always.
	b.place(spot, order("a", venue.Buy, venue.Market, "0.01"))
	b.place(spot, order("a", venue.Buy, venue.Market, "0.01"))
	require.EqualValues(t, 3, b.order(spot, "a").OrderID, "the newest one")
	listed, err := b.List(spot, "BTCUSDT", 0, 2)
	require.NoError(t, err)
	require.Len(t, listed, 2)
	require.EqualValues(t, 4, listed[0].Placed)
	rest, err := b.List(spot, "", listed[1].Number, 10)
	require.NoError(t, err)
	require.Len(t, rest, 1)
	// Ids are counted per symbol: the first order on another symbol is number 1 again.
	_, err = b.Load("ETHUSDT", BookConfig{}, feed.Source{Script: []feed.ScriptTick{{Time: start, Price: dec("3000")}}}, "script")
	require.NoError(t, err)
	o := order("a", venue.Buy, venue.Market, "0.1")
	o.Symbol = "ETHUSDT"
	placed := b.place(spot, o)
	require.EqualValues(t, 1, placed.Order.OrderID)
	require.EqualValues(t, 1, placed.Trades[0].TradeID)
	b.reopen()
}

func TestEngine_Fees(t *testing.T) {
	t.Parallel()
	t.Run("quote", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		config := NewAccountConfig(spot)
		config.FeeMode = FeeQuote
		require.NoError(t, b.Configure(config))
		b.market(BookConfig{}, "95000")
		b.fund(spot, "USDT", "950.94")
		_, err := b.Place(spot, order("a", venue.Buy, venue.Market, "0.01"))
		require.Equal(t, "-2010 Account has insufficient balance for requested action.", refusal(t, err))
		b.fund(spot, "USDT", "0.01")
		require.Equal(t, []string{"1 0.01@95000 fee 0.95 USDT"}, describe(b.place(spot, order("a", venue.Buy, venue.Market, "0.01")).Trades))
		b.holds(spot, "BTC", "0.01+0")
		b.holds(spot, "USDT", "0+0")
		require.Equal(t, []string{"2 0.01@95000 fee 0.95 USDT"}, describe(b.place(spot, order("b", venue.Sell, venue.Market, "0.01")).Trades))
	})
	t.Run("BNB", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		config := NewAccountConfig(spot)
		config.FeeMode = FeeBNB
		require.NoError(t, b.Configure(config))
		b.market(BookConfig{}, "95000")
		b.fund(spot, "USDT", "10000")
		b.fund(spot, "BNB", "0.002")
		// Without a price of BNB the fee is taken as received.
		require.Equal(t, []string{"1 0.01@95000 fee 0.00001 BTC"}, describe(b.place(spot, order("a", venue.Buy, venue.Market, "0.01")).Trades))
		bnbusdt := builtinInstruments()[0]
		bnbusdt.Symbol, bnbusdt.BaseAsset = "BNBUSDT", "BNB"
		require.NoError(t, b.SetInstruments([]venue.Instrument{bnbusdt}))
		_, err := b.Load("BNBUSDT", BookConfig{}, feed.Source{Script: []feed.ScriptTick{{Time: start, Price: dec("600")}}}, "script")
		require.NoError(t, err)
		require.Equal(t, []string{"2 0.01@95000 fee 0.0011875 BNB"}, describe(b.place(spot, order("b", venue.Buy, venue.Market, "0.01")).Trades))
		b.holds(spot, "BNB", "0.0008125+0")
		// Not enough BNB any more.
		require.Equal(t, []string{"3 0.01@95000 fee 0.00001 BTC"}, describe(b.place(spot, order("c", venue.Buy, venue.Market, "0.01")).Trades))
	})
	t.Run("truncated to eight places", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		config := NewAccountConfig(spot)
		config.TakerRate = dec("0.00075")
		require.NoError(t, b.Configure(config))
		b.fund(spot, "USDT", "10000")
		b.market(BookConfig{}, "95000.01")
		require.Equal(t, []string{"1 0.01237@95000.01 fee 0.00000927 BTC"}, describe(b.place(spot, order("a", venue.Buy, venue.Market, "0.01237")).Trades))
	})
}

func TestEngine_Reports(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "1000")
	b.market(BookConfig{}, "95000", "94000")
	b.place(spot, limit("a", venue.Buy, "0.01", "94000"))
	b.tick(1)
	reports, gap, err := b.Reports(t.Context(), spot, 0, 100)
	require.NoError(t, err)
	require.False(t, gap)
	var got []string
	for n, r := range reports {
		require.EqualValues(t, n+1, r.Cursor)
		switch {
		case r.Execution != nil:
			got = append(got, fmt.Sprintf("%s %s", r.Execution.Type, r.Execution.Order.Status))
		case r.Position != nil:
			got = append(got, fmt.Sprintf("position of %d", len(r.Position.Balances)))
		case r.Movement != nil:
			got = append(got, "movement "+r.Movement.Delta.String())
		}
	}
	require.Equal(t, []string{"movement 1000", "position of 1", "NEW NEW", "position of 1", "TRADE FILLED", "position of 2"}, got)

	b.reopen()
	rest, _, err := b.Reports(t.Context(), spot, 4, 1)
	require.NoError(t, err)
	require.Len(t, rest, 1)
	require.EqualValues(t, 5, rest[0].Cursor)
	_, gap, err = b.Reports(t.Context(), spot, 99, 1)
	require.NoError(t, err)
	require.True(t, gap, "a cursor that the venue never gave")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = b.Reports(ctx, spot, 6, 1)
	require.ErrorIs(t, err, context.Canceled)
	cursors, err := b.Cursors("t/")
	require.NoError(t, err)
	require.Equal(t, map[venue.AccountKey]venue.Cursor{"t/spot": 6}, cursors)
}

func TestAccountState_ReportsAfter_Forgotten(t *testing.T) {
	t.Parallel()
	a := newAccountState(NewAccountConfig(spot))
	a.Cursor = 9
	for n := venue.Cursor(5); n <= 9; n++ {
		a.Reports = append(a.Reports, venue.Report{Cursor: n})
	}
	_, gap := a.reportsAfter(3, 10)
	require.True(t, gap)
	kept, gap := a.reportsAfter(4, 10)
	require.False(t, gap)
	require.Len(t, kept, 5)
}

func TestEngine_Faults(t *testing.T) {
	t.Parallel()
	set := func(b *bench, faults ...Fault) { require.NoError(b.t, b.SetFaults(spot.Key, faults)) }
	fresh := func(t *testing.T) *bench {
		t.Helper()
		b := setup(t)
		b.fund(spot, "USDT", "10000")
		b.market(BookConfig{}, "60000")
		return b
	}
	buy := order("x", venue.Buy, venue.Market, "0.01")
	t.Run("accepted, then nothing", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultAcceptThenTimeout, Operation: venue.OpPlace, Count: 1})
		_, err := b.PlaceFaulty(t.Context(), spot, buy)
		require.True(t, venue.IsUncertain(err))
		o, err := b.OrderFaulty(t.Context(), spot, "BTCUSDT", "x")
		require.NoError(t, err)
		require.Equal(t, venue.StatusFilled, o.Status)
		b.holds(spot, "BTC", "0.00999+0") // S8
	})
	t.Run("accepted, then a server error", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultAcceptThen5xx, Operation: venue.OpPlace, Count: 1}, Fault{Kind: FaultAcceptThen5xx, Operation: venue.OpCancel, Count: 1})
		_, err := b.PlaceFaulty(t.Context(), spot, limit("y", venue.Buy, "0.01", "50000"))
		var uncertain *venue.UncertainError
		require.ErrorAs(t, err, &uncertain)
		require.Equal(t, 502, uncertain.HTTPStatus)
		_, err = b.CancelFaulty(t.Context(), spot, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "y"})
		require.True(t, venue.IsUncertain(err))
		require.Equal(t, venue.StatusCanceled, b.order(spot, "y").Status)
	})
	t.Run("lost on the way", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultDropBefore, Operation: venue.OpPlace, Count: 1, ClientOrderID: "x"})
		_, err := b.PlaceFaulty(t.Context(), spot, order("other", venue.Buy, venue.Market, "0.01"))
		require.NoError(t, err)
		_, err = b.PlaceFaulty(t.Context(), spot, buy)
		require.True(t, venue.IsUncertain(err))
		_, err = b.Order(spot, "BTCUSDT", "x")
		require.ErrorIs(t, err, venue.ErrOrderNotFound)
		_, err = b.PlaceFaulty(t.Context(), spot, buy)
		require.NoError(t, err, "it met one request only")
	})
	t.Run("refused, limited, lagging", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultReject, Operation: venue.OpPlace, Count: 1, Code: -2010},
			Fault{Kind: FaultRateLimit, Operation: venue.OpPlace, Count: 1, Delay: time.Second},
			Fault{Kind: FaultQueryLag, Operation: venue.OpQuery, Count: 1})
		_, err := b.PlaceFaulty(t.Context(), spot, buy)
		require.Equal(t, "-2010 rehearsed refusal", refusal(t, err))
		_, err = b.PlaceFaulty(t.Context(), spot, buy)
		var limited *venue.RateLimitedError
		require.ErrorAs(t, err, &limited)
		require.Equal(t, time.Second, limited.RetryAfter)
		_, err = b.PlaceFaulty(t.Context(), spot, buy)
		require.NoError(t, err)
		_, err = b.OrderFaulty(t.Context(), spot, "BTCUSDT", "x")
		require.ErrorIs(t, err, venue.ErrOrderNotFound)
		_, err = b.OrderFaulty(t.Context(), spot, "BTCUSDT", "x")
		require.NoError(t, err)
	})
	t.Run("a part, then canceled by the exchange", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultCancelAfterPartial, Operation: venue.OpPlace, Count: 2})
		placed, err := b.PlaceFaulty(t.Context(), spot, order("odd", venue.Buy, venue.Market, "0.00101"))
		require.NoError(t, err)
		require.Equal(t, venue.StatusCanceled, placed.Order.Status)
		require.Equal(t, venue.CanceledByExchange, placed.Order.CanceledBy)
		require.Equal(t, "0.0005", placed.Order.Executed.String())
		b.holds(spot, "USDT", "9970+0")
		placed, err = b.PlaceFaulty(t.Context(), spot, limit("rest", venue.Buy, "0.01", "50000"))
		require.NoError(t, err)
		require.Equal(t, venue.StatusCanceled, placed.Order.Status)
		b.holds(spot, "USDT", "9970+0")
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		set(b, Fault{Kind: FaultSlow, Operation: venue.OpPlace, Count: 2, Delay: time.Second})
		done := make(chan error, 1)
		go func() {
			_, err := b.PlaceFaulty(t.Context(), spot, buy)
			done <- err
		}()
		b.clock.WaitFor(1)
		b.clock.Advance(time.Second)
		require.NoError(t, <-done)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.PlaceFaulty(ctx, spot, order("z", venue.Buy, venue.Market, "0.01"))
		require.True(t, venue.IsUncertain(err))
	})
	t.Run("refuses what could not happen", func(t *testing.T) {
		t.Parallel()
		b := fresh(t)
		for _, f := range []Fault{
			{Kind: "fire", Operation: venue.OpPlace, Count: 1},
			{Kind: FaultQueryLag, Operation: venue.OpPlace, Count: 1},
			{Kind: FaultAcceptThen5xx, Operation: venue.OpQuery, Count: 1},
			{Kind: FaultDropBefore, Operation: venue.OpPlace},
			{Kind: FaultReject, Operation: venue.OpPlace, Count: 1, Code: 5},
			{Kind: FaultSlow, Operation: venue.OpPlace, Count: 1, Delay: time.Hour},
		} {
			require.Error(t, b.SetFaults(spot.Key, []Fault{f}))
		}
	})
}

func TestEngine_CancelByExchange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fund(spot, "USDT", "1000")
	b.market(BookConfig{}, "95000")
	b.place(spot, limit("a", venue.Buy, "0.01", "90000"))
	o, err := b.CancelByExchange(spot, "BTCUSDT", "a")
	require.NoError(t, err)
	require.Equal(t, venue.CanceledByExchange, o.CanceledBy)
	_, err = b.CancelByExchange(spot, "NOPE", "a")
	require.Error(t, err)
}

// A failed journal stops the engine: it answers nothing that it might forget.
func TestEngine_Broken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Close())
	_, err := b.Place(spot, order("a", venue.Buy, venue.Market, "0.01"))
	require.ErrorIs(t, err, ErrBroken)
	_, err = b.Balances(spot)
	require.ErrorIs(t, err, ErrBroken)
	_, _, err = b.Reports(t.Context(), spot, 0, 1)
	require.ErrorIs(t, err, ErrBroken)
	require.ErrorIs(t, b.RunMarkets(t.Context()), ErrBroken)
}
