package market_test

import (
	"strings"
	"testing"

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
