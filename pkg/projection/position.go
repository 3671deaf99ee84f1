package projection

import (
	"github.com/google/uuid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// editPosition is the position that an event of its own stream is about, and a copy to change.
func (c *change) editPosition(text string) (before, after *Position) {
	id := c.id("position_id", text)
	before = c.position(id)
	if before == nil {
		c.fail("position %s does not exist", id)
		return nil, &Position{}
	}
	c.want(RiskKey(before.AccountID, uuid.Nil))
	return before, clone(before)
}

func (c *change) foldArmed(p *eventv1.PositionArmed) {
	at := c.moment(p.GetArmedAt())
	position := &Position{
		TenantID: c.ev.TenantID, PositionID: c.id("position_id", p.GetPositionId()), AccountID: c.id("account_id", p.GetAccountId()),
		StrategyID: c.maybeID("strategy_id", p.GetStrategyId()), Symbol: p.GetSymbol(), Side: enumText(positionSides, p.GetSide()),
		State: PositionArmed, Capital: c.amount("capital", p.GetCapital()), RiskPercent: c.amount("risk_percent", p.GetRiskPercent()),
		TrailingMode: trailingMode(p.GetTrailingMode()), DetectorConfig: configOf(p.GetDetectorConfig()),
		ExitOrderIDs: []uuid.UUID{}, ArmedAt: &at,
	}
	if c.position(position.PositionID) != nil {
		c.fail("position %s exists already", position.PositionID)
	}
	c.putPosition(nil, position)
	c.occupy(position, some(position.PositionID))
}

// occupy sets who holds the position's slot: an account's symbol and side, one position at a time.
func (c *change) occupy(p *Position, holder uuid.NullUUID) {
	slot := &PositionSlot{TenantID: c.ev.TenantID, AccountID: p.AccountID, Symbol: p.Symbol, Side: p.Side}
	if known := c.slot(p.AccountID, p.Symbol, p.Side); known != nil {
		slot = clone(known)
	}
	slot.PositionID = holder
	c.put(slot)
}

func trailingMode(mode eventv1.TrailingMode) string {
	if mode == eventv1.TrailingMode_TRAILING_MODE_UNSPECIFIED {
		mode = eventv1.TrailingMode_TRAILING_MODE_CONTINUOUS
	}
	return enumText(trailingModes, mode)
}

// configOf is a configuration as rows keep it: never nil.
func configOf(config map[string]string) map[string]string {
	if config == nil {
		return map[string]string{}
	}
	return config
}

func (c *change) foldDisarmed(p *eventv1.PositionDisarmed) {
	before, position := c.editPosition(p.GetPositionId())
	if before == nil {
		return
	}
	at := c.moment(p.GetDisarmedAt())
	position.State, position.ClosedAt = PositionClosed, &at
	position.ExitReason = maybeText(enumText(exitReasons, eventv1.ExitReason_EXIT_REASON_DISARMED))
	position.DisarmReason = maybeText(enumText(disarmReasons, p.GetReason()))
	c.putPosition(before, position)
	c.occupy(position, uuid.NullUUID{})
}

// foldOpened notes the stop under which the position is held. What was bought, and at which price, is told by the fills
// alone.
func (c *change) foldOpened(p *eventv1.PositionOpened) {
	before, position := c.editPosition(p.GetPositionId())
	if before == nil {
		return
	}
	at := c.moment(p.GetOpenedAt())
	if position.State == PositionEntering {
		position.State = PositionActive
	}
	position.TechnicalStopPrice = c.maybeAmount("technical_stop_price", p.GetTechnicalStopPrice())
	position.TechnicalStopDistance = c.maybeAmount("technical_stop_distance", p.GetTechnicalStopDistance())
	position.TrailingStopPrice = c.maybeAmount("trailing_stop_price", p.GetTrailingStopPrice())
	price := c.maybeAmount("entry_price", p.GetEntryPrice())
	position.FavorableExtreme, position.CurrentPrice = price, price
	if p.GetStopLossOrderId() != "" {
		position.StopLossOrderID = c.maybeID("stop_loss_order_id", p.GetStopLossOrderId())
	}
	position.ExtremeAt, position.EntryFilledAt, position.OpenedAt = &at, &at, &at
	position.StopEventID = some(c.ev.EventID)
	c.putPosition(before, position)
}

func (c *change) foldStopUpdated(p *eventv1.TrailingStopUpdated) {
	before, position := c.editPosition(p.GetPositionId())
	if before == nil {
		return
	}
	position.TrailingStopPrice = c.maybeAmount("new_stop", p.GetNewStop())
	position.FavorableExtreme = c.maybeAmount("favorable_extreme", p.GetFavorableExtreme())
	position.CurrentPrice = c.maybeAmount("trigger_price", p.GetTriggerPrice())
	position.ExtremeAt = maybeMoment(p.GetObservedAt())
	position.StopEventID = some(c.ev.EventID)
	c.putPosition(before, position)
}

func (c *change) foldExitTriggered(p *eventv1.ExitTriggered) {
	before, position := c.editPosition(p.GetPositionId())
	if before == nil {
		return
	}
	at := c.moment(p.GetTriggeredAt())
	position.State, position.ExitingAt = PositionExiting, &at
	position.ExitReason = maybeText(enumText(exitReasons, p.GetReason()))
	position.ExitTriggers++
	if price := c.maybeAmount("trigger_price", p.GetTriggerPrice()); price.Valid {
		position.CurrentPrice = price
	}
	c.putPosition(before, position)
}

// foldClosed ends a position. From here it is what the event says; Check has held that against the sums.
func (c *change) foldClosed(p *eventv1.PositionClosed) {
	before, position := c.editPosition(p.GetPositionId())
	if before == nil {
		return
	}
	at := c.moment(p.GetClosedAt())
	position.State, position.ClosedAt = PositionClosed, &at
	position.ExitReason = maybeText(enumText(exitReasons, p.GetExitReason()))
	position.RealizedPnL = c.maybeAmount("realized_pnl", p.GetRealizedPnl())
	position.NetPnL = c.maybeAmount("net_pnl", p.GetNetPnl())
	position.DustQuantity = c.maybeAmount("dust_quantity", p.GetDustQuantity())
	position.TotalFees = c.amount("total_fees", p.GetTotalFees())
	position.CurrentQuantity = position.DustQuantity.Decimal
	if price := c.maybeAmount("exit_price", p.GetExitPrice()); price.Decimal.IsPositive() {
		position.CurrentPrice = price
	}
	if ids := p.GetExitOrderIds(); len(ids) > 0 {
		position.ExitOrderID = some(c.id("exit_order_ids", ids[len(ids)-1]))
	}
	c.putPosition(before, position)
	c.occupy(position, uuid.NullUUID{})
	if !position.EntryQuantity.IsZero() {
		c.bookResult(position)
	}
}
