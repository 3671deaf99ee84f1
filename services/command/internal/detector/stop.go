package detector

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// wing is how many candles on each side a swing must stand out from.
const wing = 2

var hundred = decimal.NewFromInt(100)

// How sure the stop is.
const (
	// ConfidenceHigh: the chart shows the level that the settings want.
	ConfidenceHigh = "high"
	// ConfidenceMedium: it shows fewer, and the farthest of them is taken.
	ConfidenceMedium = "medium"
	// ConfidenceLow: it is a percentage, which the chart knows nothing of.
	ConfidenceLow = "low"
)

// Stop is a technical stop and where it comes from.
type Stop struct {
	// Method is swing_low, swing_high or percent.
	Method string
	// Level is which of Levels it is, from 1; 0 for a percentage.
	Level int
	// Levels are those beyond the entry, the nearest first.
	Levels     []decimal.Decimal
	Price      decimal.Decimal
	Distance   decimal.Decimal
	Confidence string
}

// DistancePercent is the distance in percent of the entry, to 18 places.
func (s Stop) DistancePercent(entry decimal.Decimal) decimal.Decimal {
	return money.Div18(s.Distance.Mul(hundred), entry)
}

// analyze finds the stop in the candles of the look-back; false if the settings give none.
func analyze(c Config, side eventv1.PositionSide, candles []Candle, entry, tick decimal.Decimal) (Stop, bool) {
	short := side == eventv1.PositionSide_POSITION_SIDE_SHORT
	var stop Stop
	if c.StopMethod == Swing {
		stop.Levels = levels(candles, entry, short)
	}
	switch found := len(stop.Levels); {
	case found >= c.StopLevel:
		stop.Level, stop.Confidence = c.StopLevel, ConfidenceHigh
	case found > 0:
		stop.Level, stop.Confidence = found, ConfidenceMedium
	case c.StopPercent.IsPositive():
		stop.Method, stop.Confidence, stop.Price = string(Percent), ConfidenceLow, away(entry, c.StopPercent, tick, short)
	default:
		return Stop{}, false
	}
	if stop.Level > 0 {
		stop.Method, stop.Price = "swing_low", stop.Levels[stop.Level-1]
		if short {
			stop.Method = "swing_high"
		}
	}
	stop.Distance = entry.Sub(stop.Price).Abs()
	return stop, stop.Price.IsPositive() && stop.Distance.IsPositive()
}

// away is the price a percentage beyond the entry, rounded away from it to the step of prices.
func away(entry, percent, tick decimal.Decimal, short bool) decimal.Decimal {
	if tick.IsZero() {
		tick = decimal.New(1, -percentPlaces)
	}
	if short {
		return money.CeilStep(entry.Mul(hundred.Add(percent)).Shift(-2), tick)
	}
	return money.FloorStep(entry.Mul(hundred.Sub(percent)).Shift(-2), tick)
}

// levels are the distinct swing lows below an entry, or for a short the swing highs above it, the nearest first. Of equal
// neighbours the first is the swing.
func levels(candles []Candle, entry decimal.Decimal, short bool) []decimal.Decimal {
	height := func(i int) decimal.Decimal { // the larger, the deeper: a high upside down
		if short {
			return candles[i].High
		}
		return candles[i].Low.Neg()
	}
	edge := entry.Neg()
	if short {
		edge = entry
	}
	var found []decimal.Decimal
	for i := wing; i < len(candles)-wing; i++ {
		if height(i).GreaterThan(edge) && standsOut(i, height) {
			found = append(found, height(i))
		}
	}
	slices.SortFunc(found, decimal.Decimal.Cmp)
	found = slices.CompactFunc(found, decimal.Decimal.Equal)
	if !short {
		for i := range found {
			found[i] = found[i].Neg()
		}
	}
	return found
}

func standsOut(i int, height func(int) decimal.Decimal) bool {
	for n := 1; n <= wing; n++ {
		if height(i-n).GreaterThanOrEqual(height(i)) || height(i+n).GreaterThan(height(i)) {
			return false
		}
	}
	return true
}
