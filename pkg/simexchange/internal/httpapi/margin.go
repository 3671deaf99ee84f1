package httpapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/simexchange/internal/engine"
)

// Paths of isolated margin.
const (
	pathMargin      = "/sapi/v1/margin/"
	pathMarginOrder = pathMargin + "order"
	// marginOrdersMax is how many orders a listing of a margin account gives at most.
	marginOrdersMax = 500
	// recordsMax is how many loans or transfers a page has at most, and recordsUsual how many if nothing is asked for.
	recordsMax, recordsUsual = 100, 10
	// tokenLife is how long a listen token lets in, in milliseconds.
	tokenLife = day
)

var errCross = &engine.Rejection{Code: -3003, Text: "Margin account does not exist."}

// marginRoutes weigh nothing here: Binance counts /sapi by limits of its own.
var marginRoutes = map[string]route{
	"POST " + pathMarginOrder:               {signed: true, do: isolated(amended(place, borrowed))},
	"GET " + pathMarginOrder:                {signed: true, do: isolated(amended(query, nothingMore))},
	"DELETE " + pathMarginOrder:             {signed: true, do: isolated(amended(cancel, textID))},
	"GET " + pathMargin + "openOrders":      {signed: true, do: isolated(openOrders)},
	"GET " + pathMargin + "allOrders":       {signed: true, do: isolated(marginOrders)},
	"GET " + pathMargin + "myTrades":        {signed: true, do: isolated(myTrades)},
	"POST /sapi/v1/margin/isolated/account": {signed: true, do: enableMargin},
	"GET /sapi/v1/margin/isolated/account":  {signed: true, do: marginAccounts},
	"POST /sapi/v1/margin/borrow-repay":     {signed: true, do: isolated(borrowRepay)},
	"GET /sapi/v1/margin/borrow-repay":      {signed: true, do: lendings},
	"POST /sapi/v1/asset/transfer":          {signed: true, do: transfer},
	"GET /sapi/v1/asset/transfer":           {signed: true, do: transfers},
	"POST /sapi/v1/userListenToken":         {do: isolated(listenToken)}, // a key is enough
}

func merged(all ...map[string]route) map[string]route {
	out := map[string]route{}
	for _, some := range all {
		maps.Copy(out, some)
	}
	return out
}

// isolated lets requests through that are about an isolated margin account: there is no cross margin here.
func isolated(do func(*API, *call) (any, error)) func(*API, *call) (any, error) {
	return func(a *API, c *call) (any, error) {
		if _, err := c.must("symbol"); err != nil {
			return nil, err
		}
		if !strings.EqualFold(c.Text("isIsolated"), "TRUE") {
			return nil, errCross
		}
		if _, err := a.Exchange.Margin(c.account, c.Text("symbol"), a.Now()); err != nil {
			return nil, err
		}
		return do(a, c)
	}
}

// amended adds to the answer of an order's request that it is of an isolated margin account, and what else such an answer has.
func amended(do func(*API, *call) (any, error), more func(*API, *call, map[string]any)) func(*API, *call) (any, error) {
	return func(a *API, c *call) (any, error) {
		answer, err := do(a, c)
		if row, ok := answer.(map[string]any); ok && err == nil {
			row["isIsolated"] = true
			more(a, c, row)
		}
		return answer, err
	}
}

func nothingMore(*API, *call, map[string]any) {}

// borrowed tells what an order's side effect borrowed.
func borrowed(a *API, c *call, row map[string]any) {
	o, err := a.Exchange.Order(c.trader(), engine.Ref{Symbol: c.Text("symbol"), ClientOrderID: c.Text("newClientOrderId")}, 0)
	if err != nil || !o.Borrowed.IsPositive() {
		return
	}
	sheet, _ := a.Exchange.Margin(c.account, o.Symbol, a.Now()) // it was there a moment ago
	row["marginBuyBorrowAmount"], row["marginBuyBorrowAsset"] = Num(o.Borrowed), sheet.Base
	if o.Side == engine.Buy {
		row["marginBuyBorrowAsset"] = sheet.Quote
	}
}

// textID gives an order's id as a text, as the answer to a cancel on margin does.
func textID(_ *API, _ *call, row map[string]any) { row["orderId"] = fmt.Sprint(row["orderId"]) }

func marginOrders(a *API, c *call) (any, error) {
	if limit, err := c.number("limit", marginOrdersMax); err != nil || limit > marginOrdersMax {
		return nil, missing("limit")
	}
	return allOrders(a, c)
}

func enableMargin(a *API, c *call) (any, error) {
	symbol, err := c.must("symbol")
	if err != nil {
		return nil, err
	}
	return map[string]any{"success": true, "symbol": symbol}, a.Exchange.EnableMargin(c.account, symbol, a.Now())
}

func marginAccounts(a *API, c *call) (any, error) {
	symbols := a.Exchange.Margins(c.account)
	if asked := c.Text("symbols"); asked != "" {
		wanted := strings.Split(asked, ",")
		symbols = slices.DeleteFunc(symbols, func(s string) bool { return !slices.Contains(wanted, s) })
	}
	rows := []map[string]any{}
	for _, symbol := range symbols {
		sheet, err := a.Exchange.Margin(c.account, symbol, a.Now())
		if err != nil {
			return nil, err
		}
		rows = append(rows, marginRow(sheet))
	}
	return map[string]any{"assets": rows, "totalAssetOfBtc": "0.00000000", "totalLiabilityOfBtc": "0.00000000", "totalNetAssetOfBtc": "0.00000000"}, nil
}

// Margin levels, in words.
var marginWords = []struct {
	above decimal.Decimal
	word  string
}{
	{decimal.NewFromInt(2), "EXCESSIVE"},
	{decimal.New(15, -1), "NORMAL"},
	{decimal.New(13, -1), "MARGIN_CALL"},
	{decimal.New(11, -1), "PRE_LIQUIDATION"},
	{decimal.Zero, "FORCE_LIQUIDATION"},
}

func marginRow(m engine.MarginSheet) map[string]any {
	word := ""
	for _, w := range marginWords {
		if word == "" && m.Level.GreaterThan(w.above) {
			word = w.word
		}
	}
	asset := func(name string) map[string]any {
		held, owed := m.Balances[name], m.Loans[name]
		total := held.Free.Add(held.Locked)
		return map[string]any{
			"asset": name, "borrowEnabled": true, "borrowed": Num(owed.Borrowed), "free": Num(held.Free), "interest": Num(owed.Interest),
			"locked": Num(held.Locked), "netAsset": Num(total.Sub(owed.Borrowed).Sub(owed.Interest)), "netAssetOfBtc": "0.00000000",
			"repayEnabled": true, "totalAsset": Num(total),
		}
	}
	return map[string]any{
		"symbol": m.Symbol, "baseAsset": asset(m.Base), "quoteAsset": asset(m.Quote), "isolatedCreated": true, "enabled": true,
		"marginLevel": Num(m.Level), "marginLevelStatus": cmp.Or(word, "FORCE_LIQUIDATION"), "marginRatio": "10.00000000", "indexPrice": Num(m.Price),
		"liquidatePrice": Num(m.Liquidation), "liquidateRate": "0.00000000", "tradeEnabled": true,
	}
}

func borrowRepay(a *API, c *call) (any, error) {
	asset, err := c.must("asset")
	if err != nil {
		return nil, err
	}
	amount, err := c.amount("amount")
	if err != nil {
		return nil, err
	}
	do := a.Exchange.Borrow
	switch c.Text("type") {
	case engine.LendingBorrow:
	case engine.LendingRepay:
		do = a.Exchange.Repay
	default:
		return nil, missing("type")
	}
	lending, err := do(c.account, c.Text("symbol"), asset, amount, a.Now())
	return map[string]any{"tranId": lending.ID}, err
}

// records is a page of what was done in a time, newest first.
type records struct {
	since, until  int64
	current, size int
}

func (p Params) records(now int64) (records, error) {
	var r records
	var err error
	if r.since, err = p.number("startTime", now-7*day); err != nil {
		return r, err
	}
	if r.until, err = p.number("endTime", now); err != nil {
		return r, err
	}
	current, err := p.number("current", 1)
	if err != nil || current < 1 {
		return r, missing("current")
	}
	size, err := p.number("size", recordsUsual)
	if err != nil || size < 1 || size > recordsMax {
		return r, missing("size")
	}
	r.current, r.size = int(current), int(size)
	return r, nil
}

// of is the page of rows that were given oldest first.
func (r records) of(rows []map[string]any) map[string]any {
	slices.Reverse(rows)
	from := min((r.current-1)*r.size, len(rows))
	return map[string]any{"rows": rows[from:min(from+r.size, len(rows))], "total": len(rows)}
}

func lendings(a *API, c *call) (any, error) {
	symbol, err := c.must("isolatedSymbol")
	if err != nil {
		return nil, err
	}
	kind := c.Text("type")
	if kind != engine.LendingBorrow && kind != engine.LendingRepay {
		return nil, missing("type")
	}
	page, err := c.records(a.Now())
	if err != nil {
		return nil, err
	}
	id, err := c.number("txId", 0)
	if err != nil {
		return nil, err
	}
	all, err := a.Exchange.Lendings(c.account, symbol, a.Now())
	if err != nil {
		return nil, err
	}
	all = all[:max(0, len(all)-c.lag)]
	rows := []map[string]any{}
	for _, l := range all {
		inTime := l.At >= page.since && l.At <= page.until
		if l.Kind != kind || id != 0 && l.ID != id || id == 0 && !inTime || c.Text("asset") != "" && c.Text("asset") != l.Asset {
			continue
		}
		rows = append(rows, map[string]any{
			"type": l.Type, "isolatedSymbol": symbol, "amount": Num(l.Amount), "asset": l.Asset, "interest": Num(l.Interest),
			"principal": Num(l.Principal), "status": "CONFIRMED", "timestamp": l.At, "txId": l.ID,
		})
	}
	return page.of(rows), nil
}

// Transfers between an account and its isolated margin account, as Binance names them.
const (
	transferIn  = "MAIN_ISOLATED_MARGIN"
	transferOut = "ISOLATED_MARGIN_MAIN"
)

// direction says whether a transfer leaves the isolated margin account, and of which pair that is.
func (c *call) direction() (out bool, symbol string, err error) {
	switch c.Text("type") {
	case transferIn:
		symbol, err = c.must("toSymbol")
	case transferOut:
		out = true
		symbol, err = c.must("fromSymbol")
	default:
		err = missing("type")
	}
	return out, symbol, err
}

func transfer(a *API, c *call) (any, error) {
	out, symbol, err := c.direction()
	if err != nil {
		return nil, err
	}
	asset, err := c.must("asset")
	if err != nil {
		return nil, err
	}
	amount, err := c.amount("amount")
	if err != nil {
		return nil, err
	}
	move, err := a.Exchange.Transfer(c.account, symbol, asset, amount, out, a.Now())
	return map[string]any{"tranId": move.ID}, err
}

func transfers(a *API, c *call) (any, error) {
	out, symbol, err := c.direction()
	if err != nil {
		return nil, err
	}
	page, err := c.records(a.Now())
	if err != nil {
		return nil, err
	}
	moves, err := a.Exchange.Moves(c.account)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, m := range moves {
		if m.Out == out && m.Symbol == symbol && m.At >= page.since && m.At <= page.until {
			rows = append(rows, map[string]any{
				"asset": m.Asset, "amount": Num(m.Amount), "type": c.Text("type"), "status": "CONFIRMED", "tranId": m.ID, "timestamp": m.At,
			})
		}
	}
	return page.of(rows), nil
}

func listenToken(a *API, c *call) (any, error) {
	expires := a.Now() + tokenLife
	return map[string]any{"token": a.Ring.Token(engine.MarginName(c.account, c.Text("symbol")), expires), "expirationTime": expires}, nil
}
