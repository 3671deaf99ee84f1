package paper

import (
	"errors"
	"time"

	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/venue"
)

// wireError carries an error between two processes so that errors.Is and errors.As see the same on both sides.
type wireError struct {
	Kind       string        `json:"kind"`
	Name       string        `json:"name,omitempty"`
	Operation  string        `json:"operation,omitempty"`
	Cause      string        `json:"cause,omitempty"`
	Code       int           `json:"code,omitempty"`
	HTTPStatus int           `json:"http_status,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Message    string        `json:"message"`
}

const (
	kindRejected  = "rejected"
	kindOrder     = "order"
	kindLimited   = "limited"
	kindUncertain = "uncertain"
	kindNamed     = "named"
	kindOther     = "other"
)

// named are the errors that are told by identity.
var named = map[string]error{
	"duplicate_order": venue.ErrDuplicateOrder, "unknown_order": venue.ErrUnknownOrder,
	"order_not_found": venue.ErrOrderNotFound, "order_archived": venue.ErrOrderArchived,
	"invalid_symbol": venue.ErrInvalidSymbol, "no_price": venue.ErrNoPrice, "no_margin": venue.ErrNoMargin,
	"open_orders": engine.ErrOpenOrders, "account": engine.ErrAccount, "amount": engine.ErrAmount, "invalid": engine.ErrInvalid, "broken": engine.ErrBroken,
}

func nameOf(err error) string {
	for name, known := range named {
		if errors.Is(err, known) {
			return name
		}
	}
	return ""
}

func encodeError(err error) *wireError {
	var rejected *venue.RejectedError
	var order *venue.OrderError
	var limited *venue.RateLimitedError
	var uncertain *venue.UncertainError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rejected):
		return &wireError{Kind: kindRejected, Operation: rejected.Operation, Code: rejected.Code, HTTPStatus: rejected.HTTPStatus, Message: rejected.Message}
	case errors.As(err, &order):
		return &wireError{Kind: kindOrder, Name: nameOf(order.Err), Operation: order.Operation, Code: order.Code, HTTPStatus: order.HTTPStatus, Message: order.Message}
	case errors.As(err, &limited):
		return &wireError{
			Kind: kindLimited, Operation: limited.Operation, Code: limited.Code, HTTPStatus: limited.HTTPStatus,
			RetryAfter: limited.RetryAfter, Message: limited.Message,
		}
	case errors.As(err, &uncertain):
		return &wireError{
			Kind: kindUncertain, Operation: uncertain.Operation, Cause: string(uncertain.Cause), Code: uncertain.Code,
			HTTPStatus: uncertain.HTTPStatus, Message: err.Error(),
		}
	}
	if name := nameOf(err); name != "" {
		return &wireError{Kind: kindNamed, Name: name, Message: err.Error()}
	}
	return &wireError{Kind: kindOther, Message: err.Error()}
}

func decodeError(w *wireError) error {
	if w == nil {
		return nil
	}
	switch w.Kind {
	case kindRejected:
		return &venue.RejectedError{Operation: w.Operation, Code: w.Code, Message: w.Message, HTTPStatus: w.HTTPStatus}
	case kindOrder:
		return &venue.OrderError{Err: named[w.Name], Operation: w.Operation, Code: w.Code, Message: w.Message, HTTPStatus: w.HTTPStatus}
	case kindLimited:
		return &venue.RateLimitedError{Operation: w.Operation, Code: w.Code, Message: w.Message, HTTPStatus: w.HTTPStatus, RetryAfter: w.RetryAfter}
	case kindUncertain:
		return &venue.UncertainError{Operation: w.Operation, Cause: venue.UncertainCause(w.Cause), Code: w.Code, HTTPStatus: w.HTTPStatus}
	case kindNamed:
		return &namedError{known: named[w.Name], message: w.Message}
	default:
		return errors.New(w.Message)
	}
}

// namedError says what the other process said and is what it was there.
type namedError struct {
	known   error
	message string
}

func (e *namedError) Error() string { return e.message }
func (e *namedError) Unwrap() error { return e.known }
