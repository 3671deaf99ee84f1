package engine

import (
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// Ref names an order of an account: by its id, or by its client id if that is zero.
type Ref struct {
	Symbol, ClientOrderID string
	ID                    int64
}

func (x *Exchange) find(name string, ref Ref) (*account, *book, *Order, error) {
	a, b := x.accounts[name], x.symbols[ref.Symbol]
	switch {
	case a == nil:
		return nil, nil, nil, ErrAccountUnknown
	case b == nil:
		return nil, nil, nil, ErrSymbol
	case ref.ID == 0:
		return a, b, a.byClient[clientKey{ref.Symbol, ref.ClientOrderID}], nil
	}
	n, found := slices.BinarySearchFunc(a.orders[ref.Symbol], ref.ID, func(o *Order, id int64) int { return int(o.ID - id) })
	if !found {
		return a, b, nil, nil
	}
	return a, b, a.orders[ref.Symbol][n], nil
}

// Cancel ends an open order. cancelID is the client id of the request.
func (x *Exchange) Cancel(name string, ref Ref, cancelID string, at int64) (Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, o, err := x.find(name, ref)
	if err != nil {
		return Order{}, err
	}
	if o == nil || !o.Open() {
		return Order{}, ErrUnknownCancel
	}
	x.cancel(a, b, o, cancelID, at)
	return *o, nil
}

func (x *Exchange) cancel(a *account, b *book, o *Order, cancelID string, at int64) {
	o.Status = StatusCanceled
	x.unlock(a, b, o, at)
	o.remember(at)
	x.report(a, o, Report{Kind: ReportCanceled, CancelID: cancelID}, at)
	b.sweep()
	x.settle(a, at)
}

// CancelAll ends the account's open orders on a symbol.
func (x *Exchange) CancelAll(name, symbol string, at int64) ([]Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b := x.accounts[name], x.symbols[symbol]
	if a == nil || b == nil {
		return nil, ErrSymbol
	}
	var out []Order
	for _, o := range a.orders[symbol] {
		if o.Open() {
			x.cancel(a, b, o, "", at)
			out = append(out, *o)
		}
	}
	if len(out) == 0 {
		return nil, ErrUnknownCancel
	}
	return out, nil
}

// End ends an open order as the exchange itself does: CANCELED, EXPIRED or EXPIRED_IN_MATCH.
func (x *Exchange) End(name string, ref Ref, status string, at int64) (Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, o, err := x.find(name, ref)
	if err != nil {
		return Order{}, err
	}
	if o == nil || !o.Open() {
		return Order{}, ErrUnknownCancel
	}
	if status == StatusInMatch {
		o.Prevented = o.Remaining()
	}
	x.end(a, b, o, status, "", at)
	b.sweep()
	x.settle(a, at)
	return *o, nil
}

// Fill fills an open order at its limit price, as if the market had come to it: at most quantity, all that remains if zero.
func (x *Exchange) Fill(name string, ref Ref, quantity decimal.Decimal, at int64) (Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, o, err := x.find(name, ref)
	if err != nil {
		return Order{}, err
	}
	if o == nil || !o.Open() || !o.Working || !o.limited() {
		return Order{}, ErrUnknownOrder
	}
	q := o.Remaining()
	if quantity.IsPositive() {
		q = decimal.Min(q, quantity)
	}
	b.tradeID++
	x.fill(a, b, o, fillParams{price: o.Price, quantity: q, trade: b.tradeID, at: at, maker: true})
	b.sweep()
	x.settle(a, at)
	return *o, nil
}

// Order is an order as it stood lag changes ago.
func (x *Exchange) Order(name string, ref Ref, lag int) (Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, _, o, err := x.find(name, ref)
	if err != nil {
		return Order{}, err
	}
	if o == nil {
		return Order{}, ErrUnknownOrder
	}
	view, ok := o.asOf(lag)
	if !ok {
		return Order{}, ErrUnknownOrder
	}
	return view, nil
}

// Orders are the account's orders, oldest first, as they stood lag changes ago; of all symbols if symbol is empty.
func (x *Exchange) Orders(name, symbol string, lag int) ([]Order, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[name]
	if a == nil {
		return nil, ErrAccountUnknown
	}
	names, err := named(x, a.orders, symbol)
	if err != nil {
		return nil, err
	}
	var out []Order
	for _, n := range names {
		for _, o := range a.orders[n] {
			if view, ok := o.asOf(lag); ok {
				out = append(out, view)
			}
		}
	}
	return out, nil
}

// named is the symbol, or, if it is empty, every symbol of which there is something.
func named[T any](x *Exchange, bySymbol map[string]T, symbol string) ([]string, error) {
	if symbol == "" {
		return slices.Sorted(maps.Keys(bySymbol)), nil
	}
	if x.symbols[symbol] == nil {
		return nil, ErrSymbol
	}
	return []string{symbol}, nil
}

// Trades are the account's trades on a symbol, oldest first, without the last lag ones; of all symbols if it is empty.
func (x *Exchange) Trades(name, symbol string, lag int) ([]Trade, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[name]
	if a == nil {
		return nil, ErrAccountUnknown
	}
	names, err := named(x, a.trades, symbol)
	if err != nil {
		return nil, err
	}
	var out []Trade
	for _, n := range names {
		all := a.trades[n]
		out = append(out, all[:max(0, len(all)-lag)]...)
	}
	return out, nil
}

// Sheet is an account's fees and balances.
type Sheet struct {
	Account   Account
	Balances  map[string]Balance
	UpdatedAt int64
}

// Sheet is what an account has.
func (x *Exchange) Sheet(name string) (Sheet, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[name]
	if a == nil {
		return Sheet{}, ErrAccountUnknown
	}
	out := Sheet{Account: a.Account, Balances: make(map[string]Balance, len(a.balances)), UpdatedAt: a.updatedAt}
	for asset, b := range a.balances {
		out.Balances[asset] = *b
	}
	return out, nil
}

// Count is how many orders an account ever had.
func (x *Exchange) Count(name string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	if a := x.accounts[name]; a != nil {
		for _, orders := range a.orders {
			n += len(orders)
		}
	}
	return n
}
