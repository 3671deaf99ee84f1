package engine

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func pair(base string, ladder ...Level) Symbol {
	return Symbol{
		Name: base + "USDT", Base: base, Quote: "USDT", Tick: dec("0.01"), Step: dec("0.00001"), QtyMin: dec("0.00001"), NotionalMin: dec("5"),
		Ladder: ladder,
	}
}

type world struct {
	*Exchange
	events []Event
}

func found(t require.TestingT, mode string, balances map[string]string, ladder ...Level) *world {
	w := &world{}
	a := Account{Name: "a", Balances: map[string]decimal.Decimal{}, Maker: dec("0.001"), Taker: dec("0.001"), FeeMode: mode}
	for asset, amount := range balances {
		a.Balances[asset] = dec(amount)
	}
	var err error
	w.Exchange, err = New(Config{Symbols: []Symbol{pair("BTC", ladder...), pair("BNB")}, Accounts: []Account{a}},
		func(e Event) { w.events = append(w.events, e) })
	require.NoError(t, err)
	require.NoError(t, w.Tick("BTCUSDT", dec("95000"), 1))
	require.NoError(t, w.Tick("BNBUSDT", dec("600"), 1))
	return w
}

func market(side, quantity string) Request {
	return Request{Symbol: "BTCUSDT", Side: side, Type: Market, Quantity: dec(quantity), ClientOrderID: "m"}
}

func limit(side, quantity, price string) Request {
	return Request{Symbol: "BTCUSDT", Side: side, Type: Limit, TimeInForce: GTC, Quantity: dec(quantity), Price: dec(price), ClientOrderID: "l"}
}

func (w *world) free(t require.TestingT, asset string) string {
	sheet, err := w.Sheet("a")
	require.NoError(t, err)
	return sheet.Balances[asset].Free.String()
}

// Three levels, their average, and fees in base: the worked numbers of scenarios S2 and S3.
func TestExchange_Place_market_walks_the_ladder(t *testing.T) {
	t.Parallel()
	w := found(t, FeeReceived, map[string]string{"USDT": "10000"}, Level{dec("0.02"), 0}, Level{dec("0.03"), 1000}, Level{dec("5"), 2550})
	placed, err := w.Place("a", market(Buy, "0.06666"), 2)
	require.NoError(t, err)
	require.Equal(t, StatusFilled, placed.Order.Status)
	require.Equal(t, "6333.42483", placed.Order.CumQuote.String())
	require.Len(t, placed.Trades, 3)
	for n, want := range []struct{ price, quantity, fee string }{{"95000", "0.02", "0.00002"}, {"95010", "0.03", "0.00003"}, {"95025.5", "0.01666", "0.00001666"}} {
		trade := placed.Trades[n]
		require.EqualValues(t, n+1, trade.ID)
		require.Equal(t, []string{want.price, want.quantity, want.fee, "BTC"}, []string{trade.Price.String(), trade.Quantity.String(), trade.Fee.String(), trade.FeeAsset})
	}
	require.Equal(t, "0.06659334", w.free(t, "BTC"))
	require.Equal(t, "3666.57517", w.free(t, "USDT"))

	require.NoError(t, w.Tick("BTCUSDT", dec("96500"), 3))
	require.NoError(t, w.Change("BTCUSDT", func(s *Symbol) { s.Ladder = nil }))
	sold, err := w.Place("a", market(Sell, "0.06659"), 4)
	require.NoError(t, err)
	require.Equal(t, "6425.935", sold.Order.CumQuote.String())
	require.Equal(t, "6.425935", sold.Trades[0].Fee.String())
	require.Equal(t, "USDT", sold.Trades[0].FeeAsset)
	require.Equal(t, "0.00000334", w.free(t, "BTC"))
	require.Equal(t, "10086.084235", w.free(t, "USDT"))
}

func TestExchange_Place_market_beyond_the_ladder_expires(t *testing.T) {
	t.Parallel()
	w := found(t, FeeReceived, map[string]string{"USDT": "100000"}, Level{dec("0.5"), 0})
	placed, err := w.Place("a", market(Buy, "0.7"), 2)
	require.NoError(t, err)
	require.Equal(t, StatusExpired, placed.Order.Status)
	require.Equal(t, "INSUFFICIENT_LIQUIDITY", placed.Order.ExpiryReason)
	require.Equal(t, "0.5", placed.Order.Executed.String())
	again, err := w.Place("a", market(Buy, "0.1"), 2)
	require.NoError(t, err, "the ladder is used up until the next tick")
	require.True(t, again.Order.Executed.IsZero())
}

func TestExchange_fee_in_BNB(t *testing.T) {
	t.Parallel()
	w := found(t, FeeBNB, map[string]string{"USDT": "10000", "BNB": "0.01"})
	placed, err := w.Place("a", market(Buy, "0.05"), 2)
	require.NoError(t, err)
	// 4750 * 0.001 * 0.75 / 600
	require.Equal(t, "0.0059375", placed.Trades[0].Fee.String())
	require.Equal(t, "BNB", placed.Trades[0].FeeAsset)
	placed, err = w.Place("a", market(Buy, "0.05"), 2)
	require.NoError(t, err)
	require.Equal(t, "BTC", placed.Trades[0].FeeAsset, "there is no BNB enough for a second fee")
}

func TestExchange_Tick_fills_limits_at_their_price(t *testing.T) {
	t.Parallel()
	w := found(t, FeeReceived, map[string]string{"USDT": "1000"})
	require.NoError(t, w.Change("BTCUSDT", func(s *Symbol) { s.TickVolume = dec("0.006") }))
	_, err := w.Place("a", limit(Buy, "0.01", "90000"), 2)
	require.NoError(t, err)
	require.Equal(t, "100", w.free(t, "USDT"))
	for n, want := range []struct{ price, status, executed string }{
		{"90000.01", StatusNew, "0"}, {"90000", StatusPartial, "0.006"}, {"89000", StatusFilled, "0.01"},
	} {
		require.NoError(t, w.Tick("BTCUSDT", dec(want.price), int64(3+n)))
		o, err := w.Order("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, 0)
		require.NoError(t, err)
		require.Equal(t, want.status, o.Status)
		require.Equal(t, want.executed, o.Executed.String())
	}
	require.Equal(t, "100", w.free(t, "USDT"))
	require.Equal(t, "0.00999", w.free(t, "BTC"))
	_, err = w.Order("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, 3)
	require.ErrorIs(t, err, ErrUnknownOrder, "three changes ago there was no order")
	o, err := w.Order("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, 1)
	require.NoError(t, err)
	require.Equal(t, StatusPartial, o.Status)
}

func TestExchange_stop_limit_triggers_by_touch(t *testing.T) {
	t.Parallel()
	w := found(t, FeeReceived, map[string]string{"BTC": "1"})
	r := limit(Sell, "0.5", "93000")
	r.Type, r.StopPrice = StopLossLimit, dec("93500")
	_, err := w.Place("a", r, 2)
	require.NoError(t, err)
	require.NoError(t, w.Tick("BTCUSDT", dec("93500.01"), 3))
	require.Equal(t, "0.5", w.free(t, "BTC"))
	require.NoError(t, w.Tick("BTCUSDT", dec("93500"), 4))
	o, err := w.Order("a", Ref{Symbol: "BTCUSDT", ID: 1}, 0)
	require.NoError(t, err)
	require.Equal(t, StatusFilled, o.Status)
	require.Equal(t, "46750", o.CumQuote.String(), "it sold at the market, which was above its limit")
}

func TestExchange_Place_refuses(t *testing.T) {
	t.Parallel()
	stop := limit(Sell, "0.01", "95000")
	stop.Type, stop.StopPrice = StopLossLimit, dec("95000")
	maker := limit(Buy, "0.01", "95000")
	maker.Type = LimitMaker
	other := market(Buy, "0.01")
	other.Symbol = "NOPE"
	for name, c := range map[string]struct {
		request Request
		want    string
	}{
		"step":     {market(Buy, "0.000015"), "-1013 Filter failure: LOT_SIZE"},
		"quantity": {market(Buy, "0"), "-1013 Invalid quantity."},
		"tick":     {limit(Buy, "0.01", "90000.001"), "-1013 Filter failure: PRICE_FILTER"},
		"notional": {market(Buy, "0.00005"), "-1013 Filter failure: NOTIONAL"},
		"balance":  {market(Buy, "0.02"), "-2010 Account has insufficient balance"},
		"trigger":  {stop, "-2010 Order would trigger immediately."},
		"taker":    {maker, "-2010 Order would immediately match and take."},
		"symbol":   {other, "-1121 Invalid symbol."},
		"side":     {market("HOLD", "0.01"), "-1117 Invalid side."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := found(t, FeeReceived, map[string]string{"USDT": "1000", "BTC": "1"})
			_, err := w.Place("a", c.request, 2)
			require.ErrorContains(t, err, c.want)
			require.Empty(t, w.events)
		})
	}
}

func TestExchange_client_ids_are_free_again_after_the_end(t *testing.T) {
	t.Parallel()
	w := found(t, FeeReceived, map[string]string{"USDT": "10000"})
	_, err := w.Place("a", limit(Buy, "0.01", "90000"), 2)
	require.NoError(t, err)
	_, err = w.Place("a", limit(Buy, "0.01", "90000"), 2)
	require.ErrorIs(t, err, ErrDuplicate)
	_, err = w.Cancel("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, "c", 3)
	require.NoError(t, err)
	_, err = w.Cancel("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, "c", 3)
	require.ErrorIs(t, err, ErrUnknownCancel)
	placed, err := w.Place("a", limit(Buy, "0.01", "90000"), 4)
	require.NoError(t, err)
	o, err := w.Order("a", Ref{Symbol: "BTCUSDT", ClientOrderID: "l"}, 0)
	require.NoError(t, err)
	require.Equal(t, placed.Order.ID, o.ID, "the latest of the id")
}

func TestExchange_self_trades(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string][2]string{
		STPNone: {StatusFilled, StatusFilled}, STPExpireMaker: {StatusInMatch, StatusFilled},
		STPExpireTaker: {StatusNew, StatusInMatch}, STPExpireBoth: {StatusInMatch, StatusInMatch},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := found(t, FeeReceived, map[string]string{"USDT": "10000", "BTC": "1"}, Level{dec("0.001"), 0}, Level{dec("1"), 1000})
			_, err := w.Place("a", limit(Sell, "0.01", "95005"), 2)
			require.NoError(t, err)
			taker := market(Buy, "0.011")
			taker.STP = mode
			taken, err := w.Place("a", taker, 3)
			require.NoError(t, err)
			maker, err := w.Order("a", Ref{Symbol: "BTCUSDT", ID: 1}, 0)
			require.NoError(t, err)
			require.Equal(t, want, [2]string{maker.Status, taken.Order.Status})
			held, deposited := w.Sums("USDT")
			require.True(t, held.Equal(deposited))
			if mode == STPNone {
				trades, err := w.Trades("a", "BTCUSDT", 0)
				require.NoError(t, err)
				require.Equal(t, trades[1].ID, trades[2].ID, "both sides of a self trade have one trade id")
			}
		})
	}
}

// Whatever is done, money is neither made nor lost, no balance falls below zero, what is locked belongs to open orders,
// and ids are unique per symbol.
func TestProperty_money_is_kept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]string{FeeReceived, FeeBNB}).Draw(t, "mode")
		w := found(t, mode, map[string]string{"USDT": "20000", "BTC": "0.3", "BNB": "0.02"}, Level{dec("0.02"), 0}, Level{dec("0.05"), 700})
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.act(t, int64(n+2))
			w.holds(t)
		}
	})
}

func (w *world) act(t *rapid.T, at int64) {
	price := decimal.NewFromInt(rapid.Int64Range(94000, 96000).Draw(t, "price"))
	switch rapid.IntRange(0, 5).Draw(t, "action") {
	case 0:
		require.NoError(t, w.Tick("BTCUSDT", price, at))
	case 1:
		_, _ = w.Cancel("a", Ref{Symbol: "BTCUSDT", ID: rapid.Int64Range(1, 20).Draw(t, "id")}, "c", at)
	case 2:
		_, _ = w.Fill("a", Ref{Symbol: "BTCUSDT", ID: rapid.Int64Range(1, 20).Draw(t, "id")}, dec("0.003"), at)
	default:
		r := Request{
			Symbol: "BTCUSDT", Side: rapid.SampledFrom([]string{Buy, Sell}).Draw(t, "side"),
			Type:        rapid.SampledFrom([]string{Market, Limit, LimitMaker, StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit}).Draw(t, "type"),
			TimeInForce: rapid.SampledFrom([]string{GTC, IOC, FOK}).Draw(t, "tif"), STP: rapid.SampledFrom([]string{STPNone, STPExpireBoth, STPExpireMaker, STPExpireTaker}).Draw(t, "stp"),
			Quantity: decimal.New(rapid.Int64Range(100, 9000).Draw(t, "quantity"), -5), Price: price,
			StopPrice:     decimal.NewFromInt(rapid.Int64Range(94000, 96000).Draw(t, "stop")),
			ClientOrderID: rapid.StringMatching("[a-c]").Draw(t, "client"),
		}
		if r.Type == Market && rapid.Bool().Draw(t, "by quote") {
			r.Quantity, r.QuoteQuantity = decimal.Zero, decimal.NewFromInt(rapid.Int64Range(5, 5000).Draw(t, "quote"))
		}
		_, _ = w.Place("a", r, at)
	}
}

func (w *world) holds(t *rapid.T) {
	sheet, err := w.Sheet("a")
	require.NoError(t, err)
	for _, asset := range []string{"USDT", "BTC", "BNB"} {
		held, deposited := w.Sums(asset)
		require.True(t, held.Equal(deposited), "%s: %s held, %s deposited", asset, held, deposited)
		require.False(t, sheet.Balances[asset].Free.IsNegative(), "%s free %s", asset, sheet.Balances[asset].Free)
	}
	orders, err := w.Orders("a", "", 0)
	require.NoError(t, err)
	quote, base, executed, ids := decimal.Zero, decimal.Zero, decimal.Zero, map[int64]bool{}
	for _, o := range orders {
		require.False(t, ids[o.ID])
		ids[o.ID] = true
		executed = executed.Add(o.Executed)
		switch {
		case !o.Open():
		case o.buys():
			quote = quote.Add(o.lockPrice.Mul(o.Remaining()))
		default:
			base = base.Add(o.Remaining())
		}
	}
	require.Equal(t, quote.String(), sheet.Balances["USDT"].Locked.String())
	require.Equal(t, base.String(), sheet.Balances["BTC"].Locked.String())
	trades, err := w.Trades("a", "BTCUSDT", 0)
	require.NoError(t, err)
	filled := decimal.Zero
	for _, trade := range trades {
		filled = filled.Add(trade.Quantity)
	}
	require.Equal(t, executed.String(), filled.String())
}
