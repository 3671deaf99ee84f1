package feed

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Tick is one price of a path.
type Tick struct {
	// Index counts the path's ticks from 1.
	Index int64           `json:"index"`
	Time  time.Time       `json:"time"`
	Price decimal.Decimal `json:"price"`
	// Walk is the generator's state after the tick; zero on other paths.
	Walk uint64 `json:"walk,omitempty"`
}

// Source describes a path so that it can be made again. Exactly one of Bars, Walk and Script is set.
type Source struct {
	Bars   []Bar        `json:"bars,omitempty"`
	Walk   *Walk        `json:"walk,omitempty"`
	Script []ScriptTick `json:"script,omitempty"`
}

// ScriptTick is one price of a script.
type ScriptTick struct {
	Time  time.Time       `json:"time"`
	Price decimal.Decimal `json:"price"`
}

// ticksPerBar: open, the two extremes, close.
const ticksPerBar = 4

// Validate refuses a source that gives no path, or prices that are no multiple of the instrument's tick size.
func (s Source) Validate(tickSize decimal.Decimal) error {
	kinds := 0
	for _, set := range []bool{len(s.Bars) > 0, s.Walk != nil, len(s.Script) > 0} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return fmt.Errorf("market source: exactly one of bars, walk and script must be given")
	}
	if s.Walk != nil {
		return s.Walk.validate(tickSize)
	}
	for n, bar := range s.Bars {
		for column, price := range []decimal.Decimal{bar.Open, bar.High, bar.Low, bar.Close} {
			if !price.Mod(tickSize).IsZero() {
				return cellError(n, column+1, "%s is no multiple of the tick size %s", price, tickSize)
			}
		}
	}
	for n, tick := range s.Script {
		if !tick.Price.IsPositive() || !tick.Price.Mod(tickSize).IsZero() {
			return fmt.Errorf("market script: price %d, %s: must be above zero and a multiple of %s", n, tick.Price, tickSize)
		}
		if n > 0 && !tick.Time.After(s.Script[n-1].Time) {
			return fmt.Errorf("market script: price %d: its time is not after the one before", n)
		}
	}
	return nil
}

// Within refuses prices that the instrument's price filter would not let anybody ask; a bound of 0 is none.
func (s Source) Within(low, high decimal.Decimal) error {
	outside := func(price decimal.Decimal) bool {
		return price.LessThan(low) || high.IsPositive() && price.GreaterThan(high)
	}
	if s.Walk != nil && outside(s.Walk.Start) {
		return fmt.Errorf("market walk: start %s: must lie within %s and %s", s.Walk.Start, low, high)
	}
	for n, bar := range s.Bars {
		for _, price := range []decimal.Decimal{bar.Low, bar.High} {
			if outside(price) {
				return fmt.Errorf("klines: row %d: price %s: must lie within %s and %s", n, price, low, high)
			}
		}
	}
	for n, tick := range s.Script {
		if outside(tick.Price) {
			return fmt.Errorf("market script: price %d, %s: must lie within %s and %s", n, tick.Price, low, high)
		}
	}
	return nil
}

// Len is how many ticks the path has; 0 for a walk without end.
func (s Source) Len() int64 {
	switch {
	case s.Walk != nil:
		return s.Walk.Ticks
	case len(s.Script) > 0:
		return int64(len(s.Script))
	default:
		return int64(len(s.Bars)) * ticksPerBar
	}
}

// Next gives the tick after a tick; the zero Tick stands before the first one. False at the end of the path.
func (s Source) Next(after Tick) (Tick, bool) {
	if length := s.Len(); length > 0 && after.Index >= length {
		return Tick{}, false
	}
	switch {
	case s.Walk != nil:
		return s.Walk.next(after), true
	case len(s.Script) > 0:
		tick := s.Script[after.Index]
		return Tick{Index: after.Index + 1, Time: tick.Time, Price: tick.Price}, true
	case len(s.Bars) > 0:
		return barTick(s.Bars, after.Index), true
	default:
		return Tick{}, false
	}
}

// barTick expands bars: each becomes its open, then low and high if it closed at or above its open, else high and low,
// then its close, evenly spaced within it. So a bar that rose is taken to have dipped first.
func barTick(bars []Bar, index int64) Tick {
	bar, part := bars[index/ticksPerBar], index%ticksPerBar
	path := [ticksPerBar]decimal.Decimal{bar.Open, bar.High, bar.Low, bar.Close}
	if bar.Close.GreaterThanOrEqual(bar.Open) {
		path[1], path[2] = bar.Low, bar.High
	}
	return Tick{
		Index: index + 1,
		Time:  bar.OpenTime.Add(bar.Length * time.Duration(part) / ticksPerBar),
		Price: path[part],
	}
}
