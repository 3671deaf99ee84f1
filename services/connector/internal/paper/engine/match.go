package engine

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Expiry reasons the venue gives.
const (
	reasonNoLiquidity = "INSUFFICIENT_LIQUIDITY"
	reasonNoBalance   = "INSUFFICIENT_BALANCE"
	reasonNotAtOnce   = "NOT_FILLED_IMMEDIATELY"
)

// quote is what a side of the ladder still offers at one level.
type quote struct {
	level     int
	price     decimal.Decimal
	available decimal.Decimal
	unbounded bool
}

// best is the price an order of this side meets first: buyers meet the ask, sellers the bid.
func (y *symbolState) best(side venue.Side) decimal.Decimal {
	if side == venue.Buy {
		return y.Last.Ask
	}
	return y.Last.Bid
}

// ladder lists what an order of this side may take, nearest first. Prices below one tick are not offered.
func (y *symbolState) ladder(side venue.Side) []quote {
	if len(y.Book.Depth) == 0 {
		return []quote{{price: y.best(side), unbounded: true}}
	}
	taken := y.Taken[side]
	out := make([]quote, 0, len(y.Book.Depth))
	for n, level := range y.Book.Depth {
		offset := y.Instrument.Price.Tick.Mul(decimal.NewFromInt(level.OffsetTicks))
		if side == venue.Sell {
			offset = offset.Neg()
		}
		q := quote{level: n, price: y.best(side).Add(offset), available: level.Quantity}
		if n < len(taken) {
			q.available = q.available.Sub(taken[n])
		}
		if q.price.IsPositive() {
			out = append(out, q)
		}
	}
	return out
}

// slice is a part of an order that one level fills.
type slice struct {
	level           int
	price, quantity decimal.Decimal
}

// plan says how the ladder would fill a quantity, at prices no worse than the limit where there is one (zero: none).
// What it leaves is not offered.
func (y *symbolState) plan(side venue.Side, quantity, limit decimal.Decimal) []slice {
	return y.planOn(y.ladder(side), side, quantity, limit)
}

func (y *symbolState) planOn(ladder []quote, side venue.Side, quantity, limit decimal.Decimal) []slice {
	var out []slice
	for _, q := range ladder {
		if !quantity.IsPositive() || !limit.IsZero() && worse(side, q.price, limit) {
			break
		}
		part := quantity
		if !q.unbounded {
			part = decimal.Min(part, q.available)
		}
		// A level may hold a quantity that is no multiple of the lot step; trades are.
		part = part.Sub(part.Mod(y.Instrument.Lot.Step))
		if !part.IsPositive() {
			continue
		}
		out = append(out, slice{level: q.level, price: q.price, quantity: part})
		quantity = quantity.Sub(part)
	}
	return out
}

// worse says whether a price is worse than a limit for an order of this side.
func worse(side venue.Side, price, limit decimal.Decimal) bool {
	if side == venue.Buy {
		return price.GreaterThan(limit)
	}
	return price.LessThan(limit)
}

func total(slices []slice) (quantity, cost decimal.Decimal) {
	for _, s := range slices {
		quantity = quantity.Add(s.quantity)
		cost = cost.Add(s.quantity.Mul(s.price))
	}
	return quantity, cost
}

// take fills an order from the ladder by a plan and tells what was eaten. It stops when the account cannot pay.
func (c *change) take(y *symbolState, o *orderState, plan []slice) (paid bool) {
	if len(y.Book.Depth) > 0 && len(plan) > 0 {
		levels := make([]decimal.Decimal, len(y.Book.Depth))
		copy(levels, y.Taken[o.Side])
		for _, s := range plan {
			levels[s.level] = levels[s.level].Add(s.quantity)
		}
		c.emit(effect{Taken: &takenEffect{Symbol: o.Symbol, Side: o.Side, Levels: levels}})
	}
	for _, s := range plan {
		if !c.fill(y, o, s.price, s.quantity, false) {
			return false
		}
	}
	return true
}

// runMarket fills a market order: all at once, or one level now and the next ones at later ticks.
func (c *change) runMarket(y *symbolState, o *orderState) {
	slow := y.Book.LatencyTicks > 0 && len(y.Book.Depth) > 0
	ladder := y.ladder(o.Side)
	if slow {
		ladder = slices.DeleteFunc(ladder, func(q quote) bool { return q.level != o.NextLevel })
	}
	plan := y.planOn(ladder, o.Side, o.Remaining(), decimal.Zero)
	if !c.take(y, o, plan) {
		c.end(o, venue.StatusExpired, reasonNoBalance)
		return
	}
	if !o.Status.IsOpen() {
		return
	}
	if !slow || o.NextLevel+1 >= len(y.Book.Depth) {
		c.end(o, venue.StatusExpired, reasonNoLiquidity)
		return
	}
	next := *o
	next.NextLevel++
	next.NextTick = y.Last.Sequence + y.Book.LatencyTicks
	c.put(next)
}

// runLimit fills the part of a limit order that the ladder offers; what then remains rests, or expires.
func (c *change) runLimit(y *symbolState, o *orderState) {
	plan := y.plan(o.Side, o.Remaining(), o.Price)
	offered, _ := total(plan)
	if o.TimeInForce == venue.FOK && offered.LessThan(o.Remaining()) {
		c.end(o, venue.StatusExpired, reasonNotAtOnce)
		return
	}
	if !c.take(y, o, plan) {
		c.end(o, venue.StatusExpired, reasonNoBalance)
		return
	}
	if o.Status.IsOpen() && o.TimeInForce == venue.IOC {
		c.end(o, venue.StatusExpired, reasonNotAtOnce)
	}
}

// tickOrders lets a new price work on the orders of its symbol.
func (c *change) tickOrders(y *symbolState) {
	for _, side := range []venue.Side{venue.Buy, venue.Sell} {
		c.fillResting(y, side)
	}
	for _, o := range slices.Clone(y.open) {
		if o.Status.IsOpen() && o.isWorking() && o.NextTick <= y.Last.Sequence {
			c.runMarket(y, o)
		}
	}
	for _, o := range slices.Clone(y.open) {
		if o.Status.IsOpen() && o.isWaiting() && triggers(o.Side, o.StopPrice, y.Last.Price) {
			c.trigger(y, o)
		}
	}
}

// fillResting fills the limit orders that a price reached, at their own price, best first and then oldest first.
func (c *change) fillResting(y *symbolState, side venue.Side) {
	var reached []*orderState
	for _, o := range y.open {
		if o.Side == side && o.isResting() && !worse(side, y.Last.Price, o.Price) {
			reached = append(reached, o)
		}
	}
	slices.SortStableFunc(reached, func(a, b *orderState) int {
		if side == venue.Buy {
			return cmp.Or(b.Price.Cmp(a.Price), cmp.Compare(a.OrderID, b.OrderID))
		}
		return cmp.Or(a.Price.Cmp(b.Price), cmp.Compare(a.OrderID, b.OrderID))
	})
	left := y.Book.TickVolume
	for _, o := range reached {
		part := o.Remaining()
		if !y.Book.TickVolume.IsZero() {
			part = decimal.Min(part, left.Sub(left.Mod(y.Instrument.Lot.Step)))
		}
		if !part.IsPositive() {
			return
		}
		if !c.fill(y, o, o.Price, part, true) {
			c.end(o, venue.StatusExpired, reasonNoBalance)
			continue
		}
		left = left.Sub(part)
	}
}

// triggers says whether a price reaches a stop: touching it counts.
func triggers(side venue.Side, stop, price decimal.Decimal) bool {
	if side == venue.Buy {
		return price.GreaterThanOrEqual(stop)
	}
	return price.LessThanOrEqual(stop)
}

// runPartly fills half of a new order, as far as the ladder offers it, and has the exchange cancel the rest: a bad day
// that operators rehearse.
func (c *change) runPartly(y *symbolState, o *orderState) {
	half, _ := o.Quantity.QuoRem(decimal.NewFromInt(2), y.Instrument.BasePrecision)
	half = half.Sub(half.Mod(y.Instrument.Lot.Step))
	limit := decimal.Zero
	if o.Type.HasPrice() {
		limit = o.Price
	}
	if o.Type.IsStop() || c.take(y, o, y.plan(o.Side, half, limit)) && o.Status.IsOpen() {
		canceled := *o
		canceled.CanceledBy = venue.CanceledByExchange
		c.put(canceled)
		c.end(o, venue.StatusCanceled, "")
	}
}

func (c *change) trigger(y *symbolState, o *orderState) {
	triggered := *o
	triggered.Triggered = true
	c.put(triggered)
	c.reportOrder(*o, venue.ExecutionNew, nil)
	if o.Type == venue.StopLoss {
		c.runMarket(y, o)
		return
	}
	c.runLimit(y, o)
}
