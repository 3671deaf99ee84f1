// Package market reads recorded market data: Binance klines, as GET /api/v3/klines answers or as data.binance.vision has them.
package market

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// klinesMax bounds a file: a month of one-minute bars and some.
const klinesMax = 50_000

// Kline is one bar.
type Kline struct {
	OpenTime, CloseTime time.Time
	Open, High, Low     decimal.Decimal
	Close, Volume       decimal.Decimal
}

// Columns of a kline row that are read; the rest (quote volume, trades, taker volumes) is not needed.
const (
	columnOpenTime  = 0
	columnOpen      = 1
	columnHigh      = 2
	columnLow       = 3
	columnClose     = 4
	columnVolume    = 5
	columnCloseTime = 6
	columnsMin      = 7
)

// ReadKlines reads klines in any of the forms that Binance gives them in, and checks that they make a path: in order of time, each
// bar's high and low around its open and close, every price above zero. Errors name row and column.
func ReadKlines(r io.Reader) ([]Kline, error) {
	rows, err := readRows(r)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("klines: there are none: the file is empty")
	}
	if len(rows) > klinesMax {
		return nil, fmt.Errorf("klines: %d rows are more than %d", len(rows), klinesMax)
	}
	klines := make([]Kline, len(rows))
	for i, row := range rows {
		k, err := readRow(row)
		if err != nil {
			return nil, fmt.Errorf("klines: row %d: %w", i, err)
		}
		if i > 0 && !k.OpenTime.After(klines[i-1].OpenTime) {
			return nil, fmt.Errorf("klines: row %d: open time %s does not follow %s", i, k.OpenTime.Format(time.RFC3339), klines[i-1].OpenTime.Format(time.RFC3339))
		}
		klines[i] = k
	}
	return klines, nil
}

// readRow reads one bar.
func readRow(row []string) (Kline, error) {
	if len(row) < columnsMin {
		return Kline{}, fmt.Errorf("has %d columns, at least %d are needed", len(row), columnsMin)
	}
	var k Kline
	for _, c := range []struct {
		column int
		name   string
		into   *decimal.Decimal
	}{{columnOpen, "open", &k.Open}, {columnHigh, "high", &k.High}, {columnLow, "low", &k.Low}, {columnClose, "close", &k.Close}, {columnVolume, "volume", &k.Volume}} {
		text := row[c.column]
		d, err := decimal.NewFromString(text)
		if err != nil {
			return Kline{}, fmt.Errorf("column %d (%s): %q is no decimal", c.column, c.name, text)
		}
		*c.into = d
	}
	for _, c := range []struct {
		column int
		name   string
		into   *time.Time
	}{{columnOpenTime, "open time", &k.OpenTime}, {columnCloseTime, "close time", &k.CloseTime}} {
		at, err := strconv.ParseInt(row[c.column], 10, 64)
		if err != nil {
			return Kline{}, fmt.Errorf("column %d (%s): %q is no time in milliseconds or microseconds", c.column, c.name, row[c.column])
		}
		*c.into = moment(at)
	}
	return k, k.check()
}

// microsecondsFrom is the first time that must be counted in microseconds, as Binance's dumps do since 2025: in milliseconds it
// would be the year 5138.
const microsecondsFrom = 100_000_000_000_000

func moment(at int64) time.Time {
	if at >= microsecondsFrom {
		return time.UnixMicro(at).UTC()
	}
	return time.UnixMilli(at).UTC()
}

// check says what no bar can be.
func (k Kline) check() error {
	switch {
	case !k.Low.IsPositive():
		return fmt.Errorf("low %s is not above zero", k.Low)
	case k.High.LessThan(decimal.Max(k.Open, k.Close, k.Low)):
		return fmt.Errorf("high %s is below open %s, close %s or low %s", k.High, k.Open, k.Close, k.Low)
	case k.Low.GreaterThan(decimal.Min(k.Open, k.Close)):
		return fmt.Errorf("low %s is above open %s or close %s", k.Low, k.Open, k.Close)
	case k.Volume.IsNegative():
		return fmt.Errorf("volume %s is negative", k.Volume)
	case !k.CloseTime.After(k.OpenTime):
		return fmt.Errorf("it closes at %s, not after it opens at %s", k.CloseTime.Format(time.RFC3339), k.OpenTime.Format(time.RFC3339))
	}
	return nil
}

// Prices is the path that bars are replayed as: open, low and high (low first where the bar rose), close.
func Prices(klines []Kline) []decimal.Decimal {
	prices := make([]decimal.Decimal, 0, 4*len(klines))
	for _, k := range klines {
		if k.Close.GreaterThanOrEqual(k.Open) {
			prices = append(prices, k.Open, k.Low, k.High, k.Close)
		} else {
			prices = append(prices, k.Open, k.High, k.Low, k.Close)
		}
	}
	return prices
}
