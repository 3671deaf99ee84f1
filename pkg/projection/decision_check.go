package projection

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// checkProposed computes a decision again from what it says it rests on.
func (r *reader) checkProposed(p *eventv1.DecisionProposed) error {
	id := r.id("decision_id", p.GetDecisionId())
	if r.decision(id) != nil {
		return refused("DECISION_EXISTS", "decision %s exists already", id)
	}
	position, err := r.positionIn(p.GetPositionId(), PositionArmed)
	if err != nil {
		return err
	}
	err = firstOf(
		sameText("symbol", p.GetSymbol(), position.Symbol),
		sameText("side", enumText(positionSides, p.GetSide()), position.Side),
		sameText("strategy_id", strings.ToLower(p.GetStrategyId()), idText(position.StrategyID)),
		sameAmount("risk_percent", r.amount("risk_percent", p.GetRiskPercent()), position.RiskPercent),
		r.checkSignal(p))
	if err != nil {
		return err
	}
	if capital := r.amount("capital", p.GetCapital()); capital.GreaterThan(position.Capital) {
		return invalid("capital", "must be at most the %s that the position was armed with and is %s", position.Capital, capital)
	}
	return r.checkSizing(p, position.Side)
}

// checkSignal wants a signal that has led to nothing yet: one decision per signal.
func (r *reader) checkSignal(p *eventv1.DecisionProposed) error {
	id := r.id("signal_id", p.GetSignalId())
	signal := r.signal(id)
	switch {
	case signal == nil || idText(signal.PositionID) != strings.ToLower(p.GetPositionId()):
		return refused("SIGNAL_UNKNOWN", "position %s has no signal %s", p.GetPositionId(), id)
	case signal.DecisionID.Valid:
		return refused("SIGNAL_DECIDED", "signal %s has led to decision %s", id, signal.DecisionID.UUID).With("decision_id", idText(signal.DecisionID))
	case signal.Status != SignalDetected:
		return refused("SIGNAL_NOT_WAITING", "signal %s is %s", id, signal.Status).With("status", string(signal.Status))
	case signal.ExpiresAt != nil && r.moment(p.GetDecidedAt()).After(*signal.ExpiresAt):
		return refused("SIGNAL_EXPIRED", "signal %s was good until %s", id, signal.ExpiresAt.Format(timeLayout))
	}
	if analyzed := signal.TechnicalStopPrice; analyzed.Valid {
		return sameAmount("technical_stop_price", r.amount("technical_stop_price", p.GetTechnicalStopPrice()), analyzed.Decimal)
	}
	return nil
}

// checkSizing holds the numbers of a decision against the Golden Rule.
func (r *reader) checkSizing(p *eventv1.DecisionProposed, side string) error {
	entry, stop := r.amount("entry_price", p.GetEntryPrice()), r.amount("technical_stop_price", p.GetTechnicalStopPrice())
	distance, capital := entry.Sub(stop).Abs(), r.amount("capital", p.GetCapital())
	maxRisk := money.Round18(capital.Mul(r.amount("risk_percent", p.GetRiskPercent())).Shift(-2))
	quantity, step := r.amount("quantity", p.GetQuantity()), r.amount("step_size", p.GetStepSize())
	plannedRisk := money.Round18(quantity.Mul(distance))
	err := firstOf(
		positive("entry_price", entry),
		onRightSide("technical_stop_price", side, entry, stop),
		sameAmount("technical_stop_distance", r.amount("technical_stop_distance", p.GetTechnicalStopDistance()), distance),
		sameAmount("max_risk_amount", r.amount("max_risk_amount", p.GetMaxRiskAmount()), maxRisk),
		sameAmount("planned_risk", r.amount("planned_risk", p.GetPlannedRisk()), plannedRisk),
		sameAmount("notional", r.amount("notional", p.GetNotional()), money.Round18(quantity.Mul(entry))))
	if err != nil {
		return err
	}
	// Whoever cuts the raw quantity off and whoever rounds it agree to the unit in the last place.
	raw := r.amount("raw_quantity", p.GetRawQuantity())
	if raw.Mul(distance).Sub(maxRisk).Abs().GreaterThanOrEqual(smallest.Mul(distance)) {
		return invalid("raw_quantity", "must be %s / %s and is %s", maxRisk, distance, raw)
	}
	switch {
	case quantity.IsNegative():
		return invalid("quantity", "must not be below 0 and is %s", quantity)
	case step.IsPositive() && !quantity.Mod(step).IsZero():
		return invalid("quantity", "must be a multiple of the step %s and is %s", step, quantity)
	case quantity.Mul(distance).GreaterThan(maxRisk):
		return invalid("quantity", "must not risk more than %s: %s would risk %s", maxRisk, quantity, plannedRisk)
	case quantity.Mul(entry).GreaterThan(capital):
		return invalid("quantity", "must not cost more than the capital %s: %s would cost %s", capital, quantity, quantity.Mul(entry))
	}
	return checkFloor(p, quantity, step, distance, maxRisk)
}

// checkFloor wants a quantity that the risk alone bounds to be the largest multiple of the step that may be risked.
func checkFloor(p *eventv1.DecisionProposed, quantity, step, distance, maxRisk decimal.Decimal) error {
	if p.GetQuantityLimit() != eventv1.QuantityLimit_QUANTITY_LIMIT_RISK || !step.IsPositive() {
		return nil
	}
	if next := quantity.Add(step); next.Mul(distance).LessThanOrEqual(maxRisk) {
		return invalid("quantity", "must be rounded down to the step, not below: %s may be risked, and it is %s", next, quantity)
	}
	return nil
}

func (r *reader) checkRiskPassed(p *eventv1.RiskCheckPassed) error {
	decision, err := r.proposed(p.GetDecisionId(), p.GetAccountId(), p.GetStrategyId())
	if err != nil {
		return err
	}
	failed := slices.IndexFunc(p.GetChecksPerformed(), func(c *eventv1.RiskCheck) bool { return !c.GetPassed() })
	switch {
	case len(p.GetChecksPerformed()) == 0:
		return invalid("checks_performed", "must list every gate")
	case failed >= 0:
		return invalid("checks_performed", "must all have passed, and %s has not", p.GetChecksPerformed()[failed].GetName())
	case !decision.Quantity.IsPositive() || decision.ViolationReason != nil:
		return refused("NO_QUANTITY", "decision %s found no quantity to pass", decision.DecisionID)
	}
	return nil
}

func (r *reader) checkRiskFailed(p *eventv1.RiskCheckFailed) error {
	_, err := r.proposed(p.GetDecisionId(), p.GetAccountId(), p.GetStrategyId())
	if err != nil {
		return err
	}
	if len(p.GetFailedChecks()) == 0 {
		return invalid("failed_checks", "must name the gates that refused")
	}
	for _, failed := range p.GetFailedChecks() {
		listed := slices.ContainsFunc(p.GetChecksPerformed(), func(c *eventv1.RiskCheck) bool {
			return c.GetName() == failed.GetName() && !c.GetPassed()
		})
		if failed.GetPassed() || !listed {
			return invalid("failed_checks", "must be among checks_performed, as not passed: %s is not", failed.GetName())
		}
	}
	return nil
}

// proposed is a decision on which the gates have not spoken yet.
func (r *reader) proposed(decisionID, accountID, strategyID string) (*Decision, error) {
	id := r.id("decision_id", decisionID)
	decision := r.decision(id)
	switch {
	case decision == nil:
		return nil, refused("DECISION_UNKNOWN", "decision %s does not exist", id)
	case decision.Status != DecisionProposed:
		return nil, refused("DECISION_CHECKED", "decision %s is %s already", id, decision.Status).With("status", string(decision.Status))
	}
	return decision, firstOf(
		r.onStream(event.KindPosition, decision.PositionID),
		sameText("account_id", strings.ToLower(accountID), decision.AccountID.String()),
		sameText("strategy_id", strings.ToLower(strategyID), idText(decision.StrategyID)))
}

// checkLimitExceeded wants setting and clearing to alternate, for each limit and period.
func (r *reader) checkLimitExceeded(p *eventv1.RiskLimitExceeded) error {
	accountID, strategyID := r.id("account_id", p.GetAccountId()), r.maybeID("strategy_id", p.GetStrategyId())
	if r.account(accountID) == nil {
		return refused("ACCOUNT_UNKNOWN", "account %s is not registered", accountID)
	}
	use := r.risk(accountID, strategyID.UUID)
	if use == nil {
		return refused("STRATEGY_UNKNOWN", "account %s has no strategy %s", accountID, idText(strategyID))
	}
	key := HaltKey(enumText(limitNames, p.GetLimitName()), p.GetPeriod())
	_, halted := use.Halts[key]
	_, alerted := use.Alerts[key]
	isSet, clears := halted || alerted, p.GetClearedBy() != ""
	switch {
	case clears && !isSet:
		return refused("LIMIT_NOT_SET", "limit %s is not set", key)
	case !clears && isSet:
		return refused("LIMIT_SET", "limit %s is set already", key)
	}
	return r.checkPanicked(p, accountID)
}

// checkPanicked wants the positions that a panic closes to be of the account, and of the symbol if one is named.
func (r *reader) checkPanicked(p *eventv1.RiskLimitExceeded, accountID uuid.UUID) error {
	for _, text := range p.GetPositionIds() {
		r.want(PositionKey(r.id("position_ids", text))) // All of them, before the first is looked at.
	}
	for _, text := range p.GetPositionIds() {
		position, err := r.knownPosition(text)
		switch {
		case err != nil:
			return err
		case position.AccountID != accountID:
			return refused("POSITION_UNKNOWN", "account %s has no position %s", accountID, text)
		case p.GetSymbol() != "" && position.Symbol != p.GetSymbol():
			return invalid("position_ids", "must be of %s, and %s is of %s", p.GetSymbol(), text, position.Symbol)
		}
	}
	return nil
}
