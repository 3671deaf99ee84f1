package engine

import (
	"slices"

	"github.com/shopspring/decimal"
)

// feePlaces is how many decimals a fee and an amount of quote have; what is beyond is cut.
const feePlaces = 8

// bnbDiscount is what is left of the rate when fees are paid in BNB.
var bnbDiscount = decimal.New(75, -2)

type offer struct{ price, quantity decimal.Decimal }

// plenty is the depth of a book without a ladder.
var plenty = decimal.New(1, 18)

func (b *book) ask() decimal.Decimal { return b.last.Add(b.Tick.Mul(decimal.NewFromInt(b.Spread))) }

// best is the price at which a taker of that side begins.
func (b *book) best(side string) decimal.Decimal {
	if side == Buy {
		return b.ask()
	}
	return b.last
}

// offers is the ladder that a taker of that side meets, less what the account took since the tick.
func (b *book) offers(a *account, side string) []offer {
	ladder := b.Ladder
	if len(ladder) == 0 {
		return []offer{{b.best(side), plenty}}
	}
	gone := decimal.Zero
	if t := a.taken[takenKey{b.Name, side}]; t.tick == b.tick {
		gone = t.quantity
	}
	out := make([]offer, 0, len(ladder))
	for _, l := range ladder {
		step := b.Tick.Mul(decimal.NewFromInt(l.Offset))
		if side == Sell {
			step = step.Neg()
		}
		q := l.Quantity.Sub(decimal.Min(gone, l.Quantity))
		gone = gone.Sub(l.Quantity.Sub(q))
		if price := b.best(side).Add(step); q.IsPositive() && price.IsPositive() {
			out = append(out, offer{price, q})
		}
	}
	return out
}

func crosses(o *Order, price decimal.Decimal) bool {
	if o.buys() {
		return o.Price.GreaterThanOrEqual(price)
	}
	return o.Price.LessThanOrEqual(price)
}

// triggers says whether a conditional order's stop price is reached; touching it is reaching it.
func triggers(o *Order, last decimal.Decimal) bool {
	rises := o.buys() == (o.Type == StopLoss || o.Type == StopLossLimit)
	if rises {
		return last.GreaterThanOrEqual(o.StopPrice)
	}
	return last.LessThanOrEqual(o.StopPrice)
}

// take matches a working order against the account's ladder and its own resting orders, at most fillMax if that is not zero.
func (x *Exchange) take(a *account, b *book, o *Order, fillMax decimal.Decimal, at int64) {
	if o.TimeInForce == FOK && o.limited() && b.takeable(a, o).LessThan(o.Quantity) {
		x.end(a, b, o, StatusExpired, "FOK_NOT_FILLABLE", at)
		return
	}
	scripted, budget := fillMax.IsPositive(), fillMax
	for _, l := range b.offers(a, o.Side) {
		if !o.Open() || o.limited() && !crosses(o, l.price) {
			break
		}
		x.meetOwn(a, b, o, l.price, at)
		if !o.Open() {
			break
		}
		q := b.wanted(a, o, l)
		if scripted {
			q = decimal.Min(q, budget)
		}
		if !q.IsPositive() {
			break
		}
		budget = budget.Sub(q)
		b.tookFrom(a, o.Side, q)
		b.tradeID++
		x.fill(a, b, o, fillParams{price: l.price, quantity: q, trade: b.tradeID, at: at})
	}
	if o.Open() && (!o.limited() || o.TimeInForce == IOC || o.TimeInForce == FOK) {
		x.end(a, b, o, StatusExpired, "INSUFFICIENT_LIQUIDITY", at)
	}
}

// wanted is how much of an offer the order takes: what remains, what its quote amount buys, what its account can pay.
func (b *book) wanted(a *account, o *Order, l offer) decimal.Decimal {
	if !o.QuoteQuantity.IsZero() && o.Quantity.IsZero() {
		left := floor(o.QuoteQuantity.Sub(o.CumQuote).DivRound(l.price, 16), b.Step)
		if !o.buys() {
			left = decimal.Min(left, floor(a.balance(b.Base).Free, b.Step))
		}
		return decimal.Min(l.quantity, left)
	}
	q := decimal.Min(o.Remaining(), l.quantity)
	if o.buys() && !o.limited() && !a.has(b.Quote, l.price.Sub(o.lockPrice).Mul(q)) {
		return decimal.Zero
	}
	return q
}

func floor(q, step decimal.Decimal) decimal.Decimal { return q.Sub(q.Mod(step)) }

func (b *book) takeable(a *account, o *Order) decimal.Decimal {
	sum := decimal.Zero
	for _, l := range b.offers(a, o.Side) {
		if crosses(o, l.price) {
			sum = sum.Add(l.quantity)
		}
	}
	return sum
}

func (b *book) tookFrom(a *account, side string, q decimal.Decimal) {
	key := takenKey{b.Name, side}
	t := a.taken[key]
	if t.tick != b.tick {
		t = taken{tick: b.tick}
	}
	t.quantity = t.quantity.Add(q)
	a.taken[key] = t
}

// meetOwn deals with the account's own resting orders that a taker would meet before the price: self-trade prevention, or a self trade.
func (x *Exchange) meetOwn(a *account, b *book, o *Order, price decimal.Decimal, at int64) {
	for _, own := range slices.Clone(b.open) {
		if !o.Open() {
			return
		}
		meets := own.Account == a.Name && own.Open() && own.Working && own.limited() && own.Side != o.Side && own != o
		if !meets || !crosses(own, price) || o.limited() && !crosses(o, own.Price) {
			continue
		}
		if o.STP != STPNone {
			x.prevent(a, b, o, own, at)
			continue
		}
		q := own.Remaining()
		if o.Quantity.IsPositive() {
			q = decimal.Min(q, o.Remaining())
		}
		if o.buys() && !o.limited() && !a.has(b.Quote, own.Price.Mul(q)) {
			continue
		}
		b.tradeID++
		x.fill(a, b, own, fillParams{price: own.Price, quantity: q, trade: b.tradeID, at: at, maker: true, self: true})
		x.fill(a, b, o, fillParams{price: own.Price, quantity: q, trade: b.tradeID, at: at, self: true})
	}
}

func (x *Exchange) prevent(a *account, b *book, taker, maker *Order, at int64) {
	prevented := maker.Remaining()
	if taker.Quantity.IsPositive() {
		prevented = decimal.Min(prevented, taker.Remaining())
	}
	if taker.STP != STPExpireTaker {
		maker.Prevented = maker.Prevented.Add(prevented)
		x.end(a, b, maker, StatusInMatch, "", at)
	}
	if taker.STP != STPExpireMaker {
		taker.Prevented = taker.Prevented.Add(prevented)
		x.end(a, b, taker, StatusInMatch, "", at)
	}
}

type fillParams struct {
	price, quantity decimal.Decimal
	trade, at       int64
	maker, self     bool
}

// fill books one trade of an order: the money, the fee, the order and the report.
func (x *Exchange) fill(a *account, b *book, o *Order, p fillParams) {
	quote := p.price.Mul(p.quantity)
	side := decimal.NewFromInt(1)
	if o.buys() {
		if o.locked {
			a.lock(b.Quote, o.lockPrice.Mul(p.quantity).Neg())
		}
		a.pay(b.Quote, quote.Neg())
		a.pay(b.Base, p.quantity)
	} else {
		side = side.Neg()
		if o.locked {
			a.lock(b.Base, p.quantity.Neg())
		}
		a.pay(b.Base, p.quantity.Neg())
		a.pay(b.Quote, quote)
	}
	// The house is the other side; of a self trade both sides cancel out here.
	x.house[b.Base] = x.house[b.Base].Sub(p.quantity.Mul(side))
	x.house[b.Quote] = x.house[b.Quote].Add(quote.Mul(side))
	o.Executed, o.CumQuote, o.Maker = o.Executed.Add(p.quantity), o.CumQuote.Add(quote), p.maker
	o.Status = StatusPartial
	if x.complete(b, o) {
		o.Status = StatusFilled
	}
	t := Trade{
		Account: a.Name, Symbol: b.Name, Side: o.Side, ID: p.trade, OrderID: o.ID, Price: p.price, Quantity: p.quantity,
		Quote: quote, ClientOrderID: o.ClientOrderID, At: p.at, Maker: p.maker,
	}
	t.Fee, t.FeeAsset = x.charge(a, b, o, quote, p)
	a.trades[b.Name] = append(a.trades[b.Name], t)
	x.repayFrom(a, b, o, t)
	o.remember(p.at)
	x.report(a, o, Report{Kind: ReportTrade, Trade: &t}, p.at)
}

// complete says whether an order is filled. One that is counted in quote is, when what is left buys no further step.
func (x *Exchange) complete(b *book, o *Order) bool {
	if !o.QuoteQuantity.IsZero() && o.Quantity.IsZero() {
		left := o.QuoteQuantity.Sub(o.CumQuote)
		if left.LessThan(b.best(o.Side).Mul(b.Step)) {
			o.Quantity = o.Executed
			return true
		}
		return false
	}
	return o.Executed.Equal(o.Quantity)
}

// charge takes the fee of a trade.
func (x *Exchange) charge(a *account, b *book, o *Order, quote decimal.Decimal, p fillParams) (decimal.Decimal, string) {
	rate := a.Taker
	if p.maker {
		rate = a.Maker
	}
	asset, fee := b.Quote, quote.Mul(rate).Truncate(feePlaces)
	if o.buys() {
		asset, fee = b.Base, p.quantity.Mul(rate).Truncate(feePlaces)
	}
	if bnb := x.symbols["BNB"+b.Quote]; a.FeeMode == FeeBNB && bnb != nil && bnb.last.IsPositive() {
		amount := quote.Mul(rate).Mul(bnbDiscount).DivRound(bnb.last, 16).Truncate(feePlaces)
		if a.has("BNB", amount) {
			asset, fee = "BNB", amount
		}
	}
	a.pay(asset, fee.Neg())
	x.fees[asset] = x.fees[asset].Add(fee)
	return fee, asset
}

// end ends an order that is not filled and gives back what it had locked.
func (x *Exchange) end(a *account, b *book, o *Order, status, reason string, at int64) {
	if o.Quantity.IsZero() {
		o.Quantity = o.Executed
	}
	o.Status, o.ExpiryReason = status, reason
	x.unlock(a, b, o, at)
	o.remember(at)
	kind := ReportExpired
	switch status {
	case StatusInMatch:
		kind = ReportPrevented
	case StatusCanceled:
		kind = ReportCanceled
	}
	x.report(a, o, Report{Kind: kind}, at)
}

// Tick moves a symbol's price, and then its orders: stops trigger, limits that the price reached fill as makers.
func (x *Exchange) Tick(symbol string, price decimal.Decimal, at int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.symbols[symbol]
	if b == nil {
		return ErrSymbol
	}
	if !price.IsPositive() {
		return ErrPrice
	}
	b.last = price
	b.tick++
	b.tickAt = at
	for _, o := range slices.Clone(b.open) {
		if o.Open() {
			a := x.accounts[o.Account]
			x.advance(a, b, o, at)
			x.settle(a, at)
		}
	}
	b.sweep()
	return nil
}

// sweep forgets orders that wait no more.
func (b *book) sweep() {
	b.open = slices.DeleteFunc(b.open, func(o *Order) bool { return !o.Open() })
}

func (x *Exchange) advance(a *account, b *book, o *Order, at int64) {
	if !o.Working {
		if triggers(o, b.last) {
			o.Working, o.WorkingAt = true, at
			x.take(a, b, o, decimal.Zero, at)
		}
		return
	}
	// A buy rests below the ask and fills when the last price comes down to it; a sell the other way round.
	if !crosses(o, b.last) {
		return
	}
	q := o.Remaining()
	if b.TickVolume.IsPositive() {
		q = decimal.Min(q, b.TickVolume)
	}
	b.tradeID++
	x.fill(a, b, o, fillParams{price: o.Price, quantity: q, trade: b.tradeID, at: at, maker: true})
}
