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

// change is one request at work: every effect is applied at once, so that the next step sees it, and kept for the
// journal. An effect that cannot be applied breaks the engine.
type change struct {
	s       *state
	at      time.Time
	timing  venue.Timing
	effects []effect
	touched map[venue.AccountKey]map[string]bool
	broken  error
}

func (s *state) begin(at time.Time, timing venue.Timing) *change {
	return &change{s: s, at: at, timing: timing, touched: map[venue.AccountKey]map[string]bool{}}
}

func (c *change) emit(e effect) {
	if c.broken != nil {
		return
	}
	if err := c.s.apply(e); err != nil {
		c.broken = err
		return
	}
	c.effects = append(c.effects, e)
}

// finish tells each account the balances that changed, after all its executions, as Binance does.
func (c *change) finish() (record, error) {
	keys := make([]venue.AccountKey, 0, len(c.touched))
	for key := range c.touched {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		account := c.s.Accounts[key]
		position := &venue.AccountPosition{}
		for name := range c.touched[key] {
			position.Balances = append(position.Balances, account.Balances[name])
		}
		sortBalances(position.Balances)
		at := c.at
		if at.Before(account.LastMoved) {
			at = account.LastMoved // what has cleared is in it
		}
		c.reportAt(account, at, venue.Report{Position: position})
	}
	return record{At: c.at, Effects: c.effects}, c.broken
}

func sortBalances(balances []venue.Balance) {
	slices.SortFunc(balances, func(a, b venue.Balance) int {
		return cmp.Or(strings.Compare(a.Wallet, b.Wallet), strings.Compare(a.Asset, b.Asset))
	})
}

func (c *change) report(account *accountState, r venue.Report) { c.reportAt(account, c.at, r) }

func (c *change) reportAt(account *accountState, at time.Time, r venue.Report) {
	r.Cursor, r.Time = account.Cursor+1, at
	c.emit(effect{Report: &reportEffect{Account: account.Config.Key, Report: r}})
}

// put stores an order as it now stands.
func (c *change) put(o orderState) {
	o.UpdatedAt = c.s.Symbols[o.Symbol].Last.MarketTime
	c.emit(effect{Order: &o})
}

func (c *change) reportOrder(o orderState, kind venue.ExecutionType, trade *venue.Trade) {
	account := c.s.Accounts[o.Account]
	order := account.Orders[orderKey(o.Symbol, o.OrderID)].Order
	c.report(account, venue.Report{Execution: &venue.Execution{Type: kind, Order: order, Trade: trade}})
}

// move changes a balance. Amounts are deltas.
type move struct {
	asset                            string
	free, locked, borrowed, interest decimal.Decimal
}

func (c *change) move(account *accountState, m move) {
	c.moveIn(account, account.Config.wallet(), m)
}

func (c *change) moveIn(account *accountState, wallet string, m move) {
	b := account.balance(wallet, m.asset)
	b.Free, b.Locked = b.Free.Add(m.free), b.Locked.Add(m.locked)
	b.Borrowed, b.Interest = b.Borrowed.Add(m.borrowed), b.Interest.Add(m.interest)
	if b.Free.IsNegative() || b.Locked.IsNegative() || b.Borrowed.IsNegative() || b.Interest.IsNegative() {
		c.broken = cmpError(c.broken, fmt.Errorf("account %s: %s would become %s free, %s locked, %s borrowed",
			account.Config.Key, m.asset, b.Free, b.Locked, b.Borrowed))
		return
	}
	c.emit(effect{Balance: &balanceEffect{Account: account.Config.Key, Balance: b}})
	names, ok := c.touched[account.Config.Key]
	if !ok {
		names = map[string]bool{}
		c.touched[account.Config.Key] = names
	}
	names[balanceKey(wallet, m.asset)] = true
}

func cmpError(first, then error) error {
	if first != nil {
		return first
	}
	return then
}

func (c *change) nextTranID() int64 {
	id := c.s.TranID + 1
	c.emit(effect{TranID: &id})
	return id
}
