package detector

import (
	"time"

	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Found is a signal that the candles show.
type Found struct {
	// Candle began at Open; Closed is when the cross was known.
	Open, Closed time.Time
	// Entry is the close.
	Entry decimal.Decimal
	Stop  Stop
}

// Detect says whether the newest of the closed candles crosses the averages to a side, and where the stop then is. A
// cross to a long is a fast average that was at or below the slow one and now is above it. There is no signal where too
// few candles are known, and none without a stop. The tick is the symbol's step of prices, zero for none.
func Detect(c Config, side eventv1.PositionSide, candles []Candle, tick decimal.Decimal) (Found, bool) {
	if len(candles) < c.Needed() {
		return Found{}, false
	}
	now, before := lead(c, candles), lead(c, candles[:len(candles)-1])
	if side == eventv1.PositionSide_POSITION_SIDE_SHORT {
		now, before = -now, -before
	}
	if now <= 0 || before > 0 {
		return Found{}, false
	}
	newest := candles[len(candles)-1]
	stop, ok := analyze(c, side, candles[len(candles)-c.StopLookback:], newest.Close, tick)
	return Found{Open: newest.Open, Closed: newest.Open.Add(c.Interval), Entry: newest.Close, Stop: stop}, ok
}

// lead is the sign of the fast average less the slow one. The sums are compared crosswise, so nothing is rounded.
func lead(c Config, candles []Candle) int {
	fast := sum(candles[len(candles)-c.Fast:]).Mul(decimal.NewFromInt(int64(c.Slow)))
	slow := sum(candles[len(candles)-c.Slow:]).Mul(decimal.NewFromInt(int64(c.Fast)))
	return fast.Cmp(slow)
}

func sum(candles []Candle) decimal.Decimal {
	total := decimal.Zero
	for _, candle := range candles {
		total = total.Add(candle.Close)
	}
	return total
}
