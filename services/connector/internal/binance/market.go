package binance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/services/connector/internal/venue"
)

// unknownAge is how old the rules must be for a symbol that they do not list to be asked for again.
const unknownAge = time.Minute

// instruments are the trading rules as last read.
type instruments struct {
	mu   sync.Mutex // held by who reads them
	at   time.Time
	list []venue.Instrument
}

// Instruments gives the trading rules of every symbol, ordered by symbol.
func (v *Venue) Instruments(ctx context.Context) ([]venue.Instrument, error) {
	return v.instruments(ctx, v.cfg.InstrumentsAge)
}

// Instrument gives the trading rules of a symbol.
func (v *Venue) Instrument(ctx context.Context, symbol string) (venue.Instrument, error) {
	for _, age := range []time.Duration{v.cfg.InstrumentsAge, min(unknownAge, v.cfg.InstrumentsAge)} {
		list, err := v.instruments(ctx, age)
		if err != nil {
			return venue.Instrument{}, err
		}
		at, known := slices.BinarySearchFunc(list, symbol, func(i venue.Instrument, s string) int { return strings.Compare(i.Symbol, s) })
		if known {
			return list[at], nil
		}
	}
	return venue.Instrument{}, venue.ErrInvalidSymbol
}

func (v *Venue) instruments(ctx context.Context, age time.Duration) ([]venue.Instrument, error) {
	v.rules.mu.Lock()
	defer v.rules.mu.Unlock()
	if len(v.rules.list) > 0 && v.clock.Now().Sub(v.rules.at) < age {
		return slices.Clone(v.rules.list), nil
	}
	c := &call{operation: opInstruments, weight: weightInfo, class: learning}
	var info *lib.ExchangeInfo
	err := v.read(ctx, c, func(ctx context.Context, client *lib.Client) (err error) {
		info, err = client.NewExchangeInfoService().Do(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, odd, err := venue.ParseExchangeInfo(c.body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opInstruments, err)
	}
	for _, why := range odd {
		v.log.WarnContext(ctx, "a symbol cannot be traded by its rules", "error", why)
	}
	v.budget.limits(info.RateLimits)
	v.rules.at, v.rules.list = v.clock.Now(), list
	return slices.Clone(list), nil
}

// LastPrice is the price of the newest trade.
func (v *Venue) LastPrice(ctx context.Context, symbol string) (venue.Price, error) {
	last, _, err := v.lastPrice(ctx, symbol)
	return last, err
}

// lastPrice also gives the id of the first trade that the newest price was paid in.
func (v *Venue) lastPrice(ctx context.Context, symbol string) (last venue.Price, first int64, err error) {
	c := &call{operation: opPrice, weight: weightAggTrades, class: asking}
	var rows []*lib.AggTrade
	err = v.read(ctx, c, func(ctx context.Context, client *lib.Client) (err error) {
		rows, err = client.NewAggTradesService().Symbol(symbol).Limit(1).Do(ctx)
		return err
	})
	if err != nil {
		return venue.Price{}, 0, symbolError(err)
	}
	if len(rows) == 0 {
		return venue.Price{}, 0, venue.ErrNoPrice
	}
	newest := rows[len(rows)-1]
	last, err = v.price(symbol, newest.LastTradeID, newest.Price, newest.Timestamp)
	if err != nil {
		return venue.Price{}, 0, unreadable(c)
	}
	return last, newest.FirstTradeID, nil
}

// price is a trade's price. A trade's id only grows within its symbol, and names it for ever.
func (v *Venue) price(symbol string, trade int64, text string, ms int64) (venue.Price, error) {
	var n numbers
	at := n.read(text)
	if n.err != nil || trade <= 0 || !at.IsPositive() || ms <= 0 {
		return venue.Price{}, errContent
	}
	environment := strings.ToLower(strings.TrimPrefix(v.cfg.Environment.String(), "ENVIRONMENT_"))
	return venue.Price{
		Sequence: trade, Symbol: symbol, Price: at, Time: instant(ms), MarketTime: instant(ms),
		EventID: fmt.Sprintf("%s/%s/%s/%d", Name, environment, symbol, trade),
	}, nil
}

// symbolError tells a symbol that is not listed from other refusals.
func symbolError(err error) error {
	var rejected *venue.RejectedError
	if errors.As(err, &rejected) && rejected.Code == venue.CodeInvalidSymbol {
		return fmt.Errorf("%w: %w", venue.ErrInvalidSymbol, err)
	}
	return err
}
