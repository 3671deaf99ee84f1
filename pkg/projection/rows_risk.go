package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// Risk is a row of risk_state_current: limits and use of them, of an account (strategy_id zero) or a strategy.
type Risk struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	// All zeros for the account itself.
	StrategyID uuid.UUID `db:"strategy_id" json:"strategy_id"`
	// Percent.
	RiskPercentMax       decimal.NullDecimal `db:"risk_percent_max" json:"risk_percent_max"`
	MaxExposure          decimal.NullDecimal `db:"max_exposure" json:"max_exposure"`
	MaxPositionNotional  decimal.NullDecimal `db:"max_position_notional" json:"max_position_notional"`
	DailyLossLimit       decimal.NullDecimal `db:"daily_loss_limit" json:"daily_loss_limit"`
	MaxDrawdown          decimal.NullDecimal `db:"max_drawdown" json:"max_drawdown"`
	MonthlyBudgetPercent decimal.NullDecimal `db:"monthly_budget_percent" json:"monthly_budget_percent"`
	CapitalBase          decimal.NullDecimal `db:"capital_base" json:"capital_base"`
	MaxOpenPositions     *int32              `db:"max_open_positions" json:"max_open_positions"`
	// Sum over positions entering or open, quote.
	TotalExposure decimal.Decimal `db:"total_exposure" json:"total_exposure"`
	// Sum of latent risk, quote.
	OpenRisk      decimal.Decimal `db:"open_risk" json:"open_risk"`
	OpenPositions int32           `db:"open_positions" json:"open_positions"`
	// The newest UTC day with a closed position, 2026-11-23.
	PnLDay *string `db:"pnl_day" json:"pnl_day"`
	// Net of that day.
	DailyPnL decimal.Decimal `db:"daily_pnl" json:"daily_pnl"`
	// The newest UTC month, 2026-11.
	PnLMonth *string `db:"pnl_month" json:"pnl_month"`
	// Net of that month.
	MonthlyPnL decimal.Decimal `db:"monthly_pnl" json:"monthly_pnl"`
	// Net, all time.
	TotalPnL decimal.Decimal `db:"total_pnl" json:"total_pnl"`
	// Highest total_pnl so far, at least 0.
	PeakPnL decimal.Decimal `db:"peak_pnl" json:"peak_pnl"`
	// peak_pnl - total_pnl.
	Drawdown        decimal.Decimal `db:"drawdown" json:"drawdown"`
	IsViolated      bool            `db:"is_violated" json:"is_violated"`
	ViolationReason *string         `db:"violation_reason" json:"violation_reason"`
	ViolatedAt      *time.Time      `db:"violated_at" json:"violated_at"`
	// Limits now exceeded: "<limit>|<period>" to the reason.
	Halts map[string]string `db:"halts" json:"halts"`
	// Limits now exceeded that halt nothing, in the same form.
	Alerts       map[string]string `db:"alerts" json:"alerts"`
	CalculatedAt *time.Time        `db:"calculated_at" json:"calculated_at"`
	Meta
}

// PnLPeriod is a row of pnl_periods_current: net P&L of positions closed in a UTC day or month.
type PnLPeriod struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	// All zeros for the account itself.
	StrategyID uuid.UUID `db:"strategy_id" json:"strategy_id"`
	// 2026-11-23 or 2026-11.
	Period           string          `db:"period" json:"period"`
	NetPnL           decimal.Decimal `db:"net_pnl" json:"net_pnl"`
	Fees             decimal.Decimal `db:"fees" json:"fees"`
	ClosedPositions  int32           `db:"closed_positions" json:"closed_positions"`
	WinningPositions int32           `db:"winning_positions" json:"winning_positions"`
	Meta
}
