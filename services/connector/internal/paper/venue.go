package paper

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Name is the venue's stored name.
const Name = "paper"

var (
	_ venue.Venue      = (*Venue)(nil)
	_ venue.MarketData = marketData{}
	_ venue.Trading    = account{}
	_ venue.Wallets    = account{}
	_ venue.UserStream = account{}
)

// Venue is the paper venue behind the port that all venues have.
type Venue struct{ node *Node }

// NewVenue gives a node the port's shape.
func NewVenue(node *Node) *Venue { return &Venue{node: node} }

// Name is "paper".
func (v *Venue) Name() string { return Name }

// Market answers about instruments, time and prices.
func (v *Venue) Market() venue.MarketData { return marketData{v.node} }

// Account opens the lines of an account. The venue makes it, with default settings, when it first trades or is funded.
func (v *Venue) Account(ref venue.AccountRef) venue.Account {
	a := account{node: v.node, ref: ref}
	return venue.Account{Trading: a, Wallets: a, Reports: a}
}

type marketData struct{ node *Node }

func (m marketData) Instrument(ctx context.Context, symbol string) (venue.Instrument, error) {
	return do(ctx, m.node, callInstrument, symbolIn{symbol})
}

func (m marketData) Instruments(ctx context.Context) ([]venue.Instrument, error) {
	return do(ctx, m.node, callInstruments, none{})
}

func (m marketData) Time(ctx context.Context) (time.Time, error) {
	return do(ctx, m.node, callTime, none{})
}

// MarketTime is the time of the last tick: on paper a market's clock stands still between ticks.
func (m marketData) MarketTime(ctx context.Context, symbol string) (time.Time, error) {
	last, err := m.LastPrice(ctx, symbol)
	return last.MarketTime, err
}

func (m marketData) LastPrice(ctx context.Context, symbol string) (venue.Price, error) {
	return do(ctx, m.node, callLastPrice, symbolIn{symbol})
}

func (m marketData) Timing() venue.Timing { return m.node.config.Timing }

func (m marketData) FollowPrices(ctx context.Context, symbol string, after int64, handle func(context.Context, []venue.Price) error) error {
	for {
		prices, err := do(ctx, m.node, callPrices, pricesIn{Symbol: symbol, After: after, Wait: waitMax})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("follow prices of %s: %w", symbol, err)
		}
		if len(prices) == 0 {
			continue
		}
		if err := handle(ctx, prices); err != nil {
			return err
		}
		after = prices[len(prices)-1].Sequence
	}
}

type account struct {
	node *Node
	ref  venue.AccountRef
}

func (a account) Place(ctx context.Context, order venue.NewOrder) (venue.Placed, error) {
	return do(ctx, a.node, callPlace, placeIn{a.ref, order})
}

func (a account) Cancel(ctx context.Context, cancel venue.CancelOrder) (venue.Order, error) {
	return do(ctx, a.node, callCancel, cancelIn{a.ref, cancel})
}

func (a account) QueryOrder(ctx context.Context, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return do(ctx, a.node, callOrder, orderIn{a.ref, symbol, id})
}

func (a account) OpenOrders(ctx context.Context, symbol string) ([]venue.Order, error) {
	return do(ctx, a.node, callOpen, orderIn{Ref: a.ref, Symbol: symbol})
}

func (a account) OrderTrades(ctx context.Context, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	return do(ctx, a.node, callTrades, tradesIn{a.ref, symbol, id})
}

func (a account) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	return do(ctx, a.node, callListTrades, pageIn{a.ref, symbol, int64(from), limit})
}

func (a account) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	return do(ctx, a.node, callListOrders, pageIn{a.ref, symbol, int64(from), limit})
}

func (a account) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	return do(ctx, a.node, callBalances, accountIn{a.ref})
}

// TakerRate is the account's; on paper it is the same for all symbols.
func (a account) TakerRate(ctx context.Context, _ string) (decimal.Decimal, error) {
	config, err := do(ctx, a.node, callConfig, accountIn{a.ref})
	return config.TakerRate, err
}

func (a account) Margin(ctx context.Context) (venue.MarginState, error) {
	return do(ctx, a.node, callMargin, accountIn{a.ref})
}

// Follow reads the account's reports, which the venue numbers without gaps and keeps over restarts: a gap is told only
// when the cursor is older than what it still has, or not one of its own.
func (a account) Follow(ctx context.Context, after venue.Cursor, handle func(context.Context, []venue.Report) error) error {
	first, err := do(ctx, a.node, callReports, reportsIn{Ref: a.ref, After: after})
	if err != nil {
		return fmt.Errorf("follow account: %w", err)
	}
	if first.Gap {
		after = first.Newest
	}
	connected := venue.Report{Cursor: after, Connected: &venue.Connected{Gap: first.Gap, ConnectionID: uuid.NewString()}}
	if err := handle(ctx, []venue.Report{connected}); err != nil {
		return err
	}
	for {
		next, err := do(ctx, a.node, callReports, reportsIn{Ref: a.ref, After: after, Wait: waitMax})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("follow account: %w", err)
		}
		if next.Gap {
			return fmt.Errorf("follow account: reports after %d are gone", after)
		}
		if len(next.Reports) == 0 {
			continue
		}
		if err := handle(ctx, next.Reports); err != nil {
			return err
		}
		after = next.Reports[len(next.Reports)-1].Cursor
	}
}
