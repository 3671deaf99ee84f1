package engine

import (
	"fmt"
	"slices"
	"strings"

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
			return fmt.Errorf("%w: amount %s: must be above zero with at most %d decimals", ErrAccount, amount, feePlaces)
		}
		if !slices.Contains(account.Deposits, id) {
			c.emit(effect{Deposit: &depositEffect{Account: ref.Key, ID: id}})
			c.moveIn(account, wallet, move{asset: asset, free: amount})
			c.report(account, venue.Report{Movement: &venue.Movement{
				Wallet: wallet, Asset: asset, Delta: amount, Kind: venue.Deposit, Reference: id,
			}})
		}
		out = account.balance(wallet, asset)
		return nil
	})
	return out, err
}

// Listed is an order as the venue knows it, and how often its client order id was placed.
type Listed struct {
	Order  venue.Order
	Placed int32
}

// List lists an account's orders by symbol and id, after one of them.
func (e *Engine) List(ref venue.AccountRef, symbol string, after string, limit int) ([]Listed, error) {
	var out []Listed
	err := e.view(func(s *state) error {
		account, err := s.find("list", ref)
		if err != nil {
			return err
		}
		orders := make([]*orderState, 0, len(account.Orders))
		for _, o := range account.Orders {
			if (symbol == "" || o.Symbol == symbol) && isAfter(o, after) {
				orders = append(orders, o)
			}
		}
		sortOrders(orders)
		for _, o := range orders[:min(limit, len(orders))] {
			out = append(out, Listed{Order: o.Order, Placed: account.Placed[clientKey(o.Symbol, o.ClientOrderID)]})
		}
		return nil
	})
	return out, err
}

// PageToken names an order for List to go on after.
func (l Listed) PageToken() string { return pageToken(l.Order) }

func pageToken(o venue.Order) string { return fmt.Sprintf("%s|%020d", o.Symbol, o.OrderID) }

func isAfter(o *orderState, token string) bool { return token == "" || pageToken(o.Order) > token }

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
