package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// Tenant is a row of tenants_current: a tenant.
type Tenant struct {
	TenantID uuid.UUID `db:"tenant_id" json:"tenant_id"`
	// As registered.
	Name string `db:"name" json:"name"`
	// As registered.
	Plan *string `db:"plan" json:"plan"`
	Meta
}

// Account is a row of accounts_current: a venue account of a tenant, as last registered.
type Account struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	// binance.
	Exchange    string `db:"exchange" json:"exchange"`
	Environment string `db:"environment" json:"environment"`
	Product     string `db:"product" json:"product"`
	Label       string `db:"label" json:"label"`
	// What limits and P&L are counted in.
	QuoteAsset string `db:"quote_asset" json:"quote_asset"`
	// Isolated margin: the pair.
	MarginSymbol *string `db:"margin_symbol" json:"margin_symbol"`
	// Never the key itself.
	APIKeyFingerprint string `db:"api_key_fingerprint" json:"api_key_fingerprint"`
	// What the key may do.
	Permissions []string `db:"permissions" json:"permissions"`
	// 1 for the first registration.
	Version int32 `db:"version" json:"version"`
	// HMAC, ED25519 or RSA; known once the key was rotated.
	KeyType *string `db:"key_type" json:"key_type"`
	// How often the key was rotated.
	KeyRotations int32      `db:"key_rotations" json:"key_rotations"`
	KeyRotatedAt *time.Time `db:"key_rotated_at" json:"key_rotated_at"`
	// The first deposit, withdrawal or transfer since the limits were set: capital_base may be another by now.
	CapitalReviewSince *time.Time `db:"capital_review_since" json:"capital_review_since"`
	Meta
}

// APIKey is a row of api_keys_current: which account a key's fingerprint stands for.
type APIKey struct {
	TenantID          uuid.UUID `db:"tenant_id" json:"tenant_id"`
	APIKeyFingerprint string    `db:"api_key_fingerprint" json:"api_key_fingerprint"`
	AccountID         uuid.UUID `db:"account_id" json:"account_id"`
	// When another key took its place.
	RetiredAt *time.Time `db:"retired_at" json:"retired_at"`
	Meta
}

// Strategy is a row of strategy_state_current: a strategy, its settings and its results.
type Strategy struct {
	TenantID       uuid.UUID         `db:"tenant_id" json:"tenant_id"`
	StrategyID     uuid.UUID         `db:"strategy_id" json:"strategy_id"`
	AccountID      uuid.UUID         `db:"account_id" json:"account_id"`
	StrategyName   string            `db:"strategy_name" json:"strategy_name"`
	StrategyType   string            `db:"strategy_type" json:"strategy_type"`
	DetectorConfig map[string]string `db:"detector_config" json:"detector_config"`
	// Percent of capital.
	RiskPercent decimal.Decimal `db:"risk_percent" json:"risk_percent"`
	// Quote.
	MaxExposure decimal.NullDecimal `db:"max_exposure" json:"max_exposure"`
	// Quote.
	DailyLossLimit decimal.NullDecimal `db:"daily_loss_limit" json:"daily_loss_limit"`
	// Quote.
	MaxDrawdown      decimal.NullDecimal `db:"max_drawdown" json:"max_drawdown"`
	MaxOpenPositions *int32              `db:"max_open_positions" json:"max_open_positions"`
	TrailingMode     string              `db:"trailing_mode" json:"trailing_mode"`
	// Percent of entry.
	StopMinPct decimal.Decimal `db:"stop_min_pct" json:"stop_min_pct"`
	// Percent of entry.
	StopMaxPct decimal.Decimal `db:"stop_max_pct" json:"stop_max_pct"`
	// The settings' version.
	Version        int32      `db:"version" json:"version"`
	IsEnabled      bool       `db:"is_enabled" json:"is_enabled"`
	EnabledAt      *time.Time `db:"enabled_at" json:"enabled_at"`
	DisabledAt     *time.Time `db:"disabled_at" json:"disabled_at"`
	DisabledReason *string    `db:"disabled_reason" json:"disabled_reason"`
	// Entering, active, exiting or in error.
	OpenPositions int32 `db:"open_positions" json:"open_positions"`
	// Closed after an entry.
	ClosedPositions int32 `db:"closed_positions" json:"closed_positions"`
	// Closed with net P&L above zero.
	WinningPositions int32 `db:"winning_positions" json:"winning_positions"`
	// winning / closed, 18 places half-even; 0 when none is closed.
	WinRate decimal.Decimal `db:"win_rate" json:"win_rate"`
	// Net, quote.
	TotalPnL     decimal.Decimal `db:"total_pnl" json:"total_pnl"`
	TotalSignals int32           `db:"total_signals" json:"total_signals"`
	Meta
}

// Balance is a row of balances_current: an asset of a wallet, as the venue last told.
type Balance struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	// spot or isolated:SYMBOL.
	Wallet string          `db:"wallet" json:"wallet"`
	Asset  string          `db:"asset" json:"asset"`
	Free   decimal.Decimal `db:"free" json:"free"`
	Locked decimal.Decimal `db:"locked" json:"locked"`
	// free + locked.
	Total     decimal.Decimal `db:"total" json:"total"`
	Borrowed  decimal.Decimal `db:"borrowed" json:"borrowed"`
	Interest  decimal.Decimal `db:"interest" json:"interest"`
	SampledAt time.Time       `db:"sampled_at" json:"sampled_at"`
	Source    string          `db:"source" json:"source"`
	Meta
}

// MarginLoan is a row of margin_loans_current: what is borrowed in an isolated margin account.
type MarginLoan struct {
	TenantID     uuid.UUID       `db:"tenant_id" json:"tenant_id"`
	AccountID    uuid.UUID       `db:"account_id" json:"account_id"`
	Symbol       string          `db:"symbol" json:"symbol"`
	Asset        string          `db:"asset" json:"asset"`
	Borrowed     decimal.Decimal `db:"borrowed" json:"borrowed"`
	InterestPaid decimal.Decimal `db:"interest_paid" json:"interest_paid"`
	Meta
}

// Discrepancy is a row of discrepancies_current: what was reported and does not fit.
type Discrepancy struct {
	TenantID      uuid.UUID         `db:"tenant_id" json:"tenant_id"`
	DiscrepancyID uuid.UUID         `db:"discrepancy_id" json:"discrepancy_id"`
	AccountID     uuid.UUID         `db:"account_id" json:"account_id"`
	RunID         uuid.NullUUID     `db:"run_id" json:"run_id"`
	Kind          string            `db:"kind" json:"kind"`
	Entity        string            `db:"entity" json:"entity"`
	OrderID       uuid.NullUUID     `db:"order_id" json:"order_id"`
	PositionID    uuid.NullUUID     `db:"position_id" json:"position_id"`
	Expected      map[string]string `db:"expected" json:"expected"`
	Actual        map[string]string `db:"actual" json:"actual"`
	Severity      string            `db:"severity" json:"severity"`
	Resolution    string            `db:"resolution" json:"resolution"`
	IsOpen        bool              `db:"is_open" json:"is_open"`
	DetectedAt    time.Time         `db:"detected_at" json:"detected_at"`
	ClosedAt      *time.Time        `db:"closed_at" json:"closed_at"`
	// The reconciliation run that closed it.
	ClosedByRunID uuid.NullUUID `db:"closed_by_run_id" json:"closed_by_run_id"`
	Meta
}
