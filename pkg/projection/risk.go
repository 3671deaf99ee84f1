package projection

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// editRisk is a copy of a risk row to change; a new one, without limits, where there is none.
func (c *change) editRisk(account, strategy uuid.UUID) *Risk {
	at := c.occurred()
	row := c.risk(account, strategy)
	if row == nil {
		return &Risk{
			TenantID: c.ev.TenantID, AccountID: account, StrategyID: strategy,
			Halts: map[string]string{}, Alerts: map[string]string{}, CalculatedAt: &at,
		}
	}
	changed := clone(row)
	changed.CalculatedAt = &at
	return changed
}

// HaltKey is how Risk.Halts and Risk.Alerts name a limit and its period.
func HaltKey(limitName, period string) string { return limitName + "|" + period }

// Halted tells the first limit, by name, for which entries are halted at a time. A halt of a UTC day or month ends
// with it; any other when an operator clears it.
func (r *Risk) Halted(at time.Time) (reason string, halted bool) {
	for _, key := range slices.Sorted(maps.Keys(r.Halts)) {
		if !isOver(key, at) {
			return r.Halts[key], true
		}
	}
	return "", false
}

// isOver reports whether the period that a halt's key names ended before a time.
func isOver(key string, at time.Time) bool {
	period := key
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '|' {
			period = key[i+1:]
			break
		}
	}
	if _, err := time.Parse(time.DateOnly, period); err == nil {
		return period < Day(at)
	}
	if _, err := time.Parse("2006-01", period); err == nil {
		return period < Month(at)
	}
	return false
}

// review forgets halts whose period is over at a time of deciding, and says again whether the limits are violated.
func (r *Risk) review(at time.Time) {
	for _, key := range slices.Sorted(maps.Keys(r.Halts)) {
		if isOver(key, at) {
			r.Halts = without(r.Halts, key)
		}
	}
	r.IsViolated = len(r.Halts) > 0
	if !r.IsViolated {
		r.ViolationReason, r.ViolatedAt = nil, nil
		return
	}
	if _, still := reasonKey(r.Halts, textOf(r.ViolationReason)); !still {
		first := r.Halts[slices.Sorted(maps.Keys(r.Halts))[0]]
		r.ViolationReason = &first
	}
}

func reasonKey(halts map[string]string, reason string) (key string, found bool) {
	for _, key := range slices.Sorted(maps.Keys(halts)) {
		if halts[key] == reason {
			return key, true
		}
	}
	return "", false
}

// halt stops entries until the period is over or an operator clears it.
func (r *Risk) halt(key, reason string, at time.Time) {
	r.Halts = with(r.Halts, key, reason)
	r.IsViolated, r.ViolationReason, r.ViolatedAt = true, &reason, &at
}

func (c *change) foldRiskPassed(p *eventv1.RiskCheckPassed) {
	account := c.id("account_id", p.GetAccountId())
	c.want(RiskKey(account, uuid.Nil))
	decision := c.judged(p.GetDecisionId(), p.GetCheckId(), p.GetChecksPerformed())
	if decision == nil {
		return
	}
	decision.Status = DecisionApproved
	decision.ExposureBefore = c.maybeAmount("exposure_before", p.GetExposureBefore())
	decision.ExposureAfter = c.maybeAmount("exposure_after", p.GetExposureAfter())
	decision.BudgetRemaining = c.maybeAmount("budget_remaining", p.GetBudgetRemaining())
	c.put(decision)
	use := c.editRisk(account, uuid.Nil)
	use.review(c.ev.OccurredAt)
	c.put(use)
}

func (c *change) foldRiskFailed(p *eventv1.RiskCheckFailed) {
	decision := c.judged(p.GetDecisionId(), p.GetCheckId(), p.GetChecksPerformed())
	if p.GetAccountBreach() {
		c.want(RiskKey(c.id("account_id", p.GetAccountId()), uuid.Nil))
	}
	if decision == nil {
		return
	}
	decision.Status = DecisionRejected
	decision.FailedChecks = c.checks("failed_checks", p.GetFailedChecks())
	decision.ViolationReason = maybeText(p.GetViolationReason())
	decision.ExposureBefore = c.maybeAmount("exposure_before", p.GetExposureBefore())
	decision.ExposureAfter = c.maybeAmount("exposure_after", p.GetExposureAfter())
	decision.BudgetRemaining = c.maybeAmount("budget_remaining", p.GetBudgetRemaining())
	c.put(decision)
	if !p.GetAccountBreach() {
		return // A trade that is too big says nothing about the account.
	}
	use := c.editRisk(decision.AccountID, uuid.Nil)
	for _, key := range use.breaches(c.ev.OccurredAt) {
		use.halt(key, p.GetViolationReason(), c.occurred())
	}
	c.put(use)
}

// breaches names the loss limits that are used up by what is lost already, as halts. A check that says so for a
// reason that the row does not show halts the day.
func (r *Risk) breaches(at time.Time) []string {
	var keys []string
	day, month := Day(at), Month(at)
	lostDay, lostMonth := decimal.Zero, decimal.Zero
	if textOf(r.PnLDay) == day {
		lostDay = r.DailyPnL.Neg()
	}
	if textOf(r.PnLMonth) == month {
		lostMonth = r.MonthlyPnL.Neg()
	}
	if limit := r.DailyLossLimit; limit.Valid && lostDay.GreaterThanOrEqual(limit.Decimal) {
		keys = append(keys, HaltKey(enumText(limitNames, eventv1.LimitName_LIMIT_NAME_DAILY_LOSS), day))
	}
	if limit := r.MaxDrawdown; limit.Valid && r.Drawdown.GreaterThanOrEqual(limit.Decimal) {
		keys = append(keys, HaltKey(enumText(limitNames, eventv1.LimitName_LIMIT_NAME_MAX_DRAWDOWN), day))
	}
	if budget := r.CapitalBase.Decimal.Mul(r.MonthlyBudgetPercent.Decimal).Shift(-2); budget.IsPositive() && lostMonth.GreaterThanOrEqual(budget) {
		keys = append(keys, HaltKey(enumText(limitNames, eventv1.LimitName_LIMIT_NAME_MONTHLY_BUDGET), month))
	}
	if keys == nil {
		keys = []string{HaltKey(enumText(limitNames, eventv1.LimitName_LIMIT_NAME_DAILY_LOSS), day)}
	}
	return keys
}

// judged is a copy of the decision that a risk check is about, with the checks.
func (c *change) judged(decisionID, checkID string, performed []*eventv1.RiskCheck) *Decision {
	id := c.id("decision_id", decisionID)
	decision := c.decision(id)
	if decision == nil {
		c.fail("decision %s does not exist", id)
		return nil
	}
	changed := clone(decision)
	changed.CheckID = some(c.id("check_id", checkID))
	changed.Checks = c.checks("checks_performed", performed)
	return changed
}

func (r *reader) checks(field string, list []*eventv1.RiskCheck) []RiskCheck {
	checks := make([]RiskCheck, len(list))
	for i, check := range list {
		checks[i] = RiskCheck{
			Name: check.GetName(), Limit: r.amount(field, check.GetLimit()), Value: r.amount(field, check.GetValue()),
			Passed: check.GetPassed(), Message: check.GetMessage(),
		}
	}
	return checks
}

// halts reports whether the event stops entries: it says so, or it is a panic of the whole account.
func halts(p *eventv1.RiskLimitExceeded) bool {
	return p.GetAction() == eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES ||
		p.GetAction() == eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE && p.GetSymbol() == ""
}

func (c *change) foldLimitExceeded(p *eventv1.RiskLimitExceeded) {
	strategy := c.maybeID("strategy_id", p.GetStrategyId())
	use := c.editRisk(c.id("account_id", p.GetAccountId()), strategy.UUID)
	key := HaltKey(enumText(limitNames, p.GetLimitName()), p.GetPeriod())
	// Not the texts as they were sent: what is stored is their normal form, and rows are what folding that gives.
	limit, value := c.amount("limit", p.GetLimit()), c.amount("value", p.GetValue())
	reason := enumText(limitNames, p.GetLimitName()) + ": limit " + limit.String() + ", value " + value.String()
	if p.GetNote() != "" {
		reason = p.GetNote()
	}
	switch {
	case p.GetClearedBy() != "":
		use.Halts, use.Alerts = without(use.Halts, key), without(use.Alerts, key)
		use.review(c.ev.OccurredAt)
	case halts(p):
		use.halt(key, reason, c.occurred())
	case p.GetAction() == eventv1.LimitAction_LIMIT_ACTION_ALERT:
		use.Alerts = with(use.Alerts, key, reason)
	}
	c.put(use)
}

// bookResult adds the result of a closed position to its account and its strategy: all time, and under the UTC day and
// month in which it closed.
func (c *change) bookResult(p *Position) {
	net, closedAt := p.NetPnL.Decimal, *p.ClosedAt
	won := int32(0)
	if net.IsPositive() {
		won = 1
	}
	for _, strategy := range p.scopes() {
		use := c.editRisk(p.AccountID, strategy)
		use.TotalPnL = use.TotalPnL.Add(net)
		use.PeakPnL = decimal.Max(use.PeakPnL, use.TotalPnL)
		use.Drawdown = use.PeakPnL.Sub(use.TotalPnL)
		day := c.bookPeriod(p, strategy, Day(closedAt), won)
		month := c.bookPeriod(p, strategy, Month(closedAt), won)
		if textOf(use.PnLDay) <= day.Period {
			use.PnLDay, use.DailyPnL = maybeText(day.Period), day.NetPnL
		}
		if textOf(use.PnLMonth) <= month.Period {
			use.PnLMonth, use.MonthlyPnL = maybeText(month.Period), month.NetPnL
		}
		c.put(use)
	}
	if !p.StrategyID.Valid {
		return
	}
	if strategy := c.strategy(p.StrategyID.UUID); strategy != nil {
		changed := clone(strategy)
		changed.ClosedPositions++
		changed.WinningPositions += won
		changed.WinRate = quotient(decimal.NewFromInt32(changed.WinningPositions), decimal.NewFromInt32(changed.ClosedPositions))
		changed.TotalPnL = changed.TotalPnL.Add(net)
		c.put(changed)
	}
}

func (c *change) bookPeriod(p *Position, strategy uuid.UUID, period string, won int32) *PnLPeriod {
	row := &PnLPeriod{TenantID: c.ev.TenantID, AccountID: p.AccountID, StrategyID: strategy, Period: period}
	if known := get[PnLPeriod](&c.reader, row.Key()); known != nil {
		row = clone(known)
	}
	row.NetPnL = row.NetPnL.Add(p.NetPnL.Decimal)
	row.Fees = row.Fees.Add(p.TotalFees)
	row.ClosedPositions++
	row.WinningPositions += won
	c.put(row)
	return row
}
