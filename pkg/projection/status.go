package projection

import (
	"github.com/shopspring/decimal"
)

// OrderStatus says where an order stands. It is a function of the set of facts, see Order.settle.
type OrderStatus string

// The statuses of an order.
const (
	// OrderPending is a stub: facts name the order, its claim is not in the log.
	OrderPending OrderStatus = "pending"
	// OrderSubmitted is claimed; the venue has not answered yet.
	OrderSubmitted OrderStatus = "submitted"
	// OrderAcknowledged is known to the venue.
	OrderAcknowledged OrderStatus = "acknowledged"
	// OrderPartial has fills and is still live.
	OrderPartial OrderStatus = "partial"
	// OrderFilled has all it asked for.
	OrderFilled OrderStatus = "filled"
	// OrderCanceled was canceled; its fills stay.
	OrderCanceled OrderStatus = "canceled"
	// OrderRejected was refused, by the venue or before it was sent.
	OrderRejected OrderStatus = "rejected"
	// OrderExpired was ended by the venue; its fills stay.
	OrderExpired OrderStatus = "expired"
)

// Ended reports whether nothing more is expected of the order. A late fill may still come.
func (s OrderStatus) Ended() bool {
	switch s {
	case OrderFilled, OrderCanceled, OrderRejected, OrderExpired:
		return true
	case OrderPending, OrderSubmitted, OrderAcknowledged, OrderPartial:
		return false
	}
	return false
}

// PositionState says where a position stands.
type PositionState string

// The states of a position.
const (
	// PositionArmed waits for its signal.
	PositionArmed PositionState = "armed"
	// PositionEntering has an entry intent and no fill that opened it.
	PositionEntering PositionState = "entering"
	// PositionActive is held, with a stop.
	PositionActive PositionState = "active"
	// PositionExiting is being left.
	PositionExiting PositionState = "exiting"
	// PositionClosed is over. Terminal.
	PositionClosed PositionState = "closed"
	// PositionError does not fit what the venue says; stops, exits and closing stay possible.
	PositionError PositionState = "error"
)

// IntentStatus says how far an intent is.
type IntentStatus string

// The statuses of an intent.
const (
	// IntentPending waits for its order to be claimed, or for the cancel to be answered.
	IntentPending IntentStatus = "pending"
	// IntentSubmitted has a live order.
	IntentSubmitted IntentStatus = "submitted"
	// IntentDone has an order that filled, or ended after it filled in part; or the order to cancel has ended.
	IntentDone IntentStatus = "done"
	// IntentFailed has an order that ended without a fill, or was ended before it was sent. Unless the intent is
	// ended, another attempt may follow.
	IntentFailed IntentStatus = "failed"
	// IntentUnknown has an order whose outcome must be asked for.
	IntentUnknown IntentStatus = "unknown"
)

// DecisionStatus says what the risk gates said.
type DecisionStatus string

// The statuses of a decision.
const (
	// DecisionProposed waits for the risk gates.
	DecisionProposed DecisionStatus = "proposed"
	// DecisionApproved passed every gate.
	DecisionApproved DecisionStatus = "approved"
	// DecisionRejected was refused by a gate.
	DecisionRejected DecisionStatus = "rejected"
)

// SignalStatus says what became of a signal.
type SignalStatus string

// The statuses of a signal.
const (
	// SignalDetected waits for a decision.
	SignalDetected SignalStatus = "detected"
	// SignalAccepted led to a decision.
	SignalAccepted SignalStatus = "accepted"
	// SignalRejected led to nothing.
	SignalRejected SignalStatus = "rejected"
	// SignalExpired was not acted on in time.
	SignalExpired SignalStatus = "expired"
)

// Amounts are amounts per asset, never added together.
type Amounts map[string]decimal.Decimal

// RiskCheck is one risk gate and what it saw.
type RiskCheck struct {
	Name    string          `json:"name"`
	Limit   decimal.Decimal `json:"limit"`
	Value   decimal.Decimal `json:"value"`
	Passed  bool            `json:"passed"`
	Message string          `json:"message"`
}
