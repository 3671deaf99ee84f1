package engine

import "github.com/shopspring/decimal"

// places is how many decimals a stored quotient keeps.
const places = 18

var (
	hundred = decimal.NewFromInt(100)
	two     = decimal.NewFromInt(2)
)

// Quotient is num / den rounded half-even at 18 places. A zero den is a broken program and panics.
func Quotient(num, den decimal.Decimal) decimal.Decimal {
	quotient, rest := num.QuoRem(den, places)
	unit := decimal.New(1, -places)
	if num.Sign()*den.Sign() < 0 {
		unit = unit.Neg()
	}
	switch rest.Abs().Mul(two).Cmp(den.Abs().Shift(-places)) {
	case 1:
		return quotient.Add(unit)
	case 0:
		if quotient.Shift(places).BigInt().Bit(0) == 1 {
			return quotient.Add(unit)
		}
	}
	return quotient
}

// FloorToStep is the greatest multiple of step that is not above quantity, which is not negative.
// A step of zero disables the rule, as it does at the venue.
func FloorToStep(quantity, step decimal.Decimal) decimal.Decimal {
	return floorQuotient(quantity, decimal.NewFromInt(1), step)
}

// floorQuotient is num / den rounded down to a multiple of step, without a rounded quotient in between.
func floorQuotient(num, den, step decimal.Decimal) decimal.Decimal {
	if num.Sign() <= 0 || den.Sign() <= 0 {
		return decimal.Zero
	}
	if step.Sign() <= 0 {
		quotient, _ := num.QuoRem(den, places)
		return quotient
	}
	steps, _ := num.QuoRem(den.Mul(step), 0)
	return steps.Mul(step)
}

// FloorToTick rounds a price down to a multiple of tick.
func FloorToTick(price, tick decimal.Decimal) decimal.Decimal { return FloorToStep(price, tick) }

// CeilToTick rounds a price up to a multiple of tick.
func CeilToTick(price, tick decimal.Decimal) decimal.Decimal {
	floor := FloorToStep(price, tick)
	if floor.Equal(price) {
		return floor
	}
	return floor.Add(tick)
}
