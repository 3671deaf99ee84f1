package line

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Claim is the claim of an intent's attempt, whose order it names.
func (l Lines) Claim(intent *projectorv1.Intent, order fact.Order, attempt int32) *eventv1.OrderSubmitted {
	return &eventv1.OrderSubmitted{
		OrderId: order.ID.String(), AccountId: intent.GetAccountId(), PositionId: intent.GetPositionId(), IntentId: intent.GetIntentId(),
		ClientOrderId: string(order.ClientOrderID), Symbol: intent.GetSymbol(), Side: intent.GetSide(), OrderType: intent.GetOrderType(),
		TimeInForce: timeInForce(intent), Quantity: intent.GetQuantity(), Price: intent.GetPrice(), StopPrice: intent.GetStopPrice(),
		ReduceIntent: reduceIntent(intent.GetIntentType()), Attempt: attempt, Product: productOf(l.Ref.Product),
		SideEffect: string(sideEffect(intent, l.Ref.Product)),
	}
}

// NewOrder is the request that a claim stands for.
func (l Lines) NewOrder(intent *projectorv1.Intent, id venue.ClientOrderID, stamp time.Time) venue.NewOrder {
	amount := func(text string) decimal.Decimal {
		value, err := decimal.NewFromString(text)
		if err != nil {
			return decimal.Zero // the contract lets only amounts and absence into the log
		}
		return value
	}
	order := venue.NewOrder{
		Symbol: intent.GetSymbol(), Side: venue.Buy, Type: venueTypes[intent.GetOrderType()],
		Quantity: amount(intent.GetQuantity()), Price: amount(intent.GetPrice()), StopPrice: amount(intent.GetStopPrice()),
		ClientOrderID: id, SideEffect: sideEffect(intent, l.Ref.Product), Stamp: stamp,
	}
	if intent.GetSide() == eventv1.Side_SIDE_SELL {
		order.Side = venue.Sell
	}
	if order.Type.HasPrice() {
		order.TimeInForce = venueTimes[timeInForce(intent)]
	}
	return order
}

// Our words and the venue's.

var venueTypes = map[eventv1.OrderType]venue.OrderType{
	eventv1.OrderType_ORDER_TYPE_MARKET: venue.Market, eventv1.OrderType_ORDER_TYPE_LIMIT: venue.Limit,
	eventv1.OrderType_ORDER_TYPE_STOP_LOSS: venue.StopLoss, eventv1.OrderType_ORDER_TYPE_STOP_LOSS_LIMIT: venue.StopLossLimit,
}

// venueTimes: a limit order without a time in force stands until it is canceled.
var venueTimes = map[eventv1.TimeInForce]venue.TimeInForce{
	eventv1.TimeInForce_TIME_IN_FORCE_UNSPECIFIED: venue.GTC, eventv1.TimeInForce_TIME_IN_FORCE_GTC: venue.GTC,
	eventv1.TimeInForce_TIME_IN_FORCE_IOC: venue.IOC, eventv1.TimeInForce_TIME_IN_FORCE_FOK: venue.FOK,
}

func timeInForce(intent *projectorv1.Intent) eventv1.TimeInForce {
	name := "TIME_IN_FORCE_" + strings.ToUpper(intent.GetTimeInForce())
	return eventv1.TimeInForce(eventv1.TimeInForce_value[name]) // 0, unspecified, for none
}

func reduceIntent(kind eventv1.IntentType) eventv1.ReduceIntent {
	switch kind {
	case eventv1.IntentType_INTENT_TYPE_ENTRY:
		return eventv1.ReduceIntent_REDUCE_INTENT_ENTRY
	case eventv1.IntentType_INTENT_TYPE_EXIT:
		return eventv1.ReduceIntent_REDUCE_INTENT_EXIT
	case eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP:
		return eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE
	default:
		return eventv1.ReduceIntent_REDUCE_INTENT_MANUAL
	}
}

func productOf(product venue.Product) eventv1.Product {
	if product == venue.IsolatedMargin {
		return eventv1.Product_PRODUCT_ISOLATED_MARGIN
	}
	return eventv1.Product_PRODUCT_SPOT
}

// sideEffect: on margin an entry borrows what it lacks, and what reduces pays back.
func sideEffect(intent *projectorv1.Intent, product venue.Product) venue.SideEffect {
	switch {
	case product != venue.IsolatedMargin:
		return ""
	case intent.GetIntentType() == eventv1.IntentType_INTENT_TYPE_ENTRY:
		return venue.MarginBuy
	default:
		return venue.AutoRepay
	}
}
