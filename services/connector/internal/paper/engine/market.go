package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// What the steering of markets and accounts can be refused for.
var (
	// ErrInvalid: a setting that makes no sense.
	ErrInvalid = errors.New("refused by the paper venue")
	// ErrOpenOrders: a market cannot be exchanged under open orders.
	ErrOpenOrders = errors.New("the symbol has open orders")
	// ErrAmount: an amount that cannot be put in.
	ErrAmount = errors.New("amount refused by the paper venue")
	// ErrAccount: the account does not fit.
	ErrAccount = errors.New("account refused by the paper venue")
)

// MarketState is where a symbol's market stands.
type MarketState struct {
	Symbol string
	Last   venue.Price
	// Left is how many ticks the path still has; -1: without end.
	Left   int64
	Origin string
	Pace   time.Duration
}

// Instruments lists what is traded, by symbol.
func (e *Engine) Instruments() ([]venue.Instrument, error) {
	var out []venue.Instrument
	err := e.view(func(s *state) error {
		for _, symbol := range sortedKeys(s.Symbols) {
			out = append(out, s.Symbols[symbol].Instrument)
		}
		return nil
	})
	return out, err
}

// Instrument gives the rules of one symbol.
func (e *Engine) Instrument(symbol string) (venue.Instrument, error) {
	var out venue.Instrument
	err := e.view(func(s *state) error {
		y, err := s.symbol(symbol)
		if err == nil {
			out = y.Instrument
		}
		return err
	})
	return out, err
}

func (s *state) symbol(name string) (*symbolState, error) {
	y, ok := s.Symbols[name]
	if !ok {
		return nil, fmt.Errorf("%w %q", venue.ErrInvalidSymbol, name)
	}
	return y, nil
}

// SetInstruments lists more instruments or changes the rules of listed ones. Orders that are open keep what they have.
func (e *Engine) SetInstruments(instruments []venue.Instrument) error {
	for _, instrument := range instruments {
		if err := instrument.Validate(); err != nil {
			return fmt.Errorf("%w: instrument %s: %w", ErrInvalid, instrument.Symbol, err)
		}
	}
	return e.update(func(c *change) error {
		for _, instrument := range instruments {
			c.emit(effect{Instrument: &instrument})
		}
		return nil
	})
}

// LastPrice is the newest price of a symbol.
func (e *Engine) LastPrice(symbol string) (venue.Price, error) {
	var out venue.Price
	err := e.view(func(s *state) error {
		y, err := s.symbol(symbol)
		if err != nil {
			return err
		}
		if y.Last.Sequence == 0 {
			return fmt.Errorf("%s: %w", symbol, venue.ErrNoPrice)
		}
		out = y.Last
		return nil
	})
	return out, err
}

// Prices waits for prices of a symbol after a sequence and gives at most so many. After 0, or after one that never was,
// it gives the newest; where the next one is no longer kept, those that are. In the last two cases the first has Gap set.
// It ends with ctx.
func (e *Engine) Prices(ctx context.Context, symbol string, after int64, limit int) ([]venue.Price, error) {
	var out []venue.Price
	err := e.await(ctx, func(s *state) (bool, error) {
		y, err := s.symbol(symbol)
		if err != nil {
			return false, err
		}
		out = pricesAfter(e.prices[symbol], y.Last, after, limit)
		return len(out) > 0, nil
	})
	return out, err
}

func pricesAfter(kept []venue.Price, last venue.Price, after int64, limit int) []venue.Price {
	switch {
	case len(kept) == 0 || after == last.Sequence:
		return nil
	case after == 0:
		return []venue.Price{last}
	case after > last.Sequence:
		last.Gap = true
		return []venue.Price{last}
	case after+1 < kept[0].Sequence:
		out := slices.Clone(kept[:min(limit, len(kept))])
		out[0].Gap = true
		return out
	default:
		rest := kept[after+1-kept[0].Sequence:]
		return slices.Clone(rest[:min(limit, len(rest))])
	}
}

// made gives again the prices that the path has had so far, the newest of them as many as are kept. A path is a function
// of its source, so they need not be written down. When the venue made each of them is not known any more: they carry
// the time of the last.
func (y *symbolState) made() []venue.Price {
	if y.Last.Sequence == 0 {
		return nil
	}
	first := max(1, y.Cursor.Index-pricesMax+1)
	var out []venue.Price
	for at, more := y.Source.Next(feed.Tick{}); more && at.Index < y.Cursor.Index; at, more = y.Source.Next(at) {
		if at.Index >= first {
			out = append(out, y.price(at, y.Last.Sequence-(y.Cursor.Index-at.Index), y.Last.Time))
		}
	}
	return append(out, y.Last)
}

// price is what a tick of the path says at the venue.
func (y *symbolState) price(at feed.Tick, sequence int64, made time.Time) venue.Price {
	symbol := y.Instrument.Symbol
	spread := y.Instrument.Price.Tick.Mul(decimal.NewFromInt(y.Book.SpreadTicks))
	return venue.Price{
		Sequence: sequence, Symbol: symbol, Price: at.Price, Bid: at.Price, Ask: at.Price.Add(spread),
		Time: made, MarketTime: at.Time, EventID: fmt.Sprintf("paper/%s/%d", symbol, sequence),
	}
}

// Market tells where a symbol's market stands.
func (e *Engine) Market(symbol string) (MarketState, error) {
	var out MarketState
	err := e.view(func(s *state) error {
		y, err := s.symbol(symbol)
		if err == nil {
			out = y.market()
		}
		return err
	})
	return out, err
}

func (y *symbolState) market() MarketState {
	m := MarketState{Symbol: y.Instrument.Symbol, Last: y.Last, Origin: y.Origin, Pace: y.Pace}
	switch length := y.Source.Len(); {
	case length > 0:
		m.Left = length - y.Cursor.Index
	case y.Source.Walk != nil:
		m.Left = -1
	}
	return m
}

// Load gives a symbol a path of prices, from its beginning, and does its first tick. ErrOpenOrders while it has any.
func (e *Engine) Load(symbol string, book BookConfig, source feed.Source, origin string) (MarketState, error) {
	var out MarketState
	err := e.update(func(c *change) error {
		y, err := c.s.symbol(symbol)
		if err != nil {
			return err
		}
		if source.Walk != nil {
			walk := *source.Walk
			walk.TickSize = y.Instrument.Price.Tick
			source.Walk = &walk
		}
		if err := cmp.Or(book.Validate(), source.Validate(y.Instrument.Price.Tick), source.Within(y.Instrument.Price.Min, y.Instrument.Price.Max)); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if len(y.open) > 0 {
			return fmt.Errorf("load market %s: %w", symbol, ErrOpenOrders)
		}
		c.emit(effect{Market: &marketEffect{Symbol: symbol, Book: book, Source: source, Origin: origin}})
		// What was paid on another path is no price of this one, whose clock may stand before it.
		e.prices[symbol] = nil
		e.tick(c, y)
		out = y.market()
		return nil
	})
	return out, err
}

// Pace lets a symbol's market run by itself, one tick each so often; 0: it moves by Advance only.
func (e *Engine) Pace(symbol string, pace time.Duration) (MarketState, error) {
	var out MarketState
	err := e.update(func(c *change) error {
		y, err := c.s.symbol(symbol)
		if err != nil {
			return err
		}
		c.emit(effect{Pace: &paceEffect{Symbol: symbol, Pace: pace}})
		out = y.market()
		return nil
	})
	return out, err
}

// Advance moves a symbol's market on to a sequence, or to the end of its path; one that is there already stays. Each tick
// is a record of its own, so that other requests come in between; all are durable when Advance returns.
func (e *Engine) Advance(ctx context.Context, symbol string, to int64) (MarketState, error) {
	for moved := true; moved; {
		if ctx.Err() != nil {
			return MarketState{}, context.Cause(ctx)
		}
		_, requestErr, err := e.write(func(c *change) error {
			y, err := c.s.symbol(symbol)
			if err != nil {
				return err
			}
			moved = y.Last.Sequence < to && e.tick(c, y)
			return nil
		})
		if err := cmpError(err, requestErr); err != nil {
			return MarketState{}, err
		}
	}
	return e.Market(symbol)
}

// tick takes the next price of the path and lets it work. False at the end of the path.
func (e *Engine) tick(c *change, y *symbolState) bool {
	next, ok := y.Source.Next(y.Cursor)
	if !ok {
		return false
	}
	price := y.price(next, y.Last.Sequence+1, c.at)
	c.emit(effect{Tick: &tickEffect{Cursor: next, Price: price}})
	e.prices[price.Symbol] = keepNewest(append(e.prices[price.Symbol], price), pricesMax)
	c.accrue(y)
	c.tickOrders(y)
	return true
}
