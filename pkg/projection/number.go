package projection

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
)

var (
	hundred = decimal.NewFromInt(100)
	// smallest is the unit in the last place that an amount keeps.
	smallest = decimal.New(1, -money.Scale)
	// largest bounds what is derived by division. Only facts without sense come there: amounts of twenty digits that are
	// held at a millionth of a millionth of what they cost. It leaves columns of 58 digits room for sums of such numbers.
	largest = decimal.New(1, 50)
)

// quotient is num / den rounded half-even at 18 places, between -largest and largest; zero when den is zero, which only a
// fact without sense makes.
func quotient(num, den decimal.Decimal) decimal.Decimal {
	if den.IsZero() {
		return decimal.Zero
	}
	switch q := money.Div18(num, den); {
	case q.GreaterThan(largest):
		return largest
	case q.LessThan(largest.Neg()):
		return largest.Neg()
	default:
		return q
	}
}

// notNegative is d, or zero when d is below.
func notNegative(d decimal.Decimal) decimal.Decimal {
	if d.IsNegative() {
		return decimal.Zero
	}
	return d
}

// Day names the UTC day of a time, 2026-11-23.
func Day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Month names the UTC month of a time, 2026-11.
func Month(at time.Time) string { return at.UTC().Format("2006-01") }
