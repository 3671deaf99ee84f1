package lifecycle

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// protect keeps one resting stop at the venue behind the trailing stop: at most one is live at any time, the monitor
// covers the gap while it is replaced.
func protect(s State) []Step {
	if s.Settings.NoInsuranceStop || !s.Position.EntryDone || s.History.Opened == nil {
		return nil
	}
	newest := s.newest(stopIntent)
	if s.unsent(newest) {
		return []Step{execute(newest)}
	}
	if order := s.live(newest); order != nil {
		if order.Unresolved {
			return []Step{resolve(order)}
		}
		if stopIsOff(s, order) {
			return cancel(s, order, *s.History.StopSet, "stop_moved")
		}
		return nil
	}
	if steps, _ := incomplete(s); len(steps) > 0 {
		return steps // What is open is not known yet; the monitor guards.
	}
	return placeStop(s, newest)
}

// placeStop intends a new resting stop, caused by what left the position without one.
func placeStop(s State, before *Intent) []Step {
	quantity := exitQuantity(s)
	price := restingPrice(s)
	if engine.IsDust(s.Position.Open, price, s.Instrument) || !price.IsPositive() {
		return nil
	}
	entry := s.newest(entryIntent)
	cause := latest(s.History.Opened, s.ended(entry), s.ended(before))
	if cause == nil || entry != nil && s.ended(entry) == nil {
		return nil
	}
	const name = "insurance_stop"
	intent := newIntent(s, cause.EventID, name, stopIntent)
	intent.Side, intent.OrderType = exitSide(s.Position.Side), eventv1.OrderType_ORDER_TYPE_STOP_LOSS
	intent.Quantity, intent.StopPrice, intent.Reason = quantity.String(), price.String(), name
	return []Step{holdBack(s, stopIntent, decide(name, *cause, event.Wrap(intent), s.MarketTime))}
}

// restingPrice is where the resting stop belongs: behind the trailing stop by the buffer, on a tick.
func restingPrice(s State) decimal.Decimal {
	buffer := s.Position.TechnicalDistance.Mul(s.Settings.StopBufferFraction)
	if s.Position.Side == engine.Short {
		return money.CeilStep(s.Position.TrailingStop.Add(buffer), s.Instrument.TickSize)
	}
	return money.FloorStep(s.Position.TrailingStop.Sub(buffer), s.Instrument.TickSize)
}

// stopIsOff says whether the live resting stop is to be replaced: the trailing stop has gained enough on it, a user
// moved the stop, or it no longer covers what is open.
func stopIsOff(s State, order *Order) bool {
	if s.History.StopSet == nil {
		return false
	}
	if exitQuantity(s).Sub(order.Quantity).GreaterThanOrEqual(decimal.Max(s.Instrument.StepSize, smallest)) &&
		order.Quantity.LessThan(s.Position.Open) {
		return true
	}
	gain := restingPrice(s).Sub(order.StopPrice)
	if s.Position.Side == engine.Short {
		gain = gain.Neg()
	}
	if s.History.StopByUser && gain.IsPositive() {
		return true
	}
	return gain.IsPositive() && gain.GreaterThanOrEqual(s.Position.TechnicalDistance.Mul(s.Settings.StopReplaceFraction))
}

// smallest keeps a step of zero, which disables the rule, from making every stop look short.
var smallest = decimal.New(1, -8)

// exitQuantity is how much to order to leave what is open.
func exitQuantity(s State) decimal.Decimal {
	return engine.ExitQuantity(s.Position.Side, s.Position.Open, s.BaseFeeRate, s.Instrument)
}
