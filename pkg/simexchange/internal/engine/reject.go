package engine

import "fmt"

// Rejection is an answer of Binance's own: a code and its documented text.
type Rejection struct {
	Code int
	Text string
}

// Error is what a client prints of it.
func (r *Rejection) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// The rejections that the engine gives.
var (
	ErrDuplicate      = &Rejection{-2010, "Duplicate order sent."}
	ErrBalance        = &Rejection{-2010, "Account has insufficient balance for requested action."}
	ErrTrigger        = &Rejection{-2010, "Order would trigger immediately."}
	ErrWouldTake      = &Rejection{-2010, "Order would immediately match and take."}
	ErrMarketClosed   = &Rejection{-1013, "Market is closed."}
	ErrUnknownCancel  = &Rejection{-2011, "Unknown order sent."}
	ErrUnknownOrder   = &Rejection{-2013, "Order does not exist."}
	ErrSymbol         = &Rejection{-1121, "Invalid symbol."}
	ErrQuantity       = &Rejection{-1013, "Invalid quantity."}
	ErrPrice          = &Rejection{-1013, "Invalid price."}
	ErrSide           = &Rejection{-1117, "Invalid side."}
	ErrType           = &Rejection{-1116, "Invalid orderType."}
	ErrTimeInForce    = &Rejection{-1115, "Invalid timeInForce."}
	ErrNoPrice        = &Rejection{-2010, "No price is set for this symbol yet."}
	ErrNoMargin       = &Rejection{-3003, "Margin account does not exist."}
	ErrBorrowMax      = &Rejection{-3006, "Your borrow amount has exceed maximum borrow amount."}
	ErrRepayMax       = &Rejection{-3015, "Repay amount exceeds borrow amount."}
	ErrTransferOut    = &Rejection{-3020, "Transfer out amount exceeds max amount."}
	ErrAsset          = &Rejection{-3027, "This asset is not supported."}
	ErrPairMargin     = &Rejection{-3028, "This pair is not supported."}
	ErrSideEffect     = &Rejection{-1100, "Illegal characters found in parameter 'sideEffectType'."}
	ErrAccountUnknown = &Rejection{-2015, "Invalid API-key, IP, or permissions for action."}
)

func filterFailure(filter string) *Rejection {
	return &Rejection{-1013, "Filter failure: " + filter}
}
