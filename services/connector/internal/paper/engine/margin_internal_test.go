package engine

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/connector/internal/venue"
)

// TestMargin_in_words: a level that is reached belongs to the worse side, as at Binance.
func TestMargin_in_words(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]venue.MarginStatus{
		"999": venue.MarginExcessive, "2.00000001": venue.MarginExcessive, "2": venue.MarginNormal, "1.3": venue.MarginCall,
		"1.18": venue.MarginPreLiquidation, "1.1": venue.MarginForceLiquidation, "0": venue.MarginForceLiquidation,
	} {
		require.Equal(t, want, statusOf(decimal.RequireFromString(level)), level)
	}
}

// TestMargin_liquidation holds the price against the level that it leads to.
func TestMargin_liquidation(t *testing.T) {
	t.Parallel()
	num := decimal.RequireFromString
	for name, c := range map[string]struct {
		base, quote venue.Balance
		want        string
	}{
		"a short": {venue.Balance{Borrowed: num("0.1")}, venue.Balance{Free: num("16500")}, "150000"},
		"a long":  {venue.Balance{Free: num("0.2")}, venue.Balance{Free: num("1000"), Borrowed: num("10000")}, "50000"},
		"no debt": {venue.Balance{Free: num("0.2")}, venue.Balance{Free: num("1000")}, "0"},
		"nothing": {venue.Balance{}, venue.Balance{}, "0"},
	} {
		require.Equal(t, c.want, liquidatePrice(c.base, c.quote).String(), name)
	}
}
