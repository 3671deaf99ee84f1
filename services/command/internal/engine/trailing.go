package engine

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Stop is the trailing stop of an open position.
type Stop struct {
	Side eventv1.PositionSide
	Mode eventv1.TrailingMode
	// Technical is the stop that the position began with, Distance the planned entry's distance to it.
	Technical decimal.Decimal
	Distance  decimal.Decimal
	// Price is where the stop stands, Extreme the best price seen.
	Price   decimal.Decimal
	Extreme decimal.Decimal
	// Since is when the stop was last set: the market before it says nothing.
	Since time.Time
}

// Tick is one price of the market.
type Tick struct {
	Price decimal.Decimal
	At    time.Time
}

// TrailAction says what a tick does to a position.
type TrailAction int

// What a tick can do.
const (
	// TrailHold leaves everything as it is.
	TrailHold TrailAction = iota
	// TrailMove moves the stop in the position's favour.
	TrailMove
	// TrailExit means that the stop is hit; touching it is hitting it.
	TrailExit
)

// Trailed is what a tick leads to. Stop and Extreme are the new ones for TrailMove and the standing ones otherwise.
type Trailed struct {
	Action  TrailAction
	Stop    decimal.Decimal
	Extreme decimal.Decimal
}

// Trail puts one tick to a stop. The stop only ever moves in the position's favour, whatever ticks come in
// whatever order, and a tick from before the stop was set neither moves nor hits it.
func Trail(stop Stop, tick Tick) Trailed {
	held := Trailed{Action: TrailHold, Stop: stop.Price, Extreme: stop.Extreme}
	if tick.At.Before(stop.Since) {
		return held
	}
	if !stop.better(tick.Price, stop.Price) {
		held.Action = TrailExit
		return held
	}
	if !stop.better(tick.Price, stop.Extreme) {
		return held
	}
	moved := stop.follow(tick.Price)
	if !stop.better(moved, stop.Price) {
		return held
	}
	return Trailed{Action: TrailMove, Stop: moved, Extreme: tick.Price}
}

// follow is where the stop belongs when the best price is extreme.
func (s Stop) follow(extreme decimal.Decimal) decimal.Decimal {
	if s.Mode != eventv1.TrailingMode_TRAILING_MODE_STEP {
		return s.away(extreme, s.Distance.Neg())
	}
	if s.Distance.Sign() <= 0 {
		return s.Price
	}
	// Whole spans that the extreme is beyond the planned entry, which is one span beyond the technical stop.
	gain := extreme.Sub(s.away(s.Technical, s.Distance))
	if s.Side == Short {
		gain = gain.Neg()
	}
	if gain.LessThan(s.Distance) {
		return s.Price
	}
	return s.away(s.Technical, money.FloorStep(gain, s.Distance))
}

// away is the price at a distance in the position's favour; a negative distance goes against it.
func (s Stop) away(price, distance decimal.Decimal) decimal.Decimal {
	if s.Side == Short {
		return price.Sub(distance)
	}
	return price.Add(distance)
}

// better says whether a is strictly more in the position's favour than b.
func (s Stop) better(a, b decimal.Decimal) bool {
	if s.Side == Short {
		return a.LessThan(b)
	}
	return a.GreaterThan(b)
}
