package simexchange

import (
	"strings"

	"github.com/robson/robson/pkg/simexchange/internal/httpapi"
)

// streamIntervals are the klines that are streamed.
var streamIntervals = []string{"1m", "5m", "15m", "1h", "1d"}

// tell publishes a symbol's new price on its market streams.
func (w *world) tell(symbol string, at int64) error {
	m, err := w.exchange.Look(symbol)
	if err != nil {
		return err
	}
	name := strings.ToLower(symbol)
	price, size := httpapi.Num(m.Last), "0.00000000"
	w.hub.Publish(name+"@trade", map[string]any{
		"e": "trade", "E": at, "s": symbol, "t": m.Seq, "p": price, "q": size, "T": at, "m": false, "M": true,
	})
	book := httpapi.BookTicker(m)
	w.hub.Publish(name+"@bookTicker", map[string]any{
		"u": m.Seq, "s": symbol, "b": book["bidPrice"], "B": book["bidQty"], "a": book["askPrice"], "A": book["askQty"],
	})
	for _, interval := range streamIntervals {
		stream := name + "@kline_" + interval
		if !w.hub.Watched(stream) {
			continue
		}
		bars, _ := w.past.Bars(symbol, interval)
		b := bars[len(bars)-1]
		w.hub.Publish(stream, map[string]any{"e": "kline", "E": at, "s": symbol, "k": map[string]any{
			"t": b.Start, "T": b.End, "s": symbol, "i": interval, "f": 0, "L": 0, "o": httpapi.Num(b.Open), "c": httpapi.Num(b.Close),
			"h": httpapi.Num(b.High), "l": httpapi.Num(b.Low), "v": size, "n": b.Count, "x": at >= b.End, "q": size, "V": size, "Q": size, "B": "0",
		}})
	}
	return nil
}
