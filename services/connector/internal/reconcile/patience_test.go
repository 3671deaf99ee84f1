package reconcile

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// strict is a venue that asks for silence when it is asked for a page of trades.
type strict struct {
	venue.Trading
	silence func() time.Duration // 0: it answers
}

func (s strict) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	if wait := s.silence(); wait > 0 {
		return nil, &venue.RateLimitedError{Operation: venue.OpListTrades, HTTPStatus: 429, Code: -1003, RetryAfter: wait}
	}
	return s.Trading.Trades(ctx, symbol, from, limit)
}

// A limit in the middle of a run is waited for; the run goes on where it was, and comes to the same.
func TestReconcile_LimitInTheMiddle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	asked := 0
	b.over(func(t venue.Trading) venue.Trading {
		return strict{t, func() time.Duration {
			asked++
			if asked%3 != 0 {
				return time.Microsecond
			}
			return 0
		}}
	})
	report := b.run()
	require.Greater(t, asked, 3)
	require.Equal(t, []string{"missed_ack auto_repaired", "missed_fill auto_repaired"}, b.kinds())
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	require.Zero(t, report.Completed.GetUnresolved())
	b.settled()
}

// A limit that lasts longer than the run may breaks it off, with the time to wait; the next one goes on with it.
func TestReconcile_LimitForLonger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	silence := time.Duration(0)
	b.over(func(t venue.Trading) venue.Trading {
		return strict{t, func() time.Duration {
			if len(b.books.Events("FILL_RECEIVED")) == 0 { // until something was told, in the middle of it
				return 0
			}
			return silence
		}}
	})
	silence = 2 * b.config.RunTimeout
	_, err := b.Reconcile(b.ctx, b.account, nil)
	require.True(t, fault.Is(err, fault.Exhausted), err)
	require.Equal(t, silence, fault.As(err).RetryAfter)
	require.Empty(t, b.books.Events("RECONCILIATION_COMPLETED"))
	begun := b.books.Events("DISCREPANCY_DETECTED")[0].GetWorkflowId()
	silence = 0
	report := b.run()
	require.Equal(t, begun, report.Completed.GetRunId())
	require.EqualValues(t, 1, report.Completed.GetMissingFills())
	require.Len(t, b.books.Events("FILL_RECEIVED"), 1)
	b.settled()
}

// Everything that a run asks is put again, so often and no more, and not when nobody waits for it any longer.
func TestPatience(t *testing.T) {
	t.Parallel()
	limit := &venue.RateLimitedError{HTTPStatus: 418}
	tries := 0
	limited := limiter{next: func() error { tries++; return limit }}
	all := line.Lines{Account: venue.Account{Trading: limited, Wallets: limited}, Market: limited}
	for name, ask := range map[string]func(context.Context, line.Lines) error{
		"query": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Trading.QueryOrder(ctx, "", "")
			return err
		},
		"open": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Trading.OpenOrders(ctx, "")
			return err
		},
		"trades of": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Trading.OrderTrades(ctx, "", 1)
			return err
		},
		"trades": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Trading.Trades(ctx, "", 1, 1)
			return err
		},
		"orders": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Trading.Orders(ctx, "", 1, 1)
			return err
		},
		"balances": func(ctx context.Context, lines line.Lines) error { _, err := lines.Wallets.Balances(ctx); return err },
		"instrument": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Market.Instrument(ctx, "")
			return err
		},
		"instruments": func(ctx context.Context, lines line.Lines) error { _, err := lines.Market.Instruments(ctx); return err },
		"time":        func(ctx context.Context, lines line.Lines) error { _, err := lines.Market.Time(ctx); return err },
		"market time": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Market.MarketTime(ctx, "")
			return err
		},
		"price": func(ctx context.Context, lines line.Lines) error {
			_, err := lines.Market.LastPrice(ctx, "")
			return err
		},
	} {
		tries = 0
		require.ErrorIs(t, ask(t.Context(), patience{clock.System(), time.Microsecond}.of(all)), limit, name)
		require.Equal(t, limitsMax+1, tries, name)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		tries = 0
		require.ErrorIs(t, ask(gone, patience{clock.System(), time.Hour}.of(all)), limit, name)
		require.Equal(t, 1, tries, name)
	}
	away := errors.New("away")
	_, err := asked(t.Context(), patience{clock.System(), 0}, func() (int, error) { return 7, away })
	require.ErrorIs(t, err, away, "only silence is kept")
}

// limiter is a venue that answers no question. What it is not asked is missing.
type limiter struct {
	venue.Trading
	venue.Wallets
	venue.MarketData
	next func() error
}

func (l limiter) QueryOrder(context.Context, string, venue.ClientOrderID) (venue.Order, error) {
	return venue.Order{}, l.next()
}

func (l limiter) OpenOrders(context.Context, string) ([]venue.Order, error) { return nil, l.next() }

func (l limiter) OrderTrades(context.Context, string, venue.OrderID) ([]venue.Trade, error) {
	return nil, l.next()
}

func (l limiter) Trades(context.Context, string, venue.TradeID, int) ([]venue.Trade, error) {
	return nil, l.next()
}

func (l limiter) Orders(context.Context, string, venue.OrderID, int) ([]venue.Order, error) {
	return nil, l.next()
}

func (l limiter) Balances(context.Context) (venue.BalanceSheet, error) {
	return venue.BalanceSheet{}, l.next()
}

func (l limiter) Instrument(context.Context, string) (venue.Instrument, error) {
	return venue.Instrument{}, l.next()
}

func (l limiter) Instruments(context.Context) ([]venue.Instrument, error) { return nil, l.next() }

func (l limiter) Time(context.Context) (time.Time, error) { return time.Time{}, l.next() }

func (l limiter) MarketTime(context.Context, string) (time.Time, error) {
	return time.Time{}, l.next()
}

func (l limiter) LastPrice(context.Context, string) (venue.Price, error) {
	return venue.Price{}, l.next()
}
