package engine

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
)

// The gates, in the order in which they are checked and reported. A strategy's own limits follow the account's
// twin under the same name with "strategy_" before it.
const (
	GateStopMissing       = "stop_missing"
	GateStopWrongSide     = "stop_wrong_side"
	GateStopDistance      = "stop_distance_bounds"
	GateQuantityBelowMin  = "quantity_below_min"
	GateMinNotional       = "min_notional"
	GateDuplicatePosition = "duplicate_position"
	GateMaxOpenPositions  = "max_open_positions"
	GateTotalExposure     = "total_exposure"
	GateSinglePosition    = "single_position_concentration"
	GateBalance           = "insufficient_balance"
	GatePerTradeRisk      = "per_trade_risk"
	GateDailyLoss         = "daily_loss_limit"
	GateMaxDrawdown       = "max_drawdown"
	GateMonthlyBudget     = "monthly_budget"
	GateAccountViolated   = "account_violated"
	GateStrategyDisabled  = "strategy_disabled"

	strategyPrefix = "strategy_"
)

// Check is one gate and what it saw.
type Check struct {
	Name string
	// Limit is what was allowed.
	Limit decimal.Decimal
	// Value is what was asked for.
	Value  decimal.Decimal
	Passed bool
	// Message is for a person; empty when passed.
	Message string
}

// messageMax is how many characters of a message the contract of the recorded check takes. An operator's note alone may
// be as long.
const messageMax = 512

// check builds one entry; the message is made only for a refusal.
func check(name string, limit, value decimal.Decimal, passed bool, format string, args ...any) Check {
	c := Check{Name: name, Limit: limit, Value: value, Passed: passed}
	if !passed {
		c.Message = fmt.Sprintf(format, args...)
	}
	if runes := []rune(c.Message); len(runes) > messageMax {
		c.Message = string(runes[:messageMax-1]) + "…"
	}
	return c
}

// checks runs every gate that is configured: none hides another.
func checks(in Input, sizing Sizing) []Check {
	list := stopChecks(in.Signal, in.Policy, sizing)
	list = append(list, quantityChecks(in.Instrument, sizing)...)
	list = append(list, duplicateCheck(in.Account.Duplicates))
	list = append(list, capacityChecks(in, sizing)...)
	list = append(list, lossChecks(in, sizing)...)
	return append(list, standingChecks(in)...)
}

func stopChecks(signal Signal, policy Policy, sizing Sizing) []Check {
	inFavour := signal.Entry.Sub(signal.Stop)
	if signal.Side == Short {
		inFavour = inFavour.Neg()
	}
	list := []Check{
		check(GateStopMissing, decimal.Zero, signal.Stop, signal.Stop.IsPositive(),
			"a technical stop above zero is needed"),
		check(GateStopWrongSide, decimal.Zero, inFavour, inFavour.IsPositive(),
			"stop %s must be %s entry %s", signal.Stop, rightSide(signal), signal.Entry),
	}
	return append(list, distanceCheck(signal, policy, sizing))
}

// WithinBounds says whether the stop of a signal with an entry above zero is at least and at most so many percent of it away.
func WithinBounds(signal Signal, leastPercent, mostPercent decimal.Decimal) bool {
	scaled := signal.Entry.Sub(signal.Stop).Abs().Mul(hundred)
	return scaled.GreaterThanOrEqual(leastPercent.Mul(signal.Entry)) && scaled.LessThanOrEqual(mostPercent.Mul(signal.Entry))
}

func rightSide(signal Signal) string {
	if signal.Side == Short {
		return "above"
	}
	return "below"
}

// distanceCheck compares products, so that both bounds are inclusive to the last decimal.
func distanceCheck(signal Signal, policy Policy, sizing Sizing) Check {
	if signal.Entry.Sign() <= 0 {
		return check(GateStopDistance, policy.StopMaxPercent, decimal.Zero, false, "an entry price above zero is needed")
	}
	scaled := sizing.Distance.Mul(hundred)
	percent := money.Div18(scaled, signal.Entry)
	if scaled.LessThan(policy.StopMinPercent.Mul(signal.Entry)) {
		return check(GateStopDistance, policy.StopMinPercent, percent, false,
			"stop is too tight: %s %% of entry, at least %s %% is needed", percent.StringFixedBank(4), policy.StopMinPercent)
	}
	return check(GateStopDistance, policy.StopMaxPercent, percent, scaled.LessThanOrEqual(policy.StopMaxPercent.Mul(signal.Entry)),
		"stop is too wide: %s %% of entry, at most %s %% is allowed", percent.StringFixedBank(4), policy.StopMaxPercent)
}

func quantityChecks(instrument Instrument, sizing Sizing) []Check {
	enough := sizing.Quantity.IsPositive() && sizing.Quantity.GreaterThanOrEqual(instrument.MinQuantity)
	return []Check{
		check(GateQuantityBelowMin, instrument.MinQuantity, sizing.Quantity, enough,
			"quantity %s is below the least the venue takes, %s, and is never rounded up", sizing.Quantity, instrument.MinQuantity),
		check(GateMinNotional, instrument.MinNotional, sizing.Notional, sizing.Notional.GreaterThanOrEqual(instrument.MinNotional),
			"notional %s is below the least the venue takes, %s, and is never rounded up", sizing.Notional, instrument.MinNotional),
	}
}

func duplicateCheck(duplicates int) Check {
	return check(GateDuplicatePosition, decimal.Zero, decimal.NewFromInt(int64(duplicates)), duplicates == 0,
		"another position of this symbol and side has not ended")
}

func capacityChecks(in Input, sizing Sizing) []Check {
	limits, usage := in.Account.Limits, in.Account.Usage
	list := appendOpenPositions(nil, "", limits, usage)
	if in.Strategy != nil {
		list = appendOpenPositions(list, strategyPrefix, in.Strategy.Limits, in.Strategy.Usage)
	}
	list = appendExposure(list, "", limits, usage, sizing)
	if in.Strategy != nil {
		list = appendExposure(list, strategyPrefix, in.Strategy.Limits, in.Strategy.Usage, sizing)
	}
	if limits.MaxPositionNotional.IsPositive() {
		list = append(list, check(GateSinglePosition, limits.MaxPositionNotional, sizing.Notional,
			sizing.Notional.LessThanOrEqual(limits.MaxPositionNotional),
			"notional %s is above the most of one position, %s", sizing.Notional, limits.MaxPositionNotional))
	}
	return append(list,
		check(GateBalance, in.Account.FreeQuote, sizing.Notional, sizing.Notional.LessThanOrEqual(in.Account.FreeQuote),
			"notional %s is above the free balance of %s %s", sizing.Notional, in.Account.FreeQuote, in.Instrument.QuoteAsset),
		perTradeCheck(in, sizing))
}

func appendOpenPositions(list []Check, prefix string, limits Limits, usage Usage) []Check {
	if limits.MaxOpenPositions <= 0 {
		return list
	}
	after := usage.OpenPositions + 1
	return append(list, check(prefix+GateMaxOpenPositions,
		decimal.NewFromInt32(limits.MaxOpenPositions), decimal.NewFromInt32(after), after <= limits.MaxOpenPositions,
		"%d positions are open and at most %d may be", usage.OpenPositions, limits.MaxOpenPositions))
}

func appendExposure(list []Check, prefix string, limits Limits, usage Usage, sizing Sizing) []Check {
	if !limits.MaxExposure.IsPositive() {
		return list
	}
	after := usage.Exposure.Add(sizing.Notional)
	return append(list, check(prefix+GateTotalExposure, limits.MaxExposure, after, after.LessThanOrEqual(limits.MaxExposure),
		"exposure would be %s and at most %s is allowed", after, limits.MaxExposure))
}

// perTradeCheck holds the position's own risk against the account's cap of today, which may have been lowered
// since the position was armed.
func perTradeCheck(in Input, sizing Sizing) Check {
	percent := in.Policy.RiskPercent
	if limit := in.Account.Limits.RiskPercentMax; limit.IsPositive() {
		percent = decimal.Min(percent, limit)
	}
	most := money.Round18(in.Policy.Capital.Mul(percent).Shift(-2))
	return check(GatePerTradeRisk, most, sizing.PlannedRisk, sizing.PlannedRisk.LessThanOrEqual(most),
		"planned risk %s is above the most of one trade, %s", sizing.PlannedRisk, most)
}

func lossChecks(in Input, sizing Sizing) []Check {
	limits, usage := in.Account.Limits, in.Account.Usage
	list := appendDailyLoss(nil, "", limits, usage, sizing)
	if in.Strategy != nil {
		list = appendDailyLoss(list, strategyPrefix, in.Strategy.Limits, in.Strategy.Usage, sizing)
	}
	list = appendDrawdown(list, "", limits, usage, sizing)
	if in.Strategy != nil {
		list = appendDrawdown(list, strategyPrefix, in.Strategy.Limits, in.Strategy.Usage, sizing)
	}
	remaining := budgetRemaining(limits, usage)
	return append(list, check(GateMonthlyBudget, remaining, sizing.PlannedRisk,
		remaining.IsPositive() && sizing.PlannedRisk.LessThanOrEqual(remaining),
		"planned risk %s is above what is left of the month's budget, %s", sizing.PlannedRisk, remaining))
}

// appendDailyLoss looks ahead: were every open stop and this one hit today, the limit must still hold.
func appendDailyLoss(list []Check, prefix string, limits Limits, usage Usage, sizing Sizing) []Check {
	if !limits.DailyLossLimit.IsPositive() {
		return list
	}
	worst := usage.DailyPnL.Sub(usage.LatentRisk).Sub(sizing.PlannedRisk)
	floor := limits.DailyLossLimit.Neg()
	return append(list, check(prefix+GateDailyLoss, floor, worst, worst.GreaterThanOrEqual(floor),
		"the day could end at %s and the limit is %s", worst, floor))
}

func appendDrawdown(list []Check, prefix string, limits Limits, usage Usage, sizing Sizing) []Check {
	if !limits.MaxDrawdown.IsPositive() {
		return list
	}
	worst := usage.Drawdown.Add(usage.LatentRisk).Add(sizing.PlannedRisk)
	return append(list, check(prefix+GateMaxDrawdown, limits.MaxDrawdown, worst, worst.LessThanOrEqual(limits.MaxDrawdown),
		"drawdown could reach %s and at most %s is allowed", worst, limits.MaxDrawdown))
}

func standingChecks(in Input) []Check {
	active := ActiveHalts(in.Account.Halts, in.Now)
	reason := ""
	if len(active) > 0 {
		reason = active[0].Reason
	}
	list := []Check{check(GateAccountViolated, decimal.Zero, decimal.NewFromInt(int64(len(active))), len(active) == 0,
		"entries of the account are halted: %s", reason)}
	if in.Strategy != nil {
		disabled := decimal.Zero
		if !in.Strategy.Enabled {
			disabled = decimal.NewFromInt(1)
		}
		list = append(list, check(GateStrategyDisabled, decimal.Zero, disabled, in.Strategy.Enabled, "the strategy is disabled"))
	}
	return list
}
