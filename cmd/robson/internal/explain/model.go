package explain

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Kinds of things that can be explained.
const (
	KindOrder    = "order"
	KindPosition = "position"
	KindFill     = "fill"
	KindBalance  = "balance"
)

// Subject is what was asked for.
type Subject struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
	// A balance is named by three things instead.
	AccountID string `json:"account_id,omitempty"`
	Wallet    string `json:"wallet,omitempty"`
	Asset     string `json:"asset,omitempty"`
}

// Explanation is the answer. Everything in it names events by their positions; Events holds them.
type Explanation struct {
	Subject   Subject    `json:"subject"`
	AsOf      int64      `json:"as_of"`
	Outcome   string     `json:"outcome"`
	About     About      `json:"about"`
	Commands  []Command  `json:"commands"`
	Decisions []Decision `json:"decisions"`
	Chain     Chain      `json:"chain"`
	Venue     []int64    `json:"venue"`
	Money     *Money     `json:"money,omitempty"`
	Balance   *Balance   `json:"balance,omitempty"`
	Events    Events     `json:"events"`
	Notes     []string   `json:"notes"`
}

// About are the ids that lead on from here; empty where there is none.
type About struct {
	Symbol     string `json:"symbol,omitempty"`
	Side       string `json:"side,omitempty"`
	AccountID  string `json:"account_id,omitempty"`
	StrategyID string `json:"strategy_id,omitempty"`
	PositionID string `json:"position_id,omitempty"`
	OrderID    string `json:"order_id,omitempty"`
}

// Command is what somebody, or a service, asked for.
type Command struct {
	CommandID string `json:"command_id"`
	// Position and EventType are those of its first event here.
	Position   int64     `json:"position"`
	EventType  string    `json:"event_type"`
	ActorType  string    `json:"actor_type"`
	ActorID    string    `json:"actor_id"`
	OccurredAt time.Time `json:"occurred_at"`
	IngestedAt time.Time `json:"ingested_at"`
	TraceID    string    `json:"trace_id"`
	WorkflowID string    `json:"workflow_id,omitempty"`
	// RequestDigest is the SHA-256 of the request in hex; the log keeps no request.
	RequestDigest string `json:"request_digest,omitempty"`
}

// Verdicts of the risk gates.
const (
	VerdictApproved = "approved"
	VerdictRefused  = "refused"
	VerdictNone     = "undecided"
)

// Decision is a proposal, what the gates said of it, and what they went by.
type Decision struct {
	DecisionID string `json:"decision_id"`
	Position   int64  `json:"position"`
	Verdict    string `json:"verdict"`
	// CheckedAt is the position of the gates' event; 0 if they were never asked.
	CheckedAt      int64   `json:"checked_at,omitempty"`
	Reason         string  `json:"reason,omitempty"`
	Checks         []Check `json:"checks"`
	ExposureBefore string  `json:"exposure_before,omitempty"`
	ExposureAfter  string  `json:"exposure_after,omitempty"`
	BudgetLeft     string  `json:"budget_remaining,omitempty"`
	// Inputs is the payload of DECISION_PROPOSED.
	Inputs Message `json:"inputs"`
	Limits Limits  `json:"limits"`
}

// Check is one gate.
type Check struct {
	Name    string `json:"name"`
	Limit   string `json:"limit"`
	Value   string `json:"value"`
	Passed  bool   `json:"passed"`
	Message string `json:"message,omitempty"`
}

// Limits are those in force at a position of the log. A position of 0 says that none were found.
type Limits struct {
	// Account are the limits of the newest ACCOUNT_REGISTERED before, at AccountSince.
	Account      Message `json:"account,omitempty"`
	AccountSince int64   `json:"account_since,omitempty"`
	// Strategy are the settings of the newest event of the strategy before, at StrategySince.
	Strategy      Message `json:"strategy,omitempty"`
	StrategySince int64   `json:"strategy_since,omitempty"`
	// Halts are positions of the RISK_LIMIT_EXCEEDED that were set and not cleared.
	Halts []int64 `json:"halts,omitempty"`
}

// Chain is the tree of causes, line by line: each event stands after its cause, side branches before the longest one.
type Chain struct {
	Lines []Line `json:"lines"`
	// LeftOut is how many events more the tree has.
	LeftOut int `json:"left_out"`
}

// Line is an event of the tree, or a run of events of one type each of which caused the next alone.
type Line struct {
	Position int64 `json:"position"`
	// Cause is the position of the event's cause; 0: it began here. Outside says that its cause is not in this answer.
	Cause   int64 `json:"cause,omitempty"`
	Outside bool  `json:"cause_outside,omitempty"`
	// Depth is how many branches it is off the trunk.
	Depth int `json:"depth"`
	// Through and Count tell a run: up to this position, so many events.
	Through int64 `json:"through,omitempty"`
	Count   int   `json:"count,omitempty"`
	// Focus marks what was asked for.
	Focus bool `json:"focus,omitempty"`
}

// Money is what trades did to it. Amounts without an asset are in the quote asset.
type Money struct {
	Fills []Fill `json:"fills"`
	// EntryCost and ExitProceeds are the sums over the entry's and the exits' fills.
	EntryCost    decimal.Decimal `json:"entry_cost"`
	ExitProceeds decimal.Decimal `json:"exit_proceeds"`
	// Fees by asset are never added together; FeesQuote is the sum of those that were valued.
	Fees         map[string]decimal.Decimal `json:"fees"`
	FeesQuote    decimal.Decimal            `json:"fees_quote"`
	FeesUnvalued int                        `json:"fees_unvalued"`
	// Closed tells what POSITION_CLOSED says; nil while the position is open, and for an order or a trade alone.
	Closed *Closed `json:"closed,omitempty"`
}

// Fill is a trade.
type Fill struct {
	Position int64  `json:"position"`
	FillID   string `json:"fill_id"`
	OrderID  string `json:"order_id"`
	// Leg is entry, exit, insurance, manual entry or manual exit; empty for an order that is not known.
	Leg      string          `json:"leg"`
	Side     string          `json:"side"`
	Quantity decimal.Decimal `json:"quantity"`
	Price    decimal.Decimal `json:"price"`
	Quote    decimal.Decimal `json:"quote"`
	Fee      decimal.Decimal `json:"fee"`
	FeeAsset string          `json:"fee_asset"`
	// FeeQuote is empty where the fee could not be valued.
	FeeQuote string    `json:"fee_quote,omitempty"`
	FilledAt time.Time `json:"filled_at"`
	// Counts says that the sums hold it: not while its order is not claimed, nor after the position has ended.
	Counts bool `json:"counts"`
}

// Closed is the end of a position.
type Closed struct {
	Position    int64  `json:"position"`
	Reason      string `json:"reason"`
	RealizedPnL string `json:"realized_pnl"`
	TotalFees   string `json:"total_fees"`
	NetPnL      string `json:"net_pnl"`
	Dust        string `json:"dust_quantity"`
}

// Events holds events by position, each once.
type Events []*eventv1.Event

// At is the event at a position; nil if it is not here.
func (e Events) At(position int64) *eventv1.Event {
	for _, event := range e {
		if event.GetPosition() == position {
			return event
		}
	}
	return nil
}

// contractJSON writes messages as the contract's JSON.
var contractJSON = protojson.MarshalOptions{UseProtoNames: true}

// MarshalJSON writes the events in the contract's form.
func (e Events) MarshalJSON() ([]byte, error) {
	out := make([]json.RawMessage, len(e))
	for i, event := range e {
		data, err := contractJSON.Marshal(event)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return json.Marshal(out)
}

// Message is a message of the contract; the zero value is null.
type Message struct{ proto.Message }

// MarshalJSON writes the message in the contract's form.
func (m Message) MarshalJSON() ([]byte, error) {
	if m.Message == nil {
		return []byte("null"), nil
	}
	return contractJSON.Marshal(m.Message)
}
