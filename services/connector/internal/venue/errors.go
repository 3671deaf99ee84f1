package venue

import (
	"errors"
	"fmt"
	"time"
)

// What a request can find out. They are reached by errors.Is through the types below.
var (
	// ErrDuplicateOrder: an open order has this client order id already (-2010 "Duplicate order sent.").
	// It proves that an earlier request was taken in: ask, never reject.
	ErrDuplicateOrder = errors.New("duplicate order sent")
	// ErrUnknownOrder: a cancel named an order that is not open (-2011): filled, canceled or never there.
	ErrUnknownOrder = errors.New("unknown order sent")
	// ErrOrderNotFound: a query named an order that does not exist, yet or at all (-2013).
	ErrOrderNotFound = errors.New("order does not exist")
	// ErrOrderArchived: the order ended without trades and long ago (-2026).
	ErrOrderArchived = errors.New("order was archived")
	// ErrInvalidSymbol: the venue lists no such symbol (-1121).
	ErrInvalidSymbol = errors.New("invalid symbol")
	// ErrNoPrice: nothing has traded yet.
	ErrNoPrice = errors.New("no price yet")
	// ErrNoMargin: the account is no isolated margin account.
	ErrNoMargin = errors.New("no isolated margin account")
	// ErrNotSent: the request never left the house; doing it again is safe.
	ErrNotSent = errors.New("request was not sent")
)

// RejectedError is a definitive refusal: the venue did nothing and never will on this request.
type RejectedError struct {
	Operation  string
	Code       int
	Message    string
	HTTPStatus int
}

// Error tells code and text as the venue gave them.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("%s rejected by venue: %d %s", e.Operation, e.Code, e.Message)
}

// OrderError is an answer about an order id: duplicate, unknown, not found or archived.
type OrderError struct {
	// Err is ErrDuplicateOrder, ErrUnknownOrder, ErrOrderNotFound or ErrOrderArchived.
	Err        error
	Operation  string
	Code       int
	Message    string
	HTTPStatus int
}

// Error tells code and text as the venue gave them.
func (e *OrderError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.Operation, e.Code, e.Message)
}

// Unwrap gives the reason.
func (e *OrderError) Unwrap() error { return e.Err }

// RateLimitedError is a refusal for the number of requests: not executed; nothing may be sent before RetryAfter is over.
type RateLimitedError struct {
	Operation  string
	HTTPStatus int
	Code       int
	Message    string
	RetryAfter time.Duration
}

// Error tells how long to wait.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%s rate limited by venue: %d, retry after %s", e.Operation, e.HTTPStatus, e.RetryAfter)
}

// UncertainCause is why nobody knows whether a request was done.
type UncertainCause string

// The causes, as EXCHANGE_STATE_UNCERTAIN names them.
const (
	CauseTimeout   UncertainCause = "timeout"
	CauseConnReset UncertainCause = "conn_reset"
	Cause5xx       UncertainCause = "5xx"
	Cause1006      UncertainCause = "-1006"
	Cause1007      UncertainCause = "-1007"
	CauseBadBody   UncertainCause = "bad_body"
	// CauseCrash: the process that had claimed the order died before it could tell.
	CauseCrash UncertainCause = "crash"
)

// UncertainError means UNKNOWN: the venue may have done it, may do it yet, or not. Only asking tells.
type UncertainError struct {
	Operation  string
	Cause      UncertainCause
	Code       int
	HTTPStatus int
	// Err is what was seen, free of secrets and signed addresses; may be nil.
	Err error
}

// Error tells the cause.
func (e *UncertainError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s outcome unknown (%s): %v", e.Operation, e.Cause, e.Err)
	}
	return fmt.Sprintf("%s outcome unknown (%s)", e.Operation, e.Cause)
}

// Unwrap gives what was seen.
func (e *UncertainError) Unwrap() error { return e.Err }

// IsUncertain says whether an error leaves the outcome of a place or cancel unknown. Everything that is not known to be
// definitive counts as unknown: the cautious reading of an error nobody has thought of.
func IsUncertain(err error) bool {
	if err == nil {
		return false
	}
	var rejected *RejectedError
	var order *OrderError
	var limited *RateLimitedError
	switch {
	case errors.As(err, &rejected), errors.As(err, &order), errors.As(err, &limited):
		return false
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrInvalidSymbol):
		return false
	default:
		return true
	}
}
