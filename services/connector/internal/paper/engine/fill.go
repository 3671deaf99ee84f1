package engine

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// fill makes one trade of an order: it pays, receives, takes the fee, repays, and reports. False if the account cannot
// pay, and then nothing happened.
func (c *change) fill(y *symbolState, o *orderState, price, quantity decimal.Decimal, maker bool) bool {
	account := c.s.Accounts[o.Account]
	quoteQuantity := price.Mul(quantity).Truncate(feePlaces)
	fee := c.fee(account, y, o.Side, quantity, quoteQuantity, maker)

	paid, received := move{asset: y.Instrument.QuoteAsset, free: quoteQuantity}, move{asset: y.Instrument.BaseAsset, free: quantity}
	if o.Side == venue.Sell {
		paid, received = received, paid
	}
	feeApart := true
	switch fee.asset {
	case received.asset:
		received.free, feeApart = received.free.Sub(fee.free), false
	case paid.asset:
		paid.free, feeApart = paid.free.Add(fee.free), false
	}
	next := *o
	if !c.pay(account, &next, paid.free) {
		return false
	}
	c.move(account, received)
	if feeApart {
		c.move(account, move{asset: fee.asset, free: fee.free.Neg()})
	}

	next.Executed, next.CumQuote = o.Executed.Add(quantity), o.CumQuote.Add(quoteQuantity)
	next.Status = venue.StatusPartiallyFilled
	if next.Executed.GreaterThanOrEqual(next.Quantity) {
		next.Status = venue.StatusFilled
	}
	c.releaseExcess(account, &next)
	trade := venue.Trade{
		Symbol: o.Symbol, TradeID: y.LastTradeID + 1, OrderID: o.OrderID, Side: o.Side, Price: price, Quantity: quantity,
		QuoteQuantity: quoteQuantity, Fee: fee.free, FeeAsset: fee.asset, IsMaker: maker, Time: y.Last.MarketTime,
	}
	c.put(next)
	c.emit(effect{Trade: &tradeEffect{Account: o.Account, Trade: trade}})
	c.reportOrder(next, venue.ExecutionTrade, &trade)
	if o.SideEffect == venue.AutoRepay {
		c.repay(account, o, received.asset, received.free)
	}
	return true
}

// pay takes what a trade costs: what the order has locked first, then what is free.
func (c *change) pay(account *accountState, o *orderState, amount decimal.Decimal) bool {
	fromLock := decimal.Min(o.Locked, amount)
	fromFree := amount.Sub(fromLock)
	if account.balance(account.Config.wallet(), o.LockAsset).Free.LessThan(fromFree) {
		return false
	}
	c.move(account, move{asset: o.LockAsset, free: fromFree.Neg(), locked: fromLock.Neg()})
	o.Locked = o.Locked.Sub(fromLock)
	return true
}

// releaseExcess gives back what an order no longer needs to hold: all of it when it is filled, and what a limit buyer
// saved by a better price.
func (c *change) releaseExcess(account *accountState, o *orderState) {
	needed := o.Locked
	switch {
	case !o.Status.IsOpen():
		needed = decimal.Zero
	case o.Type == venue.Limit && o.Side == venue.Buy:
		needed = decimal.Min(needed, c.limitCost(account, o.Remaining(), o.Price))
	}
	excess := o.Locked.Sub(needed)
	if excess.IsPositive() {
		c.move(account, move{asset: o.LockAsset, free: excess, locked: excess.Neg()})
		o.Locked = needed
	}
	if !o.Status.IsOpen() {
		c.repayUnused(account, o, excess)
	}
}

// limitCost is the most that buying a quantity at a limit can cost, with the fee where it comes on top.
func (c *change) limitCost(account *accountState, quantity, price decimal.Decimal) decimal.Decimal {
	cost := price.Mul(quantity)
	if account.Config.FeeMode == FeeQuote {
		cost = cost.Add(cost.Mul(decimal.Max(account.Config.MakerRate, account.Config.TakerRate)))
	}
	return cost.RoundUp(feePlaces)
}

// fee is what a trade costs beyond its price: an asset and an amount, truncated to eight places.
func (c *change) fee(account *accountState, y *symbolState, side venue.Side, quantity, quoteQuantity decimal.Decimal, maker bool) move {
	rate := account.Config.TakerRate
	if maker {
		rate = account.Config.MakerRate
	}
	if account.Config.FeeMode == FeeBNB {
		if fee, ok := c.feeInBNB(account, y, rate, quoteQuantity); ok {
			return fee
		}
	}
	if side == venue.Buy && account.Config.FeeMode != FeeQuote {
		return move{asset: y.Instrument.BaseAsset, free: quantity.Mul(rate).Truncate(feePlaces)}
	}
	return move{asset: y.Instrument.QuoteAsset, free: quoteQuantity.Mul(rate).Truncate(feePlaces)}
}

func (c *change) feeInBNB(account *accountState, y *symbolState, rate, quoteQuantity decimal.Decimal) (move, bool) {
	pair, ok := c.s.Symbols[bnb+y.Instrument.QuoteAsset]
	if !ok || !pair.Last.Price.IsPositive() {
		return move{}, false
	}
	amount, _ := quoteQuantity.Mul(rate).Mul(bnbDiscount).QuoRem(pair.Last.Price, feePlaces)
	// BNB bought or sold by this very trade does not count.
	if y.Instrument.BaseAsset == bnb || account.balance(account.Config.wallet(), bnb).Free.LessThan(amount) {
		return move{}, false
	}
	return move{asset: bnb, free: amount}, true
}

// end stops an open order: what it holds is given back and the account is told.
func (c *change) end(o *orderState, status venue.OrderStatus, reason string) {
	ended := *o
	ended.Status = status
	kind := venue.ExecutionExpired
	if status == venue.StatusCanceled {
		kind = venue.ExecutionCanceled
	} else {
		ended.ExpiryReason = reason
	}
	ended.NextTick = 0
	c.releaseExcess(c.s.Accounts[o.Account], &ended)
	c.put(ended)
	c.reportOrder(ended, kind, nil)
}
