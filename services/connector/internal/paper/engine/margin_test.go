package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestEngine_IsolatedMargin(t *testing.T) {
	t.Parallel()
	short := func(id, quantity string) venue.NewOrder {
		o := order(id, venue.Sell, venue.Market, quantity)
		o.SideEffect = venue.MarginBuy
		return o
	}
	t.Run("a short and its way back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(iso, "USDT", "10000")
		b.market(BookConfig{}, "95000", "93000")
		_, err := b.Place(iso, order("plain", venue.Sell, venue.Market, "0.05"))
		require.Equal(t, "-2010 Account has insufficient balance for requested action.", refusal(t, err))
		b.place(iso, short("s", "0.05"))
		b.holds(iso, "BTC", "0+0-0.05")
		b.holds(iso, "USDT", "14745.25+0")
		margin, err := b.Margin(iso)
		require.NoError(t, err)
		require.Equal(t, "3.10426315", margin.Level.String())
		require.Equal(t, "9995.25", margin.Equity.String())
		b.reopen()
		b.tick(1)
		cover := order("c", venue.Buy, venue.Market, "0.05006")
		cover.SideEffect = venue.AutoRepay
		b.place(iso, cover)
		b.holds(iso, "BTC", "0.00000994+0") // 0.05006 - fee 0.00005006 - 0.05
		margin, err = b.Margin(iso)
		require.NoError(t, err)
		require.True(t, margin.Level.Equal(venue.NoDebtLevel))
		reports, _, err := b.Reports(t.Context(), iso, 0, 100)
		require.NoError(t, err)
		var loans []string
		for _, r := range reports {
			if r.Loan != nil {
				loans = append(loans, fmt.Sprintf("%d %s %s %s for %s", r.Loan.TranID, r.Loan.Kind, r.Loan.Amount, r.Loan.Asset, r.Loan.ClientOrderID))
			}
		}
		require.Equal(t, []string{"1 borrow 0.05 BTC for s", "2 repay 0.05 BTC for c"}, loans)
	})
	t.Run("leverage is bounded", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(iso, "USDT", "1000")
		b.market(BookConfig{}, "100000")
		_, err := b.Place(iso, short("s", "0.02001")) // equity 1000, three times leverage: debts up to 2000
		require.Equal(t, "-3006 Your borrow amount has exceed maximum borrow amount.", refusal(t, err))
		b.holds(iso, "BTC", "0+0")
		b.place(iso, short("s", "0.02"))
	})
	t.Run("a cancel gives back what was borrowed for nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.fund(iso, "USDT", "10000")
		b.market(BookConfig{}, "95000")
		o := limit("s", venue.Sell, "0.05", "99000")
		o.SideEffect = venue.MarginBuy
		b.place(iso, o)
		b.holds(iso, "BTC", "0+0.05-0.05")
		_, err := b.Cancel(iso, venue.CancelOrder{Symbol: "BTCUSDT", ClientOrderID: "s"})
		require.NoError(t, err)
		b.holds(iso, "BTC", "0+0")
	})
	t.Run("interest by the hour", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		config := NewAccountConfig(iso)
		config.HourlyInterest = dec("0.0001")
		require.NoError(t, b.Configure(config))
		b.fund(iso, "USDT", "10000")
		script := []feed.ScriptTick{{Time: start, Price: dec("95000")}, {Time: start.Add(59 * time.Minute), Price: dec("95000")}, {Time: start.Add(3 * time.Hour), Price: dec("95000")}}
		_, err := b.Load("BTCUSDT", BookConfig{}, feed.Source{Script: script}, "script")
		require.NoError(t, err)
		b.place(iso, short("s", "0.05"))
		b.holds(iso, "BTC", "0+0-0.050005")
		b.tick(1)
		b.holds(iso, "BTC", "0+0-0.050005")
		b.tick(1)
		b.holds(iso, "BTC", "0+0-0.05002")
		// Interest is paid before the principal.
		cover := order("c", venue.Buy, venue.Market, "0.01")
		cover.SideEffect = venue.AutoRepay
		b.place(iso, cover)
		b.holds(iso, "BTC", "0+0-0.04003")
	})
	t.Run("no margin", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.Margin(spot)
		require.ErrorIs(t, err, venue.ErrNoMargin)
		require.ErrorIs(t, b.Configure(NewAccountConfig(venue.AccountRef{Key: "x", Product: venue.IsolatedMargin, MarginSymbol: "NOPE"})), ErrAccount)
		b.fund(spot, "USDT", "1")
		require.ErrorIs(t, b.Configure(NewAccountConfig(venue.AccountRef{Key: spot.Key, Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT"})), ErrAccount)
	})
}
