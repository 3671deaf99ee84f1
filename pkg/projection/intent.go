package projection

import (
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The kinds of intents, as rows keep them.
var (
	intentEntry     = enumText(intentTypes, eventv1.IntentType_INTENT_TYPE_ENTRY)
	intentExit      = enumText(intentTypes, eventv1.IntentType_INTENT_TYPE_EXIT)
	intentInsurance = enumText(intentTypes, eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP)
	intentCancel    = enumText(intentTypes, eventv1.IntentType_INTENT_TYPE_CANCEL)
)

// reduceIntentOf is what the order of an intent does to its position.
func reduceIntentOf(intentType string) string {
	switch intentType {
	case intentEntry:
		return enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_ENTRY)
	case intentExit:
		return enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_EXIT)
	case intentInsurance:
		return enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE)
	}
	return enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_MANUAL)
}

func (c *change) foldIntent(p *eventv1.IntentCreated) {
	intent := &Intent{
		TenantID: c.ev.TenantID, IntentID: c.id("intent_id", p.GetIntentId()), PositionID: c.maybeID("position_id", p.GetPositionId()),
		AccountID: c.id("account_id", p.GetAccountId()), DecisionID: c.maybeID("decision_id", p.GetDecisionId()),
		IntentType: enumText(intentTypes, p.GetIntentType()), Symbol: p.GetSymbol(), Side: enumText(sides, p.GetSide()),
		OrderType: enumText(orderTypes, p.GetOrderType()), TimeInForce: maybeText(enumText(timesInForce, p.GetTimeInForce())),
		Quantity: c.amount("quantity", p.GetQuantity()), Price: c.maybeAmount("price", p.GetPrice()),
		StopPrice: c.maybeAmount("stop_price", p.GetStopPrice()), ClientOrderID: p.GetClientOrderId(),
		ExpiresAt: maybeMoment(p.GetExpiresAt()), Reason: p.GetReason(),
		CancelsOrderID: c.maybeID("cancels_order_id", p.GetCancelsOrderId()), Status: IntentPending,
	}
	if c.intent(intent.IntentID) != nil {
		c.fail("intent %s exists already", intent.IntentID)
	}
	c.put(intent)
	switch intent.IntentType {
	case intentEntry:
		c.enter(intent)
	case intentCancel:
		if order := c.order(intent.CancelsOrderID.UUID); order != nil {
			changed := clone(order)
			changed.CancelIntentIDs = appended(changed.CancelIntentIDs, intent.IntentID)
			c.put(changed)
			c.followCancels(changed)
		}
	}
}

// enter makes an armed position one that is being entered, with the numbers of its decision. From here it counts in
// the account's exposure and risk.
func (c *change) enter(intent *Intent) {
	position, decision := c.position(intent.PositionID.UUID), c.decision(intent.DecisionID.UUID)
	c.want(RiskKey(intent.AccountID, uuid.Nil))
	if position == nil || decision == nil {
		c.fail("entry intent %s has no position or no decision", intent.IntentID)
		return
	}
	changed := clone(position)
	changed.State = PositionEntering
	changed.EntrySignalID, changed.DecisionID = some(decision.SignalID), some(decision.DecisionID)
	changed.PlannedEntryPrice, changed.PlannedQuantity = someAmount(decision.EntryPrice), someAmount(intent.Quantity)
	changed.PlannedRisk = someAmount(decision.PlannedRisk)
	changed.TechnicalStopPrice = someAmount(decision.TechnicalStopPrice)
	changed.TechnicalStopDistance = someAmount(decision.TechnicalStopDistance)
	changed.EntryDone = false
	c.putPosition(position, changed)
}

// entryEnded notes that an entry intent ended before it was sent.
func (c *change) entryEnded(intent *Intent) {
	if intent.IntentType != intentEntry || !intent.PositionID.Valid {
		return
	}
	c.want(RiskKey(intent.AccountID, uuid.Nil))
	position := c.position(intent.PositionID.UUID)
	if position == nil || position.EntryDone || position.State == PositionClosed {
		return
	}
	changed := clone(position)
	changed.EntryDone = true
	c.putPosition(position, changed)
}

// foldSubmitted records the claim of an order. Where facts were quicker it takes in what they said.
func (c *change) foldSubmitted(p *eventv1.OrderSubmitted) {
	id, account := c.id("order_id", p.GetOrderId()), c.id("account_id", p.GetAccountId())
	before := c.order(id)
	order := c.newStub(id, account)
	if before != nil {
		order = clone(before)
	}
	if order.Known {
		c.fail("order %s is claimed already", id)
	}
	c.identifyAccount(order, account)
	c.identify(order, "symbol", p.GetSymbol(), order.Symbol)
	c.identify(order, "client_order_id", p.GetClientOrderId(), order.ClientOrderID)
	at := c.occurred()
	order.AccountID, order.Symbol, order.ClientOrderID = account, p.GetSymbol(), p.GetClientOrderId()
	order.PositionID, order.IntentID = c.maybeID("position_id", p.GetPositionId()), some(c.id("intent_id", p.GetIntentId()))
	order.Side, order.OrderType = enumText(sides, p.GetSide()), enumText(orderTypes, p.GetOrderType())
	order.TimeInForce = maybeText(enumText(timesInForce, p.GetTimeInForce()))
	order.Quantity = c.amount("quantity", p.GetQuantity())
	order.Price, order.StopPrice = c.maybeAmount("price", p.GetPrice()), c.maybeAmount("stop_price", p.GetStopPrice())
	order.ReduceIntent, order.Attempt = enumText(reduceIntents, p.GetReduceIntent()), p.GetAttempt()
	order.Product, order.SideEffect = enumText(products, p.GetProduct()), maybeText(p.GetSideEffect())
	order.Known, order.Recovered, order.SubmittedAt = true, p.GetRecovered(), &at
	if order.FilledQuantity.GreaterThan(order.Quantity) {
		c.flagOverfill(order)
	}
	// An older attempt that is taken in later no longer speaks for its intent.
	intent := c.intent(order.IntentID.UUID)
	if intent == nil || p.GetAttempt() > intent.Attempts {
		c.link(order)
	}
	if intent != nil && p.GetAttempt() > intent.Attempts {
		claimed := clone(intent)
		claimed.OrderID, claimed.Attempts, claimed.Status, claimed.EndReason = some(id), p.GetAttempt(), IntentSubmitted, nil
		c.put(claimed)
	}
	c.record(before, order)
}

// link names the order in its position by what it is for. A closed position stays as it is.
func (c *change) link(order *Order) {
	if !order.PositionID.Valid {
		return
	}
	position := c.position(order.PositionID.UUID)
	if position == nil || position.State == PositionClosed {
		return
	}
	c.want(RiskKey(position.AccountID, uuid.Nil))
	changed := clone(position)
	switch order.ReduceIntent {
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_ENTRY):
		changed.EntryOrderID, changed.EntryDone = some(order.OrderID), false
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_EXIT):
		changed.ExitOrderID = some(order.OrderID)
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE):
		changed.StopLossOrderID = some(order.OrderID)
	default:
		return
	}
	c.putPosition(position, changed)
}

// followIntent brings an order's intent up to what the order has become. An older attempt no longer speaks for it.
func (c *change) followIntent(order *Order) {
	if !order.Known || !order.IntentID.Valid {
		return
	}
	intent := c.intent(order.IntentID.UUID)
	if intent == nil || intent.OrderID != some(order.OrderID) {
		return
	}
	status, ended, reason := order.fate()
	// An intent that was ended before it was sent stays so: though its order was at the venue after all, no other follows.
	ended = ended || intent.Ended && order.Recovered
	if status == intent.Status && ended == intent.Ended && textOf(reason) == textOf(intent.EndReason) {
		return
	}
	changed := clone(intent)
	changed.Status, changed.Ended, changed.EndReason = status, ended, reason
	c.put(changed)
}

// fate is what an order makes of its intent: whether it did something, whether more may be done, and why not.
func (o *Order) fate() (status IntentStatus, ended bool, reason *string) {
	switch {
	case o.Status.Ended() && o.FilledQuantity.IsPositive():
		return IntentDone, true, nil
	case o.Status == OrderRejected:
		return IntentFailed, false, o.RejectReason
	case o.Status.Ended():
		return IntentFailed, false, maybeText(string(o.Status))
	case o.NeedsResolution:
		return IntentUnknown, false, nil
	}
	return IntentSubmitted, false, nil
}

// followCancels brings the intents to cancel an order up to what the order has become.
func (c *change) followCancels(order *Order) {
	status, ended := IntentPending, false
	switch {
	case order.Status.Ended():
		status, ended = IntentDone, true
	case order.NeedsResolution && order.UncertainCancel:
		status = IntentUnknown
	}
	for _, id := range order.CancelIntentIDs {
		intent := c.intent(id)
		if intent == nil || intent.Status == status && intent.Ended == ended {
			continue
		}
		changed := clone(intent)
		changed.Status, changed.Ended = status, ended
		c.put(changed)
	}
}

// buyBackFeeMax bounds by how much an order that buys back what a short owes may exceed it: the venue may take its fee
// from what is bought, so that less arrives. No venue that we know of takes as much.
var buyBackFeeMax = decimal.New(1, -2)

// mayTake is the largest reducing order that the position leaves room for, beside those that are live.
func (p *Position) mayTake() decimal.Decimal {
	free := notNegative(p.CurrentQuantity.Sub(p.ReservedQuantity))
	if p.Side == positionSideShort {
		return free.Add(money.Round18(free.Mul(buyBackFeeMax)))
	}
	return free
}

// entrySide is the side of an order that makes the position larger, exitSide of one that makes it smaller.
func (p *Position) entrySide() string {
	if p.Side == positionSideShort {
		return sideSell
	}
	return sideBuy
}

func (p *Position) exitSide() string {
	if p.Side == positionSideShort {
		return sideBuy
	}
	return sideSell
}
