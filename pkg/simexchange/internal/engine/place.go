package engine

import (
	"slices"

	"github.com/shopspring/decimal"
)

// Placed is an accepted order and what it filled at once.
type Placed struct {
	Order  Order
	Trades []Trade
}

// Place takes an order, matches what can be matched, and lets the rest wait.
func (x *Exchange) Place(name string, r Request, at int64) (Placed, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, lacks, err := x.admit(name, &r, at)
	if err != nil {
		return Placed{}, err
	}
	return x.accept(a, b, r, lacks, at), nil
}

// accept takes an order that was admitted, with a loan of what it lacks.
func (x *Exchange) accept(a *account, b *book, r Request, lacks decimal.Decimal, at int64) Placed {
	if lacks.IsPositive() {
		asset, _ := b.need(a, &r)
		x.lend(a, LendingAuto, asset, lacks, at)
	}
	b.orderID++
	o := &Order{
		Account: a.Name, Symbol: r.Symbol, Side: r.Side, Type: r.Type, TimeInForce: r.TimeInForce, ClientOrderID: r.ClientOrderID,
		STP: r.STP, Status: StatusNew, ID: b.orderID, Quantity: r.Quantity, QuoteQuantity: r.QuoteQuantity, Price: r.Price,
		StopPrice: r.StopPrice, SideEffect: r.SideEffect, Borrowed: lacks, CreatedAt: at,
	}
	if !o.conditional() {
		o.Working, o.WorkingAt = true, at
	}
	b.lockFor(a, o)
	a.orders[o.Symbol] = append(a.orders[o.Symbol], o)
	a.byClient[clientKey{o.Symbol, o.ClientOrderID}] = o
	o.remember(at)
	x.report(a, o, Report{Kind: ReportNew}, at)
	before := len(a.trades[o.Symbol])
	if o.Working {
		x.take(a, b, o, r.Script.FillMax, at)
	}
	if o.Open() && r.Script.End != "" {
		x.end(a, b, o, r.Script.End, "", at)
	}
	if o.Open() {
		b.open = append(b.open, o)
	}
	x.settle(a, at)
	placed := Placed{Order: *o}
	for _, t := range a.trades[o.Symbol][before:] {
		if t.OrderID == o.ID {
			placed.Trades = append(placed.Trades, t)
		}
	}
	return placed
}

// Test says whether an order would be taken.
func (x *Exchange) Test(name string, r Request, at int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, _, _, err := x.admit(name, &r, at)
	return err
}

// admit checks a request in the order in which Binance does and fills in what it leaves open. It says what the order's side effect has to
// borrow.
func (x *Exchange) admit(name string, r *Request, at int64) (*account, *book, decimal.Decimal, error) {
	a, b, err := x.known(name, r)
	if err != nil {
		return nil, nil, decimal.Zero, err
	}
	if a.margin != nil {
		a.accrue(at)
	}
	for _, check := range []func(*account, *Request) error{admitSideEffect, b.admitRules, b.admitNumber, b.admitPrice} {
		if err := check(a, r); err != nil {
			return nil, nil, decimal.Zero, err
		}
	}
	lacks := decimal.Zero
	if asset, need := b.need(a, r); !a.has(asset, need) {
		lacks, err = b.shortage(a, r, asset, need)
	}
	return a, b, lacks, err
}

// known finds who asks and for what, and fills in what the request leaves open.
func (x *Exchange) known(name string, r *Request) (*account, *book, error) {
	a, b := x.accounts[name], x.symbols[r.Symbol]
	switch {
	case a == nil:
		return nil, nil, ErrAccountUnknown
	case b == nil:
		return nil, nil, ErrSymbol
	case r.Side != Buy && r.Side != Sell:
		return nil, nil, ErrSide
	case !slices.Contains([]string{Limit, Market, LimitMaker, StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit}, r.Type):
		return nil, nil, ErrType
	case !b.last.IsPositive():
		return nil, nil, ErrNoPrice
	}
	if r.TimeInForce == "" {
		r.TimeInForce = GTC
	}
	if !slices.Contains([]string{GTC, IOC, FOK}, r.TimeInForce) {
		return nil, nil, ErrTimeInForce
	}
	if r.STP == "" {
		r.STP = STPExpireMaker
	}
	return a, b, nil
}

func (b *book) admitRules(a *account, r *Request) error {
	if fail := b.check(r, b.last); fail != nil {
		return fail
	}
	if old := a.byClient[clientKey{r.Symbol, r.ClientOrderID}]; old != nil && old.Open() {
		return ErrDuplicate
	}
	return nil
}

func (b *book) admitNumber(a *account, r *Request) error {
	orders, algos := a.openOn(b.Name)
	if b.OrdersMax > 0 && orders >= b.OrdersMax {
		return filterFailure("MAX_NUM_ORDERS")
	}
	if b.AlgoOrdersMax > 0 && algos >= b.AlgoOrdersMax && (&Order{Type: r.Type}).conditional() {
		return filterFailure("MAX_NUM_ALGO_ORDERS")
	}
	return nil
}

// admitPrice refuses a stop that would trigger at once and a maker that would take.
func (b *book) admitPrice(_ *account, r *Request) error {
	probe := Order{Side: r.Side, Type: r.Type, Price: r.Price, StopPrice: r.StopPrice}
	if probe.conditional() && triggers(&probe, b.last) {
		return ErrTrigger
	}
	if r.Type == LimitMaker && crosses(&probe, b.best(r.Side)) {
		return ErrWouldTake
	}
	return nil
}

// need is what an order must have free to be taken.
func (b *book) need(a *account, r *Request) (string, decimal.Decimal) {
	if r.Side == Sell && !r.QuoteQuantity.IsZero() {
		return b.Base, r.QuoteQuantity.DivRound(b.best(Sell), 16)
	}
	if r.Side == Sell {
		return b.Base, r.Quantity
	}
	if !r.QuoteQuantity.IsZero() {
		return b.Quote, r.QuoteQuantity
	}
	probe := Order{Type: r.Type}
	switch {
	case probe.limited():
		return b.Quote, r.Price.Mul(r.Quantity)
	case probe.conditional():
		return b.Quote, r.StopPrice.Mul(r.Quantity)
	}
	cost, left := decimal.Zero, r.Quantity
	for _, l := range b.offers(a, Buy) {
		q := decimal.Min(left, l.quantity)
		cost, left = cost.Add(q.Mul(l.price)), left.Sub(q)
	}
	return b.Quote, cost
}

// lockFor locks what an order may spend. Market orders fill at once and lock nothing.
func (b *book) lockFor(a *account, o *Order) {
	if o.Type == Market {
		return
	}
	o.locked = true
	if !o.buys() {
		a.lock(b.Base, o.Quantity)
		return
	}
	o.lockPrice = o.Price
	if !o.limited() {
		o.lockPrice = o.StopPrice
	}
	a.lock(b.Quote, o.lockPrice.Mul(o.Quantity))
}

// unlock gives back what an order that ended had locked, and repays what it had borrowed for what did not fill.
func (x *Exchange) unlock(a *account, b *book, o *Order, at int64) {
	asset, released := b.Base, o.Remaining()
	if o.buys() {
		price := o.lockPrice
		if !o.locked {
			price = b.best(Buy)
		}
		asset, released = b.Quote, price.Mul(o.Remaining())
	}
	if o.locked {
		o.locked = false
		a.lock(asset, released.Neg())
	}
	x.giveBack(a, b, o, released, at)
}
