package detector

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/fault"
)

// MACross is the strategy type whose positions this detector watches for.
const MACross = "ma_cross"

// Method says where a technical stop comes from.
type Method string

// The methods. Where the chart shows no level, the percentage stands in if the settings give one.
const (
	Swing   Method = "swing"
	Percent Method = "percent"
)

// KeySymbol is the setting that names the only symbol to arm positions in.
const KeySymbol = "symbol"

// The other settings' names, and their bounds.
const (
	keyInterval     = "interval"
	keyFast         = "fast"
	keySlow         = "slow"
	keyStopMethod   = "stop_method"
	keyStopLevel    = "stop_level"
	keyStopLookback = "stop_lookback"
	keyStopPercent  = "stop_percent"
	keySignalTTL    = "signal_ttl"
	keyArmedFor     = "armed_for"

	slowMax         = 200
	levelDefault    = 2 // the second support below a long, the second resistance above a short
	levelMax        = 10
	lookbackDefault = 50
	lookbackMin     = 2*wing + 1
	lookbackMax     = 200
	durationMin     = time.Second
	signalTTLMax    = 7 * 24 * time.Hour
	armedForMax     = 366 * 24 * time.Hour
)

// intervals are the candles' lengths, as the venue names them.
var intervals = map[string]time.Duration{
	"1s": time.Second, "1m": time.Minute, "3m": 3 * time.Minute, "5m": 5 * time.Minute, "15m": 15 * time.Minute,
	"30m": 30 * time.Minute, "1h": time.Hour, "2h": 2 * time.Hour, "4h": 4 * time.Hour, "6h": 6 * time.Hour,
	"8h": 8 * time.Hour, "12h": 12 * time.Hour, "1d": 24 * time.Hour,
}

// Config are the settings of a strategy of type ma_cross.
type Config struct {
	// Symbol is the only one that positions are armed in; empty: each position's own.
	Symbol string
	// Interval is a candle's length; IntervalName is how the venue calls it.
	Interval     time.Duration
	IntervalName string
	// Fast and Slow are how many closes the averages are of.
	Fast, Slow int
	// StopMethod is where the stop comes from; StopLevel is which level beyond the entry it is, from 1, the nearest;
	// StopLookback is in how many candles levels are looked for.
	StopMethod   Method
	StopLevel    int
	StopLookback int
	// StopPercent is the distance from entry where no level is; zero: no signal then.
	StopPercent decimal.Decimal
	// SignalTTL is how long a signal is good for.
	SignalTTL time.Duration
	// ArmedFor is how long a position waits for a signal before it is disarmed; zero: for ever.
	ArmedFor time.Duration
}

// Needed is how many whole candles a signal rests on: with fewer none is seen, so that it does not depend on when
// watching began.
func (c Config) Needed() int { return max(c.Slow+1, c.StopLookback) }

// Parse reads a strategy's settings. What is wrong is told with the setting's name.
func Parse(settings map[string]string) (Config, error) {
	p := parser{settings: settings}
	c := Config{
		Symbol: settings[KeySymbol], StopMethod: Method(p.text(keyStopMethod, string(Swing))),
		Fast: p.number(keyFast, 0, 1, slowMax-1), Slow: p.number(keySlow, 0, 2, slowMax),
		StopLevel:    p.number(keyStopLevel, levelDefault, 1, levelMax),
		StopLookback: p.number(keyStopLookback, lookbackDefault, lookbackMin, lookbackMax),
		StopPercent:  p.percent(keyStopPercent),
	}
	c.IntervalName, c.Interval = p.interval()
	c.SignalTTL = p.duration(keySignalTTL, c.Interval, signalTTLMax)
	c.ArmedFor = p.duration(keyArmedFor, 0, armedForMax)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(p.known(), key) {
			p.fail(key, "is no setting of %s: %s are", MACross, strings.Join(p.known(), ", "))
		}
	}
	switch {
	case c.Fast >= c.Slow:
		p.fail(keyFast, "must be below slow, %d", c.Slow)
	case c.StopMethod != Swing && c.StopMethod != Percent:
		p.fail(keyStopMethod, "must be %s or %s", Swing, Percent)
	case c.StopMethod == Percent && c.StopPercent.IsZero():
		p.fail(keyStopPercent, "is needed for stop_method %s", Percent)
	}
	return c, p.err
}

// parser reads settings; the first that is wrong is kept as err.
type parser struct {
	settings map[string]string
	err      error
}

func (p *parser) known() []string {
	return []string{
		keyArmedFor, keyFast, keyInterval, keySignalTTL, keySlow, keyStopLevel, keyStopLookback, keyStopMethod, keyStopPercent, KeySymbol,
	}
}

func (p *parser) fail(key, format string, args ...any) {
	if p.err == nil {
		p.err = fault.InvalidField("detector_config."+key, format, args...)
	}
}

func (p *parser) text(key, other string) string {
	if text := p.settings[key]; text != "" {
		return text
	}
	return other
}

// number reads a whole number; one without a default is needed.
func (p *parser) number(key string, other, least, most int) int {
	text := p.settings[key]
	if text == "" && other > 0 {
		return other
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		p.fail(key, "must be a whole number from %d to %d", least, most)
	}
	return value
}

// percent reads a percentage below 100; absent it is zero.
func (p *parser) percent(key string) decimal.Decimal {
	text := p.settings[key]
	if text == "" {
		return decimal.Zero
	}
	value, err := decimal.NewFromString(text)
	if err != nil || !value.IsPositive() || !value.LessThan(hundred) || !value.Equal(value.Truncate(percentPlaces)) {
		p.fail(key, "must be a number above 0 and below 100 with at most %d decimals", percentPlaces)
		return decimal.Zero
	}
	return value
}

// percentPlaces is how many decimals a percentage may have.
const percentPlaces = 8

func (p *parser) interval() (string, time.Duration) {
	name := p.settings[keyInterval]
	length, known := intervals[name]
	if !known {
		names := slices.SortedFunc(maps.Keys(intervals), func(a, b string) int { return int(intervals[a]/time.Second - intervals[b]/time.Second) })
		p.fail(keyInterval, "must be one of %s", strings.Join(names, ", "))
	}
	return name, length
}

func (p *parser) duration(key string, other, most time.Duration) time.Duration {
	text := p.settings[key]
	if text == "" {
		return other
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < durationMin || value > most {
		p.fail(key, "must be a duration from %s to %s, for example 90s or 15m", durationMin, most)
	}
	return value
}
