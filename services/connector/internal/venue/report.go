package venue

import (
	"context"
	"time"

	"github.com/shopspring/decimal"
)

// Cursor is how far an account's reports have been read; 0 is before the first.
type Cursor int64

// UserStream tells what happens to an account: executions, balances, loans.
type UserStream interface {
	// Follow hands over the account's reports after a cursor, in order, several at a time when there are several,
	// until ctx ends, handle fails or the line breaks. It does not reconnect: the caller follows again from the last
	// cursor whose reports it has handled.
	//
	// The first hand-over of each call holds one Connected report alone. Its Gap says that reports between the cursor
	// and now may be missing, as always on a venue without replay: the caller then asks for the state of every order
	// it has open. What is handed over is at least once; handling it twice must do no harm.
	Follow(ctx context.Context, after Cursor, handle func(context.Context, []Report) error) error
}

// Report is one thing that happened to an account. Exactly one of the pointers is set.
type Report struct {
	// Cursor is where to resume after this report. A Connected report carries that of the last report before it.
	Cursor Cursor    `json:"cursor"`
	Time   time.Time `json:"time"`

	Connected *Connected       `json:"connected,omitempty"`
	Execution *Execution       `json:"execution,omitempty"`
	Position  *AccountPosition `json:"position,omitempty"`
	Movement  *Movement        `json:"movement,omitempty"`
	Loan      *Loan            `json:"loan,omitempty"`
}

// Connected says that the line stands.
type Connected struct {
	// Gap says that reports may have been missed.
	Gap bool `json:"gap"`
	// ConnectionID names this connection.
	ConnectionID string `json:"connection_id"`
}

// ExecutionType is what happened to an order.
type ExecutionType string

// The execution types.
const (
	ExecutionNew      ExecutionType = "NEW"
	ExecutionTrade    ExecutionType = "TRADE"
	ExecutionCanceled ExecutionType = "CANCELED"
	ExecutionExpired  ExecutionType = "EXPIRED"
	ExecutionRejected ExecutionType = "REJECTED"
)

// Execution is an execution report: what happened, and the order's state after it.
type Execution struct {
	Type  ExecutionType `json:"type"`
	Order Order         `json:"order"`
	// Trade is set for ExecutionTrade.
	Trade *Trade `json:"trade,omitempty"`
}

// AccountPosition tells the new amounts of the assets that an execution may have changed.
type AccountPosition struct {
	Balances []Balance `json:"balances"`
}

// MovementKind is why a balance moved outside of trading.
type MovementKind string

// The movements.
const (
	Deposit    MovementKind = "deposit"
	Withdrawal MovementKind = "withdrawal"
	// ExternalLock is what another part of the venue took hold of, or below zero let go: it moves between free and locked.
	ExternalLock MovementKind = "external_lock"
)

// Movement is what changed a balance outside of trading.
type Movement struct {
	Wallet string `json:"wallet"`
	Asset  string `json:"asset"`
	// Delta is signed.
	Delta decimal.Decimal `json:"delta"`
	Kind  MovementKind    `json:"kind"`
	// Reference is the caller's or the venue's name for it.
	Reference string `json:"reference"`
}

// LoanKind is which way a loan moved.
type LoanKind string

// The loans.
const (
	Borrow LoanKind = "borrow"
	Repay  LoanKind = "repay"
)

// Loan is a borrowing or a repayment in an isolated margin account.
type Loan struct {
	Kind   LoanKind `json:"kind"`
	Symbol string   `json:"symbol"`
	Asset  string   `json:"asset"`
	// Amount is Principal + Interest.
	Amount    decimal.Decimal `json:"amount"`
	Principal decimal.Decimal `json:"principal"`
	Interest  decimal.Decimal `json:"interest"`
	// TranID is the venue's id of it.
	TranID int64 `json:"tran_id"`
	// SideEffect says that an order made it, be that one known or not.
	SideEffect bool `json:"side_effect,omitempty"`
	// ClientOrderID is the order whose side effect it was; empty if none, or where the venue does not say.
	ClientOrderID ClientOrderID `json:"client_order_id,omitempty"`
}
