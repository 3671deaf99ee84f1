package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// Position is a row of positions_current: a position.
type Position struct {
	TenantID       uuid.UUID         `db:"tenant_id" json:"tenant_id"`
	PositionID     uuid.UUID         `db:"position_id" json:"position_id"`
	AccountID      uuid.UUID         `db:"account_id" json:"account_id"`
	StrategyID     uuid.NullUUID     `db:"strategy_id" json:"strategy_id"`
	Symbol         string            `db:"symbol" json:"symbol"`
	Side           string            `db:"side" json:"side"`
	State          PositionState     `db:"state" json:"state"`
	Capital        decimal.Decimal   `db:"capital" json:"capital"`
	RiskPercent    decimal.Decimal   `db:"risk_percent" json:"risk_percent"`
	TrailingMode   string            `db:"trailing_mode" json:"trailing_mode"`
	DetectorConfig map[string]string `db:"detector_config" json:"detector_config"`
	EntrySignalID  uuid.NullUUID     `db:"entry_signal_id" json:"entry_signal_id"`
	// The decision that entered.
	DecisionID            uuid.NullUUID       `db:"decision_id" json:"decision_id"`
	PlannedEntryPrice     decimal.NullDecimal `db:"planned_entry_price" json:"planned_entry_price"`
	PlannedQuantity       decimal.NullDecimal `db:"planned_quantity" json:"planned_quantity"`
	PlannedRisk           decimal.NullDecimal `db:"planned_risk" json:"planned_risk"`
	TechnicalStopPrice    decimal.NullDecimal `db:"technical_stop_price" json:"technical_stop_price"`
	TechnicalStopDistance decimal.NullDecimal `db:"technical_stop_distance" json:"technical_stop_distance"`
	TrailingStopPrice     decimal.NullDecimal `db:"trailing_stop_price" json:"trailing_stop_price"`
	FavorableExtreme      decimal.NullDecimal `db:"favorable_extreme" json:"favorable_extreme"`
	ExtremeAt             *time.Time          `db:"extreme_at" json:"extreme_at"`
	// The last price an event told.
	CurrentPrice decimal.NullDecimal `db:"current_price" json:"current_price"`
	EntryOrderID uuid.NullUUID       `db:"entry_order_id" json:"entry_order_id"`
	// The newest exit order.
	ExitOrderID uuid.NullUUID `db:"exit_order_id" json:"exit_order_id"`
	// The newest resting stop order.
	StopLossOrderID uuid.NullUUID `db:"stop_loss_order_id" json:"stop_loss_order_id"`
	// The entry order has ended.
	EntryDone bool `db:"entry_done" json:"entry_done"`
	// Sum of the entry fills.
	EntryQuantity decimal.Decimal `db:"entry_quantity" json:"entry_quantity"`
	// Sum of their quote.
	EntryCost decimal.Decimal `db:"entry_cost" json:"entry_cost"`
	// entry_cost / entry_quantity.
	EntryPrice decimal.NullDecimal `db:"entry_price" json:"entry_price"`
	// Held (short: owed), base fees accounted for.
	CurrentQuantity decimal.Decimal `db:"current_quantity" json:"current_quantity"`
	// Sum of the exit fills.
	ExitQuantity decimal.Decimal `db:"exit_quantity" json:"exit_quantity"`
	// Sum of their quote.
	ExitProceeds decimal.Decimal `db:"exit_proceeds" json:"exit_proceeds"`
	// Fees of exit fills taken in the base asset.
	ExitBaseFee decimal.Decimal `db:"exit_base_fee" json:"exit_base_fee"`
	// What they were worth at their fills' prices, quote.
	ExitBaseFeeCost decimal.Decimal `db:"exit_base_fee_cost" json:"exit_base_fee_cost"`
	// Fees of entry fills taken in the base asset.
	EntryBaseFee decimal.Decimal `db:"entry_base_fee" json:"entry_base_fee"`
	// exit_proceeds / exit_quantity.
	ExitPrice decimal.NullDecimal `db:"exit_price" json:"exit_price"`
	// What live reducing orders may still take.
	ReservedQuantity decimal.Decimal `db:"reserved_quantity" json:"reserved_quantity"`
	// Valued fees, quote.
	TotalFees decimal.Decimal `db:"total_fees" json:"total_fees"`
	// Fills whose fee could not be valued.
	UnvaluedFees int32 `db:"unvalued_fees" json:"unvalued_fees"`
	// What it counts for in the account's exposure, quote.
	Exposure decimal.Decimal `db:"exposure" json:"exposure"`
	// What it counts for in the account's open risk, quote.
	OpenRisk decimal.Decimal `db:"open_risk" json:"open_risk"`
	// Gross, quote; once closed.
	RealizedPnL decimal.NullDecimal `db:"realized_pnl" json:"realized_pnl"`
	// At current_price, quote.
	UnrealizedPnL decimal.Decimal `db:"unrealized_pnl" json:"unrealized_pnl"`
	// Once closed.
	NetPnL       decimal.NullDecimal `db:"net_pnl" json:"net_pnl"`
	DustQuantity decimal.NullDecimal `db:"dust_quantity" json:"dust_quantity"`
	ExitReason   *string             `db:"exit_reason" json:"exit_reason"`
	// Why it was given up while armed.
	DisarmReason *string `db:"disarm_reason" json:"disarm_reason"`
	// Exits triggered so far.
	ExitTriggers int32 `db:"exit_triggers" json:"exit_triggers"`
	// The last event that set the stop: cause of the monitor's next step.
	StopEventID uuid.NullUUID `db:"stop_event_id" json:"stop_event_id"`
	// Exit and stop orders that filled, in order of their first fill.
	ExitOrderIDs  []uuid.UUID `db:"exit_order_ids" json:"exit_order_ids"`
	ArmedAt       *time.Time  `db:"armed_at" json:"armed_at"`
	EntryFilledAt *time.Time  `db:"entry_filled_at" json:"entry_filled_at"`
	OpenedAt      *time.Time  `db:"opened_at" json:"opened_at"`
	ExitingAt     *time.Time  `db:"exiting_at" json:"exiting_at"`
	ClosedAt      *time.Time  `db:"closed_at" json:"closed_at"`
	Meta
}

// PositionSlot is a row of position_slots_current: which position holds an account's symbol and side; one at a time.
type PositionSlot struct {
	TenantID   uuid.UUID     `db:"tenant_id" json:"tenant_id"`
	AccountID  uuid.UUID     `db:"account_id" json:"account_id"`
	Symbol     string        `db:"symbol" json:"symbol"`
	Side       string        `db:"side" json:"side"`
	PositionID uuid.NullUUID `db:"position_id" json:"position_id"`
	Meta
}

// Signal is a row of signals_current: a signal and what became of it.
type Signal struct {
	TenantID        uuid.UUID       `db:"tenant_id" json:"tenant_id"`
	SignalID        uuid.UUID       `db:"signal_id" json:"signal_id"`
	PositionID      uuid.NullUUID   `db:"position_id" json:"position_id"`
	StrategyID      uuid.NullUUID   `db:"strategy_id" json:"strategy_id"`
	Symbol          string          `db:"symbol" json:"symbol"`
	Side            string          `db:"side" json:"side"`
	EntryPrice      decimal.Decimal `db:"entry_price" json:"entry_price"`
	StopLoss        decimal.Decimal `db:"stop_loss" json:"stop_loss"`
	Detector        string          `db:"detector" json:"detector"`
	Status          SignalStatus    `db:"status" json:"status"`
	RejectionReason *string         `db:"rejection_reason" json:"rejection_reason"`
	DecisionID      uuid.NullUUID   `db:"decision_id" json:"decision_id"`
	DetectedAt      time.Time       `db:"detected_at" json:"detected_at"`
	ExpiresAt       *time.Time      `db:"expires_at" json:"expires_at"`
	// How the chart was read for the stop.
	StopMethod *string `db:"stop_method" json:"stop_method"`
	// Which of the levels gave it, from 1; 0: none of them alone.
	StopLevelN         *int32              `db:"stop_level_n" json:"stop_level_n"`
	StopLevels         []string            `db:"stop_levels" json:"stop_levels"`
	TechnicalStopPrice decimal.NullDecimal `db:"technical_stop_price" json:"technical_stop_price"`
	// |entry_price - technical_stop_price|.
	StopDistance decimal.NullDecimal `db:"stop_distance" json:"stop_distance"`
	// Percent of entry.
	StopDistancePct decimal.NullDecimal `db:"stop_distance_pct" json:"stop_distance_pct"`
	StopConfidence  *string             `db:"stop_confidence" json:"stop_confidence"`
	StopAnalyzedAt  *time.Time          `db:"stop_analyzed_at" json:"stop_analyzed_at"`
	Meta
}

// Decision is a row of decisions_current: a decision: what was proposed and what the risk gates said.
type Decision struct {
	TenantID              uuid.UUID       `db:"tenant_id" json:"tenant_id"`
	DecisionID            uuid.UUID       `db:"decision_id" json:"decision_id"`
	PositionID            uuid.UUID       `db:"position_id" json:"position_id"`
	AccountID             uuid.UUID       `db:"account_id" json:"account_id"`
	SignalID              uuid.UUID       `db:"signal_id" json:"signal_id"`
	StrategyID            uuid.NullUUID   `db:"strategy_id" json:"strategy_id"`
	Symbol                string          `db:"symbol" json:"symbol"`
	Side                  string          `db:"side" json:"side"`
	EntryPrice            decimal.Decimal `db:"entry_price" json:"entry_price"`
	TechnicalStopPrice    decimal.Decimal `db:"technical_stop_price" json:"technical_stop_price"`
	TechnicalStopDistance decimal.Decimal `db:"technical_stop_distance" json:"technical_stop_distance"`
	Capital               decimal.Decimal `db:"capital" json:"capital"`
	RiskPercent           decimal.Decimal `db:"risk_percent" json:"risk_percent"`
	MaxRiskAmount         decimal.Decimal `db:"max_risk_amount" json:"max_risk_amount"`
	RawQuantity           decimal.Decimal `db:"raw_quantity" json:"raw_quantity"`
	Quantity              decimal.Decimal `db:"quantity" json:"quantity"`
	QuantityLimit         string          `db:"quantity_limit" json:"quantity_limit"`
	PlannedRisk           decimal.Decimal `db:"planned_risk" json:"planned_risk"`
	Notional              decimal.Decimal `db:"notional" json:"notional"`
	StepSize              decimal.Decimal `db:"step_size" json:"step_size"`
	Status                DecisionStatus  `db:"status" json:"status"`
	CheckID               uuid.NullUUID   `db:"check_id" json:"check_id"`
	// Every gate, in order.
	Checks []RiskCheck `db:"checks" json:"checks"`
	// Those that refused.
	FailedChecks    []RiskCheck         `db:"failed_checks" json:"failed_checks"`
	ViolationReason *string             `db:"violation_reason" json:"violation_reason"`
	ExposureBefore  decimal.NullDecimal `db:"exposure_before" json:"exposure_before"`
	ExposureAfter   decimal.NullDecimal `db:"exposure_after" json:"exposure_after"`
	BudgetRemaining decimal.NullDecimal `db:"budget_remaining" json:"budget_remaining"`
	DecidedAt       time.Time           `db:"decided_at" json:"decided_at"`
	Meta
}
