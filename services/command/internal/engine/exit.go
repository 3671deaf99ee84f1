package engine

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// IsDust says whether what is open is too little for the venue to take: below the lot step, the least quantity or
// the least notional at a price. Where no price is known, the notional does not count: what is held is not given up
// because nobody can say what it is worth.
func IsDust(open, price decimal.Decimal, instrument Instrument) bool {
	quantity := money.FloorStep(open, instrument.StepSize)
	return !quantity.IsPositive() ||
		quantity.LessThan(instrument.MinQuantity) ||
		price.IsPositive() && quantity.Mul(price).LessThan(instrument.MinNotional)
}

// ExitQuantity is how much to order to leave a position of which open is held, or owed by a short. When the venue
// takes its fee from what a short buys back, baseFeeRate is that rate (0.001 is 0.1 %) and the order is grossed up,
// so that what arrives covers what is owed. The result is rounded down to the lot step and capped at the venue's
// largest order; what is left over needs another order.
func ExitQuantity(side eventv1.PositionSide, open, baseFeeRate decimal.Decimal, instrument Instrument) decimal.Decimal {
	arriving := decimal.NewFromInt(1)
	if side == Short && baseFeeRate.IsPositive() {
		arriving = arriving.Sub(baseFeeRate)
	}
	quantity := floorQuotient(open, arriving, instrument.StepSize)
	if instrument.MaxQuantity.IsPositive() && quantity.GreaterThan(instrument.MaxQuantity) {
		return money.FloorStep(instrument.MaxQuantity, instrument.StepSize)
	}
	return quantity
}

// Ledger is what a position bought, sold and paid: the sums of its fills.
type Ledger struct {
	Side          eventv1.PositionSide
	EntryQuantity decimal.Decimal
	EntryCost     decimal.Decimal
	ExitQuantity  decimal.Decimal
	ExitProceeds  decimal.Decimal
	// ExitBaseFee is what the venue kept of what a short bought back, ExitBaseFeeCost what that was worth in quote.
	ExitBaseFee     decimal.Decimal
	ExitBaseFeeCost decimal.Decimal
	// Fees is the sum of all fees, valued in quote.
	Fees decimal.Decimal
	// Open is what is still held, or owed by a short.
	Open decimal.Decimal
}

// Settlement is what a closed position has earned, in quote.
type Settlement struct {
	// ExitPrice is the weighted price of the exits; zero when nothing was exited.
	ExitPrice decimal.Decimal
	// ClosedQuantity is the sum of the exit fills.
	ClosedQuantity decimal.Decimal
	// Dust is what is left.
	Dust  decimal.Decimal
	Gross decimal.Decimal
	Fees  decimal.Decimal
	// Net is Gross less Fees: the cash change with the dust at cost, exactly.
	Net decimal.Decimal
}

// Settle computes the P&L of a position: for a long the exits' proceeds less their share of the cost; for a short
// the entry's proceeds for what really came back, less what that cost.
func Settle(ledger Ledger) Settlement {
	settlement := Settlement{ClosedQuantity: ledger.ExitQuantity, Dust: ledger.Open, Fees: ledger.Fees}
	if ledger.ExitQuantity.IsPositive() {
		settlement.ExitPrice = money.Div18(ledger.ExitProceeds, ledger.ExitQuantity)
	}
	if ledger.EntryQuantity.IsPositive() {
		settlement.Gross = gross(ledger)
	}
	settlement.Net = settlement.Gross.Sub(settlement.Fees)
	return settlement
}

func gross(ledger Ledger) decimal.Decimal {
	if ledger.Side == Short {
		returned := ledger.ExitQuantity.Sub(ledger.ExitBaseFee)
		sold := money.Div18(returned.Mul(ledger.EntryCost), ledger.EntryQuantity)
		return sold.Sub(ledger.ExitProceeds.Sub(ledger.ExitBaseFeeCost))
	}
	bought := money.Div18(ledger.ExitQuantity.Mul(ledger.EntryCost), ledger.EntryQuantity)
	return ledger.ExitProceeds.Sub(bought)
}
