package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// held against each other: one order of ours, as both sides see it.
type pair struct {
	row   *projectorv1.Order
	at    venue.Order
	order fact.Order
	// claimed: our log has the order's claim.
	claimed bool
	trades  []venue.Trade
	fills   map[string]*projectorv1.Fill // by trade id
	// short: the venue does not show all trades of the order.
	short bool
}

func (p *pair) entity() string { return ofOrder + p.row.GetOrderId() }

func (p *pair) finding(kind eventv1.DiscrepancyKind, expected, actual map[string]string, facts ...fact.Fact) finding {
	return finding{origin: p.order.Origin, facts: facts, Difference: fact.Difference{
		Kind: kind, Entity: p.entity(), Severity: eventv1.Severity_SEVERITY_WARNING, Expected: expected, Actual: actual,
		Order: p.order.ID, Position: p.order.Position,
	}}
}

// order holds an order of ours against the venue's picture of it. As long as facts are missing only they are told: what
// then still differs is seen by the next look.
func (r *run) order(ctx context.Context, row *projectorv1.Order, at venue.Order, listed []venue.Trade) ([]finding, error) {
	p, err := r.pair(ctx, row, at, listed)
	if err != nil {
		return nil, err
	}
	r.orders++
	r.checked[p.entity()] = true
	r.behind = r.behind || p.short
	r.claimed[p.entity()] = p.isClaimed()
	found := p.values()
	claim, differs, err := r.unclaimed(ctx, p)
	if err != nil {
		return nil, err
	}
	found = append(found, differs...)
	missing, err := r.missing(ctx, p, claim)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return append(found, missing...), nil
	}
	totals := p.totals()
	r.agreed[p.entity()] = len(totals) == 0
	return append(found, totals...), nil
}

func (r *run) pair(ctx context.Context, row *projectorv1.Order, at venue.Order, listed []venue.Trade) (*pair, error) {
	order, claimed, err := r.ledger.Claimed(ctx, ledger.OrderOf(row))
	if err != nil {
		return nil, err
	}
	if !at.Status.IsKnown() {
		return nil, fmt.Errorf("status %q is not known here", at.Status)
	}
	p := &pair{row: row, at: at, order: order, claimed: claimed, trades: listed, fills: map[string]*projectorv1.Fill{}}
	if len(listed) == 0 && at.Executed.Equal(amount(row.GetFilledQuantity())) {
		return p, nil
	}
	fills, err := r.ledger.Fills(ctx, row.GetOrderId(), row.GetLastPosition())
	if err != nil {
		return nil, err
	}
	for _, f := range fills {
		p.fills[f.GetExchangeTradeId()] = f
	}
	if at.Executed.Equal(amount(row.GetFilledQuantity())) {
		return p, nil
	}
	p.trades, err = r.lines.Trades(ctx, at, listed)
	if errors.Is(err, line.ErrTradesMissing) {
		p.short, err = true, nil
	}
	return p, err
}

// missing gives the facts that the venue has and our book has not: the order is known, by a claim that is to be taken in, its trades, its end.
func (r *run) missing(ctx context.Context, p *pair, claim []finding) ([]finding, error) {
	var found []finding
	status := map[string]string{"status": string(p.at.Status), "exchange_order_id": strconv.FormatInt(int64(p.at.OrderID), 10)}
	if p.row.GetExchangeOrderId() == "" && p.at.Status != venue.StatusRejected {
		found = append(found, p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_ACK,
			map[string]string{"status": ourStatus(p.row)}, status, fact.Acked(p.order, p.at, fact.Reconcile)))
	}
	found = append(found, claim...)
	for _, trade := range p.trades {
		if p.fills[tradeID(trade)] != nil {
			continue
		}
		filled, err := r.lines.Fill(ctx, p.order, trade, fact.Reconcile)
		if err != nil {
			return nil, err
		}
		f := p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL, r.due(trade), tradeText(trade), filled)
		f.Entity = tradeEntity(trade)
		r.checked[f.Entity] = true
		found = append(found, f)
	}
	ended, over := fact.Ended(p.order, p.at, fact.Reconcile)
	if over && !p.short && !endRecorded(p.row) {
		found = append(found, p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH,
			map[string]string{"status": ourStatus(p.row)}, map[string]string{"status": string(p.at.Status)}, ended))
	}
	return found, nil
}

// due is what was expected of a trade that our book lacks: that it is recorded, and of one that came late, after the runs before had seen
// later ones, by when. It is no part of what tells differences apart.
func (r *run) due(trade venue.Trade) map[string]string {
	expected := map[string]string{"fill": "recorded"}
	if seen := r.symbols[trade.Symbol]; seen != nil && trade.TradeID <= seen.passed {
		expected["late"] = "due by the run that saw trade " + strconv.FormatInt(int64(seen.passed), 10)
	}
	return expected
}

// endRecorded says whether the venue's end of an order has nothing to add to what we know.
func endRecorded(row *projectorv1.Order) bool {
	switch row.GetStatus() {
	case projectorv1.OrderStatus_ORDER_STATUS_CANCELED, projectorv1.OrderStatus_ORDER_STATUS_EXPIRED,
		projectorv1.OrderStatus_ORDER_STATUS_FILLED, projectorv1.OrderStatus_ORDER_STATUS_REJECTED:
		return true
	default:
		return false
	}
}

// values holds the trades that both sides have against each other: the first report of a trade stands.
func (p *pair) values() []finding {
	var found []finding
	for _, trade := range p.trades {
		fill := p.fills[tradeID(trade)]
		if fill == nil {
			continue
		}
		ours, theirs := map[string]string{}, map[string]string{}
		for name, value := range map[string][2]string{
			"price": {fill.GetFillPrice(), money.Format(trade.Price)}, "fee": {fill.GetFee(), money.Format(trade.Fee)},
			"quote_quantity": {fill.GetQuoteQuantity(), money.Format(trade.QuoteQuantity)}, "quantity": {fill.GetFillQuantity(), money.Format(trade.Quantity)},
		} {
			if !amount(value[0]).Equal(amount(value[1])) {
				ours[name], theirs[name] = value[0], value[1]
			}
		}
		if !trade.Fee.IsZero() && fill.GetFeeAsset() != trade.FeeAsset {
			ours["fee_asset"], theirs["fee_asset"] = fill.GetFeeAsset(), trade.FeeAsset
		}
		if len(ours) == 0 {
			continue
		}
		kind := eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH
		if _, quantity := ours["quantity"]; quantity {
			kind = eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH
		}
		f := p.finding(kind, ours, theirs)
		f.Entity, f.Severity = tradeEntity(trade), eventv1.Severity_SEVERITY_CRITICAL
		found = append(found, f)
	}
	return found
}

// totals holds what an order comes to on both sides, once no fact is missing: I-1 and I-2 of the invariants.
func (p *pair) totals() []finding {
	var found []finding
	filled, quote := amount(p.row.GetFilledQuantity()), amount(p.row.GetCumQuote())
	known := p.row.GetExchangeOrderId()
	if exchange := strconv.FormatInt(int64(p.at.OrderID), 10); known != "" && known != exchange {
		found = append(found, p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH,
			map[string]string{"exchange_order_id": known}, map[string]string{"exchange_order_id": exchange}))
	}
	if !filled.Equal(p.at.Executed) {
		kind := eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH // the venue's trades do not add up to it yet
		if filled.GreaterThan(p.at.Executed) {
			kind = eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL // ours are never taken back
		}
		f := p.finding(kind, map[string]string{"filled_quantity": money.Format(filled)}, map[string]string{"filled_quantity": money.Format(p.at.Executed)})
		f.Severity = eventv1.Severity_SEVERITY_CRITICAL
		return append(found, f)
	}
	if !p.at.CumQuote.IsNegative() && !quote.Equal(p.at.CumQuote) { // negative: the venue does not tell it
		found = append(found, p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH,
			map[string]string{"cum_quote": money.Format(quote)}, map[string]string{"cum_quote": money.Format(p.at.CumQuote)}))
	}
	if !agrees(p.row.GetStatus(), p.at.Status) {
		found = append(found, p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH,
			map[string]string{"status": ourStatus(p.row)}, map[string]string{"status": string(p.at.Status)}))
	}
	return found
}

// agrees says whether our status of an order is what the venue's comes to.
func agrees(ours projectorv1.OrderStatus, theirs venue.OrderStatus) bool {
	switch theirs {
	case venue.StatusNew:
		return ours == projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED || ours == projectorv1.OrderStatus_ORDER_STATUS_PENDING
	case venue.StatusPartiallyFilled:
		return ours == projectorv1.OrderStatus_ORDER_STATUS_PARTIAL
	case venue.StatusFilled: // without its claim the book cannot tell that an order is filled
		return ours == projectorv1.OrderStatus_ORDER_STATUS_FILLED || ours == projectorv1.OrderStatus_ORDER_STATUS_PARTIAL
	case venue.StatusCanceled:
		return ours == projectorv1.OrderStatus_ORDER_STATUS_CANCELED
	case venue.StatusRejected:
		return ours == projectorv1.OrderStatus_ORDER_STATUS_REJECTED
	case venue.StatusExpired, venue.StatusExpiredInMatch:
		return ours == projectorv1.OrderStatus_ORDER_STATUS_EXPIRED
	default:
		return false
	}
}

// absent deals with an order of ours that the venue does not know. One that it never acknowledged ends once no request
// that placed it can arrive any more; one that it did acknowledge, or that traded, cannot have gone.
func (r *run) absent(ctx context.Context, row *projectorv1.Order, asked time.Time, archived bool) ([]finding, error) {
	order, _, err := r.ledger.Claimed(ctx, ledger.OrderOf(row))
	if err != nil {
		return nil, err
	}
	p := &pair{row: row, order: order}
	traded := amount(row.GetFilledQuantity()).IsPositive()
	switch {
	case endRecorded(row) && (!traded || archived):
		r.orders++
		r.checked[p.entity()] = true
		return nil, nil
	case row.GetExchangeOrderId() == "" && !traded && !asked.After(row.GetCreatedAt().AsTime().Add(r.lines.Market.Timing().Lifetime())):
		r.skipped++
		r.note("%s: the venue does not know it, and may still take it in: left to the next run", p.entity())
		return nil, nil
	}
	r.orders++
	r.checked[p.entity()] = true
	f := p.finding(eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSING_ON_EXCHANGE,
		map[string]string{"status": ourStatus(row)}, map[string]string{"order": "not known"})
	if row.GetExchangeOrderId() == "" && !traded {
		at, err := r.lines.Market.MarketTime(ctx, row.GetSymbol())
		if err != nil {
			at = asked
		}
		f.facts = []fact.Fact{fact.Rejected(order, fact.Rejection{
			Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, Code: venue.CodeNoSuchOrder, Reason: fact.ReasonNotFound,
		}, at)}
	}
	return []finding{f}, nil
}

func tradeID(t venue.Trade) string { return strconv.FormatInt(int64(t.TradeID), 10) }

func tradeEntity(t venue.Trade) string {
	return fmt.Sprintf("trade:%s/%d/%d", t.Symbol, t.OrderID, t.TradeID)
}

func tradeText(t venue.Trade) map[string]string {
	return map[string]string{
		"side": string(t.Side), "price": money.Format(t.Price), "quantity": money.Format(t.Quantity),
		"fee": money.Format(t.Fee), "fee_asset": t.FeeAsset, "time": t.Time.UTC().Format(time.RFC3339Nano),
	}
}

// amount reads an amount that the contract has checked; zero for an absent one.
func amount(text string) decimal.Decimal {
	value, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Zero
	}
	return value
}

func ourStatus(row *projectorv1.Order) string {
	return lower(row.GetStatus().String(), "ORDER_STATUS_")
}
