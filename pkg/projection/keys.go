package projection

import (
	"github.com/google/uuid"
)

// The projection tables.
const (
	TableAccounts        = "accounts_current"
	TableAPIKeys         = "api_keys_current"
	TableBalances        = "balances_current"
	TableConnector       = "connector_state_current"
	TableDecisions       = "decisions_current"
	TableDiscrepancies   = "discrepancies_current"
	TableFills           = "fills"
	TableIntents         = "intents_current"
	TableMarginLoans     = "margin_loans_current"
	TableMarginState     = "margin_state_current"
	TableOrders          = "orders_current"
	TablePnLPeriods      = "pnl_periods_current"
	TablePositionSlots   = "position_slots_current"
	TablePositions       = "positions_current"
	TableReconciliations = "reconciliation_runs_current"
	TableReplays         = "replay_runs_current"
	TableRisk            = "risk_state_current"
	TableSignals         = "signals_current"
	TableSnapshots       = "snapshots_current"
	TableStrategies      = "strategy_state_current"
	TableTenants         = "tenants_current"
)

// TenantKey names the tenant's own row.
func TenantKey() Key { return tableKey(TableTenants) }

// AccountKey names an account.
func AccountKey(account uuid.UUID) Key { return idKey(TableAccounts, account) }

// APIKeyKey names the account that a key's fingerprint stands for.
func APIKeyKey(fingerprint string) Key { return textKey(TableAPIKeys, fingerprint) }

// BalanceKey names an asset of a wallet.
func BalanceKey(account uuid.UUID, wallet, asset string) Key {
	return idKey(TableBalances, account, wallet, asset)
}

// ConnectorKey names a line of an account to its venue.
func ConnectorKey(account uuid.UUID, channel string) Key {
	return idKey(TableConnector, account, channel)
}

// DecisionKey names a decision.
func DecisionKey(decision uuid.UUID) Key { return idKey(TableDecisions, decision) }

// DiscrepancyKey names a discrepancy.
func DiscrepancyKey(discrepancy uuid.UUID) Key {
	return idKey(TableDiscrepancies, discrepancy)
}

// TradeID is a trade's identity: venue ids are unique only within a symbol, and a self-trade gives two orders one
// trade id.
type TradeID struct {
	Account         uuid.UUID
	Symbol          string
	ExchangeOrderID string
	ExchangeTradeID string
}

// FillKey names a trade of ours.
func FillKey(id TradeID) Key {
	return idKey(TableFills, id.Account, id.Symbol, id.ExchangeOrderID, id.ExchangeTradeID)
}

// IntentKey names an intent.
func IntentKey(intent uuid.UUID) Key { return idKey(TableIntents, intent) }

// MarginLoanKey names the loan of an asset in an isolated margin account.
func MarginLoanKey(account uuid.UUID, symbol, asset string) Key {
	return idKey(TableMarginLoans, account, symbol, asset)
}

// MarginStateKey names an isolated margin account.
func MarginStateKey(account uuid.UUID, symbol string) Key {
	return idKey(TableMarginState, account, symbol)
}

// OrderKey names an order.
func OrderKey(order uuid.UUID) Key { return idKey(TableOrders, order) }

// PnLPeriodKey names the net P&L of a UTC day or month; the strategy is zero for the account itself.
func PnLPeriodKey(account, strategy uuid.UUID, period string) Key {
	return pairKey(TablePnLPeriods, account, strategy, period)
}

// PositionSlotKey names the slot that holds at most one position at a time.
func PositionSlotKey(account uuid.UUID, symbol, side string) Key {
	return idKey(TablePositionSlots, account, symbol, side)
}

// PositionKey names a position.
func PositionKey(position uuid.UUID) Key { return idKey(TablePositions, position) }

// ReconciliationKey names a reconciliation run.
func ReconciliationKey(run uuid.UUID) Key { return idKey(TableReconciliations, run) }

// ReplayKey names a rebuild.
func ReplayKey(run uuid.UUID) Key { return idKey(TableReplays, run) }

// RiskKey names the risk state of a strategy; the strategy is zero for the account itself.
func RiskKey(account, strategy uuid.UUID) Key {
	return pairKey(TableRisk, account, strategy)
}

// SignalKey names a signal.
func SignalKey(signal uuid.UUID) Key { return idKey(TableSignals, signal) }

// SnapshotKey names the newest snapshot of a scope.
func SnapshotKey(scope string, id uuid.UUID) Key {
	return textKey(TableSnapshots, scope, id.String())
}

// StrategyKey names a strategy.
func StrategyKey(strategy uuid.UUID) Key { return idKey(TableStrategies, strategy) }

// Key names the row.
func (r *Account) Key() Key { return AccountKey(r.AccountID) }

// Key names the row.
func (r *APIKey) Key() Key { return APIKeyKey(r.APIKeyFingerprint) }

// Key names the row.
func (r *Balance) Key() Key { return BalanceKey(r.AccountID, r.Wallet, r.Asset) }

// Key names the row.
func (r *Decision) Key() Key { return DecisionKey(r.DecisionID) }

// Key names the row.
func (r *Discrepancy) Key() Key { return DiscrepancyKey(r.DiscrepancyID) }

// Key names the row.
func (r *Fill) Key() Key {
	return FillKey(TradeID{r.AccountID, r.Symbol, r.ExchangeOrderID, r.ExchangeTradeID})
}

// Key names the row.
func (r *Intent) Key() Key { return IntentKey(r.IntentID) }

// Key names the row.
func (r *MarginLoan) Key() Key { return MarginLoanKey(r.AccountID, r.Symbol, r.Asset) }

// Key names the row.
func (o *Order) Key() Key { return OrderKey(o.OrderID) }

// Key names the row.
func (r *PnLPeriod) Key() Key { return PnLPeriodKey(r.AccountID, r.StrategyID, r.Period) }

// Key names the row.
func (r *PositionSlot) Key() Key { return PositionSlotKey(r.AccountID, r.Symbol, r.Side) }

// Key names the row.
func (p *Position) Key() Key { return PositionKey(p.PositionID) }

// Key names the row.
func (r *Risk) Key() Key { return RiskKey(r.AccountID, r.StrategyID) }

// Key names the row.
func (r *Signal) Key() Key { return SignalKey(r.SignalID) }

// Key names the row.
func (r *Strategy) Key() Key { return StrategyKey(r.StrategyID) }

// Key names the row.
func (r *Tenant) Key() Key { return TenantKey() }

// Key names the row.
func (r *ConnectorState) Key() Key { return ConnectorKey(r.AccountID, r.Channel) }

// Key names the row.
func (r *MarginState) Key() Key { return MarginStateKey(r.AccountID, r.Symbol) }

// Key names the row.
func (r *ReconciliationRun) Key() Key { return ReconciliationKey(r.RunID) }

// Key names the row.
func (r *ReplayRun) Key() Key { return ReplayKey(r.RunID) }

// Key names the row.
func (r *Snapshot) Key() Key { return SnapshotKey(r.Scope, r.ScopeID) }

// Tenant is the tenant that the row belongs to.
func (r *Account) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *APIKey) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Balance) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Decision) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Discrepancy) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Fill) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Intent) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *MarginLoan) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (o *Order) Tenant() uuid.UUID { return o.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *PnLPeriod) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *PositionSlot) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (p *Position) Tenant() uuid.UUID { return p.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Risk) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Signal) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Strategy) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Tenant) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *ConnectorState) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *MarginState) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *ReconciliationRun) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *ReplayRun) Tenant() uuid.UUID { return r.TenantID }

// Tenant is the tenant that the row belongs to.
func (r *Snapshot) Tenant() uuid.UUID { return r.TenantID }
