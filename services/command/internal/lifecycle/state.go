package lifecycle

import (
	"time"

	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

// PositionState is where a position stands.
type PositionState int

// The states of a position.
const (
	Armed PositionState = iota + 1
	Entering
	Active
	Exiting
	Closed
	Failed // the state "error": only exits and stops are allowed
)

// Position is the row of the position.
type Position struct {
	ID                string
	AccountID         string
	StrategyID        string
	Symbol            string
	Side              eventv1.PositionSide
	State             PositionState
	TechnicalStop     decimal.Decimal
	TechnicalDistance decimal.Decimal
	TrailingStop      decimal.Decimal
	EntryDone         bool
	EntryQuantity     decimal.Decimal
	EntryCost         decimal.Decimal
	ExitQuantity      decimal.Decimal
	ExitProceeds      decimal.Decimal
	ExitBaseFee       decimal.Decimal
	ExitBaseFeeCost   decimal.Decimal
	// Open is what is held, or owed by a short.
	Open      decimal.Decimal
	TotalFees decimal.Decimal
	// ExitTriggers counts the exits triggered so far.
	ExitTriggers int
}

// Order is the row of an order of the position.
type Order struct {
	ID       string
	IntentID string
	Role     eventv1.ReduceIntent
	Side     eventv1.Side
	Type     eventv1.OrderType
	Ended    bool
	// Unresolved says that its outcome at the venue is not known.
	Unresolved bool
	Quantity   decimal.Decimal
	Filled     decimal.Decimal
	StopPrice  decimal.Decimal
}

// Intent is the row of an intent of the position.
type Intent struct {
	ID   string
	Type eventv1.IntentType
	// OrderID is the order that carries it out, claimed or not.
	OrderID string
	// CancelsOrderID is the order that a cancel is for.
	CancelsOrderID string
	// Ended says that nothing more comes of it.
	Ended bool
}

// State is everything that Next rests on.
type State struct {
	Position Position
	Orders   []Order  // oldest first
	Intents  []Intent // oldest first
	History  *History
	// Disabled is the STRATEGY_DISABLED that holds for the position's strategy; nil while it is enabled.
	Disabled   *Cause
	Instrument engine.Instrument
	// Price is the market's last, and MarketTime its clock.
	Price      decimal.Decimal
	MarketTime time.Time
	// BaseFeeRate is the part of what a short buys back that the venue keeps as its fee; zero if it takes it elsewhere.
	BaseFeeRate decimal.Decimal
	Settings    Settings
}

// Settings are the named choices of the process manager.
type Settings struct {
	// NoInsuranceStop leaves the venue without a resting stop: the monitor alone guards the position.
	NoInsuranceStop bool
	// StopBufferFraction of the span is kept between the trailing stop and the resting one behind it.
	StopBufferFraction decimal.Decimal
	// StopReplaceFraction of the span must have been gained before the resting stop is replaced.
	StopReplaceFraction decimal.Decimal
	// RetryDelay is how long to wait after a failed exit or stop; it doubles with each failure up to RetryDelayMax.
	RetryDelay    time.Duration
	RetryDelayMax time.Duration
	// AlertAfter is how many failures in a row make an alert.
	AlertAfter int
	// FillsWait is how long an exit waits, after an order has ended, for fills of it that the venue counted.
	FillsWait time.Duration
}

// exiting says whether the position is to be left.
func (s State) exiting() bool {
	return s.Position.State == Exiting || s.Position.State == Failed && s.Position.ExitTriggers > 0
}

// order finds the row of an order.
func (s State) order(id string) *Order {
	for i := range s.Orders {
		if s.Orders[i].ID == id {
			return &s.Orders[i]
		}
	}
	return nil
}

// newest finds the newest intent of a type.
func (s State) newest(kind eventv1.IntentType) *Intent {
	for i := len(s.Intents) - 1; i >= 0; i-- {
		if s.Intents[i].Type == kind {
			return &s.Intents[i]
		}
	}
	return nil
}

// unsent says whether an intent has no order yet and may still get one.
func (s State) unsent(intent *Intent) bool {
	return intent != nil && !intent.Ended && s.order(intent.OrderID) == nil
}

// live finds the row of an intent's order if it may still do something at the venue.
func (s State) live(intent *Intent) *Order {
	if intent == nil {
		return nil
	}
	order := s.order(intent.OrderID)
	if order == nil || order.Ended {
		return nil
	}
	return order
}

// ended is the event that ended an intent; nil while it may still do something.
func (s State) ended(intent *Intent) *Cause {
	if intent == nil || s.live(intent) != nil || s.unsent(intent) {
		return nil
	}
	return s.History.Order(intent.OrderID).Ended
}

// Defaulted fills in what was not chosen: the resting stop stays a tenth of the span behind the trailing stop and is
// replaced when half a span was gained; failed exits and stops are tried again after half a second, then ever more
// slowly up to a minute, and alert from the third failure on; fills that are missing are waited for for ten seconds.
func (s Settings) Defaulted() Settings {
	if s.StopBufferFraction.IsZero() {
		s.StopBufferFraction = decimal.New(1, -1)
	}
	if s.StopReplaceFraction.IsZero() {
		s.StopReplaceFraction = decimal.New(5, -1)
	}
	if s.RetryDelay == 0 {
		s.RetryDelay = 500 * time.Millisecond
	}
	if s.RetryDelayMax == 0 {
		s.RetryDelayMax = time.Minute
	}
	if s.AlertAfter == 0 {
		s.AlertAfter = 3
	}
	if s.FillsWait == 0 {
		s.FillsWait = 10 * time.Second
	}
	return s
}
