package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// What an order does to the loans of its isolated margin account.
const (
	NoSideEffect = "NO_SIDE_EFFECT"
	MarginBuy    = "MARGIN_BUY"
	AutoRepay    = "AUTO_REPAY"
)

// Kinds of lendings, and why they were made: by an order's side effect or by a request of their own.
const (
	LendingBorrow = "BORROW"
	LendingRepay  = "REPAY"
	LendingAuto   = "AUTO"
	LendingManual = "MANUAL"
)

const hour = 3_600_000

var (
	// leverage is how many times its own money an isolated margin account may hold.
	leverage = decimal.NewFromInt(10)
	// hourlyInterest is the rate of every hour that begins with a debt.
	hourlyInterest = decimal.New(1, -6)
	// levelOut is what the margin level must be after money was taken out.
	levelOut = decimal.NewFromInt(2)
	// levelEnd is the margin level at which an account would be sold up.
	levelEnd = decimal.New(11, -1)
	// NoDebtLevel is the margin level of an account that owes nothing.
	NoDebtLevel = decimal.NewFromInt(999)
)

// MarginName is the name of an account's isolated margin account of a pair: it has orders, trades and balances of its own.
func MarginName(owner, symbol string) string { return owner + marginMark + symbol }

const marginMark = "@"

// margin is what an isolated margin account has besides an account.
type margin struct {
	symbol    string
	loans     map[string]*Loan
	accruedAt int64
	lendings  []Lending
}

// Loan is what is owed of an asset.
type Loan struct{ Borrowed, Interest decimal.Decimal }

// Lending is a loan taken or given back.
type Lending struct {
	ID                          int64
	Kind, Type, Asset           string
	Amount, Principal, Interest decimal.Decimal
	At                          int64
}

// Move is money that went between an account and its isolated margin account.
type Move struct {
	ID            int64
	Symbol, Asset string
	Amount        decimal.Decimal
	Out           bool // of the isolated margin account
	At            int64
}

// MarginSheet is an isolated margin account, valued in quote at the last price.
type MarginSheet struct {
	Symbol, Base, Quote string
	Balances            map[string]Balance
	Loans               map[string]Loan
	// Level is assets / debts, Liquidation the price at which it would be such that the account is sold up; zero if there is none.
	Level, Price, Assets, Debts, Liquidation decimal.Decimal
}

// EnableMargin founds an account's isolated margin account of a pair. One that is there already is left as it is.
func (x *Exchange) EnableMargin(owner, symbol string, at int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b := x.accounts[owner], x.symbols[symbol]
	switch {
	case a == nil:
		return ErrAccountUnknown
	case b == nil:
		return ErrSymbol
	case !b.Margin:
		return ErrPairMargin
	case x.accounts[MarginName(owner, symbol)] != nil:
		return nil
	}
	pair := newAccount(Account{Name: MarginName(owner, symbol), Maker: a.Maker, Taker: a.Taker, FeeMode: FeeReceived})
	pair.margin = &margin{symbol: symbol, loans: map[string]*Loan{b.Base: {}, b.Quote: {}}, accruedAt: at}
	x.accounts[pair.Name] = pair
	return nil
}

// pair finds an isolated margin account, with the interest that is due.
func (x *Exchange) pair(owner, symbol string, at int64) (*account, *book, error) {
	a, b := x.accounts[MarginName(owner, symbol)], x.symbols[symbol]
	switch {
	case b == nil:
		return nil, nil, ErrSymbol
	case a == nil:
		return nil, nil, ErrNoMargin
	}
	a.accrue(at)
	return a, b, nil
}

// accrue charges interest for each hour that has begun since it was last charged.
func (a *account) accrue(at int64) {
	hours := (at - a.margin.accruedAt) / hour
	if hours < 1 {
		return
	}
	a.margin.accruedAt += hours * hour
	for _, loan := range a.margin.loans {
		loan.Interest = loan.Interest.Add(loan.Borrowed.Mul(hourlyInterest).Mul(decimal.NewFromInt(hours)).Truncate(feePlaces))
	}
}

// worth is what the account holds and owes, in quote.
func (b *book) worth(a *account) (assets, debts decimal.Decimal) {
	for asset, price := range map[string]decimal.Decimal{b.Base: b.last, b.Quote: decimal.NewFromInt(1)} {
		held, loan := a.balance(asset), a.margin.loans[asset]
		assets = assets.Add(held.Free.Add(held.Locked).Mul(price))
		debts = debts.Add(loan.Borrowed.Add(loan.Interest).Mul(price))
	}
	return assets, debts
}

func level(assets, debts decimal.Decimal) decimal.Decimal {
	if !debts.IsPositive() {
		return NoDebtLevel
	}
	return assets.DivRound(debts, 16).Truncate(feePlaces)
}

// mayBorrow says whether the leverage admits a loan.
func (b *book) mayBorrow(a *account, asset string, amount decimal.Decimal) bool {
	assets, debts := b.worth(a)
	if asset == b.Base {
		amount = amount.Mul(b.last)
	}
	own := assets.Sub(debts)
	return debts.Add(amount).LessThanOrEqual(own.Mul(leverage.Sub(decimal.NewFromInt(1))))
}

// lend gives a loan; its first hour has begun.
func (x *Exchange) lend(a *account, kind, asset string, amount decimal.Decimal, at int64) Lending {
	loan := a.margin.loans[asset]
	loan.Borrowed, loan.Interest = loan.Borrowed.Add(amount), loan.Interest.Add(amount.Mul(hourlyInterest).Truncate(feePlaces))
	a.pay(asset, amount)
	x.house[asset] = x.house[asset].Sub(amount)
	return x.note(a, Lending{Kind: LendingBorrow, Type: kind, Asset: asset, Amount: amount, Principal: amount, At: at})
}

// takeBack takes as much of a debt back as an amount covers and the account has free, interest first; zero if that is nothing.
func (x *Exchange) takeBack(a *account, kind, asset string, amount decimal.Decimal, at int64) Lending {
	loan := a.margin.loans[asset]
	amount = decimal.Min(amount, a.balance(asset).Free)
	interest := decimal.Min(loan.Interest, amount)
	principal := decimal.Min(loan.Borrowed, amount.Sub(interest))
	amount = interest.Add(principal)
	if !amount.IsPositive() {
		return Lending{}
	}
	loan.Borrowed, loan.Interest = loan.Borrowed.Sub(principal), loan.Interest.Sub(interest)
	a.pay(asset, amount.Neg())
	x.house[asset] = x.house[asset].Add(amount)
	return x.note(a, Lending{Kind: LendingRepay, Type: kind, Asset: asset, Amount: amount, Principal: principal, Interest: interest, At: at})
}

func (x *Exchange) note(a *account, l Lending) Lending {
	x.tranID++
	l.ID = x.tranID
	a.margin.lendings = append(a.margin.lendings, l)
	return l
}

// Borrow takes a loan.
func (x *Exchange) Borrow(owner, symbol, asset string, amount decimal.Decimal, at int64) (Lending, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, err := x.pair(owner, symbol, at)
	switch {
	case err != nil:
		return Lending{}, err
	case a.margin.loans[asset] == nil:
		return Lending{}, ErrAsset
	case !amount.IsPositive():
		return Lending{}, ErrQuantity
	case !b.mayBorrow(a, asset, amount):
		return Lending{}, ErrBorrowMax
	}
	lending := x.lend(a, LendingManual, asset, amount, at)
	x.settle(a, at)
	return lending, nil
}

// Repay gives a loan back.
func (x *Exchange) Repay(owner, symbol, asset string, amount decimal.Decimal, at int64) (Lending, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, _, err := x.pair(owner, symbol, at)
	switch {
	case err != nil:
		return Lending{}, err
	case a.margin.loans[asset] == nil:
		return Lending{}, ErrAsset
	case !amount.IsPositive():
		return Lending{}, ErrQuantity
	case !a.has(asset, amount):
		return Lending{}, ErrBalance
	}
	lending := x.takeBack(a, LendingManual, asset, amount, at)
	if lending.ID == 0 {
		return Lending{}, ErrRepayMax
	}
	x.settle(a, at)
	return lending, nil
}

// Transfer moves money between an account and its isolated margin account.
func (x *Exchange) Transfer(owner, symbol, asset string, amount decimal.Decimal, out bool, at int64) (Move, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	pair, b, err := x.pair(owner, symbol, at)
	if err != nil {
		return Move{}, err
	}
	spot := x.accounts[owner]
	from, to := spot, pair
	if out {
		from, to = pair, spot
	}
	switch {
	case pair.margin.loans[asset] == nil:
		return Move{}, ErrAsset
	case !amount.IsPositive():
		return Move{}, ErrQuantity
	case !from.has(asset, amount):
		return Move{}, ErrBalance
	}
	from.pay(asset, amount.Neg())
	to.pay(asset, amount)
	if assets, debts := b.worth(pair); out && level(assets, debts).LessThan(levelOut) {
		from.pay(asset, amount)
		to.pay(asset, amount.Neg())
		return Move{}, ErrTransferOut
	}
	x.tranID++
	move := Move{ID: x.tranID, Symbol: symbol, Asset: asset, Amount: amount, Out: out, At: at}
	spot.moves = append(spot.moves, move)
	for _, side := range []struct {
		of    *account
		delta decimal.Decimal
	}{{from, amount.Neg()}, {to, amount}} {
		x.emit(Event{Account: side.of.Name, At: at, Balance: &BalanceChange{asset, side.delta}})
		x.settle(side.of, at)
	}
	return move, nil
}

// Margin is an isolated margin account.
func (x *Exchange) Margin(owner, symbol string, at int64) (MarginSheet, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, err := x.pair(owner, symbol, at)
	if err != nil {
		return MarginSheet{}, err
	}
	out := MarginSheet{Symbol: symbol, Base: b.Base, Quote: b.Quote, Price: b.last, Balances: map[string]Balance{}, Loans: map[string]Loan{}}
	for asset, loan := range a.margin.loans {
		out.Balances[asset], out.Loans[asset] = *a.balance(asset), *loan
	}
	out.Assets, out.Debts = b.worth(a)
	out.Level = level(out.Assets, out.Debts)
	held, owed := out.Balances, out.Loans
	base := held[b.Base].Free.Add(held[b.Base].Locked).Sub(levelEnd.Mul(owed[b.Base].Borrowed.Add(owed[b.Base].Interest)))
	quote := levelEnd.Mul(owed[b.Quote].Borrowed.Add(owed[b.Quote].Interest)).Sub(held[b.Quote].Free.Add(held[b.Quote].Locked))
	if !base.IsZero() {
		out.Liquidation = decimal.Max(quote.DivRound(base, feePlaces), decimal.Zero)
	}
	return out, nil
}

// Liquidate sells an account up: its orders end, what it owes is bought or its base sold at the market, and what there is then is repaid.
func (x *Exchange) Liquidate(owner, symbol string, at int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, b, err := x.pair(owner, symbol, at)
	if err != nil {
		return err
	}
	for _, o := range a.orders[symbol] {
		if o.Open() {
			x.end(a, b, o, StatusCanceled, "", at)
		}
	}
	b.sweep()
	owed, held := a.margin.loans[b.Base], a.balance(b.Base).Free
	lacks := owed.Borrowed.Add(owed.Interest).Sub(held)
	r := Request{Symbol: symbol, Side: Sell, Type: Market, TimeInForce: GTC, STP: STPExpireMaker, SideEffect: AutoRepay, ClientOrderID: fmt.Sprintf("autoclose-%d", b.orderID+1)}
	r.Quantity = floor(lacks.Neg(), b.Step)
	if lacks.IsPositive() {
		r.Side, r.Quantity = Buy, floor(lacks, b.Step).Add(b.Step)
	}
	if r.Quantity.IsPositive() {
		x.accept(a, b, r, decimal.Zero, at)
	}
	for asset := range a.margin.loans {
		x.takeBack(a, LendingAuto, asset, a.balance(asset).Free, at)
	}
	x.settle(a, at)
	return nil
}

// Margins are the pairs of which an account has an isolated margin account.
func (x *Exchange) Margins(owner string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var symbols []string
	for _, symbol := range slices.Sorted(maps.Keys(x.symbols)) {
		if x.accounts[MarginName(owner, symbol)] != nil {
			symbols = append(symbols, symbol)
		}
	}
	return symbols
}

// Lendings are the loans that an isolated margin account took or gave back, oldest first.
func (x *Exchange) Lendings(owner, symbol string, at int64) ([]Lending, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, _, err := x.pair(owner, symbol, at)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.margin.lendings), nil
}

// Moves are the transfers of an account, oldest first.
func (x *Exchange) Moves(owner string) ([]Move, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[owner]
	if a == nil {
		return nil, ErrAccountUnknown
	}
	return slices.Clone(a.moves), nil
}

// shortage is what an order lacks that its side effect may borrow; ErrBorrowMax if that is more than the account may.
func (b *book) shortage(a *account, r *Request, asset string, need decimal.Decimal) (decimal.Decimal, error) {
	if r.SideEffect != MarginBuy {
		return decimal.Zero, ErrBalance
	}
	lacks := need.Sub(a.balance(asset).Free)
	if !b.mayBorrow(a, asset, lacks) {
		return decimal.Zero, ErrBorrowMax
	}
	return lacks, nil
}

// admitSideEffect refuses what only an isolated margin account may ask for.
func admitSideEffect(a *account, r *Request) error {
	switch r.SideEffect {
	case "", NoSideEffect:
		return nil
	case MarginBuy, AutoRepay:
		if a.margin != nil {
			return nil
		}
		return ErrNoMargin
	default:
		return ErrSideEffect
	}
}

// giveBack repays what an order that ended had borrowed and did not use, of what it released (autoRepayAtCancel).
func (x *Exchange) giveBack(a *account, b *book, o *Order, released decimal.Decimal, at int64) {
	unused := decimal.Min(released, o.Borrowed)
	if !unused.IsPositive() {
		return
	}
	asset := b.Base
	if o.buys() {
		asset = b.Quote
	}
	o.Borrowed = o.Borrowed.Sub(unused)
	x.takeBack(a, LendingAuto, asset, unused, at)
}

// repayFrom repays from what a trade of an order that does so brought in.
func (x *Exchange) repayFrom(a *account, b *book, o *Order, t Trade) {
	if o.SideEffect != AutoRepay || a.margin == nil {
		return
	}
	asset, brought := b.Quote, t.Quote
	if o.buys() {
		asset, brought = b.Base, t.Quantity
	}
	if t.FeeAsset == asset {
		brought = brought.Sub(t.Fee)
	}
	x.takeBack(a, LendingAuto, asset, brought, t.At)
}
