package venue

import (
	"net/http"
	"time"
)

// Operations, as errors and events name them.
const (
	OpPlace      = "place"
	OpCancel     = "cancel"
	OpQuery      = "query"
	OpOpen       = "open_orders"
	OpTrades     = "order_trades"
	OpListTrades = "list_trades"
	OpListOrders = "list_orders"
	OpBalances   = "balances"
)

// Binance's codes that mean something of their own. All others below zero that come with a 4xx are definitive refusals.
const (
	codeUnknown          = -1000
	codeDisconnected     = -1001
	codeTooManyRequests  = -1003
	codeUnexpectedResp   = -1006
	codeTimeout          = -1007
	codeServerBusy       = -1008
	codeTooManyOrders    = -1015
	CodeInvalidSymbol    = -1121
	CodeNewOrderRejected = -2010
	CodeCancelRejected   = -2011
	CodeNoSuchOrder      = -2013
	CodeOrderArchived    = -2026
	// MessageDuplicateOrder tells the one -2010 that is no rejection from all others.
	MessageDuplicateOrder = "Duplicate order sent."
)

// Answer is an unsuccessful reply of a venue that speaks Binance's protocol. Code 0 means that the body could not be read.
type Answer struct {
	Operation  string
	HTTPStatus int
	Code       int
	Message    string
	RetryAfter time.Duration
}

// Classify turns an unsuccessful reply into what the caller may conclude from it (domain 3.5).
func Classify(a Answer) error {
	if a.HTTPStatus == http.StatusTooManyRequests || a.HTTPStatus == http.StatusTeapot ||
		a.Code == codeTooManyRequests || a.Code == codeTooManyOrders {
		return &RateLimitedError{Operation: a.Operation, HTTPStatus: a.HTTPStatus, Code: a.Code, Message: a.Message, RetryAfter: a.RetryAfter}
	}
	if cause, unknown := uncertainCause(a); unknown {
		return &UncertainError{Operation: a.Operation, Cause: cause, Code: a.Code, HTTPStatus: a.HTTPStatus}
	}
	if reason := orderReason(a); reason != nil {
		return &OrderError{Err: reason, Operation: a.Operation, Code: a.Code, Message: a.Message, HTTPStatus: a.HTTPStatus}
	}
	return &RejectedError{Operation: a.Operation, Code: a.Code, Message: a.Message, HTTPStatus: a.HTTPStatus}
}

func uncertainCause(a Answer) (UncertainCause, bool) {
	switch a.Code {
	case codeUnexpectedResp:
		return Cause1006, true
	case codeTimeout:
		return Cause1007, true
	case codeUnknown, codeDisconnected, codeServerBusy:
		return Cause5xx, true
	}
	switch {
	case a.HTTPStatus >= http.StatusInternalServerError:
		return Cause5xx, true
	case a.Code >= 0: // a 2xx or 4xx whose body says nothing
		return CauseBadBody, true
	default:
		return "", false
	}
}

func orderReason(a Answer) error {
	switch {
	case a.Code == CodeNewOrderRejected && a.Message == MessageDuplicateOrder:
		return ErrDuplicateOrder
	case a.Code == CodeCancelRejected && a.Operation == OpCancel:
		return ErrUnknownOrder
	case a.Code == CodeNoSuchOrder:
		return ErrOrderNotFound
	case a.Code == CodeOrderArchived:
		return ErrOrderArchived
	default:
		return nil
	}
}
