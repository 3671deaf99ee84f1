package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// limitsMax is how often one question is put again after a venue has asked for silence.
const limitsMax = 10

// patience is how a run deals with a venue that asks for silence: it keeps it, and goes on where it was, as long as its own time lasts. What
// is longer breaks the run off, and the next one goes on with it.
type patience struct {
	clock clock.Clock
	least time.Duration // the shortest silence, for a venue that does not say how long
}

// asked puts a question until the venue answers it.
func asked[T any](ctx context.Context, p patience, question func() (T, error)) (T, error) {
	for again := 0; ; again++ {
		answer, err := question()
		var limited *venue.RateLimitedError
		if again == limitsMax || !errors.As(err, &limited) {
			return answer, err
		}
		silence := max(limited.RetryAfter, p.least)
		if deadline, bounded := ctx.Deadline(); bounded && deadline.Sub(p.clock.Now()) <= silence {
			return answer, err
		}
		if clock.Sleep(ctx, p.clock, silence) != nil {
			return answer, err
		}
	}
}

// of has all that a run asks put with patience. What places or cancels goes as it is: a run does neither.
func (p patience) of(lines line.Lines) line.Lines {
	lines.Trading = patientTrading{lines.Trading, p}
	lines.Wallets = patientWallets{lines.Wallets, p}
	lines.Market = patientMarket{lines.Market, p}
	return lines
}

type patientTrading struct {
	venue.Trading
	patience
}

func (t patientTrading) QueryOrder(ctx context.Context, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return asked(ctx, t.patience, func() (venue.Order, error) { return t.Trading.QueryOrder(ctx, symbol, id) })
}

func (t patientTrading) OpenOrders(ctx context.Context, symbol string) ([]venue.Order, error) {
	return asked(ctx, t.patience, func() ([]venue.Order, error) { return t.Trading.OpenOrders(ctx, symbol) })
}

func (t patientTrading) OrderTrades(ctx context.Context, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	return asked(ctx, t.patience, func() ([]venue.Trade, error) { return t.Trading.OrderTrades(ctx, symbol, id) })
}

func (t patientTrading) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	return asked(ctx, t.patience, func() ([]venue.Trade, error) { return t.Trading.Trades(ctx, symbol, from, limit) })
}

func (t patientTrading) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	return asked(ctx, t.patience, func() ([]venue.Order, error) { return t.Trading.Orders(ctx, symbol, from, limit) })
}

type patientWallets struct {
	venue.Wallets
	patience
}

func (w patientWallets) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	return asked(ctx, w.patience, func() (venue.BalanceSheet, error) { return w.Wallets.Balances(ctx) })
}

type patientMarket struct {
	venue.MarketData
	patience
}

func (m patientMarket) Instrument(ctx context.Context, symbol string) (venue.Instrument, error) {
	return asked(ctx, m.patience, func() (venue.Instrument, error) { return m.MarketData.Instrument(ctx, symbol) })
}

func (m patientMarket) Instruments(ctx context.Context) ([]venue.Instrument, error) {
	return asked(ctx, m.patience, func() ([]venue.Instrument, error) { return m.MarketData.Instruments(ctx) })
}

func (m patientMarket) Time(ctx context.Context) (time.Time, error) {
	return asked(ctx, m.patience, func() (time.Time, error) { return m.MarketData.Time(ctx) })
}

func (m patientMarket) MarketTime(ctx context.Context, symbol string) (time.Time, error) {
	return asked(ctx, m.patience, func() (time.Time, error) { return m.MarketData.MarketTime(ctx, symbol) })
}

func (m patientMarket) LastPrice(ctx context.Context, symbol string) (venue.Price, error) {
	return asked(ctx, m.patience, func() (venue.Price, error) { return m.MarketData.LastPrice(ctx, symbol) })
}
