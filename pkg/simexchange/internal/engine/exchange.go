package engine

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
)

// Config founds an exchange.
type Config struct {
	Symbols  []Symbol
	Accounts []Account
	// FirstID is the first order and trade id of every symbol, 1 if zero. Numbers above 2^53 catch clients that read ids as floats.
	FirstID int64
}

// Exchange is safe for concurrent use.
type Exchange struct {
	emit func(Event)

	mu       sync.Mutex
	symbols  map[string]*book
	accounts map[string]*account
	fees     map[string]decimal.Decimal
	house    map[string]decimal.Decimal
	inflow   map[string]decimal.Decimal
	firstID  int64
	tranID   int64
}

// book is a symbol's market and the orders that wait in it.
type book struct {
	Symbol
	last    decimal.Decimal
	tick    int64
	tickAt  int64
	orderID int64
	tradeID int64
	open    []*Order // in the order of their ids
}

// New founds an exchange. emit is called for each event, in order, while the exchange is held: it must neither wait nor call back.
func New(cfg Config, emit func(Event)) (*Exchange, error) {
	x := &Exchange{
		emit: emit, symbols: map[string]*book{}, accounts: map[string]*account{},
		fees: map[string]decimal.Decimal{}, house: map[string]decimal.Decimal{}, inflow: map[string]decimal.Decimal{},
		firstID: max(cfg.FirstID, 1),
	}
	for _, s := range cfg.Symbols {
		if err := s.Validate(); err != nil {
			return nil, err
		}
		if x.symbols[s.Name] != nil {
			return nil, fmt.Errorf("symbol %s is given twice", s.Name)
		}
		if s.Status == "" {
			s.Status = "TRADING"
		}
		x.symbols[s.Name] = &book{Symbol: s, orderID: x.firstID - 1, tradeID: x.firstID - 1}
	}
	for _, a := range cfg.Accounts {
		if err := x.Open(a); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Open founds an account.
func (x *Exchange) Open(a Account) error {
	if strings.Contains(a.Name, marginMark) {
		return fmt.Errorf("account %s: the name must have no %s, which names isolated margin accounts", a.Name, marginMark)
	}
	if a.FeeMode == "" {
		a.FeeMode = FeeReceived
	}
	if a.FeeMode != FeeReceived && a.FeeMode != FeeBNB {
		return fmt.Errorf("account %s: fee mode %q, must be %s or %s", a.Name, a.FeeMode, FeeReceived, FeeBNB)
	}
	if outside(a.Maker, decimal.Zero, decimal.NewFromInt(1)) || outside(a.Taker, decimal.Zero, decimal.NewFromInt(1)) {
		return fmt.Errorf("account %s: fee rates must lie within 0 and 1", a.Name)
	}
	for asset, amount := range a.Balances {
		if amount.IsNegative() {
			return fmt.Errorf("account %s: %s %s is below zero", a.Name, amount, asset)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.accounts[a.Name] != nil {
		return fmt.Errorf("account %s exists", a.Name)
	}
	x.accounts[a.Name] = newAccount(a)
	for asset, amount := range a.Balances {
		x.inflow[asset] = x.inflow[asset].Add(amount)
	}
	return nil
}

// Names lists the symbols by name.
func (x *Exchange) Names() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := make([]string, 0, len(x.symbols))
	for name := range x.symbols {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Standing is a symbol and where its price stands.
type Standing struct {
	Symbol
	Last, Bid, Ask decimal.Decimal
	Seq            int64 // how many prices there were
	At             int64 // when the last of them was made
}

// Look is a symbol's market.
func (x *Exchange) Look(symbol string) (Standing, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.symbols[symbol]
	if b == nil {
		return Standing{}, ErrSymbol
	}
	return Standing{Symbol: b.Symbol, Last: b.last, Bid: b.last, Ask: b.ask(), Seq: b.tick, At: b.tickAt}, nil
}

// Change alters a symbol's filters, status or depth while it trades.
func (x *Exchange) Change(symbol string, alter func(*Symbol)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.symbols[symbol]
	if b == nil {
		return ErrSymbol
	}
	next := b.Symbol
	alter(&next)
	if err := next.Validate(); err != nil || next.Name != symbol {
		return fmt.Errorf("change symbol %s: %w", symbol, err)
	}
	b.Symbol = next
	return nil
}

// Sums is what all accounts, the house and the fees hold of an asset, and what was ever deposited: both must be equal.
func (x *Exchange) Sums(asset string) (held, deposited decimal.Decimal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	held = x.fees[asset].Add(x.house[asset])
	for _, a := range x.accounts {
		if b := a.balances[asset]; b != nil {
			held = held.Add(b.Free).Add(b.Locked)
		}
	}
	return held, x.inflow[asset]
}

// Deposit puts money into an account, or takes it out if negative, and tells the user stream.
func (x *Exchange) Deposit(name, asset string, amount decimal.Decimal, at int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.accounts[name]
	if a == nil {
		return ErrAccountUnknown
	}
	if amount.IsNegative() && !a.has(asset, amount.Neg()) {
		return ErrBalance
	}
	a.pay(asset, amount)
	x.inflow[asset] = x.inflow[asset].Add(amount)
	x.emit(Event{Account: name, At: at, Balance: &BalanceChange{asset, amount}})
	x.settle(a, at)
	return nil
}

// settle tells what of an account's balances changed since it was last told.
func (x *Exchange) settle(a *account, at int64) {
	if len(a.touched) == 0 {
		return
	}
	a.updatedAt = at
	position := Position{Balances: make(map[string]Balance, len(a.touched))}
	for asset := range a.touched {
		position.Balances[asset] = *a.balance(asset)
	}
	clear(a.touched)
	x.emit(Event{Account: a.Name, At: at, Position: &position})
}

func (x *Exchange) report(a *account, o *Order, r Report, at int64) {
	a.execution++
	r.ExecutionID, r.Order = a.execution, *o
	r.Order.history = nil
	x.emit(Event{Account: a.Name, At: at, Report: &r})
}
