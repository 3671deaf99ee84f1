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
)

// quotient is num / den rounded half-even at 18 places; zero when den is zero, which only a fact without sense makes.
func quotient(num, den decimal.Decimal) decimal.Decimal {
	if den.IsZero() {
		return decimal.Zero
	}
	return money.Div18(num, den)
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
