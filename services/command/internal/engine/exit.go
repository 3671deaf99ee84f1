package engine

import (
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// IsDust says whether what is open is too little for the venue to take: below the lot step, the least quantity or
// the least notional at a price.
func IsDust(open, price decimal.Decimal, instrument Instrument) bool {
	quantity := FloorToStep(open, instrument.StepSize)
	return !quantity.IsPositive() ||
		quantity.LessThan(instrument.MinQuantity) ||
		quantity.Mul(price).LessThan(instrument.MinNotional)
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
		return FloorToStep(instrument.MaxQuantity, instrument.StepSize)
	}
	return quantity
}

// ExitFill is what one trade of an exit or stop order did.
type ExitFill struct {
	Quantity decimal.Decimal
	Price    decimal.Decimal
	// BaseFee is the part of its fee that was taken in the base asset.
	BaseFee decimal.Decimal
}

// Ledger is what a position bought, sold and paid.
type Ledger struct {
	Side eventv1.PositionSide
	// EntryQuantity and EntryCost are the sums of the entry fills.
	EntryQuantity decimal.Decimal
	EntryCost     decimal.Decimal
	Exits         []ExitFill
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
	var quantity, quote, baseFee, baseFeeValue decimal.Decimal
	for _, exit := range ledger.Exits {
		quantity = quantity.Add(exit.Quantity)
		quote = quote.Add(exit.Quantity.Mul(exit.Price))
		baseFee = baseFee.Add(exit.BaseFee)
		baseFeeValue = baseFeeValue.Add(exit.BaseFee.Mul(exit.Price))
	}
	settlement := Settlement{ClosedQuantity: quantity, Dust: ledger.Open, Fees: ledger.Fees}
	if quantity.IsPositive() {
		settlement.ExitPrice = Quotient(quote, quantity)
	}
	if ledger.EntryQuantity.IsPositive() {
		if ledger.Side == Short {
			returned := quantity.Sub(baseFee)
			sold := Quotient(returned.Mul(ledger.EntryCost), ledger.EntryQuantity)
			settlement.Gross = sold.Sub(quote.Sub(baseFeeValue))
		} else {
			bought := Quotient(quantity.Mul(ledger.EntryCost), ledger.EntryQuantity)
			settlement.Gross = quote.Sub(bought)
		}
	}
	settlement.Net = settlement.Gross.Sub(settlement.Fees)
	return settlement
}
