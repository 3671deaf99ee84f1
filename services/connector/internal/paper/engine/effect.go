package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// record is what one request changed, as the journal keeps it.
type record struct {
	At      time.Time `json:"at"`
	Effects []effect  `json:"effects"`
}

// effect is one change of the state, told by what is true after it. Exactly one of the pointers is set.
type effect struct {
	Instrument *venue.Instrument `json:"instrument,omitempty"`
	Account    *AccountConfig    `json:"account,omitempty"`
	Market     *marketEffect     `json:"market,omitempty"`
	Pace       *paceEffect       `json:"pace,omitempty"`
	Tick       *tickEffect       `json:"tick,omitempty"`
	Taken      *takenEffect      `json:"taken,omitempty"`
	Order      *orderState       `json:"order,omitempty"`
	Trade      *tradeEffect      `json:"trade,omitempty"`
	Balance    *balanceEffect    `json:"balance,omitempty"`
	Placed     *placedEffect     `json:"placed,omitempty"`
	Deposit    *depositEffect    `json:"deposit,omitempty"`
	Accrued    *accruedEffect    `json:"accrued,omitempty"`
	Report     *reportEffect     `json:"report,omitempty"`
	TranID     *int64            `json:"tran_id,omitempty"`
}

type marketEffect struct {
	Symbol string      `json:"symbol"`
	Book   BookConfig  `json:"book"`
	Source feed.Source `json:"source"`
	Origin string      `json:"origin"`
}

type paceEffect struct {
	Symbol string        `json:"symbol"`
	Pace   time.Duration `json:"pace"`
}

type tickEffect struct {
	Cursor feed.Tick   `json:"cursor"`
	Price  venue.Price `json:"price"`
}

type takenEffect struct {
	Symbol string            `json:"symbol"`
	Side   venue.Side        `json:"side"`
	Levels []decimal.Decimal `json:"levels"`
}

type tradeEffect struct {
	Account venue.AccountKey `json:"account"`
	Trade   venue.Trade      `json:"trade"`
}

type balanceEffect struct {
	Account venue.AccountKey `json:"account"`
	Balance venue.Balance    `json:"balance"`
}

type placedEffect struct {
	Account venue.AccountKey    `json:"account"`
	Symbol  string              `json:"symbol"`
	ID      venue.ClientOrderID `json:"id"`
	Count   int32               `json:"count"`
}

type depositEffect struct {
	Account venue.AccountKey `json:"account"`
	ID      string           `json:"id"`
	At      time.Time        `json:"at"`
}

type accruedEffect struct {
	Account venue.AccountKey `json:"account"`
	At      time.Time        `json:"at"`
}

type reportEffect struct {
	Account venue.AccountKey `json:"account"`
	Report  venue.Report     `json:"report"`
}

// apply makes one effect true. An effect that names what is not there is damage, never passed over.
func (s *state) apply(e effect) error {
	switch {
	case e.Instrument != nil:
		return s.applyInstrument(*e.Instrument)
	case e.TranID != nil:
		s.TranID = *e.TranID
		return nil
	case e.Market != nil:
		return s.onSymbol(e.Market.Symbol, func(y *symbolState) {
			y.Book, y.Source, y.Origin, y.Cursor, y.Taken = e.Market.Book, e.Market.Source, e.Market.Origin, feed.Tick{}, nil
		})
	case e.Pace != nil:
		return s.onSymbol(e.Pace.Symbol, func(y *symbolState) { y.Pace = e.Pace.Pace })
	case e.Tick != nil:
		return s.onSymbol(e.Tick.Price.Symbol, func(y *symbolState) {
			y.Cursor, y.Last, y.Taken = e.Tick.Cursor, e.Tick.Price, nil
		})
	case e.Taken != nil:
		return s.onSymbol(e.Taken.Symbol, func(y *symbolState) {
			if y.Taken == nil {
				y.Taken = map[venue.Side][]decimal.Decimal{}
			}
			y.Taken[e.Taken.Side] = e.Taken.Levels
		})
	case e.Account != nil:
		if account, ok := s.Accounts[e.Account.Key]; ok {
			account.Config = *e.Account
		} else {
			s.Accounts[e.Account.Key] = newAccountState(*e.Account)
		}
		return nil
	default:
		return s.applyToAccount(e)
	}
}

func (s *state) applyToAccount(e effect) error {
	switch {
	case e.Order != nil:
		return s.applyOrder(*e.Order)
	case e.Trade != nil:
		return s.onAccount(e.Trade.Account, func(a *accountState) {
			key := orderKey(e.Trade.Trade.Symbol, e.Trade.Trade.OrderID)
			a.Trades[key] = append(a.Trades[key], e.Trade.Trade)
			y := s.Symbols[e.Trade.Trade.Symbol]
			y.LastTradeID = max(y.LastTradeID, e.Trade.Trade.TradeID)
		})
	case e.Balance != nil:
		return s.onAccount(e.Balance.Account, func(a *accountState) {
			a.Balances[balanceKey(e.Balance.Balance.Wallet, e.Balance.Balance.Asset)] = e.Balance.Balance
		})
	case e.Placed != nil:
		return s.onAccount(e.Placed.Account, func(a *accountState) {
			a.Placed[clientKey(e.Placed.Symbol, e.Placed.ID)] = e.Placed.Count
		})
	case e.Deposit != nil:
		return s.onAccount(e.Deposit.Account, func(a *accountState) {
			a.Deposits = keepNewest(append(a.Deposits, e.Deposit.ID), depositsMax)
			a.LastMoved = e.Deposit.At
		})
	case e.Accrued != nil:
		return s.onAccount(e.Accrued.Account, func(a *accountState) { a.Accrued = e.Accrued.At })
	case e.Report != nil:
		return s.onAccount(e.Report.Account, func(a *accountState) {
			a.Reports = keepNewest(append(a.Reports, e.Report.Report), reportsMax)
			a.Cursor = e.Report.Report.Cursor
		})
	default:
		return fmt.Errorf("effect of an unknown kind")
	}
}

func (s *state) onSymbol(symbol string, change func(*symbolState)) error {
	y, ok := s.Symbols[symbol]
	if !ok {
		return fmt.Errorf("effect on unknown symbol %q", symbol)
	}
	change(y)
	return nil
}

func (s *state) onAccount(key venue.AccountKey, change func(*accountState)) error {
	a, ok := s.Accounts[key]
	if !ok {
		return fmt.Errorf("effect on unknown account %q", key)
	}
	change(a)
	return nil
}

func (s *state) applyInstrument(instrument venue.Instrument) error {
	if y, ok := s.Symbols[instrument.Symbol]; ok {
		y.Instrument = instrument
		return nil
	}
	s.Symbols[instrument.Symbol] = &symbolState{Instrument: instrument}
	return nil
}

func (s *state) applyOrder(o orderState) error {
	account, ok := s.Accounts[o.Account]
	if !ok {
		return fmt.Errorf("order %s of unknown account %q", o.ClientOrderID, o.Account)
	}
	symbol, ok := s.Symbols[o.Symbol]
	if !ok {
		return fmt.Errorf("order %s on unknown symbol %q", o.ClientOrderID, o.Symbol)
	}
	key := orderKey(o.Symbol, o.OrderID)
	held, known := account.Orders[key]
	if !known {
		held = &orderState{}
		account.Orders[key] = held
		account.Latest[clientKey(o.Symbol, o.ClientOrderID)] = o.OrderID
		account.LastNumber = max(account.LastNumber, o.Number)
		symbol.LastOrderID = max(symbol.LastOrderID, o.OrderID)
		symbol.open = append(symbol.open, held)
	}
	wasOpen := !known || held.Status.IsOpen()
	*held = o
	if wasOpen && !o.Status.IsOpen() {
		symbol.open = slices.DeleteFunc(symbol.open, func(other *orderState) bool { return other == held })
		account.close(key)
	}
	return nil
}

// close moves an order to the ended ones, of which the newest are kept.
func (a *accountState) close(key string) {
	a.Closed = append(a.Closed, key)
	for len(a.Closed) > closedOrdersMax {
		oldest := a.Closed[0]
		a.Closed = a.Closed[1:]
		o := a.Orders[oldest]
		client := clientKey(o.Symbol, o.ClientOrderID)
		if a.Latest[client] == o.OrderID {
			delete(a.Latest, client)
			delete(a.Placed, client)
		}
		delete(a.Orders, oldest)
		delete(a.Trades, oldest)
	}
}

// keepNewest drops the oldest beyond a bound, in blocks, so that dropping costs little.
func keepNewest[T any](list []T, bound int) []T {
	if len(list) <= bound+bound/4 {
		return list
	}
	return slices.Clone(list[len(list)-bound:])
}
