package httpapi

import (
	"net/http"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
)

// dayWindow is the longest time that allOrders and myTrades look over.
const dayWindow = day

// Num is an amount as Binance writes it.
func Num(d decimal.Decimal) string { return d.StringFixed(8) }

func (a *API) name() string { return "sim-" + strconv.FormatInt(a.made.Add(1), 10) }

func place(a *API, c *call) (any, error) {
	r, err := c.Order(a.name)
	if err != nil {
		return nil, err
	}
	if c.fault.Kind == fault.PartialFill {
		r.Script = engine.Script{FillMax: c.fault.Quantity, End: c.fault.End}
		if r.Script.FillMax.IsZero() {
			r.Script.FillMax = r.Quantity.Div(decimal.NewFromInt(2))
			if market, err := a.Exchange.Look(r.Symbol); err == nil {
				r.Script.FillMax = r.Script.FillMax.Sub(r.Script.FillMax.Mod(market.Step))
			}
		}
	}
	placed, err := a.Exchange.Place(c.trader(), r, a.Now())
	if err != nil {
		return nil, err
	}
	kind := c.Text("newOrderRespType")
	if kind == "" && (r.Type == engine.Market || r.Type == engine.Limit) {
		kind = "FULL"
	}
	return placedAnswer(placed, kind), nil
}

func placedAnswer(placed engine.Placed, kind string) map[string]any {
	o := placed.Order
	out := map[string]any{
		"symbol": o.Symbol, "orderId": o.ID, "orderListId": -1, "clientOrderId": o.ClientOrderID, "transactTime": o.CreatedAt,
	}
	if kind != "FULL" && kind != "RESULT" {
		return out
	}
	for name, value := range orderFields(o) {
		out[name] = value
	}
	if kind == "FULL" {
		fills := []map[string]any{}
		for _, t := range placed.Trades {
			fills = append(fills, map[string]any{
				"price": Num(t.Price), "qty": Num(t.Quantity), "commission": Num(t.Fee), "commissionAsset": t.FeeAsset, "tradeId": t.ID,
			})
		}
		out["fills"] = fills
	}
	return out
}

func orderFields(o engine.Order) map[string]any {
	out := map[string]any{
		"price": Num(o.Price), "origQty": Num(o.Quantity), "executedQty": Num(o.Executed), "origQuoteOrderQty": Num(o.QuoteQuantity),
		"cummulativeQuoteQty": Num(o.CumQuote), "status": o.Status, "timeInForce": o.TimeInForce, "type": o.Type, "side": o.Side,
		"workingTime": o.WorkingAt, "selfTradePreventionMode": o.STP,
	}
	if !o.StopPrice.IsZero() {
		out["stopPrice"] = Num(o.StopPrice)
	}
	if !o.Prevented.IsZero() {
		out["preventedQuantity"] = Num(o.Prevented)
	}
	if o.ExpiryReason != "" {
		out["expiryReason"] = o.ExpiryReason
	}
	return out
}

func queryAnswer(o engine.Order) map[string]any {
	out := orderFields(o)
	for name, value := range map[string]any{
		"symbol": o.Symbol, "orderId": o.ID, "orderListId": -1, "clientOrderId": o.ClientOrderID, "stopPrice": Num(o.StopPrice),
		"icebergQty": "0.00000000", "time": o.CreatedAt, "updateTime": o.UpdatedAt, "isWorking": o.Working,
	} {
		out[name] = value
	}
	return out
}

func test(a *API, c *call) (any, error) {
	r, err := c.Order(a.name)
	if err != nil {
		return nil, err
	}
	return map[string]any{}, a.Exchange.Test(c.account, r, a.Now())
}

func query(a *API, c *call) (any, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	o, err := a.Exchange.Order(c.trader(), ref, c.lag)
	if err != nil {
		return nil, err
	}
	return queryAnswer(o), nil
}

func cancel(a *API, c *call) (any, error) {
	ref, err := c.ref()
	if err != nil {
		return nil, err
	}
	id := first(c.Text("newClientOrderId"), a.name())
	if !clientID.MatchString(id) {
		return nil, errMalformed
	}
	o, err := a.Exchange.Cancel(c.trader(), ref, id, a.Now())
	if err != nil {
		return nil, err
	}
	return cancelAnswer(o, id), nil
}

func cancelAnswer(o engine.Order, id string) map[string]any {
	out := orderFields(o)
	for name, value := range map[string]any{
		"symbol": o.Symbol, "origClientOrderId": o.ClientOrderID, "orderId": o.ID, "orderListId": -1, "clientOrderId": id, "transactTime": o.UpdatedAt,
	} {
		out[name] = value
	}
	return out
}

func cancelAll(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	orders, err := a.Exchange.CancelAll(c.account, symbol, a.Now())
	out := make([]map[string]any, 0, len(orders))
	for _, o := range orders {
		out = append(out, cancelAnswer(o, a.name()))
	}
	return out, err
}

func openOrders(a *API, c *call) (any, error) {
	orders, err := a.Exchange.Orders(c.trader(), c.Text("symbol"), c.lag)
	out := []map[string]any{}
	for _, o := range orders {
		if o.Open() {
			out = append(out, queryAnswer(o))
		}
	}
	return out, err
}

// span is the window of time and ids that a listing asks for.
type span struct {
	from, since, until int64
	limit              int
}

func (p Params) span(fromName string) (span, error) {
	var s span
	var err error
	for name, to := range map[string]*int64{fromName: &s.from, "startTime": &s.since, "endTime": &s.until} {
		if *to, err = p.number(name, -1); err != nil {
			return s, err
		}
	}
	if s.since >= 0 && s.until >= 0 && s.until-s.since > dayWindow {
		return s, &engine.Rejection{Code: -1127, Text: "More than 24 hours between startTime and endTime."}
	}
	if s.until < 0 && s.since >= 0 {
		s.until = s.since + dayWindow
	}
	s.limit, err = p.limit()
	return s, err
}

func (s span) holds(id, at int64) bool {
	return id >= s.from && at >= s.since && (s.until < 0 || at <= s.until)
}

// page is the window's first rows if it has a beginning, else its last, as Binance does.
func page[T any](rows []T, s span) []T {
	if len(rows) <= s.limit {
		return rows
	}
	if s.from >= 0 || s.since >= 0 {
		return rows[:s.limit]
	}
	return rows[len(rows)-s.limit:]
}

func allOrders(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	s, err := c.span("orderId")
	if err != nil {
		return nil, err
	}
	orders, err := a.Exchange.Orders(c.trader(), symbol, c.lag)
	out := []map[string]any{}
	for _, o := range orders {
		if s.holds(o.ID, o.CreatedAt) {
			out = append(out, queryAnswer(o))
		}
	}
	return page(out, s), err
}

func myTrades(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	s, err := c.span("fromId")
	if err != nil {
		return nil, err
	}
	orderID, err := c.number("orderId", 0)
	if err != nil {
		return nil, err
	}
	trades, err := a.Exchange.Trades(c.trader(), symbol, c.lag)
	out := []map[string]any{}
	for _, t := range trades {
		if s.holds(t.ID, t.At) && (orderID == 0 || orderID == t.OrderID) {
			out = append(out, map[string]any{
				"symbol": t.Symbol, "id": t.ID, "orderId": t.OrderID, "orderListId": -1, "price": Num(t.Price), "qty": Num(t.Quantity),
				"quoteQty": Num(t.Quote), "commission": Num(t.Fee), "commissionAsset": t.FeeAsset, "time": t.At,
				"isBuyer": t.Side == engine.Buy, "isMaker": t.Maker, "isBestMatch": true,
			})
		}
	}
	return page(out, s), err
}

// cost is a request's weight: some depend on what is asked.
func (r route) cost(c *call) int64 {
	switch {
	case c.URL.Path == "/api/v3/openOrders" && c.Method == http.MethodGet && c.Text("symbol") == "":
		return 80
	case c.URL.Path == "/api/v3/ticker/price" && c.Text("symbol") == "", c.URL.Path == "/api/v3/ticker/bookTicker" && c.Text("symbol") == "":
		return 4
	case c.URL.Path == "/api/v3/myTrades" && c.Text("orderId") != "":
		return 5
	default:
		return r.weight
	}
}
