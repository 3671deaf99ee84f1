package projection

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func (r *reader) knownPosition(text string) (*Position, error) {
	id := r.id("position_id", text)
	position := r.position(id)
	if position == nil {
		return nil, refused("POSITION_UNKNOWN", "position %s does not exist", id)
	}
	return position, nil
}

// positionIn is a position that is in one of some states.
func (r *reader) positionIn(text string, states ...PositionState) (*Position, error) {
	position, err := r.knownPosition(text)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(states, position.State) {
		return nil, refused("POSITION_STATE", "position %s is %s", position.PositionID, position.State).With("state", string(position.State))
	}
	return position, nil
}

func (r *reader) checkArmed(p *eventv1.PositionArmed) error {
	id, accountID := r.id("position_id", p.GetPositionId()), r.id("account_id", p.GetAccountId())
	if r.position(id) != nil {
		return refused("POSITION_EXISTS", "position %s exists already", id)
	}
	account, limits := r.account(accountID), r.risk(accountID, uuid.Nil)
	slot := r.slot(accountID, p.GetSymbol(), enumText(positionSides, p.GetSide()))
	strategyID := r.maybeID("strategy_id", p.GetStrategyId())
	var strategy *Strategy
	if strategyID.Valid {
		strategy = r.strategy(strategyID.UUID)
	}
	switch {
	case account == nil || limits == nil:
		return refused("ACCOUNT_UNKNOWN", "account %s is not registered", accountID)
	case strategyID.Valid && (strategy == nil || strategy.AccountID != accountID):
		return refused("STRATEGY_UNKNOWN", "account %s has no strategy %s", accountID, strategyID.UUID)
	case strategyID.Valid && !strategy.IsEnabled:
		return refused("STRATEGY_DISABLED", "strategy %s is disabled", strategyID.UUID)
	case slot != nil && slot.PositionID.Valid:
		return refused("DUPLICATE_POSITION", "position %s of the same account, symbol and side has not ended", slot.PositionID.UUID).
			With("position_id", slot.PositionID.UUID.String())
	}
	percent := r.amount("risk_percent", p.GetRiskPercent())
	if most := limits.RiskPercentMax; most.Valid && percent.GreaterThan(most.Decimal) {
		return invalid("risk_percent", "must be at most the account's %s and is %s", most.Decimal, percent)
	}
	return firstOf(
		positive("risk_percent", percent),
		positive("capital", r.amount("capital", p.GetCapital())),
		tradable(account, p.GetSymbol(), p.GetSide()),
		r.first())
}

// tradable refuses a symbol or a side that the account cannot trade.
func tradable(account *Account, symbol string, side eventv1.PositionSide) error {
	switch {
	case !strings.HasSuffix(symbol, account.QuoteAsset) || symbol == account.QuoteAsset:
		return invalid("symbol", "must be quoted in %s, which the account's limits are counted in, and is %s", account.QuoteAsset, symbol)
	case account.MarginSymbol != nil && symbol != *account.MarginSymbol:
		return invalid("symbol", "must be the isolated margin account's %s and is %s", *account.MarginSymbol, symbol)
	case account.MarginSymbol == nil && side == eventv1.PositionSide_POSITION_SIDE_SHORT:
		return invalid("side", "must be long on a spot account: a short needs isolated margin")
	}
	return nil
}

func (r *reader) checkDisarmed(p *eventv1.PositionDisarmed) error {
	_, err := r.positionIn(p.GetPositionId(), PositionArmed)
	return err
}

// onRightSide refuses a stop that is not below a long's entry or above a short's.
func onRightSide(field, side string, entry, stop decimal.Decimal) error {
	switch {
	case !stop.IsPositive():
		return invalid(field, "must be above 0 and is %s", stop)
	case side == positionSideShort && !stop.GreaterThan(entry):
		return invalid(field, "must be above entry %s for a short and is %s", entry, stop)
	case side == positionSideLong && !stop.LessThan(entry):
		return invalid(field, "must be below entry %s for a long and is %s", entry, stop)
	}
	return nil
}

// checkOpened wants a first entry fill, and the stop that was decided. A fill beyond the stop opens the position all the
// same: the stop is held against the planned entry.
func (r *reader) checkOpened(p *eventv1.PositionOpened) error {
	position, err := r.knownPosition(p.GetPositionId())
	switch {
	case err != nil:
		return err
	case position.OpenedAt != nil:
		return refused("POSITION_OPENED", "position %s was opened already", position.PositionID)
	case position.State != PositionEntering && position.State != PositionError:
		return refused("POSITION_STATE", "position %s is %s", position.PositionID, position.State).With("state", string(position.State))
	case !position.EntryQuantity.IsPositive():
		return refused("NO_ENTRY_FILL", "position %s has no entry fill", position.PositionID)
	}
	planned := position.PlannedEntryPrice.Decimal
	stop := r.amount("technical_stop_price", p.GetTechnicalStopPrice())
	quantity := r.amount("entry_quantity", p.GetEntryQuantity())
	if quantity.GreaterThan(position.EntryQuantity) {
		return invalid("entry_quantity", "must be at most the %s that was filled and is %s", position.EntryQuantity, quantity)
	}
	return firstOf(
		sameText("account_id", strings.ToLower(p.GetAccountId()), position.AccountID.String()),
		sameText("strategy_id", strings.ToLower(p.GetStrategyId()), idText(position.StrategyID)),
		sameText("symbol", p.GetSymbol(), position.Symbol),
		sameText("side", enumText(positionSides, p.GetSide()), position.Side),
		sameText("entry_order_id", strings.ToLower(p.GetEntryOrderId()), idText(position.EntryOrderID)),
		positive("entry_price", r.amount("entry_price", p.GetEntryPrice())),
		positive("entry_quantity", quantity),
		onRightSide("technical_stop_price", position.Side, planned, stop),
		sameAmount("technical_stop_price", stop, position.TechnicalStopPrice.Decimal),
		sameAmount("technical_stop_distance", r.amount("technical_stop_distance", p.GetTechnicalStopDistance()), planned.Sub(stop).Abs()),
		sameAmount("trailing_stop_price", r.amount("trailing_stop_price", p.GetTrailingStopPrice()), stop))
}

// better reports whether a is more in a position's favour than b, as a stop or as a price.
func (p *Position) better(a, b decimal.Decimal) bool {
	if p.Side == positionSideShort {
		return a.LessThan(b)
	}
	return a.GreaterThan(b)
}

func (r *reader) checkStopUpdated(p *eventv1.TrailingStopUpdated) error {
	position, err := r.positionIn(p.GetPositionId(), PositionActive, PositionError)
	if err != nil {
		return err
	}
	stored := position.TrailingStopPrice
	previous, next := r.amount("previous_stop", p.GetPreviousStop()), r.amount("new_stop", p.GetNewStop())
	extreme := r.amount("favorable_extreme", p.GetFavorableExtreme())
	switch {
	case !stored.Valid:
		return refused("POSITION_NOT_OPENED", "position %s has no stop to move", position.PositionID)
	case !previous.Equal(stored.Decimal):
		return refused("STOP_MOVED", "the stop of position %s is %s, not %s", position.PositionID, stored.Decimal, previous).
			With("expected", previous.String()).With("found", stored.Decimal.String())
	case !position.better(next, stored.Decimal):
		return refused("STOP_NOT_BETTER", "the stop of a %s moves in its favour only: from %s to %s it may not", position.Side, stored.Decimal, next).
			With("found", stored.Decimal.String())
	case position.FavorableExtreme.Valid && position.better(position.FavorableExtreme.Decimal, extreme):
		return refused("EXTREME_NOT_BETTER", "the favorable extreme of position %s is %s already", position.PositionID, position.FavorableExtreme.Decimal).
			With("found", position.FavorableExtreme.Decimal.String())
	}
	return positive("new_stop", next)
}

func (r *reader) checkExitTriggered(p *eventv1.ExitTriggered) error {
	position, err := r.knownPosition(p.GetPositionId())
	if err != nil {
		return err
	}
	switch position.State {
	case PositionActive, PositionError:
	case PositionExiting:
		return refused("ALREADY_EXITING", "position %s is being left already: %s", position.PositionID, textOf(position.ExitReason)).
			With("exit_reason", textOf(position.ExitReason))
	case PositionEntering:
		if !leavesEntering(p.GetReason()) {
			return refused("POSITION_STATE", "position %s is entering and cannot be left for %s", position.PositionID, enumText(exitReasons, p.GetReason())).
				With("state", string(position.State))
		}
	case PositionArmed, PositionClosed:
		return refused("POSITION_STATE", "position %s is %s", position.PositionID, position.State).With("state", string(position.State))
	}
	if quantity := r.amount("quantity", p.GetQuantity()); quantity.GreaterThan(notNegative(position.CurrentQuantity)) {
		return refused("EXCEEDS_OPEN", "quantity %s is more than the %s that is open", quantity, position.CurrentQuantity).
			With("open", position.CurrentQuantity.String())
	}
	if p.GetReason() == eventv1.ExitReason_EXIT_REASON_TRAILING_STOP {
		return r.checkStopHit(p, position)
	}
	return nil
}

// leavesEntering reports whether a position may be left for a reason while its entry is under way: what is not filled is
// canceled, and what is filled is sold.
func leavesEntering(reason eventv1.ExitReason) bool {
	return reason == eventv1.ExitReason_EXIT_REASON_PANIC || reason == eventv1.ExitReason_EXIT_REASON_USER_CLOSE ||
		reason == eventv1.ExitReason_EXIT_REASON_RISK_LIMIT
}

// checkStopHit wants the price to have reached the stop that is stored; touching it is reaching it.
func (r *reader) checkStopHit(p *eventv1.ExitTriggered, position *Position) error {
	if !position.TrailingStopPrice.Valid {
		return refused("POSITION_NOT_OPENED", "position %s has no stop to hit", position.PositionID)
	}
	stop, trigger := r.maybeAmount("stop_price", p.GetStopPrice()), r.maybeAmount("trigger_price", p.GetTriggerPrice())
	switch {
	case !trigger.Valid:
		return invalid("trigger_price", "is needed for a stop that was hit")
	case !stop.Valid:
		return invalid("stop_price", "is needed for a stop that was hit")
	case !stop.Decimal.Equal(position.TrailingStopPrice.Decimal):
		return refused("STOP_MOVED", "the stop of position %s is %s, not %s", position.PositionID, position.TrailingStopPrice.Decimal, stop.Decimal).
			With("found", position.TrailingStopPrice.Decimal.String())
	case position.better(trigger.Decimal, stop.Decimal):
		return refused("STOP_NOT_HIT", "price %s has not reached the stop %s of a %s", trigger.Decimal, stop.Decimal, position.Side)
	}
	return nil
}

// checkClosed holds every number of the close against the position's sums.
func (r *reader) checkClosed(p *eventv1.PositionClosed) error {
	position, err := r.positionIn(p.GetPositionId(), PositionEntering, PositionExiting, PositionError)
	if err != nil {
		return err
	}
	failed := p.GetExitReason() == eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED
	switch {
	case p.GetExitReason() == eventv1.ExitReason_EXIT_REASON_DISARMED:
		return invalid("exit_reason", "must not be disarmed: that is POSITION_DISARMED")
	case failed && !position.EntryQuantity.IsZero():
		return refused("ENTRY_FILLED", "position %s was entered with %s", position.PositionID, position.EntryQuantity)
	case position.State == PositionEntering && !failed:
		return refused("POSITION_STATE", "position %s is entering", position.PositionID).With("state", string(position.State))
	case position.ReservedQuantity.IsPositive() || position.PlannedQuantity.Valid && !position.EntryDone:
		return refused("ORDERS_LIVE", "position %s has live orders", position.PositionID).With("reserved", position.ReservedQuantity.String())
	}
	realized := position.Realized()
	return firstOf(
		r.sameExits(p.GetExitOrderIds(), position.ExitOrderIDs),
		sameAmount("closed_quantity", r.amount("closed_quantity", p.GetClosedQuantity()), position.ExitQuantity),
		sameAmount("exit_price", r.amount("exit_price", p.GetExitPrice()), position.ExitPrice.Decimal),
		sameAmount("dust_quantity", r.amount("dust_quantity", p.GetDustQuantity()), notNegative(position.CurrentQuantity)),
		sameAmount("realized_pnl", r.amount("realized_pnl", p.GetRealizedPnl()), realized),
		sameAmount("total_fees", r.amount("total_fees", p.GetTotalFees()), position.TotalFees),
		sameAmount("net_pnl", r.amount("net_pnl", p.GetNetPnl()), realized.Sub(position.TotalFees)))
}

// sameExits wants the orders that took something from the position, in any order.
func (r *reader) sameExits(told []string, stored []uuid.UUID) error {
	given := make([]string, len(told))
	for i, text := range told {
		given[i] = r.id("exit_order_ids", text).String()
	}
	known := make([]string, len(stored))
	for i, id := range stored {
		known[i] = id.String()
	}
	slices.Sort(given)
	slices.Sort(known)
	return sameText("exit_order_ids", strings.Join(given, ", "), strings.Join(known, ", "))
}
