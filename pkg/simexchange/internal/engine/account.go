package engine

import (
	"github.com/shopspring/decimal"
)

// How an account pays fees.
const (
	// FeeReceived takes the fee from what was received: base on a buy, quote on a sell.
	FeeReceived = "received"
	// FeeBNB takes it in BNB at three quarters of the rate, as long as there is BNB enough; else as FeeReceived.
	FeeBNB = "bnb"
)

// Account founds an account.
type Account struct {
	Name         string
	Balances     map[string]decimal.Decimal
	Maker, Taker decimal.Decimal // rates
	FeeMode      string
}

type account struct {
	Account
	balances  map[string]*Balance
	byClient  map[clientKey]*Order // the latest of each client id
	orders    map[string][]*Order  // by symbol, oldest first
	trades    map[string][]Trade
	taken     map[takenKey]taken
	execution int64
	updatedAt int64
	touched   map[string]struct{}
	margin    *margin // of an isolated margin account
	moves     []Move
}

type clientKey struct{ symbol, id string }

// takenKey is one side of one symbol's ladder.
type takenKey struct{ symbol, side string }

// taken is what an account took of its ladder since the tick, from the best level on.
type taken struct {
	tick     int64
	quantity decimal.Decimal
}

func newAccount(a Account) *account {
	out := &account{
		Account: a, balances: map[string]*Balance{}, byClient: map[clientKey]*Order{}, orders: map[string][]*Order{},
		trades: map[string][]Trade{}, taken: map[takenKey]taken{}, touched: map[string]struct{}{},
	}
	for asset, amount := range a.Balances {
		out.balances[asset] = &Balance{Free: amount}
	}
	return out
}

func (a *account) balance(asset string) *Balance {
	b := a.balances[asset]
	if b == nil {
		b = &Balance{}
		a.balances[asset] = b
	}
	return b
}

// pay changes what is free. The caller has checked that it suffices.
func (a *account) pay(asset string, delta decimal.Decimal) {
	b := a.balance(asset)
	b.Free = b.Free.Add(delta)
	a.touched[asset] = struct{}{}
}

// lock moves free money into the lock, or back if negative.
func (a *account) lock(asset string, amount decimal.Decimal) {
	b := a.balance(asset)
	b.Free, b.Locked = b.Free.Sub(amount), b.Locked.Add(amount)
	a.touched[asset] = struct{}{}
}

func (a *account) has(asset string, amount decimal.Decimal) bool {
	b := a.balances[asset]
	return b != nil && b.Free.GreaterThanOrEqual(amount) || !amount.IsPositive()
}

func (a *account) openOn(symbol string) (orders, algos int) {
	for _, o := range a.orders[symbol] {
		if o.Open() {
			orders++
			if o.conditional() && !o.Working {
				algos++
			}
		}
	}
	return orders, algos
}
