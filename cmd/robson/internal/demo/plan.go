package demo

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"
)

// The plan's numbers.
var (
	// spanPercents are the distances of the technical stop that are tried, percent of entry, in this order. The engine takes
	// 0.1 to 10.
	spanPercents = []decimal.Decimal{
		decimal.New(2, 0), decimal.New(15, -1), decimal.New(3, 0), decimal.New(1, 0), decimal.New(5, -1), decimal.New(3, -1), decimal.New(2, -1),
	}
	hundred = decimal.New(100, 0)
	// capital is what the scenes are sized on, and riskPercent what they risk of it.
	capital     = decimal.New(10_000, 0)
	riskPercent = decimal.New(1, 0)
	two         = decimal.New(2, 0)
	// priceTick is the tick size the demo's stops are rounded to.
	priceTick = decimal.New(1, -2)
	// slipShare is the part of the span by which a planned short stays clear of its stop: entries slip, and the stop trails
	// the fill.
	slipShare = decimal.New(10, 0)
)

// taste is what makes a scene worth showing.
type taste struct {
	// ticksMax bounds how long it is watched.
	ticksMax int
	// stopMovesMin is how often the long's stop must move before it is hit.
	stopMovesMin int
	// ahead asks for a profit of half the span, clear of fees and of the depth that the entry eats.
	ahead bool
	// touch asks that the price which hits the stop does not reach the resting stop behind it too: then it is the monitor
	// that leaves, in every run, and not whoever sees the price first.
	touch bool
}

// tastes are tried in this order: first a short ride that pays, in the end any that shows what is to be shown.
var tastes = []taste{
	{ticksMax: 120, stopMovesMin: 3, ahead: true, touch: true},
	{ticksMax: 1000, stopMovesMin: 3, ahead: true, touch: true},
	{ticksMax: 120, stopMovesMin: 3, ahead: true},
	{ticksMax: 1000, stopMovesMin: 3, ahead: true},
	{ticksMax: 1000, stopMovesMin: 1},
}

// restingShare is the part of the span that the resting stop keeps behind the trailing one, at least.
var restingShare = decimal.New(10, 0)

// shortTicksMin is how many ticks the planned short is held before it is closed by command.
const shortTicksMin = 8

// errNoScene means that the prices hold no place where a scene could be played.
var errNoScene = errors.New("the market data hold no such place; longer or livelier data are needed")

// longScene is a long that ends by its stop. Indices count ticks from 0.
type longScene struct {
	entryTick, exitTick int
	price, stop         decimal.Decimal
}

// quantity is about what the Golden Rule makes of the scene: capital x risk / distance, at most what the capital buys.
func (s longScene) quantity() decimal.Decimal {
	return decimal.Min(capital.Mul(riskPercent).Div(hundred).Div(s.price.Sub(s.stop)), capital.Div(s.price))
}

// shortScene is a short that is closed by command before its stop is hit.
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
	var err error
	for _, t := range tastes {
		var p plan
		p, err = makePlanOf(prices, t)
		if err == nil {
			return p, nil
		}
	}
	return plan{}, err
}

// makePlanOf looks for both scenes by one taste.
func makePlanOf(prices []decimal.Decimal, t taste) (plan, error) {
	long, err := findLong(prices, t)
	if err != nil {
		return plan{}, fmt.Errorf("a long that leaves by its trailing stop: %w", err)
	}
	short, err := findShort(prices, long.exitTick+2, t)
	if err != nil {
		return plan{}, fmt.Errorf("a short that is ahead for a while: %w", err)
	}
	return plan{long: long, short: short}, nil
}

// findLong finds the first entry whose continuous trailing stop moves often enough before it is hit.
func findLong(prices []decimal.Decimal, t taste) (longScene, error) {
	for _, percent := range spanPercents {
		for entry := 1; entry < len(prices); entry++ {
			if scene, ok := playLong(prices, entry, percent, t); ok {
				return scene, nil
			}
		}
	}
	return longScene{}, errNoScene
}

// playLong plays a long entered at a tick to its exit.
func playLong(prices []decimal.Decimal, entry int, percent decimal.Decimal, t taste) (longScene, bool) {
	price := prices[entry]
	span := roundTick(price.Mul(percent).Div(hundred))
	stop := price.Sub(span)
	extreme, moves := price, 0
	for i := entry + 1; i < len(prices) && i <= entry+t.ticksMax; i++ {
		switch {
		case prices[i].LessThanOrEqual(stop):
			ahead := decimal.Min(stop, prices[i]).Sub(price).GreaterThan(span.Div(two))
			touch := prices[i].GreaterThan(stop.Sub(span.Div(restingShare)))
			scene := longScene{entryTick: entry, exitTick: i, price: price, stop: price.Sub(span)}
			return scene, moves >= t.stopMovesMin && (ahead || !t.ahead) && (touch || !t.touch)
		case prices[i].GreaterThan(extreme):
			extreme = prices[i]
			stop = extreme.Sub(span)
			moves++
		}
	}
	return longScene{}, false
}

// findShort finds the first entry from a tick on after which the price stays clear of the trailing stop for a while.
func findShort(prices []decimal.Decimal, from int, t taste) (shortScene, error) {
	for _, percent := range spanPercents {
		for entry := from; entry < len(prices); entry++ {
			if scene, ok := playShort(prices, entry, percent, t); ok {
				return scene, nil
			}
		}
	}
	return shortScene{}, errNoScene
}

// playShort plays a short entered at a tick until it is to be closed.
func playShort(prices []decimal.Decimal, entry int, percent decimal.Decimal, t taste) (shortScene, bool) {
	price := prices[entry]
	span := roundTick(price.Mul(percent).Div(hundred))
	slip := span.Div(slipShare)
	stop, extreme := price.Add(span), price
	for i := entry + 1; i < len(prices) && i <= entry+t.ticksMax; i++ {
		if prices[i].GreaterThanOrEqual(stop.Sub(slip)) {
			return shortScene{}, false
		}
		if prices[i].LessThan(extreme) {
			extreme = prices[i]
			stop = extreme.Add(span)
		}
		ahead := price.Sub(prices[i]).GreaterThan(span.Div(two))
		if i-entry >= shortTicksMin && (ahead || !t.ahead) {
			return shortScene{entryTick: entry, closeTick: i, stop: price.Add(span)}, true
		}
	}
	return shortScene{}, false
}

// roundTick rounds a distance down to the price tick.
func roundTick(d decimal.Decimal) decimal.Decimal {
	return d.Div(priceTick).Floor().Mul(priceTick)
}
