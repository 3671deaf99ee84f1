package engine

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// consumed is the month's loss, never negative: a gain does not add to the budget.
func (u Usage) consumed() decimal.Decimal {
	return decimal.Max(decimal.Zero, u.MonthlyPnL.Neg())
}

// budget is what a month may lose.
func (l Limits) budget() decimal.Decimal {
	return money.Round18(l.CapitalBase.Mul(l.MonthlyBudgetPercent).Shift(-2))
}

// budgetRemaining is the month's budget less what it has lost and what the open stops may still lose.
func budgetRemaining(limits Limits, usage Usage) decimal.Decimal {
	return limits.budget().Sub(usage.consumed()).Sub(usage.LatentRisk)
}

// ActiveHalts are those that still hold at a time: a halt of a day or a month ends with it.
func ActiveHalts(halts []Halt, now time.Time) []Halt {
	var active []Halt
	for _, halt := range halts {
		switch {
		case isPeriod(halt.Period, "2006-01-02") && halt.Period < Day(now):
		case isPeriod(halt.Period, "2006-01") && halt.Period < Month(now):
		default:
			active = append(active, halt)
		}
	}
	return active
}

func isPeriod(period, layout string) bool {
	_, err := time.Parse(layout, period)
	return err == nil
}

// Breach is a limit of the account that realised losses have passed.
type Breach struct {
	Limit  eventv1.LimitName
	Period string
	Most   decimal.Decimal
	Value  decimal.Decimal
}

// Breaches lists the loss limits that are reached by what is already lost, whatever is traded next.
func Breaches(limits Limits, usage Usage, now time.Time) []Breach {
	var breaches []Breach
	if lost := usage.DailyPnL.Neg(); limits.DailyLossLimit.IsPositive() && lost.GreaterThanOrEqual(limits.DailyLossLimit) {
		breaches = append(breaches, Breach{
			Limit: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Period: Day(now), Most: limits.DailyLossLimit, Value: lost,
		})
	}
	if limits.MaxDrawdown.IsPositive() && usage.Drawdown.GreaterThanOrEqual(limits.MaxDrawdown) {
		breaches = append(breaches, Breach{
			Limit: eventv1.LimitName_LIMIT_NAME_MAX_DRAWDOWN, Period: Day(now), Most: limits.MaxDrawdown, Value: usage.Drawdown,
		})
	}
	if lost := usage.consumed(); limits.budget().IsPositive() && lost.GreaterThanOrEqual(limits.budget()) {
		breaches = append(breaches, Breach{
			Limit: eventv1.LimitName_LIMIT_NAME_MONTHLY_BUDGET, Period: Month(now), Most: limits.budget(), Value: lost,
		})
	}
	return breaches
}
