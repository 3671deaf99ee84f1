package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/cmd/robson/internal/market"
	"github.com/robson/robson/pkg/simexchange"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// TestOpenExchange has a client sign with the key that was handed over, and meet the demo's market.
func TestOpenExchange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recorded := filepath.Join(dir, "recorded.json")
	require.NoError(t, writeKlines(recorded, synthetic()))
	exchange, err := OpenExchange(t.Context(), dir, recorded)
	require.NoError(t, err)
	t.Cleanup(exchange.Close)
	fingerprint, err := exchange.account("tenant", "account", feesInBNB)
	require.NoError(t, err)
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", fingerprint)
	path := filepath.Join(exchange.KeysDir(), "tenant_account")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")

	client := binance.NewClient(lines[0], lines[1])
	client.BaseURL = exchange.URL()
	account, err := client.NewGetAccountService().Do(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, account.Balances)
	prices := market.Prices(synthetic())
	for tick := range 3 {
		at, err := client.NewListPricesService().Symbol(symbolBTC).Do(t.Context())
		require.NoError(t, err)
		require.True(t, prices[tick].Equal(decimal.RequireFromString(at[0].Price)), "%d: %s", tick, at[0].Price)
		require.NoError(t, exchange.server.Step(1))
	}
	_, err = client.NewCreateOrderService().Symbol(symbolBTC).Side(binance.SideTypeBuy).Type(binance.OrderTypeMarket).
		Quantity("0.01").NewClientOrderID("mine").Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, exchange.placed("account", "mine"))
	require.Zero(t, exchange.placed("account", "another"))
	trades, err := exchange.server.Trades("account", symbolBTC)
	require.NoError(t, err)
	require.Equal(t, "BNB", trades[0].FeeAsset)

	_, err = exchange.account("tenant", "account", feesInBNB)
	require.ErrorContains(t, err, "open account")
	_, err = OpenExchange(t.Context(), dir, "/nowhere")
	require.ErrorContains(t, err, "read market data")
	require.NoError(t, os.WriteFile(recorded, []byte(`[[1588280400000,"8620","8640","8600","8630","1",1588283999999,"0",1,"0","0","0"]]`), 0o600))
	_, err = OpenExchange(t.Context(), dir, recorded)
	require.ErrorContains(t, err, "longer")
}

// TestAgainst finds whatever differs between the book and the exchange, and nothing where nothing does.
func TestAgainst(t *testing.T) {
	t.Parallel()
	num := decimal.RequireFromString
	fill := func(change func(*projectorv1.Fill)) *projectorv1.Fill {
		f := &projectorv1.Fill{
			Symbol: symbolBTC, ExchangeOrderId: "7", ExchangeTradeId: "1", FillQuantity: "0.02", FillPrice: "95000", Fee: "0.00002", FeeAsset: "BTC",
		}
		if change != nil {
			change(f)
		}
		return f
	}
	trades := []simexchange.Trade{{Symbol: symbolBTC, OrderID: 7, ID: 1, Quantity: num("0.02000000"), Price: num("95000.00"), Fee: num("0.00002"), FeeAsset: "BTC"}}
	held := map[string]simexchange.Balance{"USDT": {Free: num("100.50"), Locked: num("2")}, "BTC": {}}
	balances := []*projectorv1.Balance{{Asset: "USDT", Free: "100.5", Locked: "2"}, {Asset: "ETH", Free: "0", Locked: "0"}}
	for name, c := range map[string]struct {
		fills    []*projectorv1.Fill
		balances []*projectorv1.Balance
		want     string
	}{
		"nothing":         {[]*projectorv1.Fill{fill(nil)}, balances, ""},
		"a missing trade": {nil, balances, "is not in the book; the exchange has 0.02 at 95000"},
		"a trade twice":   {[]*projectorv1.Fill{fill(nil), fill(nil)}, balances, "stands in the book 2 times"},
		"another price":   {[]*projectorv1.Fill{fill(func(f *projectorv1.Fill) { f.FillPrice = "95001" })}, balances, "is in the book as 0.02 at 95001"},
		"another fee":     {[]*projectorv1.Fill{fill(func(f *projectorv1.Fill) { f.FeeAsset = "BNB" })}, balances, "fee 0.00002 BNB; the exchange"},
		"a foreign trade": {[]*projectorv1.Fill{fill(nil), fill(func(f *projectorv1.Fill) { f.ExchangeTradeId = "2" })}, balances, "the exchange has none"},
		"another balance": {[]*projectorv1.Fill{fill(nil)}, balances[1:], "balance USDT is not in the book; the exchange has 100.5 free, 2 locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			differences := against(c.fills, trades, c.balances, held)
			if c.want == "" {
				require.Empty(t, differences)
				return
			}
			require.Len(t, differences, 1)
			require.Contains(t, differences[0], c.want)
		})
	}
}
