package detector

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// CandlesKept is how many closed candles a series keeps: more than any settings need.
const CandlesKept = 256

// Tick is one price of a market, by the venue's clock.
type Tick struct {
	Price decimal.Decimal
	At    time.Time
	// Gap says that ticks before this one are missing.
	Gap bool
}

// Candle is what a price did in one interval. An interval without a tick stands at the close before it.
type Candle struct {
	Open             time.Time // when it began
	High, Low, Close decimal.Decimal
}

// Series makes candles of ticks. The interval in which watching began is left out, since what happened earlier in it was
// not seen; so is everything before a gap, and before a market's clock that goes back, as it does where another market
// takes the place of one.
type Series struct {
	interval time.Duration
	closed   []Candle // oldest first
	current  *Candle
	// partial says that the beginning of the current candle was not seen.
	partial bool
	last    time.Time
}

// NewSeries makes a series without candles.
func NewSeries(interval time.Duration) *Series { return &Series{interval: interval} }

// Add takes the next tick and gives how many candles it has closed: those are the last of Closed.
func (s *Series) Add(tick Tick) int {
	if s.current != nil && (tick.Gap || tick.At.Before(s.last)) {
		s.current, s.closed = nil, nil
	}
	s.last = tick.At
	open := tick.At.UTC().Truncate(s.interval)
	switch {
	case s.current == nil:
		s.current, s.partial = opened(open, tick.Price), true
		return 0
	case open.Equal(s.current.Open):
		s.current.High = decimal.Max(s.current.High, tick.Price)
		s.current.Low = decimal.Min(s.current.Low, tick.Price)
		s.current.Close = tick.Price
		return 0
	}
	made := s.close(open)
	s.current, s.partial = opened(open, tick.Price), false
	if len(s.closed) > CandlesKept {
		s.closed = slices.Clone(s.closed[len(s.closed)-CandlesKept:])
	}
	return min(made, len(s.closed))
}

// close closes the current candle and the empty ones up to a new one.
func (s *Series) close(until time.Time) int {
	made := 0
	if !s.partial {
		s.closed = append(s.closed, *s.current)
		made++
	}
	flat := opened(s.current.Open, s.current.Close)
	missing := int64(until.Sub(s.current.Open)/s.interval) - 1
	for n := max(1, missing-CandlesKept+1); n <= missing; n++ {
		flat.Open = s.current.Open.Add(time.Duration(n) * s.interval)
		s.closed = append(s.closed, *flat)
		made++
	}
	return made
}

func opened(at time.Time, price decimal.Decimal) *Candle {
	return &Candle{Open: at, High: price, Low: price, Close: price}
}

// Closed are the whole candles, oldest first. The caller must not change them.
func (s *Series) Closed() []Candle { return s.closed }
