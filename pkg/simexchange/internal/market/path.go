package market

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Tick is one price at one time.
type Tick struct {
	At    int64 // milliseconds
	Price decimal.Decimal
}

// Path gives prices, one after the other, until it ends.
type Path interface {
	Next() (Tick, bool)
}

type recorded struct {
	ticks []Tick
	next  int
}

// Recorded is the path of ticks that are known.
func Recorded(ticks []Tick) Path { return &recorded{ticks: ticks} }

func (r *recorded) Next() (Tick, bool) {
	if r.next == len(r.ticks) {
		return Tick{}, false
	}
	r.next++
	return r.ticks[r.next-1], true
}

// Walk is a seeded random walk in whole ticks.
type Walk struct {
	Seed        uint64
	Start, Tick decimal.Decimal
	// Steps is the most ticks that the price moves at once.
	Steps int64
	// Every is the time between two prices, and From the first one's time, in milliseconds.
	Every, From int64
}

type walk struct {
	Walk
	state uint64
	ticks int64
	n     int64
}

// Path is the walk as a path; it does not end.
func (w Walk) Path() (Path, error) {
	if !w.Start.IsPositive() || !w.Tick.IsPositive() || !w.Start.Mod(w.Tick).IsZero() || w.Steps < 1 || w.Every < 1 {
		return nil, fmt.Errorf("walk: start %s must be a multiple of tick %s, steps %d and every %d above zero", w.Start, w.Tick, w.Steps, w.Every)
	}
	return &walk{Walk: w, state: w.Seed, ticks: w.Start.Div(w.Tick).IntPart()}, nil
}

func (w *walk) Next() (Tick, bool) {
	if w.n > 0 {
		w.ticks = max(1, w.ticks+int64(splitmix64(&w.state)%uint64(2*w.Steps+1))-w.Steps)
	}
	tick := Tick{At: w.From + w.n*w.Every, Price: w.Tick.Mul(decimal.NewFromInt(w.ticks))}
	w.n++
	return tick, true
}

// splitmix64 is the published generator of that name.
func splitmix64(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
