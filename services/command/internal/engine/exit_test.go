package engine

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/money"
)

// s2 is the position of S2 with its base-asset fees valued at their fill prices.
func s2() Ledger {
	return Ledger{Side: Long, EntryQuantity: d("0.06666"), EntryCost: d("6333.42483"), Fees: d("6.33342483"), Open: d("0.06659334")}
}

func TestSettle_LongS3(t *testing.T) {
	t.Parallel()
	quantity := ExitQuantity(Long, d("0.06659334"), decimal.Zero, btcusdt())
	equal(t, "0.06659", quantity)

	ledger := s2()
	ledger.ExitQuantity, ledger.ExitProceeds = quantity, quantity.Mul(d("96500"))
	ledger.Fees = ledger.Fees.Add(d("6.425935"))
	ledger.Open = d("0.06659334").Sub(quantity)
	got := Settle(ledger)

	equal(t, "96500", got.ExitPrice)
	equal(t, "0.06659", got.ClosedQuantity)
	equal(t, "0.00000334", got.Dust)
	equal(t, "99.16093115", got.Gross.RoundBank(8))
	equal(t, "12.75935983", got.Fees)
	equal(t, "86.40157132", got.Net.RoundBank(8))
	// cash change + dust at cost, with the unrounded average
	cash := d("6425.935").Sub(d("6.425935")).Sub(d("6333.42483"))
	equal(t, "86.084235", cash)
	dustAtCost := money.Div18(got.Dust.Mul(ledger.EntryCost), ledger.EntryQuantity)
	equal(t, "0.31733632", dustAtCost.RoundBank(8))
	require.True(t, cash.Add(dustAtCost).Sub(got.Net).Abs().LessThanOrEqual(decimal.New(1, -18)))
}

func TestSettle_ShortMirror(t *testing.T) {
	t.Parallel()
	// S2 sold: the fees of a sale are taken in quote, the whole quantity is owed.
	ledger := Ledger{Side: Short, EntryQuantity: d("0.06666"), EntryCost: d("6333.42483"), Fees: d("6.33342483")}
	quantity := ExitQuantity(Short, d("0.06666"), d("0.001"), btcusdt())
	equal(t, "0.06672", quantity) // 0.06666 / 0.999 = 0.0667267..., rounded down

	baseFee := d("0.00006672")
	ledger.ExitQuantity, ledger.ExitProceeds = quantity, quantity.Mul(d("93000"))
	ledger.ExitBaseFee, ledger.ExitBaseFeeCost = baseFee, baseFee.Mul(d("93000"))
	ledger.Fees = ledger.Fees.Add(ledger.ExitBaseFeeCost)
	ledger.Open = d("0.06666").Sub(quantity.Sub(baseFee))
	got := Settle(ledger)

	equal(t, "0.00000672", got.Dust)
	equal(t, "93000", got.ExitPrice)
	equal(t, "12.53838483", got.Fees)
	// 0.06665328 x (6333.42483 / 0.06666 - 93000)
	equal(t, "134.031317", got.Gross.RoundBank(6))
	// cash change less the owed dust at cost
	cash := d("6333.42483").Sub(d("6.33342483")).Sub(quantity.Mul(d("93000")))
	owedAtCost := money.Div18(got.Dust.Mul(ledger.EntryCost), ledger.EntryQuantity)
	require.True(t, cash.Sub(owedAtCost).Sub(got.Net).Abs().LessThanOrEqual(decimal.New(1, -18)),
		"cash %s - owed %s = net %s", cash, owedAtCost, got.Net)
	require.True(t, IsDust(got.Dust, d("93000"), btcusdt()))
}

func TestSettle_NothingExited(t *testing.T) {
	t.Parallel()
	got := Settle(Ledger{Side: Long})
	require.True(t, got.ExitPrice.IsZero() && got.Gross.IsZero() && got.Net.IsZero() && got.ClosedQuantity.IsZero())
}

// The net of any position is its cash change with the dust at cost, to the rounding of the one quotient.
func TestSettle_NetIsCash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := func(name string, max int64, places int32) decimal.Decimal {
			return decimal.New(rapid.Int64Range(1, max).Draw(t, name), -places)
		}
		quantity, cost := amount("quantity", 1_000_000, 5), amount("cost", 1_000_000_000, 7)
		ledger := Ledger{Side: Short, EntryQuantity: quantity, EntryCost: cost, Open: quantity}
		quoteFee := amount("entry fee", 1_000_000, 8)
		ledger.Fees = quoteFee
		cash := cost.Sub(quoteFee)
		for range rapid.IntRange(0, 4).Draw(t, "exits") {
			bought, price := amount("exit", 100_000, 5), amount("price", 10_000_000, 2)
			baseFee := bought.Mul(d("0.001"))
			ledger.ExitQuantity, ledger.ExitProceeds = ledger.ExitQuantity.Add(bought), ledger.ExitProceeds.Add(bought.Mul(price))
			ledger.ExitBaseFee, ledger.ExitBaseFeeCost = ledger.ExitBaseFee.Add(baseFee), ledger.ExitBaseFeeCost.Add(baseFee.Mul(price))
			ledger.Fees = ledger.Fees.Add(baseFee.Mul(price))
			ledger.Open = ledger.Open.Sub(bought).Add(baseFee)
			cash = cash.Sub(bought.Mul(price))
		}
		got := Settle(ledger)
		owedAtCost := money.Div18(ledger.Open.Mul(cost), quantity)
		require.True(t, cash.Sub(owedAtCost).Sub(got.Net).Abs().LessThanOrEqual(decimal.New(2, -18)))
	})
}

func TestExitQuantity(t *testing.T) {
	t.Parallel()
	small := btcusdt()
	small.MaxQuantity = d("0.02")
	equal(t, "0.02", ExitQuantity(Long, d("0.06659334"), decimal.Zero, small))
	equal(t, "0.06666", ExitQuantity(Short, d("0.06666"), decimal.Zero, btcusdt()))
	equal(t, "0", ExitQuantity(Long, d("0.00000334"), decimal.Zero, btcusdt()))
	equal(t, "0.06659", ExitQuantity(Long, d("0.06659334"), d("0.001"), btcusdt()))
}

func TestIsDust(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, open, price string
		dust              bool
	}{
		{"below the step", "0.00000334", "96500", true},
		{"below the least notional", "0.00005", "96500", true},
		{"worth an order", "0.00006", "96500", false},
		{"nothing", "0", "96500", true},
		{"oversold", "-0.001", "96500", true},
		{"no price is known: what is held is not given up", "0.06659334", "0", false},
		{"no price is known, below the step all the same", "0.00000334", "0", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.dust, IsDust(d(test.open), d(test.price), btcusdt()))
		})
	}
}
