package fact

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/venue"
)

// requestNamespace derives request ids.
var requestNamespace = uuid.MustParse("b1b9f6a0-2a0a-5f43-8d0e-7f1a5e8c3d21")

// Request is one request about an order that we sent to a venue.
type Request struct {
	Order     Order
	Operation string
	// Stamp is the time that the request carried.
	Stamp  time.Time
	Window time.Duration
	At     time.Time
}

func (r Request) id() string {
	return uuid.NewSHA1(requestNamespace, fmt.Appendf(nil, "%s/%s/%d", r.Order.ID, r.Operation, r.Stamp.UnixMilli())).String()
}

// Uncertain says that nobody knows what became of a request: one record per request.
func Uncertain(r Request, u *venue.UncertainError) Fact {
	payload := &eventv1.ExchangeStateUncertain{
		AccountId: r.Order.Account.String(), RequestId: r.id(), Request: requestOf(r.Operation), OrderId: r.Order.ID.String(),
		ClientOrderId: string(r.Order.ClientOrderID), Cause: causeOf(u.Cause), RequestTimestamp: timestamppb.New(r.Stamp),
		RecvWindowMs: int32(r.Window.Milliseconds()),
	}
	if u.HTTPStatus != 0 {
		payload.HttpStatus = proto.Int32(int32(u.HTTPStatus))
	}
	if u.Code != 0 {
		payload.ErrorCode = proto.Int32(int32(u.Code))
	}
	return record(accountStream(r.Order.Account), payload, r.At, r.Order.Origin, "EXCHANGE_STATE_UNCERTAIN/"+payload.GetRequestId())
}

// requestOf is what an operation is called in the log.
func requestOf(operation string) eventv1.VenueRequest {
	switch operation {
	case venue.OpPlace:
		return eventv1.VenueRequest_VENUE_REQUEST_PLACE
	case venue.OpCancel:
		return eventv1.VenueRequest_VENUE_REQUEST_CANCEL
	case venue.OpQuery, venue.OpOpen, venue.OpTrades, venue.OpListTrades, venue.OpListOrders, venue.OpBalances:
		return eventv1.VenueRequest_VENUE_REQUEST_QUERY
	default:
		return eventv1.VenueRequest_VENUE_REQUEST_OTHER
	}
}

func causeOf(cause venue.UncertainCause) eventv1.UncertainCause {
	switch cause {
	case venue.CauseTimeout:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_TIMEOUT
	case venue.Cause5xx:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_HTTP_5XX
	case venue.Cause1006:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_CODE_1006
	case venue.Cause1007:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_CODE_1007
	case venue.CauseBadBody:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_BAD_BODY
	case venue.CauseCrash:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_CRASH
	default:
		return eventv1.UncertainCause_UNCERTAIN_CAUSE_CONN_RESET
	}
}

// Failed says that the venue definitely refused a request other than a placing.
func Failed(r Request, code, httpStatus int, message string) Fact {
	payload := &eventv1.ExchangeRequestFailed{
		AccountId: r.Order.Account.String(), RequestId: r.id(), Operation: r.Operation, Message: message,
		OrderId: r.Order.ID.String(), Attempt: 1,
	}
	if code != 0 {
		payload.ErrorCode = proto.Int32(int32(code))
	}
	if httpStatus != 0 {
		payload.HttpStatus = proto.Int32(int32(httpStatus))
	}
	return record(accountStream(r.Order.Account), payload, r.At, r.Order.Origin, "EXCHANGE_REQUEST_FAILED/"+payload.GetRequestId())
}

// RateLimited says that the venue asked us to wait.
func RateLimited(r Request, limited *venue.RateLimitedError) Fact {
	return record(accountStream(r.Order.Account), &eventv1.ExchangeRateLimited{
		AccountId: r.Order.Account.String(), HttpStatus: int32(limited.HTTPStatus), RetryAfterMs: int32(limited.RetryAfter.Milliseconds()),
		BannedUntil: timestamppb.New(r.At.Add(limited.RetryAfter)),
	}, r.At, r.Order.Origin, "EXCHANGE_RATE_LIMITED/"+r.id())
}
