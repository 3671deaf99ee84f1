package engine

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Sizing is how much to trade, and why not more.
type Sizing struct {
	// Distance is |entry - stop|.
	Distance decimal.Decimal
	// MaxRisk is capital x risk percent, at the 18 places in which amounts are stored.
	MaxRisk decimal.Decimal
	// RawQuantity is MaxRisk / Distance before caps and rounding; zero when there is no distance.
	RawQuantity decimal.Decimal
	// Quantity is a multiple of the lot step, rounded down; zero when not even one step may be risked.
	Quantity decimal.Decimal
	// Limit is what bounded the quantity.
	Limit eventv1.QuantityLimit
	// PlannedRisk is Quantity x Distance, never above MaxRisk.
	PlannedRisk decimal.Decimal
	// Notional is Quantity x entry.
	Notional decimal.Decimal
}

// Size applies the Golden Rule: risk of capital over the distance to the stop, capped by the capital at 1x and by
// the venue's largest order, rounded down to the lot step. It never rounds up, whatever the venue's minimum is.
func Size(signal Signal, policy Policy, instrument Instrument) Sizing {
	sizing := Sizing{
		Distance: signal.Entry.Sub(signal.Stop).Abs(),
		MaxRisk:  money.Round18(policy.Capital.Mul(policy.RiskPercent).Shift(-2)),
		Limit:    eventv1.QuantityLimit_QUANTITY_LIMIT_RISK,
	}
	if sizing.Distance.IsZero() || signal.Entry.Sign() <= 0 {
		return sizing
	}
	sizing.RawQuantity = money.Div18(sizing.MaxRisk, sizing.Distance)
	sizing.Quantity = floorQuotient(sizing.MaxRisk, sizing.Distance, instrument.StepSize)

	// At equality the risk is named: the cap took nothing away.
	if sizing.MaxRisk.Mul(signal.Entry).GreaterThan(policy.Capital.Mul(sizing.Distance)) {
		sizing.Quantity = floorQuotient(policy.Capital, signal.Entry, instrument.StepSize)
		sizing.Limit = eventv1.QuantityLimit_QUANTITY_LIMIT_MARGIN
	}
	if instrument.MaxQuantity.IsPositive() && sizing.Quantity.GreaterThan(instrument.MaxQuantity) {
		sizing.Quantity = money.FloorStep(instrument.MaxQuantity, instrument.StepSize)
		sizing.Limit = eventv1.QuantityLimit_QUANTITY_LIMIT_MAX_QTY
	}
	sizing.PlannedRisk = money.Round18(sizing.Quantity.Mul(sizing.Distance))
	sizing.Notional = money.Round18(sizing.Quantity.Mul(signal.Entry))
	return sizing
}
