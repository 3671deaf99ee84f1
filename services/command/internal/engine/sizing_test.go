package engine

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestSize(t *testing.T) {
	t.Parallel()
	const risk, margin, maxQty = eventv1.QuantityLimit_QUANTITY_LIMIT_RISK,
		eventv1.QuantityLimit_QUANTITY_LIMIT_MARGIN, eventv1.QuantityLimit_QUANTITY_LIMIT_MAX_QTY
	tests := []struct {
		name                                       string
		signal                                     Signal
		capital                                    string
		maxQuantity                                string
		distance, raw, quantity, notional, planned string
		limit                                      eventv1.QuantityLimit
	}{
		{"S1 golden rule", long("95000", "93500"), "10000", "9000", "1500", "0.066666666666666667", "0.06666", "6332.7", "99.99", risk},
		{"S1 mirrored short", short("95000", "96500"), "10000", "9000", "1500", "0.066666666666666667", "0.06666", "6332.7", "99.99", risk},
		{"S1b capped by capital at 1x", long("95000", "94900"), "10000", "9000", "100", "1", "0.10526", "9999.7", "10.526", margin},
		{"S1e tiny capital is not rounded up", long("95000", "93500"), "5", "9000", "1500", "0.000033333333333333", "0.00003", "2.85", "0.045", risk},
		{"venue's largest order", long("95000", "93500"), "10000", "0.02", "1500", "0.066666666666666667", "0.02", "1900", "30", maxQty},
		{"risk named when it equals the cap", long("100", "99"), "10000", "9000", "1", "100", "100", "10000", "100", risk},
		{"no distance, no quantity", long("95000", "95000"), "10000", "9000", "0", "0", "0", "0", "0", risk},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			instrument := btcusdt()
			instrument.MaxQuantity = d(test.maxQuantity)
			got := Size(test.signal, policy(test.capital), instrument)
			equal(t, test.distance, got.Distance)
			equal(t, test.raw, got.RawQuantity)
			equal(t, test.quantity, got.Quantity)
			equal(t, test.notional, got.Notional)
			equal(t, test.planned, got.PlannedRisk)
			require.Equal(t, test.limit, got.Limit)
		})
	}
}

func TestSize_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		entry := decimal.New(rapid.Int64Range(100, 20_000_000).Draw(t, "entry"), -2)
		distance := decimal.New(rapid.Int64Range(1, 1_000_000).Draw(t, "distance"), -2)
		side := rapid.SampledFrom([]eventv1.PositionSide{Long, Short}).Draw(t, "side")
		stop := entry.Sub(distance)
		if side == Short {
			stop = entry.Add(distance)
		}
		p := policy("1")
		p.Capital = decimal.New(rapid.Int64Range(1, 100_000_000).Draw(t, "capital"), -2)
		p.RiskPercent = decimal.New(rapid.Int64Range(1, 500).Draw(t, "risk"), -2)
		instrument := btcusdt()
		instrument.StepSize = rapid.SampledFrom([]decimal.Decimal{d("0.00001"), d("0.0001"), d("1"), d("0.003")}).Draw(t, "step")

		got := Size(Signal{Side: side, Entry: entry, Stop: stop}, p, instrument)
		require.True(t, got.PlannedRisk.LessThanOrEqual(got.MaxRisk), "planned %s > %s", got.PlannedRisk, got.MaxRisk)
		require.True(t, got.Notional.LessThanOrEqual(p.Capital), "notional %s > %s", got.Notional, p.Capital)
		require.True(t, got.Quantity.Mod(instrument.StepSize).IsZero(), "quantity %s off step", got.Quantity)
		require.True(t, got.PlannedRisk.Equal(got.Quantity.Mul(got.Distance)))
		if got.Limit == eventv1.QuantityLimit_QUANTITY_LIMIT_RISK {
			more := got.Quantity.Add(instrument.StepSize).Mul(got.Distance)
			require.True(t, more.GreaterThan(got.MaxRisk), "one step more would still be within the risk")
		}
	})
}
