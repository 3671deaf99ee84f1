package simulated

import (
	"context"
	"errors"
	"fmt"
	"strings"

	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// bookMax is how many orders and fills of an account are compared.
const bookMax = 500

// byHandPrefix begins the client order id of what an account's owner placed on the exchange's web site.
const byHandPrefix = "web_"

// statuses are what the exchange's words for an order's state are in our book.
var statuses = map[string]projectorv1.OrderStatus{
	"NEW": projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, "PARTIALLY_FILLED": projectorv1.OrderStatus_ORDER_STATUS_PARTIAL,
	"FILLED": projectorv1.OrderStatus_ORDER_STATUS_FILLED, "CANCELED": projectorv1.OrderStatus_ORDER_STATUS_CANCELED,
	"EXPIRED": projectorv1.OrderStatus_ORDER_STATUS_EXPIRED, "EXPIRED_IN_MATCH": projectorv1.OrderStatus_ORDER_STATUS_EXPIRED,
}

// Book is what our tables say of an account.
type Book struct {
	Orders   []*projectorv1.Order
	Fills    []*projectorv1.Fill
	Balances []*projectorv1.Balance
}

// ReadBook reads our book of an account, as whom the context says.
func ReadBook(ctx context.Context, state projectorv1.StateServiceClient, account string) (Book, error) {
	orders, err := state.ListOrders(ctx, &projectorv1.ListOrdersRequest{AccountId: account, PageSize: bookMax})
	if err != nil {
		return Book{}, err
	}
	fills, err := state.ListFills(ctx, &projectorv1.ListFillsRequest{AccountId: account, PageSize: bookMax})
	if err != nil {
		return Book{}, err
	}
	balances, err := state.ListBalances(ctx, &projectorv1.ListBalancesRequest{AccountId: account})
	if orders.GetNextPageToken() != "" || fills.GetNextPageToken() != "" {
		err = errors.Join(err, fmt.Errorf("account %s has more than %d orders or fills", account, bookMax))
	}
	return Book{Orders: orders.GetOrders(), Fills: fills.GetFills(), Balances: balances.GetBalances()}, err
}

// Equal is an error that tells every difference between our book and what the exchange knows; nil if they are the same, and nothing is
// unknown. What was placed by hand must not be in our book.
func (b Book) Equal(at State) error {
	return errors.Join(b.equalOrders(at), b.equalTrades(at), b.equalBalances(at))
}

// equalOrders: each order as it is at the exchange, and at most one of an intent.
func (b Book) equalOrders(at State) error {
	ours := map[string]*projectorv1.Order{}
	for _, o := range b.Orders {
		ours[o.GetClientOrderId()] = o
	}
	var wrong []error
	intents, seen := map[string]string{}, map[string]bool{}
	for _, o := range at.Orders {
		seen[o.ClientOrderID] = true
		if o.ByHand() {
			if ours[o.ClientOrderID] != nil {
				wrong = append(wrong, fmt.Errorf("order %s was placed by hand and is in our book", o.ClientOrderID))
			}
			continue
		}
		wrong = append(wrong, equalOrder(o, ours[o.ClientOrderID]))
		intent := ours[o.ClientOrderID].GetIntentId()
		if other, twice := intents[intent]; twice {
			wrong = append(wrong, fmt.Errorf("orders %s and %s are of one intent", other, o.ClientOrderID))
		}
		intents[intent] = o.ClientOrderID
	}
	for id, o := range ours {
		if o.GetNeedsResolution() {
			wrong = append(wrong, fmt.Errorf("order %s is unknown", id))
		}
		if !seen[id] && o.GetStatus() != projectorv1.OrderStatus_ORDER_STATUS_REJECTED {
			wrong = append(wrong, fmt.Errorf("order %s is not at the exchange, and is %s in our book", id, o.GetStatus()))
		}
	}
	return errors.Join(wrong...)
}

func equalOrder(o Order, ours *projectorv1.Order) error {
	switch {
	case ours == nil:
		return fmt.Errorf("order %s is at the exchange, %s, and not in our book", o.ClientOrderID, o.Status)
	case ours.GetStatus() != statuses[o.Status] || ours.GetFilledQuantity() != o.Executed || ours.GetExchangeOrderId() != fmt.Sprint(o.ID):
		return fmt.Errorf("order %s is number %d, %s with %s executed at the exchange, and number %s, %s with %s in our book",
			o.ClientOrderID, o.ID, o.Status, o.Executed, ours.GetExchangeOrderId(), ours.GetStatus(), ours.GetFilledQuantity())
	default:
		return nil
	}
}

// equalTrades: every trade of ours once, and no other.
func (b Book) equalTrades(at State) error {
	type trade struct{ symbol, id string }
	ours := map[trade]*projectorv1.Fill{}
	for _, f := range b.Fills {
		ours[trade{f.GetSymbol(), f.GetExchangeTradeId()}] = f
	}
	var wrong []error
	if len(ours) != len(b.Fills) {
		wrong = append(wrong, errors.New("a trade is in our book twice"))
	}
	for _, t := range at.Trades {
		if isByHand(t.ClientOrderID) {
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

func (b Book) equalBalances(at State) error {
	var wrong []error
	known := map[string]bool{}
	for _, ours := range b.Balances {
		known[ours.GetAsset()] = true
		held := at.Balances[ours.GetAsset()]
		if amount(held.Free) != ours.GetFree() || amount(held.Locked) != ours.GetLocked() {
			wrong = append(wrong, fmt.Errorf("%s: %+v at the exchange, %s free and %s locked in our book", ours.GetAsset(), held, ours.GetFree(), ours.GetLocked()))
		}
	}
	for asset, held := range at.Balances {
		if !known[asset] && (amount(held.Free) != "0" || amount(held.Locked) != "0") {
			wrong = append(wrong, fmt.Errorf("%s: %+v at the exchange, nothing in our book", asset, held))
		}
	}
	return errors.Join(wrong...)
}

// ByHand says whether the account's owner placed the order on the exchange's web site.
func (o Order) ByHand() bool { return isByHand(o.ClientOrderID) }

func isByHand(clientOrderID string) bool { return strings.HasPrefix(clientOrderID, byHandPrefix) }

// amount is one that may be missing.
func amount(text string) string {
	if text == "" {
		return "0"
	}
	return text
}
