package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/simulated"
)

// statuses are what the exchange's words for an order's state are in our book.
var statuses = map[string]projectorv1.OrderStatus{
	"NEW": projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, "PARTIALLY_FILLED": projectorv1.OrderStatus_ORDER_STATUS_PARTIAL,
	"FILLED": projectorv1.OrderStatus_ORDER_STATUS_FILLED, "CANCELED": projectorv1.OrderStatus_ORDER_STATUS_CANCELED,
	"EXPIRED": projectorv1.OrderStatus_ORDER_STATUS_EXPIRED, "EXPIRED_IN_MATCH": projectorv1.OrderStatus_ORDER_STATUS_EXPIRED,
}

// books are both sides of an account.
type books struct {
	life   *life
	at     simulated.State
	orders map[string]*projectorv1.Order // by client order id
	fills  []*projectorv1.Fill
	held   []*projectorv1.Balance
}

// open reads both sides.
func (l *life) open(ctx context.Context) (*books, error) {
	b := &books{life: l, orders: map[string]*projectorv1.Order{}}
	var err error
	if b.at, err = l.desk.exchange.State(ctx, l.faultPlan.account()); err != nil {
		return nil, err
	}
	orders, err := l.orders(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		b.orders[o.GetClientOrderId()] = o
	}
	fills, err := l.state().ListFills(asUser(ctx), &projectorv1.ListFillsRequest{AccountId: l.account, PageSize: 500})
	if err != nil {
		return nil, err
	}
	balances, err := l.state().ListBalances(asUser(ctx), &projectorv1.ListBalancesRequest{AccountId: l.account})
	b.fills, b.held = fills.GetFills(), balances.GetBalances()
	return b, err
}

// equal is an error unless our book is the exchange's, nothing is unknown and nothing of ours is left to trade.
func (l *life) equal(ctx context.Context) error {
	b, err := l.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(b.over(ctx), b.sameOrders(), b.sameTrades(), b.sameBalances())
}

// over: the position has come to its end.
func (b *books) over(ctx context.Context) error {
	at, err := b.life.standing(ctx)
	if err == nil && at != projectorv1.PositionState_POSITION_STATE_CLOSED {
		err = fmt.Errorf("the position is %s", at)
	}
	return err
}

func (b *books) sameOrders() error {
	var wrong []error
	intents, seen := map[string]string{}, map[string]bool{}
	for _, o := range b.at.Orders {
		ours := b.orders[o.ClientOrderID]
		seen[o.ClientOrderID] = true
		switch {
		case strings.HasPrefix(o.ClientOrderID, "web_"):
			if ours != nil {
				wrong = append(wrong, fmt.Errorf("order %s was placed by hand and is in our book", o.ClientOrderID))
			}
			continue
		case ours == nil:
			wrong = append(wrong, fmt.Errorf("order %s is at the exchange, %s, and not in our book", o.ClientOrderID, o.Status))
			continue
		case ours.GetStatus() != statuses[o.Status] || ours.GetFilledQuantity() != o.Executed || ours.GetExchangeOrderId() != fmt.Sprint(o.ID):
			wrong = append(wrong, fmt.Errorf("order %s is %s with %s executed at the exchange, and %s with %s in our book", o.ClientOrderID, o.Status, o.Executed, ours.GetStatus(), ours.GetFilledQuantity()))
		}
		if other, twice := intents[ours.GetIntentId()]; twice {
			wrong = append(wrong, fmt.Errorf("orders %s and %s are of one intent", other, o.ClientOrderID))
		}
		intents[ours.GetIntentId()] = o.ClientOrderID
	}
	for id, o := range b.orders {
		if o.GetNeedsResolution() {
			wrong = append(wrong, fmt.Errorf("order %s is unknown", id))
		}
		if !seen[id] && o.GetStatus() != projectorv1.OrderStatus_ORDER_STATUS_REJECTED {
			wrong = append(wrong, fmt.Errorf("order %s is not at the exchange, and is %s in our book", id, o.GetStatus()))
		}
	}
	return errors.Join(wrong...)
}

// sameTrades: every trade of ours once, and no other.
func (b *books) sameTrades() error {
	type trade struct{ symbol, id string }
	ours := map[trade]*projectorv1.Fill{}
	for _, f := range b.fills {
		ours[trade{f.GetSymbol(), f.GetExchangeTradeId()}] = f
	}
	var wrong []error
	if len(ours) != len(b.fills) {
		wrong = append(wrong, errors.New("a trade is in our book twice"))
	}
	for _, t := range b.at.Trades {
		if strings.HasPrefix(t.ClientOrderID, "web_") {
			continue
		}
		key := trade{t.Symbol, fmt.Sprint(t.ID)}
		f := ours[key]
		delete(ours, key)
		if f.GetFillQuantity() != t.Quantity || f.GetFillPrice() != t.Price || f.GetFee() != t.Fee || f.GetFeeAsset() != t.FeeAsset || f.GetExchangeOrderId() != fmt.Sprint(t.OrderID) {
			wrong = append(wrong, fmt.Errorf("trade %+v is %v in our book", t, f))
		}
	}
	if len(ours) > 0 {
		wrong = append(wrong, fmt.Errorf("trades are in our book that the exchange does not have: %v", ours))
	}
	return errors.Join(wrong...)
}

func (b *books) sameBalances() error {
	var wrong []error
	known := map[string]bool{}
	for _, ours := range b.held {
		known[ours.GetAsset()] = true
		held := b.at.Balances[ours.GetAsset()]
		if amount(held.Free) != ours.GetFree() || amount(held.Locked) != ours.GetLocked() {
			wrong = append(wrong, fmt.Errorf("%s: %+v at the exchange, %s free and %s locked in our book", ours.GetAsset(), held, ours.GetFree(), ours.GetLocked()))
		}
	}
	for asset, held := range b.at.Balances {
		if !known[asset] && (amount(held.Free) != "0" || amount(held.Locked) != "0") {
			wrong = append(wrong, fmt.Errorf("%s: %+v at the exchange, nothing in our book", asset, held))
		}
	}
	return errors.Join(wrong...)
}

// amount is one that may be missing.
func amount(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// proven has the account reconciled once more: there is nothing left to find.
func (l *life) proven(ctx context.Context) error {
	response, err := insist(ctx, connectorv1.NewReconciliationServiceClient(l.desk.connector.conn).Reconcile, &connectorv1.ReconcileRequest{AccountId: l.account})
	if err != nil {
		return err
	}
	report := response.GetReport()
	var wrong []error
	if len(report.GetDifferences()) > 0 || report.GetOrdersSkipped() > 0 {
		wrong = append(wrong, fmt.Errorf("a reconciliation of equal books: %v", report))
	}
	if open := int(report.GetUnresolved()); (open > 0) != l.byHand {
		wrong = append(wrong, fmt.Errorf("%d discrepancies are open: %v", open, report.GetOpenBefore()))
	}
	placings, err := l.desk.exchange.Placings(ctx, l.faultPlan.account())
	for id, count := range placings {
		if count > 1 {
			wrong = append(wrong, fmt.Errorf("order %s was placed %d times", id, count))
		}
	}
	return errors.Join(append(wrong, err)...)
}
