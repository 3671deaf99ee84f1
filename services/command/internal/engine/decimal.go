package engine

import (
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
)

var hundred = decimal.NewFromInt(100)

// floorQuotient is num / den rounded down to a multiple of step, without a rounded quotient in between. A step of zero
// disables the rule, as it does at the venue.
func floorQuotient(num, den, step decimal.Decimal) decimal.Decimal {
	if num.Sign() <= 0 || den.Sign() <= 0 {
		return decimal.Zero
	}
	if step.Sign() <= 0 {
		quotient, _ := num.QuoRem(den, money.Scale)
		return quotient
	}
	steps, _ := num.QuoRem(den.Mul(step), 0)
	return steps.Mul(step)
}
