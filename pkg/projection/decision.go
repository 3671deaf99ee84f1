package projection

import (
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func (c *change) foldProposed(p *eventv1.DecisionProposed) {
	id, signalID := c.id("decision_id", p.GetDecisionId()), c.id("signal_id", p.GetSignalId())
	positionID := c.id("position_id", p.GetPositionId())
	position, signal := c.position(positionID), c.signal(signalID)
	if position == nil || signal == nil {
		c.fail("decision %s has no position or no signal", id)
		return
	}
	if c.decision(id) != nil {
		c.fail("decision %s exists already", id)
	}
	c.put(&Decision{
		TenantID: c.ev.TenantID, DecisionID: id, PositionID: positionID, AccountID: position.AccountID, SignalID: signalID,
		StrategyID: c.maybeID("strategy_id", p.GetStrategyId()), Symbol: p.GetSymbol(), Side: enumText(positionSides, p.GetSide()),
		EntryPrice:            c.amount("entry_price", p.GetEntryPrice()),
		TechnicalStopPrice:    c.amount("technical_stop_price", p.GetTechnicalStopPrice()),
		TechnicalStopDistance: c.amount("technical_stop_distance", p.GetTechnicalStopDistance()),
		Capital:               c.amount("capital", p.GetCapital()), RiskPercent: c.amount("risk_percent", p.GetRiskPercent()),
		MaxRiskAmount: c.amount("max_risk_amount", p.GetMaxRiskAmount()), RawQuantity: c.amount("raw_quantity", p.GetRawQuantity()),
		Quantity: c.amount("quantity", p.GetQuantity()), QuantityLimit: enumText(quantityLimits, p.GetQuantityLimit()),
		PlannedRisk: c.amount("planned_risk", p.GetPlannedRisk()), Notional: c.amount("notional", p.GetNotional()),
		StepSize: c.amount("step_size", p.GetStepSize()), Status: DecisionProposed,
		Checks: []RiskCheck{}, FailedChecks: []RiskCheck{},
		ViolationReason: maybeText(p.GetRejectedReason()), DecidedAt: c.moment(p.GetDecidedAt()),
	})
	decided := clone(signal)
	decided.DecisionID = some(id)
	c.put(decided)
}
