package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// settle derives what follows from the set of facts recorded on the order. It is the only place that sets a status, so
// that the status does not depend on the order in which the facts came.
func (o *Order) settle() {
	o.EndedBy = nil
	switch {
	case o.CanceledAt != nil:
		o.EndedBy = maybeText(string(OrderCanceled))
	case o.ExpiredAt != nil:
		o.EndedBy = maybeText(string(OrderExpired))
	}
	switch {
	case o.Known && o.Quantity.IsPositive() && o.FilledQuantity.GreaterThanOrEqual(o.Quantity):
		o.Status = OrderFilled
	case o.EndedBy != nil:
		o.Status = OrderStatus(*o.EndedBy)
	case o.FilledQuantity.IsPositive():
		o.Status = OrderPartial
	case o.Rejected:
		o.Status = OrderRejected
	case o.AckedAt != nil:
		o.Status = OrderAcknowledged
	case o.Known:
		o.Status = OrderSubmitted
	default:
		o.Status = OrderPending
	}
	o.AverageFillPrice = decimal.NullDecimal{}
	if !o.FilledQuantity.IsZero() {
		o.AverageFillPrice = someAmount(quotient(o.CumQuote, o.FilledQuantity))
	}
	o.FilledAt = nil
	if o.Status == OrderFilled {
		o.FilledAt = o.LastFillAt
	}
	answered := o.AckedAt != nil || len(o.ExchangeTradeIDs) > 0 || o.Status.Ended()
	o.NeedsResolution = o.UncertainPlace && !answered || o.UncertainCancel && !o.Status.Ended()
}

// reserved is what the order may still take from its position.
func (o *Order) reserved() decimal.Decimal {
	if o == nil || !o.Known || o.Status.Ended() || !o.reduces() {
		return decimal.Zero
	}
	return notNegative(less(o.Quantity, o.FilledQuantity))
}

// reduces reports whether the order makes its position smaller.
func (o *Order) reduces() bool {
	return o.ReduceIntent != enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_ENTRY)
}

// newStub is an order of which only facts are known.
func (c *change) newStub(id, account uuid.UUID) *Order {
	return &Order{
		TenantID: c.ev.TenantID, OrderID: id, AccountID: account, Status: OrderPending,
		Fees: Amounts{}, ExchangeTradeIDs: []string{}, CancelIntentIDs: []uuid.UUID{},
	}
}

// orderFact is what every venue report about an order says.
type orderFact struct {
	orderID         uuid.UUID
	accountID       uuid.UUID
	symbol          string
	clientOrderID   string
	exchangeOrderID string
}

// report begins the folding of a fact: the order as it was, nil if nothing was known, and a copy to change. What the
// fact says of the order's identity is filled in where it was unknown, and flagged where it differs.
func (c *change) report(f orderFact) (before, order *Order) {
	before = c.order(f.orderID)
	if before == nil {
		order = c.newStub(f.orderID, f.accountID)
		c.flagOrder(order, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER, eventv1.Severity_SEVERITY_WARNING,
			map[string]string{"claim": "recorded"}, map[string]string{"claim": "absent"})
	} else {
		order = clone(before)
	}
	c.identifyAccount(order, f.accountID)
	if c.identify(order, "symbol", f.symbol, order.Symbol) {
		order.Symbol = f.symbol
	}
	if c.identify(order, "client_order_id", f.clientOrderID, order.ClientOrderID) {
		order.ClientOrderID = f.clientOrderID
	}
	if c.identify(order, "exchange_order_id", f.exchangeOrderID, textOf(order.ExchangeOrderID)) {
		order.ExchangeOrderID = maybeText(f.exchangeOrderID)
	}
	return before, order
}

// identifyAccount compares the account that is told with the one that is known.
func (c *change) identifyAccount(order *Order, told uuid.UUID) {
	if told != order.AccountID {
		c.identify(order, "account_id", told.String(), order.AccountID.String())
	}
}

// identify compares one part of an order's identity with what is known, and says whether it is news.
func (c *change) identify(order *Order, name, told, known string) bool {
	switch {
	case told == "" || told == known:
		return false
	case known == "":
		return true
	}
	c.flagOrder(order, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL,
		map[string]string{name: known}, map[string]string{name: told})
	return false
}

func (c *change) flagOrder(o *Order, kind eventv1.DiscrepancyKind, severity eventv1.Severity, expected, actual map[string]string) {
	c.flag(Anomaly{
		Kind: kind, Severity: severity, AccountID: o.AccountID, Entity: "order:" + o.OrderID.String(),
		OrderID: some(o.OrderID), PositionID: o.PositionID, Expected: expected, Actual: actual,
	})
}

// flagStatus flags a report that cannot be true together with what was reported before.
func (c *change) flagStatus(o *Order, reported string, known string) {
	c.flagOrder(o, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL,
		map[string]string{"status": known}, map[string]string{"reported": reported})
}

// record ends the folding of anything that happened to an order: it derives the order's status, and passes on to its
// intents and its position what follows.
func (c *change) record(before, order *Order) {
	order.settle()
	c.put(order)
	c.followIntent(order)
	c.followCancels(order)
	c.followPosition(before, order)
}

func (c *change) foldAcked(p *eventv1.OrderAcked) {
	before, order := c.report(orderFact{
		orderID: c.id("order_id", p.GetOrderId()), accountID: c.id("account_id", p.GetAccountId()), symbol: p.GetSymbol(),
		clientOrderID: p.GetClientOrderId(), exchangeOrderID: p.GetExchangeOrderId(),
	})
	if order.Rejected {
		c.flagStatus(order, "acknowledged", string(order.Status))
	}
	if order.AckedAt == nil {
		at := c.moment(p.GetTransactTime())
		order.AckedAt = &at
	}
	c.record(before, order)
}

func (c *change) foldCanceled(p *eventv1.OrderCanceled) {
	before, order := c.report(orderFact{
		orderID: c.id("order_id", p.GetOrderId()), accountID: c.id("account_id", p.GetAccountId()), symbol: p.GetSymbol(),
		exchangeOrderID: p.GetExchangeOrderId(),
	})
	c.flagEnd(order, OrderCanceled, p.GetCumFilledQuantity())
	if order.CanceledAt == nil {
		at := c.occurred()
		order.CanceledAt = &at
		order.CanceledBy = maybeText(enumText(cancelers, p.GetCanceledBy()))
	}
	c.record(before, order)
}

func (c *change) foldExpired(p *eventv1.OrderExpired) {
	before, order := c.report(orderFact{
		orderID: c.id("order_id", p.GetOrderId()), accountID: c.id("account_id", p.GetAccountId()), symbol: p.GetSymbol(),
		exchangeOrderID: p.GetExchangeOrderId(),
	})
	c.flagEnd(order, OrderExpired, p.GetCumFilledQuantity())
	if order.ExpiredAt == nil {
		at := c.occurred()
		order.ExpiredAt = &at
		order.ExpiryReason = maybeText(p.GetExpiryReason())
	}
	c.record(before, order)
}

// flagEnd flags an end that contradicts what was reported before: another end, or other sums. Fills that the venue
// counts and that have not come yet are missed fills until they do.
func (c *change) flagEnd(o *Order, end OrderStatus, cumFilled string) {
	if o.Rejected || o.EndedBy != nil && *o.EndedBy != string(end) {
		c.flagStatus(o, string(end), string(o.Status))
	}
	told := c.amount("cum_filled_quantity", cumFilled)
	kind := eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL
	switch told.Cmp(o.FilledQuantity) {
	case 0:
		return
	case -1:
		kind = eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH
	}
	c.flagOrder(o, kind, eventv1.Severity_SEVERITY_WARNING,
		map[string]string{"filled_quantity": o.FilledQuantity.String()}, map[string]string{"filled_quantity": told.String()})
}

// foldRejected records a definitive refusal. One that is local, for an order that was never claimed, is the end of an
// intent before it was sent.
func (c *change) foldRejected(p *eventv1.OrderRejected) {
	id, account := c.id("order_id", p.GetOrderId()), c.id("account_id", p.GetAccountId())
	if p.GetStage() == eventv1.RejectStage_REJECT_STAGE_LOCAL && c.endUnsent(p, id, account) {
		return
	}
	before, order := c.report(orderFact{
		orderID: id, accountID: account, symbol: p.GetSymbol(), clientOrderID: p.GetClientOrderId(),
	})
	conditional := order.OrderType == enumText(orderTypes, eventv1.OrderType_ORDER_TYPE_STOP_LOSS) ||
		order.OrderType == enumText(orderTypes, eventv1.OrderType_ORDER_TYPE_STOP_LOSS_LIMIT)
	if order.FilledQuantity.IsPositive() || order.EndedBy != nil || order.AckedAt != nil && !conditional {
		c.flagStatus(order, string(OrderRejected), string(order.Status))
	}
	c.reject(order, p)
	c.record(before, order)
}

// reject notes a refusal; the first one told stays.
func (c *change) reject(order *Order, p *eventv1.OrderRejected) {
	if order.Rejected {
		return
	}
	at := c.occurred()
	order.Rejected, order.RejectedAt = true, &at
	order.RejectStage = maybeText(enumText(rejectStages, p.GetStage()))
	order.RejectReason = maybeText(p.GetReason())
	if p.ErrorCode != nil {
		code := p.GetErrorCode()
		order.RejectCode = &code
	}
}

// endUnsent ends an intent of which no order is live, so that none ever will be. It says whether this was such an end.
func (c *change) endUnsent(p *eventv1.OrderRejected, id, account uuid.UUID) bool {
	if p.GetIntentId() == "" || c.order(id) != nil {
		return false
	}
	intent := c.intent(c.id("intent_id", p.GetIntentId()))
	if intent == nil || intent.Status != IntentPending && intent.Status != IntentFailed {
		return false
	}
	order := c.newStub(id, account)
	order.Symbol, order.ClientOrderID = p.GetSymbol(), p.GetClientOrderId()
	order.IntentID, order.PositionID = some(intent.IntentID), intent.PositionID
	order.Side, order.OrderType, order.TimeInForce = intent.Side, intent.OrderType, intent.TimeInForce
	order.Quantity, order.Price, order.StopPrice = intent.Quantity, intent.Price, intent.StopPrice
	order.ReduceIntent = reduceIntentOf(intent.IntentType)
	c.reject(order, p)
	order.settle()
	c.put(order)

	ended := clone(intent)
	ended.Status, ended.Ended, ended.OrderID, ended.EndReason = IntentFailed, true, some(id), order.RejectReason
	c.put(ended)
	c.entryEnded(intent)
	return true
}

// newer is the later of two times, of which one may be absent.
func newer(known *time.Time, told time.Time) *time.Time {
	if known != nil && !told.After(*known) {
		return known
	}
	return &told
}
