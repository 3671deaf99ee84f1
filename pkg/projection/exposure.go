package projection

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
)

// putPosition replaces a position, nil before it was armed, and carries over what that changes in the use of limits: of
// its account, and of its strategy. Each is kept by differences of what the position counts for, so that it is the sum
// over all positions at every moment.
func (c *change) putPosition(before, after *Position) {
	after.derive(before)
	c.put(after)
	exposure, risk, open := after.Exposure, after.OpenRisk, after.counts()
	if before != nil {
		exposure, risk, open = less(exposure, before.Exposure), less(risk, before.OpenRisk), open-before.counts()
	}
	if exposure.IsZero() && risk.IsZero() && open == 0 {
		return
	}
	for _, strategy := range after.scopes() {
		use := c.editRisk(after.AccountID, strategy)
		use.TotalExposure = plus(use.TotalExposure, exposure)
		use.OpenRisk = plus(use.OpenRisk, risk)
		use.OpenPositions += open
		c.put(use)
	}
	if !after.StrategyID.Valid || open == 0 {
		return
	}
	if strategy := c.strategy(after.StrategyID.UUID); strategy != nil {
		changed := clone(strategy)
		changed.OpenPositions += open
		c.put(changed)
	}
}

// scopes are the strategies whose limits the position uses: none, which is the account, and its own.
func (p *Position) scopes() []uuid.UUID {
	if p.StrategyID.Valid {
		return []uuid.UUID{uuid.Nil, p.StrategyID.UUID}
	}
	return []uuid.UUID{uuid.Nil}
}

// derive computes what follows from the position's sums, if it does not stand already: what it was before, nil before it
// was armed, was derived from the same.
func (p *Position) derive(before *Position) {
	if before == nil || p.EntryCost != before.EntryCost || p.EntryQuantity != before.EntryQuantity {
		p.EntryPrice = average(p.EntryCost, p.EntryQuantity)
	}
	if before == nil || p.ExitProceeds != before.ExitProceeds || p.ExitQuantity != before.ExitQuantity {
		p.ExitPrice = average(p.ExitProceeds, p.ExitQuantity)
	}
	p.Exposure, p.OpenRisk = p.uses()
	p.UnrealizedPnL = p.unrealized()
}

// average is what one of a quantity came to; null for none.
func average(amount, quantity decimal.Decimal) decimal.NullDecimal {
	if quantity.IsZero() {
		return decimal.NullDecimal{}
	}
	return someAmount(quotient(amount, quantity))
}

// counts is 1 for a position that counts among the open ones.
func (p *Position) counts() int32 {
	switch p.State {
	case PositionEntering, PositionActive, PositionExiting, PositionError:
		return 1
	case PositionArmed, PositionClosed:
		return 0
	}
	return 0
}

// uses is what the position counts for in exposure and in open risk: what was planned, until the entry order has ended;
// then what is held, at its cost, and what it loses if the stop is hit.
func (p *Position) uses() (exposure, risk decimal.Decimal) {
	if p.counts() == 0 || !p.PlannedQuantity.Valid {
		return decimal.Zero, decimal.Zero
	}
	if !p.EntryDone {
		return money.Round18(money.Mul(p.PlannedQuantity.Decimal, p.PlannedEntryPrice.Decimal)), p.PlannedRisk.Decimal
	}
	held := notNegative(p.CurrentQuantity)
	stop := p.TechnicalStopPrice.Decimal
	if p.TrailingStopPrice.Valid {
		stop = p.TrailingStopPrice.Decimal
	}
	return share(held, p.EntryCost, p.EntryQuantity), notNegative(p.gain(stop, held).Neg())
}

// gain is what a quantity of the position earns at a price, compared with its entry.
func (p *Position) gain(price, quantity decimal.Decimal) decimal.Decimal {
	difference := money.Sub(money.Mul(price, p.EntryQuantity), p.EntryCost)
	if p.Side == positionSideShort {
		difference = difference.Neg()
	}
	return share(quantity, difference, p.EntryQuantity)
}

// unrealized is what the position would earn at the last price that an event told.
func (p *Position) unrealized() decimal.Decimal {
	if p.State == PositionClosed || !p.CurrentPrice.Valid {
		return decimal.Zero
	}
	return p.gain(p.CurrentPrice.Decimal, p.CurrentQuantity)
}

// Realized is the gross P&L of the exits. A long's is what they brought less their share of the cost; a short's is the
// entry's proceeds for what came back, less what that cost: the fee taken in the base asset never came back, and counts
// among the fees at the price it was bought at.
func (p *Position) Realized() decimal.Decimal {
	if p.Side == positionSideShort {
		returned := p.ExitQuantity.Sub(p.ExitBaseFee)
		return quotient(returned.Mul(p.EntryCost), p.EntryQuantity).Sub(p.ExitProceeds.Sub(p.ExitBaseFeeCost))
	}
	return p.ExitProceeds.Sub(quotient(p.ExitQuantity.Mul(p.EntryCost), p.EntryQuantity))
}
