package engine

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Decision is the engine's proposal and what the gates said to it.
type Decision struct {
	Sizing
	// Checks holds every gate, in order.
	Checks []Check
	// ExposureBefore and ExposureAfter are the account's, in quote.
	ExposureBefore decimal.Decimal
	ExposureAfter  decimal.Decimal
	// BudgetRemaining is what the month still allows to lose, before this decision.
	BudgetRemaining decimal.Decimal
	// AccountBreach says that the account itself is past a loss limit, not merely that this trade is too big.
	AccountBreach bool
}

// Failed lists the gates that refused, in order.
func (d Decision) Failed() []Check {
	var failed []Check
	for _, check := range d.Checks {
		if !check.Passed {
			failed = append(failed, check)
		}
	}
	return failed
}

// Approved says whether every gate let the decision through.
func (d Decision) Approved() bool { return len(d.Failed()) == 0 }

// Decide sizes a signal and puts it through every gate. Its error means that the engine contradicts itself: a
// planned risk above what was allowed is never clamped and never shown.
func Decide(in Input) (Decision, error) {
	sizing := Size(in.Signal, in.Policy, in.Instrument)
	if sizing.PlannedRisk.GreaterThan(sizing.MaxRisk) {
		return Decision{}, fmt.Errorf("planned risk %s is above the most allowed %s", sizing.PlannedRisk, sizing.MaxRisk)
	}
	account := in.Account
	return Decision{
		Sizing:          sizing,
		Checks:          checks(in, sizing),
		ExposureBefore:  account.Usage.Exposure,
		ExposureAfter:   account.Usage.Exposure.Add(sizing.Notional),
		BudgetRemaining: budgetRemaining(account.Limits, account.Usage),
		AccountBreach:   len(Breaches(account.Limits, account.Usage, in.Now)) > 0,
	}, nil
}
