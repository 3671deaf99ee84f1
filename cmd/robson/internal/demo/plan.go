package demo

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"
)

// The plan's numbers.
var (
	// spanPercents are the distances of the technical stop that are tried, percent of entry, in this order.
	spanPercents = []decimal.Decimal{decimal.New(2, 0), decimal.New(15, -1), decimal.New(3, 0), decimal.New(1, 0), decimal.New(5, -1)}
	hundred      = decimal.New(100, 0)
	// priceTick is the tick size the demo's stops are rounded to.
	priceTick = decimal.New(1, -2)
)

// stopMovesMin is how often the trailing stop of the planned long must move before it is hit.
const stopMovesMin = 3

// shortTicksMin is how many ticks the planned short is held before it is closed by command.
const shortTicksMin = 8

// errNoScene means that the prices hold no place where a scene could be played.
var errNoScene = errors.New("the market data hold no such place; longer or livelier data are needed")

// longScene is a long that ends by its stop. Indices count ticks from 0.
type longScene struct {
	entryTick, exitTick int
	stop                decimal.Decimal
}

// shortScene is a short that is closed by command while it is ahead.
type shortScene struct {
	entryTick, closeTick int
	stop                 decimal.Decimal
}

// plan is what the demo plays. The entries are picked by looking ahead in the data: choreography, not a strategy.
type plan struct {
	long  longScene
	short shortScene
}

// makePlan looks for a long and, after it, a short.
func makePlan(prices []decimal.Decimal) (plan, error) {
	long, err := findLong(prices, 1)
	if err != nil {
		return plan{}, fmt.Errorf("a long that leaves by its trailing stop: %w", err)
	}
	short, err := findShort(prices, long.exitTick+2)
	if err != nil {
		return plan{}, fmt.Errorf("a short that falls for a while: %w", err)
	}
	return plan{long: long, short: short}, nil
}

// findLong finds the first entry whose continuous trailing stop moves often enough and then is hit above the entry.
func findLong(prices []decimal.Decimal, from int) (longScene, error) {
	for _, percent := range spanPercents {
		for entry := from; entry < len(prices); entry++ {
			if scene, ok := playLong(prices, entry, percent); ok {
				return scene, nil
			}
		}
	}
	return longScene{}, errNoScene
}

// playLong plays a long entered at a tick to its exit.
func playLong(prices []decimal.Decimal, entry int, percent decimal.Decimal) (longScene, bool) {
	price := prices[entry]
	span := roundTick(price.Mul(percent).Div(hundred))
	stop := price.Sub(span)
	extreme, moves := price, 0
	for i := entry + 1; i < len(prices); i++ {
		switch {
		case prices[i].LessThanOrEqual(stop):
			// Leaving well above the entry keeps the scene clear of fees and of the depth eaten by the entry.
			profit := stop.Sub(price).GreaterThan(span.Div(decimal.New(2, 0)))
			return longScene{entryTick: entry, exitTick: i, stop: price.Sub(span)}, profit && moves >= stopMovesMin
		case prices[i].GreaterThan(extreme):
			extreme = prices[i]
			stop = extreme.Sub(span)
			moves++
		}
	}
	return longScene{}, false
}

// findShort finds the first entry after which the price falls for a while without touching the trailing stop, and is
// then still well below the entry.
func findShort(prices []decimal.Decimal, from int) (shortScene, error) {
	for _, percent := range spanPercents {
		for entry := from; entry < len(prices); entry++ {
			if scene, ok := playShort(prices, entry, percent); ok {
				return scene, nil
			}
		}
	}
	return shortScene{}, errNoScene
}

// playShort plays a short entered at a tick until it is to be closed.
func playShort(prices []decimal.Decimal, entry int, percent decimal.Decimal) (shortScene, bool) {
	price := prices[entry]
	span := roundTick(price.Mul(percent).Div(hundred))
	stop, extreme := price.Add(span), price
	for i := entry + 1; i < len(prices); i++ {
		if prices[i].GreaterThanOrEqual(stop) {
			return shortScene{}, false
		}
		if prices[i].LessThan(extreme) {
			extreme = prices[i]
			stop = extreme.Add(span)
		}
		if i-entry >= shortTicksMin && price.Sub(prices[i]).GreaterThan(span.Div(decimal.New(2, 0))) {
			return shortScene{entryTick: entry, closeTick: i, stop: price.Add(span)}, true
		}
	}
	return shortScene{}, false
}

// roundTick rounds a distance down to the price tick.
func roundTick(d decimal.Decimal) decimal.Decimal {
	return d.Div(priceTick).Floor().Mul(priceTick)
}
