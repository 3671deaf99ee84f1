package engine

import (
	"context"
	"slices"
	"time"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Place takes an order in and lets it trade, or refuses it.
func (e *Engine) Place(ref venue.AccountRef, in venue.NewOrder) (venue.Placed, error) {
	return e.placeWith(ref, in, func(c *change, o *orderState) { c.run(o) })
}

// placePartly is Place on a bad day: the exchange cancels the order after a part of it.
func (e *Engine) placePartly(ref venue.AccountRef, in venue.NewOrder) (venue.Placed, error) {
	return e.placeWith(ref, in, func(c *change, o *orderState) { c.runPartly(c.s.Symbols[o.Symbol], o) })
}

func (e *Engine) placeWith(ref venue.AccountRef, in venue.NewOrder, run func(*change, *orderState)) (venue.Placed, error) {
	var out venue.Placed
	err := e.update(func(c *change) error {
		o, err := c.place(ref, in)
		if err != nil {
			return err
		}
		run(c, o)
		out.Order = o.Order
		out.Trades = slices.Clone(c.s.Accounts[ref.Key].Trades[orderKey(o.Symbol, o.OrderID)])
		return nil
	})
	return out, err
}

// Cancel ends an open order on its owner's request.
func (e *Engine) Cancel(ref venue.AccountRef, in venue.CancelOrder) (venue.Order, error) {
	return e.cancelBy(ref, in, "")
}

// CancelByExchange ends an open order of an account for reasons of the venue's own.
func (e *Engine) CancelByExchange(ref venue.AccountRef, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return e.cancelBy(ref, venue.CancelOrder{Symbol: symbol, ClientOrderID: id}, venue.CanceledByExchange)
}

func (e *Engine) cancelBy(ref venue.AccountRef, in venue.CancelOrder, by venue.CanceledBy) (venue.Order, error) {
	var out venue.Order
	err := e.update(func(c *change) error {
		o, err := c.cancel(ref, in, by)
		if err == nil {
			out = o.Order
		}
		return err
	})
	return out, err
}

// Order gives the newest order that had a client order id.
func (e *Engine) Order(ref venue.AccountRef, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	var out venue.Order
	err := e.view(func(s *state) error {
		account, err := s.find(venue.OpQuery, ref)
		if err != nil {
			return err
		}
		o := account.newest(symbol, id)
		if o == nil {
			return errNotFound()
		}
		out = o.Order
		return nil
	})
	return out, err
}

func errNotFound() error {
	return refuse(venue.OpQuery, venue.CodeNoSuchOrder, "Order does not exist.")
}

// find gives an account for reading. One that the venue has not heard of is empty, but not made.
func (s *state) find(operation string, ref venue.AccountRef) (*accountState, error) {
	account, ok := s.Accounts[ref.Key]
	if !ok {
		return newAccountState(NewAccountConfig(ref)), nil
	}
	if account.Config.Product != ref.Product || account.Config.MarginSymbol != ref.MarginSymbol {
		return nil, refuse(operation, codeNoSuchAccount, "Invalid API-key, IP, or permissions for action.")
	}
	return account, nil
}

// OpenOrders lists what may still trade.
func (e *Engine) OpenOrders(ref venue.AccountRef, symbol string) ([]venue.Order, error) {
	var out []venue.Order
	err := e.view(func(s *state) error {
		account, err := s.find(venue.OpOpen, ref)
		if err != nil {
			return err
		}
		for _, o := range account.openOrders(symbol) {
			out = append(out, o.Order)
		}
		return nil
	})
	return out, err
}

// OrderTrades lists the trades of one order.
func (e *Engine) OrderTrades(ref venue.AccountRef, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	var out []venue.Trade
	err := e.view(func(s *state) error {
		account, err := s.find(venue.OpTrades, ref)
		if err != nil {
			return err
		}
		out = slices.Clone(account.Trades[orderKey(symbol, id)])
		return nil
	})
	return out, err
}

// Balances lists what the account holds or owes.
func (e *Engine) Balances(ref venue.AccountRef) (venue.BalanceSheet, error) {
	out := venue.BalanceSheet{}
	err := e.view(func(s *state) error {
		account, err := s.find(venue.OpBalances, ref)
		if err != nil {
			return err
		}
		for _, b := range account.Balances {
			out.Balances = append(out.Balances, b)
		}
		sortBalances(out.Balances)
		out.Time = e.now()
		e.shown = out.Time
		return nil
	})
	return out, err
}

// Margin judges an isolated margin account.
func (e *Engine) Margin(ref venue.AccountRef) (venue.MarginState, error) {
	var out venue.MarginState
	err := e.view(func(s *state) error {
		account, err := s.find(venue.OpBalances, ref)
		if err != nil {
			return err
		}
		if _, ok := s.Symbols[account.Config.MarginSymbol]; !ok {
			return venue.ErrNoMargin
		}
		out = s.margin(account)
		out.Time = e.now()
		return nil
	})
	return out, err
}

// Reports waits for reports of an account after a cursor and gives at most so many; gap says that some were missed. It
// ends with ctx.
func (e *Engine) Reports(ctx context.Context, ref venue.AccountRef, after venue.Cursor, limit int) (reports []venue.Report, gap bool, err error) {
	err = e.await(ctx, func(s *state) (bool, error) {
		account, err := s.find("reports", ref)
		if err != nil {
			return false, err
		}
		reports, gap = account.reportsAfter(after, limit)
		return gap || len(reports) > 0, nil
	})
	return reports, gap, err
}

// reportsAfter: reports are numbered without gaps, so the first one kept tells the place of all.
func (a *accountState) reportsAfter(after venue.Cursor, limit int) ([]venue.Report, bool) {
	if after > a.Cursor { // a cursor of another life of this venue
		return nil, true
	}
	if after == a.Cursor {
		return nil, false
	}
	first := a.Reports[0].Cursor
	if after+1 < first {
		return nil, true
	}
	rest := a.Reports[after+1-first:]
	return slices.Clone(rest[:min(limit, len(rest))]), false
}

// Cursor is that of the account's newest report.
func (e *Engine) Cursor(ref venue.AccountRef) (venue.Cursor, error) {
	var out venue.Cursor
	err := e.view(func(s *state) error {
		account, err := s.find("reports", ref)
		if err == nil {
			out = account.Cursor
		}
		return err
	})
	return out, err
}

// Time is the venue's clock.
func (e *Engine) Time() (time.Time, error) {
	var out time.Time
	err := e.view(func(*state) error {
		out = e.now()
		return nil
	})
	return out, err
}
