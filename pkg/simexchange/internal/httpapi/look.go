package httpapi

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
)

var routes = merged(map[string]route{
	"GET /api/v3/ping":               {weight: 1, do: func(*API, *call) (any, error) { return map[string]any{}, nil }},
	"GET /api/v3/time":               {weight: 1, do: func(a *API, _ *call) (any, error) { return map[string]any{"serverTime": a.Now()}, nil }},
	"GET /api/v3/exchangeInfo":       {weight: 20, do: exchangeInfo},
	"GET /api/v3/klines":             {weight: 2, do: klines},
	"GET /api/v3/aggTrades":          {weight: 4, do: newestTrade},
	"GET /api/v3/ticker/price":       {weight: 2, do: prices},
	"GET /api/v3/ticker/bookTicker":  {weight: 2, do: bookTickers},
	"GET /api/v3/depth":              {weight: 5, do: depth},
	"POST /api/v3/order":             {signed: true, weight: 1, do: place},
	"POST /api/v3/order/test":        {signed: true, weight: 1, do: test},
	"GET /api/v3/order":              {signed: true, weight: 4, do: query},
	"DELETE /api/v3/order":           {signed: true, weight: 1, do: cancel},
	"GET /api/v3/openOrders":         {signed: true, weight: 6, do: openOrders},
	"DELETE /api/v3/openOrders":      {signed: true, weight: 1, do: cancelAll},
	"GET /api/v3/allOrders":          {signed: true, weight: 20, do: allOrders},
	"GET /api/v3/myTrades":           {signed: true, weight: 20, do: myTrades},
	"GET /api/v3/account":            {signed: true, weight: 20, do: account},
	"GET /api/v3/account/commission": {signed: true, weight: 20, do: commission},
	"GET /api/v3/rateLimit/order":    {signed: true, weight: 40, do: orderLimits},
}, marginRoutes)

func (a *API) limits() []map[string]any {
	row := func(kind, interval string, n, limit int64) map[string]any {
		return map[string]any{"rateLimitType": kind, "interval": interval, "intervalNum": n, "limit": limit}
	}
	return []map[string]any{
		row("REQUEST_WEIGHT", "MINUTE", 1, a.Budget.max()), row("ORDERS", "SECOND", 10, ordersTens), row("ORDERS", "DAY", 1, ordersDaily),
	}
}

func exchangeInfo(a *API, c *call) (any, error) {
	names, err := a.named(c)
	if err != nil {
		return nil, err
	}
	symbols := []map[string]any{}
	for _, name := range names {
		market, err := a.Exchange.Look(name)
		if err != nil {
			return nil, err
		}
		symbols = append(symbols, describe(market.Symbol))
	}
	return map[string]any{
		"timezone": "UTC", "serverTime": a.Now(), "rateLimits": a.limits(), "exchangeFilters": []any{}, "symbols": symbols,
	}, nil
}

// named are the symbols that a request is about: symbol, symbols, or all.
func (a *API) named(c *call) ([]string, error) {
	if one := c.Text("symbol"); one != "" {
		return []string{one}, nil
	}
	if several := c.Text("symbols"); several != "" {
		var names []string
		if err := json.Unmarshal([]byte(several), &names); err != nil {
			return nil, errMalformed
		}
		return names, nil
	}
	return a.Exchange.Names(), nil
}

func describe(s engine.Symbol) map[string]any {
	return map[string]any{
		"symbol": s.Name, "status": s.Status, "baseAsset": s.Base, "baseAssetPrecision": 8, "quoteAsset": s.Quote, "quotePrecision": 8,
		"quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
		"orderTypes":     []string{"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"},
		"icebergAllowed": false, "ocoAllowed": false, "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": false,
		"isSpotTradingAllowed": true, "isMarginTradingAllowed": s.Margin, "permissions": []string{}, "permissionSets": [][]string{permissions(s)},
		"defaultSelfTradePreventionMode":  engine.STPExpireMaker,
		"allowedSelfTradePreventionModes": []string{engine.STPNone, engine.STPExpireTaker, engine.STPExpireMaker, engine.STPExpireBoth},
		"filters":                         filters(s),
	}
}

func permissions(s engine.Symbol) []string {
	if s.Margin {
		return []string{"SPOT", "MARGIN"}
	}
	return []string{"SPOT"}
}

// unbounded stands where a symbol has no upper bound.
var unbounded = decimal.New(1, 12)

func bound(d decimal.Decimal) string {
	if d.IsZero() {
		return Num(unbounded)
	}
	return Num(d)
}

func filters(s engine.Symbol) []map[string]any {
	out := []map[string]any{
		{"filterType": "PRICE_FILTER", "minPrice": Num(s.PriceMin), "maxPrice": bound(s.PriceMax), "tickSize": Num(s.Tick)},
		{"filterType": "LOT_SIZE", "minQty": Num(s.QtyMin), "maxQty": bound(s.QtyMax), "stepSize": Num(s.Step)},
		{"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": bound(s.MarketQtyMax), "stepSize": Num(s.MarketStep)},
		{
			"filterType": "NOTIONAL", "minNotional": Num(s.NotionalMin), "applyMinToMarket": true, "maxNotional": bound(s.NotionalMax),
			"applyMaxToMarket": true, "avgPriceMins": 0,
		},
	}
	if s.OrdersMax > 0 {
		out = append(out, map[string]any{"filterType": "MAX_NUM_ORDERS", "maxNumOrders": s.OrdersMax})
	}
	if s.AlgoOrdersMax > 0 {
		out = append(out, map[string]any{"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": s.AlgoOrdersMax})
	}
	return out
}

func klines(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	if _, err := a.Exchange.Look(symbol); err != nil {
		return nil, err
	}
	s, err := c.span("none")
	if err != nil {
		return nil, err
	}
	bars, known := a.Past.Bars(symbol, c.Text("interval"))
	if !known {
		return nil, &engine.Rejection{Code: -1120, Text: "Invalid interval."}
	}
	out := [][]any{}
	for _, b := range bars {
		if s.holds(0, b.Start) {
			out = append(out, []any{
				b.Start, Num(b.Open), Num(b.High), Num(b.Low), Num(b.Close), "0.00000000", b.End, "0.00000000", b.Count, "0.00000000", "0.00000000", "0",
			})
		}
	}
	return page(out, s), nil
}

func (a *API) each(c *call, row func(engine.Standing) map[string]any) (any, error) {
	names, err := a.named(c)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, name := range names {
		market, err := a.Exchange.Look(name)
		if err != nil {
			return nil, err
		}
		out = append(out, row(market))
	}
	if c.Text("symbol") != "" {
		return out[0], nil
	}
	return out, nil
}

// newestTrade is the newest trade of a symbol, whatever limit is asked for: of prices, unlike of trades, the exchange keeps no list.
func newestTrade(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	m, err := a.Exchange.Look(symbol)
	if err != nil {
		return nil, err
	}
	if m.Seq == 0 {
		return []map[string]any{}, nil
	}
	return []map[string]any{{
		"a": m.Seq, "p": Num(m.Last), "q": "0.00000000", "f": m.Seq, "l": m.Seq, "T": m.At, "m": false, "M": true,
	}}, nil
}

func prices(a *API, c *call) (any, error) {
	return a.each(c, func(m engine.Standing) map[string]any { return map[string]any{"symbol": m.Name, "price": Num(m.Last)} })
}

func bookTickers(a *API, c *call) (any, error) {
	return a.each(c, BookTicker)
}

// BookTicker is the best bid and ask of a market, as REST gives it.
func BookTicker(m engine.Standing) map[string]any {
	size := decimal.NewFromInt(1)
	if len(m.Ladder) > 0 {
		size = m.Ladder[0].Quantity
	}
	return map[string]any{"symbol": m.Name, "bidPrice": Num(m.Bid), "bidQty": Num(size), "askPrice": Num(m.Ask), "askQty": Num(size)}
}

func depth(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	m, err := a.Exchange.Look(symbol)
	if err != nil {
		return nil, err
	}
	ladder := m.Ladder
	if len(ladder) == 0 {
		ladder = []engine.Level{{Quantity: decimal.NewFromInt(1)}}
	}
	bids, asks := [][]string{}, [][]string{}
	for _, l := range ladder {
		step := m.Symbol.Tick.Mul(decimal.NewFromInt(l.Offset))
		asks = append(asks, []string{Num(m.Ask.Add(step)), Num(l.Quantity)})
		if bid := m.Bid.Sub(step); bid.IsPositive() {
			bids = append(bids, []string{Num(bid), Num(l.Quantity)})
		}
	}
	return map[string]any{"lastUpdateId": m.Seq, "bids": bids, "asks": asks}, nil
}

func account(a *API, c *call) (any, error) {
	sheet, err := a.Exchange.Sheet(c.account)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, asset := range slices.Sorted(maps.Keys(sheet.Balances)) {
		b := sheet.Balances[asset]
		if c.Text("omitZeroBalances") == "true" && b.Free.IsZero() && b.Locked.IsZero() {
			continue
		}
		rows = append(rows, map[string]any{"asset": asset, "free": Num(b.Free), "locked": Num(b.Locked)})
	}
	return map[string]any{
		"makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
		"commissionRates": rates(sheet.Account), "canTrade": true, "canWithdraw": false, "canDeposit": true, "brokered": false,
		"requireSelfTradePrevention": false, "preventSor": false, "updateTime": sheet.UpdatedAt, "accountType": "SPOT",
		"balances": rows, "permissions": []string{"SPOT"}, "uid": 1,
	}, nil
}

func rates(a engine.Account) map[string]any {
	return map[string]any{"maker": Num(a.Maker), "taker": Num(a.Taker), "buyer": "0.00000000", "seller": "0.00000000"}
}

func commission(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	if _, err := a.Exchange.Look(symbol); err != nil {
		return nil, err
	}
	sheet, err := a.Exchange.Sheet(c.account)
	if err != nil {
		return nil, err
	}
	none := rates(engine.Account{})
	bnb := sheet.Account.FeeMode == engine.FeeBNB
	return map[string]any{
		"symbol": symbol, "standardCommission": rates(sheet.Account), "taxCommission": none, "specialCommission": none,
		"discount": map[string]any{"enabledForAccount": bnb, "enabledForSymbol": true, "discountAsset": "BNB", "discount": "0.75000000"},
	}, nil
}

func orderLimits(a *API, c *call) (any, error) {
	tens, daily := a.Budget.count(c.account, a.Now(), false)
	row := func(interval string, n, limit int, count int64) map[string]any {
		return map[string]any{"rateLimitType": "ORDERS", "interval": interval, "intervalNum": n, "limit": limit, "count": count}
	}
	return []map[string]any{row("SECOND", 10, ordersTens, tens), row("DAY", 1, ordersDaily, daily)}, nil
}
