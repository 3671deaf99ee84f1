package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Configure sets an account's fees, leverage and interest; it makes the account if the venue has not heard of it.
func (e *Engine) Configure(config AccountConfig) error {
	return e.update(func(c *change) error {
		if err := c.s.checkAccount(config); err != nil {
			return fmt.Errorf("%w: %w", ErrAccount, err)
		}
		held, ok := c.s.Accounts[config.Key]
		if ok && (held.Config.Product != config.Product || held.Config.MarginSymbol != config.MarginSymbol) {
			return fmt.Errorf("%w: %s trades %s %s, which cannot be changed", ErrAccount, config.Key, held.Config.Product, held.Config.MarginSymbol)
		}
		c.emit(effect{Account: &config})
		return nil
	})
}

// Config gives an account's settings: the defaults for one the venue has not heard of.
func (e *Engine) Config(ref venue.AccountRef) (AccountConfig, error) {
	var out AccountConfig
	err := e.view(func(s *state) error {
		account, err := s.find("config", ref)
		if err == nil {
			out = account.Config
		}
		return err
	})
	return out, err
}

// balanceMax bounds what a wallet holds of an asset, so that everything made of it (sums, values) can be written down.
var balanceMax = decimal.New(1, 15)

// Deposit puts money into a wallet. The same id again does nothing.
func (e *Engine) Deposit(ref venue.AccountRef, id, wallet, asset string, amount decimal.Decimal) (venue.Balance, error) {
	var out venue.Balance
	err := e.update(func(c *change) error {
		account, err := c.account("deposit", ref)
		if err != nil {
			return err
		}
		if wallet != "spot" && wallet != account.Config.wallet() {
			return fmt.Errorf("%w: %s has no wallet %s", ErrAccount, ref.Key, wallet)
		}
		if !amount.IsPositive() || !amount.Equal(amount.Truncate(feePlaces)) {
			return fmt.Errorf("%w: amount %s: must be above zero with at most %d decimals", ErrAmount, amount, feePlaces)
		}
		if !slices.Contains(account.Deposits, id) {
			held := account.balance(wallet, asset)
			if held.Free.Add(held.Locked).Add(amount).GreaterThan(balanceMax) {
				return fmt.Errorf("%w: amount %s: a wallet holds at most %s of an asset, this one has %s", ErrAmount, amount, balanceMax, held.Free.Add(held.Locked))
			}
			c.deposit(account, id, move{asset: asset, free: amount}, wallet)
		}
		out = account.balance(wallet, asset)
		return nil
	})
	return out, err
}

// deposit moves the money in. What tells two movements of one amount apart is when they cleared, in milliseconds, so no
// two of an account clear at the same time.
func (c *change) deposit(account *accountState, id string, m move, wallet string) {
	cleared := c.at
	if !cleared.After(account.LastMoved) {
		cleared = account.LastMoved.Add(time.Millisecond)
	}
	c.emit(effect{Deposit: &depositEffect{Account: account.Config.Key, ID: id, At: cleared}})
	c.moveIn(account, wallet, m)
	c.reportAt(account, cleared, venue.Report{Movement: &venue.Movement{
		Wallet: wallet, Asset: m.asset, Delta: m.free, Kind: venue.Deposit, Reference: id,
	}})
}

// Listed is an order as the venue knows it, and how often its client order id was placed.
type Listed struct {
	Order  venue.Order
	Placed int32
	// Number names the order for List to go on after.
	Number int64
}

// List lists an account's orders, oldest first, after the one with a number (0: from the first), at most so many; all
// symbols if symbol is empty.
func (e *Engine) List(ref venue.AccountRef, symbol string, after int64, limit int) ([]Listed, error) {
	var out []Listed
	err := e.view(func(s *state) error {
		account, err := s.find("list", ref)
		if err != nil {
			return err
		}
		orders := make([]*orderState, 0, len(account.Orders))
		for _, o := range account.Orders {
			if (symbol == "" || o.Symbol == symbol) && o.Number > after {
				orders = append(orders, o)
			}
		}
		slices.SortFunc(orders, func(a, b *orderState) int { return cmp.Compare(a.Number, b.Number) })
		for _, o := range orders[:min(limit, len(orders))] {
			out = append(out, Listed{Order: o.Order, Number: o.Number, Placed: account.Placed[clientKey(o.Symbol, o.ClientOrderID)]})
		}
		return nil
	})
	return out, err
}

// Cursors gives, for each account whose key has a prefix, the cursor of its newest report.
func (e *Engine) Cursors(prefix string) (map[venue.AccountKey]venue.Cursor, error) {
	out := map[venue.AccountKey]venue.Cursor{}
	err := e.view(func(s *state) error {
		for key, account := range s.Accounts {
			if strings.HasPrefix(string(key), prefix) {
				out[key] = account.Cursor
			}
		}
		return nil
	})
	return out, err
}
