package market_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/market"
)

func TestReadKlines(t *testing.T) {
	t.Parallel()
	const good = `[1588280400000,"8620.00","8640.50","8600.00","8630.00","12.5",1588283999999,"0",1,"0","0","0"]`
	klines, err := market.ReadKlines(strings.NewReader("[" + good + "]"))
	require.NoError(t, err)
	require.Len(t, klines, 1)
	prices := market.Prices(klines)
	require.Equal(t, []string{"8620", "8600", "8640.5", "8630"}, texts(prices))

	for name, c := range map[string]struct{ data, want string }{
		"no array":           {`{}`, "JSON array of arrays"},
		"empty":              {`[]`, "empty"},
		"short row":          {`[[1,"2"]]`, "row 0: has 2 columns"},
		"price is no number": {`[[1,"x","2","1","1","1",2]]`, `row 0: column 1 (open): "x" is no decimal`},
		"time is no number":  {`[["a","1","2","1","1","1",2]]`, "column 0 (open time)"},
		"high below low":     {`[[1,"1","0.5","1","1","1",2]]`, "high 0.5 is below"},
		"low above close":    {`[[1,"2","3","1.5","1","1",2]]`, "low 1.5 is above"},
		"zero price":         {`[[1,"0","1","0","1","1",2]]`, "low 0 is not above zero"},
		"negative volume":    {`[[1,"1","1","1","1","-1",2]]`, "volume -1 is negative"},
		"closes before open": {`[[5,"1","1","1","1","1",2]]`, "not after it opens"},
		"out of order":       {"[" + good + "," + good + "]", "row 1: open time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := market.ReadKlines(strings.NewReader(c.data))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestReadKlines_dumps reads what data.binance.vision has: CSV, with a heading and in microseconds since 2025, and its ZIP.
func TestReadKlines_dumps(t *testing.T) {
	t.Parallel()
	const row = "1588280400000,8620.00,8640.50,8600.00,8630.00,12.5,1588283999999,0,1,0,0,0\n"
	const micros = "1735689600000000,93576.00,93610.93,93537.50,93610.93,8.21,1735689659999999,0,1,0,0,0\n"
	const heading = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
	pack := func(files ...string) string {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for i, text := range files {
			file, err := w.Create(fmt.Sprintf("BTCUSDT-1h-%d.csv", i))
			require.NoError(t, err)
			_, err = file.Write([]byte(text))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return out.String()
	}
	for name, c := range map[string]struct {
		data string
		open string
		at   time.Time
	}{
		"CSV":                       {row, "8620", time.UnixMilli(1588280400000)},
		"CSV with a heading":        {heading + row, "8620", time.UnixMilli(1588280400000)},
		"CSV in microseconds":       {micros, "93576", time.UnixMilli(1735689600000)},
		"ZIP":                       {pack(heading + row), "8620", time.UnixMilli(1588280400000)},
		"ZIP of the answer of REST": {pack(`[[1588280400000,"8620","8640.50","8600","8630","12.5",1588283999999]]`), "8620", time.UnixMilli(1588280400000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			klines, err := market.ReadKlines(strings.NewReader(c.data))
			require.NoError(t, err)
			require.Len(t, klines, 1)
			require.Equal(t, c.open, klines[0].Open.String())
			require.True(t, c.at.Equal(klines[0].OpenTime), "%s", klines[0].OpenTime)
		})
	}
	for name, c := range map[string]struct{ data, want string }{
		"only a heading":   {heading, `column 1 (open): "open" is no decimal`},
		"rows differ":      {row + "1,2\n", "read CSV"},
		"trades":           {"1,93576.00,0.01,935.76,1735689600000000,True,True\n", "row 0"},
		"two files":        {pack(row, row), "a ZIP of 2 files"},
		"a ZIP in a ZIP":   {pack(pack(row)), "a ZIP inside a ZIP"},
		"half a ZIP":       {pack(row)[:40], "open ZIP"},
		"out of order":     {row + row, "row 1: open time"},
		"more than bounds": {strings.Repeat(" ", 64<<20+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := market.ReadKlines(strings.NewReader(c.data))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPrices_falling_bar_goes_high_first(t *testing.T) {
	t.Parallel()
	klines, err := market.ReadKlines(strings.NewReader(`[[1,"10","12","7","8","1",2]]`))
	require.NoError(t, err)
	require.Equal(t, []string{"10", "12", "7", "8"}, texts(market.Prices(klines)))
}

func texts(prices []decimal.Decimal) []string {
	out := make([]string, len(prices))
	for i, p := range prices {
		out[i] = p.String()
	}
	return out
}
