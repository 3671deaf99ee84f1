package projection

import (
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func (r *reader) checkIntent(p *eventv1.IntentCreated) error {
	id := r.id("intent_id", p.GetIntentId())
	if r.intent(id) != nil {
		return refused("INTENT_EXISTS", "intent %s exists already", id)
	}
	err := firstOf(
		sameText("client_order_id", p.GetClientOrderId(), event.ClientOrderID(event.OrderID(id, 1))),
		positive("quantity", r.amount("quantity", p.GetQuantity())))
	if err != nil {
		return err
	}
	switch p.GetIntentType() {
	case eventv1.IntentType_INTENT_TYPE_CANCEL:
		return r.checkCancel(p)
	case eventv1.IntentType_INTENT_TYPE_ENTRY, eventv1.IntentType_INTENT_TYPE_EXIT, eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP:
		return r.checkOrderIntent(p)
	case eventv1.IntentType_INTENT_TYPE_TRANSFER, eventv1.IntentType_INTENT_TYPE_BORROW, eventv1.IntentType_INTENT_TYPE_REPAY,
		eventv1.IntentType_INTENT_TYPE_UNSPECIFIED:
	}
	return refused("INTENT_UNSUPPORTED", "no service carries out an intent to %s", enumText(intentTypes, p.GetIntentType()))
}

func (r *reader) checkCancel(p *eventv1.IntentCreated) error {
	id := r.id("cancels_order_id", p.GetCancelsOrderId())
	order := r.order(id)
	switch {
	case order == nil || !order.Known:
		return refused("ORDER_UNKNOWN", "order %s does not exist", id)
	case order.Status.Ended():
		return refused("ORDER_ENDED", "order %s is %s already", id, order.Status).With("status", string(order.Status))
	}
	err := firstOf(
		sameText("account_id", strings.ToLower(p.GetAccountId()), order.AccountID.String()),
		sameText("position_id", strings.ToLower(p.GetPositionId()), idText(order.PositionID)),
		sameText("symbol", p.GetSymbol(), order.Symbol))
	if err != nil || order.PositionID.Valid {
		return firstOf(err, r.onStream(event.KindPosition, order.PositionID.UUID))
	}
	return r.onStream(event.KindAccount, order.AccountID)
}

// checkOrderIntent looks at an intent that is carried out by an order of a position.
func (r *reader) checkOrderIntent(p *eventv1.IntentCreated) error {
	position, err := r.knownPosition(p.GetPositionId())
	if err != nil {
		return err
	}
	err = firstOf(
		r.onStream(event.KindPosition, position.PositionID),
		sameText("account_id", strings.ToLower(p.GetAccountId()), position.AccountID.String()),
		sameText("symbol", p.GetSymbol(), position.Symbol),
		checkPrices(p))
	if err != nil {
		return err
	}
	quantity, side := r.amount("quantity", p.GetQuantity()), enumText(sides, p.GetSide())
	if p.GetIntentType() == eventv1.IntentType_INTENT_TYPE_ENTRY {
		return firstOf(sameText("side", side, position.entrySide()), r.checkEntry(p, position))
	}
	reduceIntent := reduceIntentOf(enumText(intentTypes, p.GetIntentType()))
	return firstOf(sameText("side", side, position.exitSide()), mayReduce(position, reduceIntent, quantity))
}

// checkPrices wants the prices that an order type cannot do without.
func checkPrices(p *eventv1.IntentCreated) error {
	switch t := p.GetOrderType(); {
	case p.GetPrice() == "" && (t == eventv1.OrderType_ORDER_TYPE_LIMIT || t == eventv1.OrderType_ORDER_TYPE_STOP_LOSS_LIMIT):
		return invalid("price", "is needed for a limit order")
	case p.GetStopPrice() == "" && (t == eventv1.OrderType_ORDER_TYPE_STOP_LOSS || t == eventv1.OrderType_ORDER_TYPE_STOP_LOSS_LIMIT):
		return invalid("stop_price", "is needed for a stop order")
	}
	return nil
}

// checkEntry wants an armed position, a decision for it that passed every gate, and limits that allow entries.
func (r *reader) checkEntry(p *eventv1.IntentCreated, position *Position) error {
	id := r.maybeID("decision_id", p.GetDecisionId())
	decision := r.decision(id.UUID)
	switch {
	case position.State != PositionArmed:
		return refused("POSITION_NOT_ARMED", "position %s is %s, not armed", position.PositionID, position.State).With("state", string(position.State))
	case !id.Valid || decision == nil || decision.PositionID != position.PositionID:
		return refused("DECISION_UNKNOWN", "decision %q is not one for position %s", p.GetDecisionId(), position.PositionID)
	case decision.Status != DecisionApproved:
		return refused("RISK_NOT_PASSED", "decision %s is %s, not approved", id.UUID, decision.Status).With("status", string(decision.Status))
	}
	return firstOf(
		sameAmount("quantity", r.amount("quantity", p.GetQuantity()), decision.Quantity),
		r.notHalted(position),
		r.strategyEnabled(position))
}

// notHalted refuses an entry while its account's or its strategy's limits are exceeded.
func (r *reader) notHalted(position *Position) error {
	for _, strategy := range position.scopes() {
		use := r.risk(position.AccountID, strategy)
		if use == nil {
			continue
		}
		if reason, halted := use.Halted(r.ev.OccurredAt); halted {
			return refused("ENTRIES_HALTED", "entries are halted: %s", reason).With("account_id", position.AccountID.String())
		}
	}
	return nil
}

func (r *reader) strategyEnabled(position *Position) error {
	if !position.StrategyID.Valid {
		return nil
	}
	strategy := r.strategy(position.StrategyID.UUID)
	if strategy == nil || !strategy.IsEnabled {
		return refused("STRATEGY_DISABLED", "strategy %s is not enabled", position.StrategyID.UUID)
	}
	return nil
}

// mayReduce refuses an order that would take more than is open, or that the position's state has no place for.
func mayReduce(position *Position, reduceIntent string, quantity decimal.Decimal) error {
	allowed := position.State == PositionError
	switch reduceIntent {
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_EXIT):
		allowed = allowed || position.State == PositionExiting
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE):
		allowed = allowed || position.State == PositionActive
	}
	if !allowed {
		return refused("POSITION_STATE", "position %s is %s, which has no place for an %s order", position.PositionID, position.State, reduceIntent).
			With("state", string(position.State))
	}
	if most := position.mayTake(); quantity.GreaterThan(most) {
		return refused("EXCEEDS_OPEN", "quantity %s is more than the %s that is open, less %s that live orders may take",
			quantity, position.CurrentQuantity, position.ReservedQuantity).
			With("open", position.CurrentQuantity.String()).With("reserved", position.ReservedQuantity.String())
	}
	return nil
}

// checkSubmitted is the last check before an order is sent. A claim that is taken in later describes an order that is
// at the venue already: it must belong to its intent, and the state has no say.
func (r *reader) checkSubmitted(p *eventv1.OrderSubmitted) error {
	id, intentID := r.id("order_id", p.GetOrderId()), r.id("intent_id", p.GetIntentId())
	known, intent := r.order(id), r.intent(intentID)
	if intent == nil {
		return refused("INTENT_UNKNOWN", "intent %s does not exist", intentID)
	}
	if p.GetAttempt() < 1 {
		return invalid("attempt", "must be at least 1 and is %d", p.GetAttempt())
	}
	err := r.matchesIntent(p, intent)
	switch {
	case err != nil:
		return err
	case p.GetRecovered() && (known == nil || known.Known):
		return refused("ORDER_NOT_RECOVERABLE", "order %s has no facts without a claim", id)
	case p.GetRecovered():
		return nil
	case known != nil && known.Known:
		return refused("ORDER_EXISTS", "order %s is claimed already", id)
	case intent.Ended:
		return refused("INTENT_ENDED", "intent %s has ended: %s", intentID, textOf(intent.EndReason)).With("status", string(intent.Status))
	case known != nil:
		return refused("ORDER_EXISTS", "facts about order %s came before its claim", id)
	case intent.Status != IntentPending && intent.Status != IntentFailed:
		return refused("INTENT_LIVE", "intent %s has a live order", intentID).With("order_id", idText(intent.OrderID))
	case p.GetAttempt() != intent.Attempts+1:
		return refused("ATTEMPT", "the next attempt of intent %s is %d, not %d", intentID, intent.Attempts+1, p.GetAttempt())
	case intent.ExpiresAt != nil && r.ev.OccurredAt.After(*intent.ExpiresAt):
		return refused("INTENT_EXPIRED", "intent %s was good until %s", intentID, intent.ExpiresAt.Format(timeLayout))
	}
	return firstOf(r.first(), r.positionTakes(intent))
}

// matchesIntent wants the order to be what was intended, under the ids that follow from it.
func (r *reader) matchesIntent(p *eventv1.OrderSubmitted, intent *Intent) error {
	id := event.OrderID(intent.IntentID, p.GetAttempt())
	if intent.IntentType != intentEntry && intent.IntentType != intentExit && intent.IntentType != intentInsurance {
		return invalid("intent_id", "must be that of an order and is one to %s", intent.IntentType)
	}
	if account := r.account(intent.AccountID); account != nil {
		if err := sameText("product", enumText(products, p.GetProduct()), account.Product); err != nil {
			return err
		}
	}
	return firstOf(
		sameText("order_id", strings.ToLower(p.GetOrderId()), id.String()),
		sameText("client_order_id", p.GetClientOrderId(), event.ClientOrderID(id)),
		sameText("account_id", strings.ToLower(p.GetAccountId()), intent.AccountID.String()),
		sameText("position_id", strings.ToLower(p.GetPositionId()), idText(intent.PositionID)),
		sameText("symbol", p.GetSymbol(), intent.Symbol),
		sameText("side", enumText(sides, p.GetSide()), intent.Side),
		sameText("order_type", enumText(orderTypes, p.GetOrderType()), intent.OrderType),
		sameText("time_in_force", enumText(timesInForce, p.GetTimeInForce()), textOf(intent.TimeInForce)),
		sameText("reduce_intent", enumText(reduceIntents, p.GetReduceIntent()), reduceIntentOf(intent.IntentType)),
		sameAmount("quantity", r.amount("quantity", p.GetQuantity()), intent.Quantity),
		sameMaybe("price", r.maybeAmount("price", p.GetPrice()), intent.Price),
		sameMaybe("stop_price", r.maybeAmount("stop_price", p.GetStopPrice()), intent.StopPrice))
}

// positionTakes refuses an entry into a position that is not being entered, and an exit of more than is open.
func (r *reader) positionTakes(intent *Intent) error {
	position := r.position(intent.PositionID.UUID)
	if position == nil {
		return refused("POSITION_UNKNOWN", "position %s does not exist", idText(intent.PositionID))
	}
	if intent.IntentType != intentEntry {
		return mayReduce(position, reduceIntentOf(intent.IntentType), intent.Quantity)
	}
	if position.State != PositionEntering {
		return refused("POSITION_STATE", "position %s is %s, not entering", position.PositionID, position.State).With("state", string(position.State))
	}
	return r.notStopped(position)
}

// notStopped refuses to send an entry that was decided before an operator halted the account. Other halts weigh only on
// decisions that come after them.
func (r *reader) notStopped(position *Position) error {
	use := r.risk(position.AccountID, uuid.Nil)
	if use == nil {
		return nil
	}
	operator := HaltKey(enumText(limitNames, eventv1.LimitName_LIMIT_NAME_OPERATOR), "")
	for key := range use.Halts {
		if strings.HasPrefix(key, operator) && !isOver(key, r.ev.OccurredAt) {
			return refused("ENTRIES_HALTED", "an operator has halted entries of account %s", position.AccountID).
				With("account_id", position.AccountID.String())
		}
	}
	return nil
}

// sameMaybe is sameAmount for an amount that may be absent.
func sameMaybe(field string, given, stored decimal.NullDecimal) error {
	if given.Valid != stored.Valid {
		return invalid(field, "must be there if and only if the intent has it")
	}
	return sameAmount(field, given.Decimal, stored.Decimal)
}

// positive refuses an amount that is not above zero.
func positive(field string, d decimal.Decimal) error {
	if d.IsPositive() {
		return nil
	}
	return invalid(field, "must be above 0 and is %s", d)
}

// idText is the text of an id that may be absent.
func idText(id uuid.NullUUID) string {
	if !id.Valid {
		return ""
	}
	return id.UUID.String()
}
