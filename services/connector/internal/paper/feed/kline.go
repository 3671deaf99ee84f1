package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/shopspring/decimal"
)

// Limits of a kline document.
const (
	KlineBytesMax = 64 << 20
	KlineRowsMax  = 200_000
)

// Bar is one kline: what traded from Open until before Close.
type Bar struct {
	OpenTime time.Time       `json:"t"`
	Open     decimal.Decimal `json:"o"`
	High     decimal.Decimal `json:"h"`
	Low      decimal.Decimal `json:"l"`
	Close    decimal.Decimal `json:"c"`
	// Length is how long the bar lasts.
	Length time.Duration `json:"d"`
}

// Gap is a stretch of time for which a document has no bars. It is noted, not filled.
type Gap struct {
	// AfterRow is the row before the gap, from 0.
	AfterRow int
	From, To time.Time
}

// Bars are decoded klines.
type Bars struct {
	Bars []Bar
	Gaps []Gap
}

// The columns of a kline row, in Binance's order.
var klineColumns = []string{
	"open time", "open", "high", "low", "close", "volume", "close time",
	"quote volume", "trades", "taker base volume", "taker quote volume", "unused",
}

var klineNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?$`)

// ParseKlines reads klines in Binance's REST form: an array of rows of twelve columns, prices and amounts as strings,
// times in milliseconds. Rows must follow each other in time. Whatever does not fit is an error that names row and column.
func ParseKlines(document []byte) (Bars, error) {
	if len(document) > KlineBytesMax {
		return Bars{}, fmt.Errorf("klines: %d bytes, at most %d are taken", len(document), KlineBytesMax)
	}
	if trimmed := bytes.TrimSpace(document); len(trimmed) > 0 && trimmed[0] == '{' {
		return Bars{}, fmt.Errorf("klines: an object where an array of rows belongs: %.200s", trimmed)
	}
	var rows [][]json.RawMessage
	if err := json.Unmarshal(document, &rows); err != nil {
		return Bars{}, fmt.Errorf("klines: not an array of rows: %w", err)
	}
	if len(rows) == 0 {
		return Bars{}, fmt.Errorf("klines: no rows")
	}
	if len(rows) > KlineRowsMax {
		return Bars{}, fmt.Errorf("klines: %d rows, at most %d are taken", len(rows), KlineRowsMax)
	}
	out := Bars{Bars: make([]Bar, 0, len(rows))}
	for n, row := range rows {
		bar, err := parseRow(n, row)
		if err != nil {
			return Bars{}, err
		}
		if n > 0 {
			previous := out.Bars[n-1]
			end := previous.OpenTime.Add(previous.Length)
			if bar.OpenTime.Before(end) {
				return Bars{}, cellError(n, 0, "%s is before the end of the row above, %s", stamp(bar.OpenTime), stamp(end))
			}
			if bar.OpenTime.After(end) {
				out.Gaps = append(out.Gaps, Gap{AfterRow: n - 1, From: end, To: bar.OpenTime})
			}
		}
		out.Bars = append(out.Bars, bar)
	}
	return out, nil
}

func parseRow(n int, row []json.RawMessage) (Bar, error) {
	if len(row) != len(klineColumns) {
		return Bar{}, fmt.Errorf("klines: row %d has %d columns, %d belong", n, len(row), len(klineColumns))
	}
	var numbers [12]decimal.Decimal
	var times [2]int64
	for column, cell := range row {
		var err error
		switch column {
		case 0, 6:
			times[column/6], err = parseTime(n, column, cell)
		case 8:
			_, err = parseInteger(n, column, cell)
		case 11:
			// Binance calls it unused and fills it with anything.
		default:
			numbers[column], err = parseDecimal(n, column, cell)
		}
		if err != nil {
			return Bar{}, err
		}
	}
	opened, closed := time.UnixMilli(times[0]).UTC(), time.UnixMilli(times[1]).UTC()
	bar := Bar{
		OpenTime: opened, Open: numbers[1], High: numbers[2], Low: numbers[3], Close: numbers[4],
		// Binance's close time is the last millisecond of the bar.
		Length: closed.Sub(opened) + time.Millisecond,
	}
	return bar, checkBar(n, bar)
}

func checkBar(n int, bar Bar) error {
	switch {
	case bar.Length < 4*time.Millisecond:
		return cellError(n, 6, "%s: a bar must last at least 4 ms", stamp(bar.OpenTime.Add(bar.Length-time.Millisecond)))
	case !bar.Low.IsPositive():
		return cellError(n, 3, "%s: must be above zero", bar.Low)
	case bar.High.LessThan(bar.Low):
		return cellError(n, 2, "%s is below low %s", bar.High, bar.Low)
	case bar.Open.GreaterThan(bar.High), bar.Open.LessThan(bar.Low):
		return cellError(n, 1, "%s lies outside low %s and high %s", bar.Open, bar.Low, bar.High)
	case bar.Close.GreaterThan(bar.High), bar.Close.LessThan(bar.Low):
		return cellError(n, 4, "%s lies outside low %s and high %s", bar.Close, bar.Low, bar.High)
	default:
		return nil
	}
}

func parseInteger(n, column int, cell json.RawMessage) (int64, error) {
	var value int64
	if err := json.Unmarshal(cell, &value); err != nil || value < 0 || string(cell) == "null" {
		return 0, cellError(n, column, "%.60s: a whole number belongs here", cell)
	}
	return value, nil
}

// timeMax keeps times within what a duration can measure (year 2200).
const timeMax = 7_258_118_400_000

func parseTime(n, column int, cell json.RawMessage) (int64, error) {
	value, err := parseInteger(n, column, cell)
	if err != nil {
		return 0, err
	}
	if value > timeMax {
		return 0, cellError(n, column, "%d: milliseconds since 1970 belong here", value)
	}
	return value, nil
}

func parseDecimal(n, column int, cell json.RawMessage) (decimal.Decimal, error) {
	var text string
	if err := json.Unmarshal(cell, &text); err != nil || !klineNumber.MatchString(text) {
		return decimal.Decimal{}, cellError(n, column, "%.60s: a decimal number in quotes belongs here", cell)
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, cellError(n, column, "%.60s: %v", cell, err)
	}
	return value, nil
}

func cellError(row, column int, format string, args ...any) error {
	return fmt.Errorf("klines: row %d column %d (%s): %s", row, column, klineColumns[column], fmt.Sprintf(format, args...))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
