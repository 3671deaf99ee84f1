package httpapi

import (
	"sync"

	"github.com/shopspring/decimal"
)

// pastMax bounds how many prices of a symbol are kept for klines.
const pastMax = 100_000

type moment struct {
	at    int64
	price decimal.Decimal
}

// Past keeps the prices that were, for klines.
type Past struct {
	mu     sync.Mutex
	prices map[string][]moment
}

// Note keeps a price.
func (p *Past) Note(symbol string, at int64, price decimal.Decimal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prices == nil {
		p.prices = map[string][]moment{}
	}
	kept := p.prices[symbol]
	if len(kept) == pastMax {
		kept = append(kept[:0], kept[pastMax/2:]...)
	}
	p.prices[symbol] = append(kept, moment{at, price})
}

// intervals are the lengths of klines, in milliseconds.
var intervals = map[string]int64{
	"1s": 1000, "1m": minute, "3m": 3 * minute, "5m": 5 * minute, "15m": 15 * minute, "30m": 30 * minute,
	"1h": 60 * minute, "2h": 120 * minute, "4h": 240 * minute, "6h": 360 * minute, "8h": 480 * minute, "12h": 720 * minute, "1d": day,
}

// Bar is a kline of the prices that were. Its volume is not known: prices alone are recorded.
type Bar struct {
	Start, End             int64
	Open, High, Low, Close decimal.Decimal
	Count                  int64
}

// Bars are a symbol's klines, oldest first; false if there is no such interval.
func (p *Past) Bars(symbol, interval string) ([]Bar, bool) {
	length, known := intervals[interval]
	if !known {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var bars []Bar
	for _, m := range p.prices[symbol] {
		start := m.at - m.at%length
		if n := len(bars); n == 0 || bars[n-1].Start != start {
			bars = append(bars, Bar{Start: start, End: start + length - 1, Open: m.price, High: m.price, Low: m.price})
		}
		b := &bars[len(bars)-1]
		b.High, b.Low, b.Close = decimal.Max(b.High, m.price), decimal.Min(b.Low, m.price), m.price
		b.Count++
	}
	return bars, true
}
