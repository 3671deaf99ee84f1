package fact

import (
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/money"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Order is what we know of an order of ours: enough to tell the log about it.
type Order struct {
	ID      uuid.UUID
	Account uuid.UUID
	// Position and Intent are Nil for an order of which only facts are known.
	Position      uuid.UUID
	Intent        uuid.UUID
	Symbol        string
	ClientOrderID venue.ClientOrderID
	Origin        Origin
}

func (o Order) fact(payload proto.Message, at time.Time) Fact {
	return Fact{Stream: event.StreamKey{Kind: event.KindOrder, ID: o.ID}, Payload: payload, OccurredAt: at, Origin: o.Origin}
}

// CancelID is the id of our request to cancel an order: it tells our cancels from a user's.
func CancelID(order uuid.UUID) venue.ClientOrderID {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(order[:])
	return venue.ClientOrderID("rc-" + strings.ToLower(text))
}

// Recovered is the claim of an order that is at the venue already, taken in from its intent. It is to be recorded after a fact of the
// order, and says when the venue took the order in.
func Recovered(o Order, claim *eventv1.OrderSubmitted, at time.Time) Fact {
	claim.Recovered = true
	return record(event.StreamKey{Kind: event.KindOrder, ID: o.ID}, claim, at, o.Origin, "ORDER_SUBMITTED/recovered/"+o.ID.String())
}

// Acked says that the venue knows the order.
func Acked(o Order, at venue.Order, source Source) Fact {
	return o.fact(&eventv1.OrderAcked{
		OrderId: o.ID.String(), AccountId: o.Account.String(), Symbol: o.Symbol, ClientOrderId: string(o.ClientOrderID),
		ExchangeOrderId: exchangeID(at), ExchangeStatus: string(at.Status), TransactTime: timestamppb.New(at.CreatedAt), Source: source,
	}, at.CreatedAt)
}

func exchangeID(o venue.Order) string { return strconv.FormatInt(int64(o.OrderID), 10) }

// Pricing values fees in the quote asset.
type Pricing struct {
	Instrument venue.Instrument
	// Third is the price in quote of an asset that is neither base nor quote; zero: unknown.
	Third decimal.Decimal
}

// Filled says that the order traded.
func Filled(o Order, trade venue.Trade, pricing Pricing, source Source) (Fact, error) {
	payload := &eventv1.FillReceived{
		AccountId: o.Account.String(), OrderId: o.ID.String(), ClientOrderId: string(o.ClientOrderID),
		ExchangeOrderId: strconv.FormatInt(int64(trade.OrderID), 10), ExchangeTradeId: strconv.FormatInt(int64(trade.TradeID), 10),
		Symbol: o.Symbol, Side: sideOf(trade.Side), FillPrice: money.Format(trade.Price), FillQuantity: money.Format(trade.Quantity),
		QuoteQuantity: money.Format(trade.QuoteQuantity), Fee: money.Format(trade.Fee), FeeAsset: trade.FeeAsset,
		FeeQuote: feeQuote(trade, pricing), IsMaker: trade.IsMaker, FilledAt: timestamppb.New(trade.Time), Source: source,
	}
	if o.Position != uuid.Nil {
		payload.PositionId = o.Position.String()
	}
	identity, err := event.Identity(payload)
	if err != nil {
		return Fact{}, err
	}
	payload.FillId = event.FillID(identity).String()
	return o.fact(payload, trade.Time), nil
}

// feeQuote values a fee: one in the base asset at the trade's own price. Empty where it cannot be valued yet.
func feeQuote(trade venue.Trade, pricing Pricing) string {
	switch {
	case trade.Fee.IsZero(), trade.FeeAsset == pricing.Instrument.QuoteAsset:
		return money.Format(trade.Fee)
	case trade.FeeAsset == pricing.Instrument.BaseAsset:
		return money.Format(money.Round18(trade.Fee.Mul(trade.Price)))
	case pricing.Third.IsPositive():
		return money.Format(money.Round18(trade.Fee.Mul(pricing.Third)))
	default:
		return ""
	}
}

// NeedsThird says whether a trade's fee is in an asset whose price must be looked up.
func NeedsThird(trade venue.Trade, instrument venue.Instrument) bool {
	return !trade.Fee.IsZero() && trade.FeeAsset != instrument.QuoteAsset && trade.FeeAsset != instrument.BaseAsset
}

// Ended says how the order ended, if it did and its end is not that it was filled. It is to be recorded after the fills.
func Ended(o Order, at venue.Order, source Source) (Fact, bool) {
	switch at.Status {
	case venue.StatusCanceled:
		return o.fact(&eventv1.OrderCanceled{
			OrderId: o.ID.String(), AccountId: o.Account.String(), Symbol: o.Symbol, ExchangeOrderId: exchangeID(at),
			CumFilledQuantity: money.Format(at.Executed), CanceledBy: canceledBy(o, at), CancelClientOrderId: string(at.CancelID), Source: source,
		}, at.UpdatedAt), true
	case venue.StatusExpired, venue.StatusExpiredInMatch:
		return o.fact(&eventv1.OrderExpired{
			OrderId: o.ID.String(), AccountId: o.Account.String(), Symbol: o.Symbol, ExchangeOrderId: exchangeID(at),
			ExchangeStatus: string(at.Status), ExpiryReason: at.ExpiryReason, CumFilledQuantity: money.Format(at.Executed), Source: source,
		}, at.UpdatedAt), true
	case venue.StatusRejected:
		return Rejected(o, Rejection{Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, Reason: "rejected by the venue"}, at.UpdatedAt), true
	default:
		return Fact{}, false
	}
}

// canceledBy: a cancel under our own id is ours; one that no request explains and the venue does not own up to is a user's.
func canceledBy(o Order, at venue.Order) eventv1.CanceledBy {
	switch {
	case at.CanceledBy == venue.CanceledByExchange:
		return eventv1.CanceledBy_CANCELED_BY_EXCHANGE
	case at.CanceledBy == venue.CanceledByUs, at.CancelID == CancelID(o.ID):
		return eventv1.CanceledBy_CANCELED_BY_US
	default:
		return eventv1.CanceledBy_CANCELED_BY_USER
	}
}

// Rejection is why an order will never trade. Code and HTTPStatus are 0 where there are none.
type Rejection struct {
	Stage      eventv1.RejectStage
	Code       int
	Reason     string
	HTTPStatus int
}

// Reasons of ends that the venue did not give.
const (
	ReasonNotFound     = "not_found"
	ReasonNotSent      = "not_sent"
	ReasonExpired      = "expired"
	ReasonClaimRefused = "claim_refused"
)

// Rejected says that the order was definitely refused, or that its intent ended before it was sent.
func Rejected(o Order, r Rejection, at time.Time) Fact {
	payload := &eventv1.OrderRejected{
		OrderId: o.ID.String(), AccountId: o.Account.String(), Symbol: o.Symbol, ClientOrderId: string(o.ClientOrderID),
		Stage: r.Stage, Reason: r.Reason,
	}
	if o.Intent != uuid.Nil {
		payload.IntentId = o.Intent.String()
	}
	if r.Code != 0 {
		payload.ErrorCode = proto.Int32(int32(r.Code))
	}
	if r.HTTPStatus != 0 {
		payload.HttpStatus = proto.Int32(int32(r.HTTPStatus))
	}
	return o.fact(payload, at)
}

func sideOf(side venue.Side) eventv1.Side {
	switch side {
	case venue.Buy:
		return eventv1.Side_SIDE_BUY
	case venue.Sell:
		return eventv1.Side_SIDE_SELL
	default:
		return eventv1.Side_SIDE_UNSPECIFIED
	}
}
