package engine

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Binance's refusals that the engine gives.
const (
	codeTimestamp        = -1021
	codeIllegalChars     = -1100
	codeMandatory        = -1102
	codeNotRequired      = -1106
	codeBadTimeInForce   = -1115
	codeBadType          = -1116
	codeBadSide          = -1117
	codeNoSuchAccount    = -2015
	codeBorrowTooMuch    = -3006
	codeNoIsolatedMargin = -11001

	messageInsufficient = "Account has insufficient balance for requested action."
	messageTriggers     = "Order would trigger immediately."
)

var clientIDPattern = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,36}$`)

func refuse(operation string, code int, format string, args ...any) error {
	return venue.Classify(venue.Answer{
		Operation: operation, HTTPStatus: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...),
	})
}

// place takes an order in or refuses it. Refusals change nothing but the count of placings.
func (c *change) place(ref venue.AccountRef, in venue.NewOrder) (*orderState, error) {
	account, err := c.account(venue.OpPlace, ref)
	if err != nil {
		return nil, err
	}
	y, ok := c.s.Symbols[in.Symbol]
	if !ok {
		return nil, refuse(venue.OpPlace, venue.CodeInvalidSymbol, "Invalid symbol.")
	}
	if err := c.checkStamp(in); err != nil {
		return nil, err
	}
	if !clientIDPattern.MatchString(string(in.ClientOrderID)) {
		return nil, refuse(venue.OpPlace, codeIllegalChars,
			"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.")
	}
	client := clientKey(in.Symbol, in.ClientOrderID)
	c.emit(effect{Placed: &placedEffect{Account: ref.Key, Symbol: in.Symbol, ID: in.ClientOrderID, Count: account.Placed[client] + 1}})
	if newest := account.newest(in.Symbol, in.ClientOrderID); newest != nil && newest.Status.IsOpen() {
		return nil, refuse(venue.OpPlace, venue.CodeNewOrderRejected, "%s", venue.MessageDuplicateOrder)
	}
	if err := checkOrder(account, y, in); err != nil {
		return nil, err
	}
	return c.accept(account, y, in)
}

// account finds the account, or makes it with its defaults when the venue first hears of it.
func (c *change) account(operation string, ref venue.AccountRef) (*accountState, error) {
	if _, ok := c.s.Accounts[ref.Key]; !ok {
		config := NewAccountConfig(ref)
		if err := c.s.checkAccount(config); err != nil {
			return nil, refuse(operation, codeNoSuchAccount, "Invalid API-key, IP, or permissions for action. (%v)", err)
		}
		c.emit(effect{Account: &config})
	}
	account := c.s.Accounts[ref.Key]
	if account.Config.Product != ref.Product || account.Config.MarginSymbol != ref.MarginSymbol {
		return nil, refuse(operation, codeNoSuchAccount, "Invalid API-key, IP, or permissions for action. (the account is %s %s)",
			account.Config.Product, account.Config.MarginSymbol)
	}
	return account, nil
}

// checkAccount refuses an account whose settings do not fit the venue.
func (s *state) checkAccount(config AccountConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	if config.MarginSymbol == "" {
		return nil
	}
	y, ok := s.Symbols[config.MarginSymbol]
	if !ok || !y.Instrument.MarginAllowed {
		return fmt.Errorf("account %s: %s is not traded on isolated margin", config.Key, config.MarginSymbol)
	}
	return nil
}

// aheadMax is how far a stamp may be ahead of the venue's clock, on Binance too.
const aheadMax = time.Second

// checkStamp refuses a request that was held up on its way.
func (c *change) checkStamp(in venue.NewOrder) error {
	if c.at.Sub(in.Stamp) > c.timing.ReceiveWindow {
		return refuse(venue.OpPlace, codeTimestamp, "Timestamp for this request is outside of the recvWindow.")
	}
	if in.Stamp.Sub(c.at) > aheadMax {
		return refuse(venue.OpPlace, codeTimestamp, "Timestamp for this request was 1000ms ahead of the server's time.")
	}
	return nil
}

func checkOrder(account *accountState, y *symbolState, in venue.NewOrder) error {
	for _, check := range []func(*accountState, *symbolState, venue.NewOrder) error{checkParameters, checkMarket, checkCounts} {
		if err := check(account, y, in); err != nil {
			return err
		}
	}
	return nil
}

func checkParameters(_ *accountState, y *symbolState, in venue.NewOrder) error {
	missing := func(name string) error {
		return refuse(venue.OpPlace, codeMandatory, "Mandatory parameter '%s' was not sent, was empty/null, or malformed.", name)
	}
	surplus := func(name string) error {
		return refuse(venue.OpPlace, codeNotRequired, "Parameter '%s' sent when not required.", name)
	}
	switch in.Type {
	case venue.Market, venue.Limit, venue.StopLoss, venue.StopLossLimit:
	default:
		return refuse(venue.OpPlace, codeBadType, "Invalid orderType.")
	}
	switch in.TimeInForce {
	case "", venue.GTC, venue.IOC, venue.FOK:
	default:
		return refuse(venue.OpPlace, codeBadTimeInForce, "Invalid timeInForce.")
	}
	switch {
	case in.Side != venue.Buy && in.Side != venue.Sell:
		return refuse(venue.OpPlace, codeBadSide, "Invalid side.")
	case !in.Quantity.IsPositive():
		return refuse(venue.OpPlace, venue.CodeFilterFailure, "Invalid quantity.")
	case in.Type.HasPrice() && !in.Price.IsPositive():
		return missing("price")
	case !in.Type.HasPrice() && !in.Price.IsZero():
		return surplus("price")
	case in.Type.IsStop() && !in.StopPrice.IsPositive():
		return missing("stopPrice")
	case !in.Type.IsStop() && !in.StopPrice.IsZero():
		return surplus("stopPrice")
	case in.Type.HasPrice() && in.TimeInForce == "":
		return missing("timeInForce")
	case !in.Type.HasPrice() && in.TimeInForce != "":
		return surplus("timeInForce")
	}
	return y.Instrument.CheckPrecision(in)
}

func checkMarket(account *accountState, y *symbolState, in venue.NewOrder) error {
	switch {
	case account.Config.Product == venue.IsolatedMargin && account.Config.MarginSymbol != in.Symbol:
		return refuse(venue.OpPlace, codeNoIsolatedMargin, "Isolated margin account does not exist.")
	case account.Config.Product == venue.Spot && in.SideEffect != "" && in.SideEffect != venue.NoSideEffect:
		return refuse(venue.OpPlace, codeNotRequired, "Parameter 'sideEffectType' sent when not required.")
	case in.SideEffect != "" && in.SideEffect != venue.NoSideEffect && in.SideEffect != venue.MarginBuy && in.SideEffect != venue.AutoRepay:
		return refuse(venue.OpPlace, codeMandatory, "Mandatory parameter 'sideEffectType' was not sent, was empty/null, or malformed.")
	case y.Instrument.Status != venue.StatusTrading || !y.Last.Price.IsPositive():
		return refuse(venue.OpPlace, venue.CodeFilterFailure, "Market is closed.")
	}
	if err := y.Instrument.CheckFilters(in, y.Last.Price); err != nil {
		return err
	}
	if in.Type.IsStop() && triggers(in.Side, in.StopPrice, y.Last.Price) {
		return refuse(venue.OpPlace, venue.CodeNewOrderRejected, messageTriggers)
	}
	return nil
}

// checkCounts bounds the open orders of an account on a symbol.
func checkCounts(account *accountState, y *symbolState, in venue.NewOrder) error {
	open := account.openOrders(in.Symbol)
	if y.Instrument.MaxOrders > 0 && len(open) >= y.Instrument.MaxOrders {
		return venue.FilterFailure("MAX_NUM_ORDERS")
	}
	stops := 0
	for _, o := range open {
		if o.isWaiting() {
			stops++
		}
	}
	if in.Type.IsStop() && y.Instrument.MaxAlgoOrders > 0 && stops >= y.Instrument.MaxAlgoOrders {
		return venue.FilterFailure("MAX_NUM_ALGO_ORDERS")
	}
	return nil
}

// accept borrows and locks what the order needs, stores it, reports it NEW and lets it trade.
func (c *change) accept(account *accountState, y *symbolState, in venue.NewOrder) (*orderState, error) {
	needed := c.needs(account, y, in)
	o := orderState{
		Order: venue.Order{
			Symbol: in.Symbol, OrderID: y.LastOrderID + 1, ClientOrderID: in.ClientOrderID, Status: venue.StatusNew,
			Side: in.Side, Type: in.Type, TimeInForce: in.TimeInForce, SideEffect: in.SideEffect,
			Quantity: in.Quantity, Price: in.Price, StopPrice: in.StopPrice, CreatedAt: y.Last.MarketTime,
		},
		Account: account.Config.Key, Number: account.LastNumber + 1, LockAsset: y.Instrument.QuoteAsset, Locked: needed,
	}
	if in.Side == venue.Sell {
		o.LockAsset = y.Instrument.BaseAsset
	}
	free := account.balance(account.Config.wallet(), o.LockAsset).Free
	if lacking := needed.Sub(free); lacking.IsPositive() {
		if in.SideEffect != venue.MarginBuy {
			return nil, refuse(venue.OpPlace, venue.CodeNewOrderRejected, messageInsufficient)
		}
		if !c.s.mayBorrow(account, o.LockAsset, lacking) {
			return nil, refuse(venue.OpPlace, codeBorrowTooMuch, "Your borrow amount has exceed maximum borrow amount.")
		}
		o.Borrowed = lacking
		c.borrow(account, &o, lacking)
	}
	c.move(account, move{asset: o.LockAsset, free: needed.Neg(), locked: needed})
	c.put(o)
	held := account.Orders[orderKey(o.Symbol, o.OrderID)]
	if c.broken != nil {
		return nil, c.broken
	}
	c.reportOrder(o, venue.ExecutionNew, nil)
	return held, nil
}

// needs is what an order must hold: a seller the quantity, a buyer the most it can cost. What a market order can cost
// is what the ladder would take now.
func (c *change) needs(account *accountState, y *symbolState, in venue.NewOrder) decimal.Decimal {
	if in.Side == venue.Sell {
		return in.Quantity
	}
	switch in.Type {
	case venue.Limit, venue.StopLossLimit:
		return c.limitCost(account, in.Quantity, in.Price)
	case venue.StopLoss:
		return c.limitCost(account, in.Quantity, in.StopPrice)
	default:
		_, cost := total(y.plan(in.Side, in.Quantity, decimal.Zero))
		if account.Config.FeeMode == FeeQuote {
			cost = cost.Add(cost.Mul(account.Config.TakerRate))
		}
		return cost.RoundUp(feePlaces)
	}
}

// run lets a new order trade.
func (c *change) run(o *orderState) {
	y := c.s.Symbols[o.Symbol]
	switch o.Type {
	case venue.Market:
		c.runMarket(y, o)
	case venue.Limit:
		c.runLimit(y, o)
	case venue.StopLoss, venue.StopLossLimit:
		// They wait for their trigger.
	}
}

// cancel ends an open order on its owner's request.
func (c *change) cancel(ref venue.AccountRef, in venue.CancelOrder, by venue.CanceledBy) (*orderState, error) {
	account, err := c.account(venue.OpCancel, ref)
	if err != nil {
		return nil, err
	}
	if _, ok := c.s.Symbols[in.Symbol]; !ok {
		return nil, refuse(venue.OpCancel, venue.CodeInvalidSymbol, "Invalid symbol.")
	}
	o := account.newest(in.Symbol, in.ClientOrderID)
	if o == nil || !o.Status.IsOpen() {
		return nil, refuse(venue.OpCancel, venue.CodeCancelRejected, "Unknown order sent.")
	}
	named := *o
	named.CancelID, named.CanceledBy = in.CancelID, by
	c.put(named)
	c.end(o, venue.StatusCanceled, "")
	return o, nil
}
