package engine

import (
	"time"

	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Shorter names of the contract's vocabulary.
const (
	Long  = eventv1.PositionSide_POSITION_SIDE_LONG
	Short = eventv1.PositionSide_POSITION_SIDE_SHORT
)

// Instrument is what the venue demands of orders in a symbol. A zero disables a rule.
type Instrument struct {
	Symbol      string
	BaseAsset   string
	QuoteAsset  string
	TickSize    decimal.Decimal
	StepSize    decimal.Decimal
	MinQuantity decimal.Decimal
	MaxQuantity decimal.Decimal
	MinNotional decimal.Decimal
}

// Signal says where to enter and where the idea is wrong. A zero Stop is a missing one.
type Signal struct {
	Side  eventv1.PositionSide
	Entry decimal.Decimal
	Stop  decimal.Decimal
}

// Policy is what a position was armed with. Percents are of capital and of entry; 1 means 1 %.
type Policy struct {
	Capital        decimal.Decimal
	RiskPercent    decimal.Decimal
	StopMinPercent decimal.Decimal
	StopMaxPercent decimal.Decimal
}

// Limits bound an account or a strategy, in quote. Zero means that there is no such limit.
type Limits struct {
	RiskPercentMax       decimal.Decimal
	MaxExposure          decimal.Decimal
	MaxPositionNotional  decimal.Decimal
	DailyLossLimit       decimal.Decimal
	MaxDrawdown          decimal.Decimal
	MonthlyBudgetPercent decimal.Decimal
	CapitalBase          decimal.Decimal
	MaxOpenPositions     int32
}

// Usage is how much of the limits is used.
type Usage struct {
	Exposure      decimal.Decimal
	LatentRisk    decimal.Decimal
	OpenPositions int32
	// DailyPnL and MonthlyPnL are the net P&L of the UTC day and month of deciding.
	DailyPnL   decimal.Decimal
	MonthlyPnL decimal.Decimal
	Drawdown   decimal.Decimal
}

// Halt is a limit that was exceeded. A periodic one ends with its period, any other when it is cleared.
type Halt struct {
	Limit  string
	Period string
	Reason string
}

// AccountState is what a decision needs to know of the account.
type AccountState struct {
	Limits Limits
	Usage  Usage
	Halts  []Halt
	// FreeQuote is the free balance of the quote asset in the wallet that pays.
	FreeQuote decimal.Decimal
	// Duplicates counts other positions of the same symbol and side that have not ended.
	Duplicates int
}

// StrategyState is what a decision needs to know of the strategy. Its limits tighten the account's.
type StrategyState struct {
	Enabled bool
	Limits  Limits
	Usage   Usage
}

// Input is everything a decision rests on.
type Input struct {
	Signal     Signal
	Policy     Policy
	Instrument Instrument
	Account    AccountState
	// Strategy is nil for a position of no strategy.
	Strategy *StrategyState
	// Now is the time of deciding, told by the account's venue and recorded with the decision.
	Now time.Time
}

// Day names the UTC day of a time, 2026-11-23.
func Day(at time.Time) string { return at.UTC().Format("2006-01-02") }

// Month names the UTC month of a time, 2026-11.
func Month(at time.Time) string { return at.UTC().Format("2006-01") }
