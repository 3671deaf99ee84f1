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

// largestDigits is how many digits an amount of 18 places may have to be below largest without looking closer.
const largestDigits = 60

// quotient is num / den rounded half-even at 18 places, between -largest and largest; zero when den is zero, which only a
// fact without sense makes.
func quotient(num, den decimal.Decimal) decimal.Decimal {
	if den.IsZero() {
		return decimal.Zero
	}
	return bounded(money.Div18(num, den))
}

// share is a x b / den, as quotient has it.
func share(a, b, den decimal.Decimal) decimal.Decimal {
	if den.IsZero() {
		return decimal.Zero
	}
	return bounded(money.MulDiv18(a, b, den))
}

// bounded is an amount between -largest and largest.
func bounded(q decimal.Decimal) decimal.Decimal {
	switch {
	case q.NumDigits() <= largestDigits:
		return q
	case q.GreaterThan(largest):
		return largest
	case q.LessThan(largest.Neg()):
		return largest.Neg()
	default:
		return q
	}
}

// less is a - b. Most often nothing is taken away.
func less(a, b decimal.Decimal) decimal.Decimal {
	if b.IsZero() {
		return a
	}
	return money.Sub(a, b)
}

// plus is a + b. Most often nothing is added.
func plus(a, b decimal.Decimal) decimal.Decimal {
	if b.IsZero() {
		return a
	}
	return money.Add(a, b)
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
