package feed

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Walk is a seeded random walk in whole ticks.
type Walk struct {
	Seed  uint64          `json:"seed"`
	Start decimal.Decimal `json:"start"`
	// TickSize is the instrument's; set when the walk is loaded.
	TickSize decimal.Decimal `json:"tick_size"`
	// StepTicks is the most ticks the price moves at once, either way.
	StepTicks int64         `json:"step_ticks"`
	Interval  time.Duration `json:"interval"`
	StartTime time.Time     `json:"start_time"`
	// Ticks is the length of the path; 0: without end.
	Ticks int64 `json:"ticks,omitempty"`
}

const (
	// stepTicksMax keeps 2k+1 far from overflow.
	stepTicksMax = 1_000_000
	// lengthMax is how much market time a walk may take: a duration cannot measure more than 292 years.
	lengthMax = 100 * 365 * 24 * time.Hour
)

// startTicksMax is the highest price in ticks that a walk may begin at, so that it can be counted in ticks for ever.
var startTicksMax = decimal.New(1, 15)

func (w *Walk) validate(tickSize decimal.Decimal) error {
	switch {
	case !w.TickSize.Equal(tickSize):
		return fmt.Errorf("market walk: tick size %s, the instrument has %s", w.TickSize, tickSize)
	case !w.Start.IsPositive() || !w.Start.Mod(tickSize).IsZero():
		return fmt.Errorf("market walk: start %s: must be above zero and a multiple of %s", w.Start, tickSize)
	case w.Start.GreaterThan(tickSize.Mul(startTicksMax)):
		return fmt.Errorf("market walk: start %s: at most %s", w.Start, tickSize.Mul(startTicksMax))
	case w.StepTicks < 1 || w.StepTicks > stepTicksMax:
		return fmt.Errorf("market walk: step of %d ticks: must lie within 1 and %d", w.StepTicks, stepTicksMax)
	case w.Interval < time.Millisecond:
		return fmt.Errorf("market walk: interval %s: at least 1 ms", w.Interval)
	case w.Ticks < 0:
		return fmt.Errorf("market walk: length %d: must not be negative", w.Ticks)
	case w.Ticks > int64(lengthMax/w.Interval):
		return fmt.Errorf("market walk: %d ticks of %s: at most %s in all", w.Ticks, w.Interval, lengthMax)
	default:
		return nil
	}
}

// next moves at most StepTicks either way and never below one tick. The first tick is the start itself.
func (w *Walk) next(after Tick) Tick {
	if after.Index == 0 {
		return Tick{Index: 1, Time: w.StartTime, Price: w.Start, Walk: w.Seed}
	}
	state := after.Walk
	drawn := splitmix64(&state) % uint64(2*w.StepTicks+1)
	ticks := after.Price.Div(w.TickSize).IntPart() + int64(drawn) - w.StepTicks
	return Tick{
		Index: after.Index + 1,
		Time:  w.StartTime.Add(w.Interval * time.Duration(after.Index)),
		Price: w.TickSize.Mul(decimal.NewFromInt(max(1, ticks))),
		Walk:  state,
	}
}

// splitmix64 is Steele, Lea and Flood's generator: small, and the same everywhere.
func splitmix64(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
