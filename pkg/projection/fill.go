package projection

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// quoteTolerance is how far a trade's quote may be from price x quantity: venues cut it off at 8 places.
var quoteTolerance = decimal.New(1, -8)

// foldFill counts a trade, once: when its row is there already, nothing happens.
func (c *change) foldFill(p *eventv1.FillReceived) {
	fill := c.newFill(p)
	c.want(AccountKey(fill.AccountID), OrderKey(fill.OrderID))
	if fill.PositionID.Valid {
		c.want(PositionKey(fill.PositionID.UUID), RiskKey(fill.AccountID, uuid.Nil))
	}
	if get[Fill](&c.reader, fill.Key()) != nil || len(c.missing) > 0 {
		return // Nothing more can be asked for before these rows are there.
	}
	before, order := c.report(orderFact{
		orderID: fill.OrderID, accountID: fill.AccountID, symbol: fill.Symbol,
		clientOrderID: fill.ClientOrderID, exchangeOrderID: fill.ExchangeOrderID,
	})
	if order.Known {
		fill.PositionID = order.PositionID
	}
	c.put(fill)
	c.flagFill(order, fill)

	order.FilledQuantity = plus(order.FilledQuantity, fill.FillQuantity)
	order.CumQuote = plus(order.CumQuote, fill.QuoteQuantity)
	order.ExchangeTradeIDs = appended(order.ExchangeTradeIDs, fill.ExchangeTradeID)
	order.LastFillAt = newer(order.LastFillAt, fill.FilledAt)
	c.addFee(order, fill)
	if order.Known && order.FilledQuantity.GreaterThan(order.Quantity) {
		c.flagOverfill(order)
	}
	c.record(before, order)
}

func (c *change) newFill(p *eventv1.FillReceived) *Fill {
	return &Fill{
		TenantID: c.ev.TenantID, AccountID: c.id("account_id", p.GetAccountId()), Symbol: p.GetSymbol(),
		ExchangeOrderID: p.GetExchangeOrderId(), ExchangeTradeID: p.GetExchangeTradeId(),
		FillID: c.id("fill_id", p.GetFillId()), OrderID: c.id("order_id", p.GetOrderId()),
		PositionID: c.maybeID("position_id", p.GetPositionId()), ClientOrderID: p.GetClientOrderId(),
		Side: enumText(sides, p.GetSide()), FillPrice: c.amount("fill_price", p.GetFillPrice()),
		FillQuantity: c.amount("fill_quantity", p.GetFillQuantity()), QuoteQuantity: c.amount("quote_quantity", p.GetQuoteQuantity()),
		Fee: c.amount("fee", p.GetFee()), FeeAsset: maybeText(p.GetFeeAsset()), FeeQuote: c.maybeAmount("fee_quote", p.GetFeeQuote()),
		IsMaker: p.GetIsMaker(), Synthetic: p.GetSynthetic(), Source: enumText(sources, p.GetSource()), FilledAt: c.moment(p.GetFilledAt()),
	}
}

// addFee adds a trade's fee to the order's: per asset, in quote where the venue's report valued it, and apart where it
// was taken in the base asset, which changes what is held.
func (c *change) addFee(order *Order, fill *Fill) {
	if fill.Fee.IsZero() {
		return
	}
	asset := textOf(fill.FeeAsset)
	order.Fees = with(order.Fees, asset, order.Fees[asset].Add(fill.Fee))
	if fill.FeeQuote.Valid {
		order.FeeQuote = plus(order.FeeQuote, fill.FeeQuote.Decimal)
	} else {
		order.UnvaluedFees++
	}
	if asset != "" && asset == c.baseAsset(fill.AccountID, fill.Symbol, asset) {
		order.BaseFee = plus(order.BaseFee, fill.Fee)
		order.BaseFeeCost = plus(order.BaseFeeCost, money.Round18(money.Mul(fill.Fee, fill.FillPrice)))
	}
}

// baseAsset is what a symbol trades. The account's quote asset tells where the base ends; without an account, whose
// facts then have come before its registration, an asset that the symbol begins with is taken for it.
func (c *change) baseAsset(account uuid.UUID, symbol, asset string) string {
	if a := c.account(account); a != nil {
		if base, ok := strings.CutSuffix(symbol, a.QuoteAsset); ok {
			return base
		}
	}
	if strings.HasPrefix(symbol, asset) {
		return asset
	}
	return ""
}

// flagFill flags a trade whose own numbers, or whose place in its order, make no sense. It counts all the same.
func (c *change) flagFill(order *Order, fill *Fill) {
	var expected, actual map[string]string // Most trades make sense.
	note := func(name, want, got string) { expected, actual = with(expected, name, want), with(actual, name, got) }
	if !fill.FillPrice.IsPositive() {
		note("fill_price", "above 0", fill.FillPrice.String())
	}
	if !fill.FillQuantity.IsPositive() {
		note("fill_quantity", "above 0", fill.FillQuantity.String())
	}
	if fill.Fee.IsNegative() {
		note("fee", "at least 0", fill.Fee.String())
	}
	if product := money.Mul(fill.FillPrice, fill.FillQuantity); less(product, fill.QuoteQuantity).Abs().GreaterThan(quoteTolerance) {
		note("quote_quantity", money.Round18(product).String(), fill.QuoteQuantity.String())
	}
	if len(expected) > 0 {
		c.flagTrade(order, fill, eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH, expected, actual)
	}
	if order.Known && fill.Side != order.Side {
		c.flagTrade(order, fill, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_TRADE,
			map[string]string{"side": order.Side}, map[string]string{"side": fill.Side})
	}
	if order.Rejected {
		c.flagStatus(order, "filled", string(order.Status))
	}
}

func (c *change) flagTrade(o *Order, fill *Fill, kind eventv1.DiscrepancyKind, expected, actual map[string]string) {
	c.flag(Anomaly{
		Kind: kind, Severity: eventv1.Severity_SEVERITY_CRITICAL, AccountID: o.AccountID,
		Entity:  "trade:" + fill.Symbol + "/" + fill.ExchangeTradeID,
		OrderID: some(o.OrderID), PositionID: o.PositionID, Expected: expected, Actual: actual,
	})
}

func (c *change) flagOverfill(o *Order) {
	c.flagOrder(o, eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL, eventv1.Severity_SEVERITY_CRITICAL,
		map[string]string{"quantity": o.Quantity.String()}, map[string]string{"filled_quantity": o.FilledQuantity.String()})
}

// sums is what an order's fills come to.
type sums struct {
	quantity, quote, baseFee, baseFeeCost, feeQuote decimal.Decimal
	unvaluedFees                                    int32
}

// applied is what an order's fills have done to its position: nothing as long as its claim is not in the log, since
// nobody knows until then what the order was for.
func (o *Order) applied() sums {
	if o == nil || !o.Known {
		return sums{}
	}
	return sums{o.FilledQuantity, o.CumQuote, o.BaseFee, o.BaseFeeCost, o.FeeQuote, o.UnvaluedFees}
}

func (s sums) less(other sums) sums {
	return sums{
		less(s.quantity, other.quantity), less(s.quote, other.quote), less(s.baseFee, other.baseFee),
		less(s.baseFeeCost, other.baseFeeCost), less(s.feeQuote, other.feeQuote), s.unvaluedFees - other.unvaluedFees,
	}
}

func (s sums) isZero() bool {
	return s.quantity.IsZero() && s.quote.IsZero() && s.baseFee.IsZero() && s.baseFeeCost.IsZero() && s.feeQuote.IsZero() && s.unvaluedFees == 0
}

// followPosition brings an order's position up to what the order has become.
func (c *change) followPosition(before, order *Order) {
	if !order.PositionID.Valid {
		return
	}
	position := c.position(order.PositionID.UUID)
	if position == nil {
		return
	}
	c.want(RiskKey(position.AccountID, uuid.Nil))
	delta := order.applied().less(before.applied())
	reserve := less(order.reserved(), before.reserved())
	entryDone := position.EntryDone
	if order.Known && position.EntryOrderID == some(order.OrderID) {
		entryDone = order.Status.Ended()
	}
	if delta.isZero() && reserve.IsZero() && entryDone == position.EntryDone {
		return
	}
	if position.State == PositionClosed {
		c.flagLate(order, position, delta)
		return
	}
	changed := clone(position)
	changed.EntryDone = entryDone
	changed.ReservedQuantity = plus(changed.ReservedQuantity, reserve)
	changed.TotalFees = plus(changed.TotalFees, delta.feeQuote)
	changed.UnvaluedFees += delta.unvaluedFees
	if order.enters(position) {
		changed.addEntry(order, delta)
	} else {
		changed.addExit(order, delta)
	}
	if changed.CurrentQuantity.IsNegative() && !position.CurrentQuantity.IsNegative() {
		c.flagOrder(order, eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL,
			map[string]string{"open": position.CurrentQuantity.String()}, map[string]string{"open": changed.CurrentQuantity.String()})
	}
	c.putPosition(position, changed)
}

// flagLate flags what an order does to a position that is closed. The order and its fill are recorded; the position
// stays what its POSITION_CLOSED said it was, sums and P&L too.
func (c *change) flagLate(order *Order, position *Position, delta sums) {
	if delta.isZero() {
		return
	}
	c.flag(Anomaly{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION, Severity: eventv1.Severity_SEVERITY_CRITICAL,
		AccountID: position.AccountID, Entity: "position:" + position.PositionID.String(),
		OrderID: some(order.OrderID), PositionID: some(position.PositionID),
		Expected: map[string]string{"state": string(position.State)},
		Actual:   map[string]string{"late_fill": delta.quantity.String()},
	})
}

// enters reports whether the order's fills make the position larger. A manual order is told by its side.
func (o *Order) enters(p *Position) bool {
	switch o.ReduceIntent {
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_ENTRY):
		return true
	case enumText(reduceIntents, eventv1.ReduceIntent_REDUCE_INTENT_MANUAL):
		return o.Side == p.entrySide()
	}
	return false
}

// addEntry adds entry fills. A buyer gets the quantity less the fee that was taken in the base asset; a short has sold,
// and owes all of it.
func (p *Position) addEntry(order *Order, delta sums) {
	p.EntryQuantity = plus(p.EntryQuantity, delta.quantity)
	p.EntryCost = plus(p.EntryCost, delta.quote)
	p.EntryBaseFee = plus(p.EntryBaseFee, delta.baseFee)
	p.CurrentQuantity = plus(p.CurrentQuantity, delta.quantity)
	if order.Side == sideBuy {
		p.CurrentQuantity = less(p.CurrentQuantity, delta.baseFee)
	}
}

// addExit adds exit fills. A short buys back, and what it owes falls by the quantity less the fee that was taken in the
// base asset.
func (p *Position) addExit(order *Order, delta sums) {
	p.ExitQuantity = plus(p.ExitQuantity, delta.quantity)
	p.ExitProceeds = plus(p.ExitProceeds, delta.quote)
	p.CurrentQuantity = less(p.CurrentQuantity, delta.quantity)
	if order.Side == sideBuy {
		p.CurrentQuantity = plus(p.CurrentQuantity, delta.baseFee)
		p.ExitBaseFee = plus(p.ExitBaseFee, delta.baseFee)
		p.ExitBaseFeeCost = plus(p.ExitBaseFeeCost, delta.baseFeeCost)
	}
	if !delta.quantity.IsZero() && !slices.Contains(p.ExitOrderIDs, order.OrderID) {
		p.ExitOrderIDs = appended(p.ExitOrderIDs, order.OrderID)
	}
}
