package projection

import (
	"time"

	"github.com/google/uuid"
)

// ReconciliationRun is a row of reconciliation_runs_current: a comparison of an account with its venue, and what it found.
// It begins with the first discrepancy that the run raises; what the run says of itself comes when it is completed.
type ReconciliationRun struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	RunID     uuid.UUID `db:"run_id" json:"run_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	// False for a run of which only discrepancies are known.
	Completed         bool        `db:"completed" json:"completed"`
	Trigger           string      `db:"trigger" json:"trigger"`
	WindowFrom        *time.Time  `db:"window_from" json:"window_from"`
	WindowTo          *time.Time  `db:"window_to" json:"window_to"`
	OrdersChecked     int32       `db:"orders_checked" json:"orders_checked"`
	FillsChecked      int32       `db:"fills_checked" json:"fills_checked"`
	BalancesChecked   int32       `db:"balances_checked" json:"balances_checked"`
	MissingFills      int32       `db:"missing_fills" json:"missing_fills"`
	MissingAcks       int32       `db:"missing_acks" json:"missing_acks"`
	UnknownOrders     int32       `db:"unknown_orders" json:"unknown_orders"`
	BalanceMismatches int32       `db:"balance_mismatches" json:"balance_mismatches"`
	Resolved          int32       `db:"resolved" json:"resolved"`
	Unresolved        int32       `db:"unresolved" json:"unresolved"`
	ResolvedIDs       []uuid.UUID `db:"resolved_ids" json:"resolved_ids"`
	// Empty until it is completed.
	Status     string `db:"status" json:"status"`
	DurationMS int32  `db:"duration_ms" json:"duration_ms"`
	// Discrepancies in the log that name the run.
	Raised int32 `db:"raised" json:"raised"`
	// Those of them that were repaired at once.
	RaisedRepaired int32      `db:"raised_repaired" json:"raised_repaired"`
	CompletedAt    *time.Time `db:"completed_at" json:"completed_at"`
	Meta
}

// ReplayRun is a row of replay_runs_current: a rebuild of projections from the log that was switched to.
type ReplayRun struct {
	TenantID uuid.UUID `db:"tenant_id" json:"tenant_id"`
	RunID    uuid.UUID `db:"run_id" json:"run_id"`
	Scope    string    `db:"scope" json:"scope"`
	// The account, strategy or position; null for a whole tenant and for a stream.
	ScopeID uuid.NullUUID `db:"scope_id" json:"scope_id"`
	// Scope stream: which.
	StreamKey *string `db:"stream_key" json:"stream_key"`
	// Null: from zero.
	FromSnapshotID uuid.NullUUID `db:"from_snapshot_id" json:"from_snapshot_id"`
	// The last position before the first that was folded.
	FromPosition int64 `db:"from_position" json:"from_position"`
	// The last position that was folded.
	ToPosition     int64  `db:"to_position" json:"to_position"`
	EventsApplied  int64  `db:"events_applied" json:"events_applied"`
	Rows           int64  `db:"rows" json:"rows"`
	RowsChanged    int64  `db:"rows_changed" json:"rows_changed"`
	ChecksumBefore string `db:"checksum_before" json:"checksum_before"`
	ChecksumAfter  string `db:"checksum_after" json:"checksum_after"`
	// Nothing had to be mended.
	Identical bool `db:"identical" json:"identical"`
	// The rules that folded.
	RulesVersion *int32    `db:"rules_version" json:"rules_version"`
	RebuiltAt    time.Time `db:"rebuilt_at" json:"rebuilt_at"`
	Meta
}

// Snapshot is a row of snapshots_current: the newest snapshot of a scope, as announced.
type Snapshot struct {
	TenantID     uuid.UUID `db:"tenant_id" json:"tenant_id"`
	Scope        string    `db:"scope" json:"scope"`
	ScopeID      uuid.UUID `db:"scope_id" json:"scope_id"`
	SnapshotID   uuid.UUID `db:"snapshot_id" json:"snapshot_id"`
	AsOfPosition int64     `db:"as_of_position" json:"as_of_position"`
	SnapshotType string    `db:"snapshot_type" json:"snapshot_type"`
	Checksum     string    `db:"checksum" json:"checksum"`
	// The hash of the event at as_of_position.
	ChainHash *string `db:"chain_hash" json:"chain_hash"`
	// The rules that folded the state.
	RulesVersion *int32 `db:"rules_version" json:"rules_version"`
	// Events of the scope up to as_of_position.
	EventCount int64 `db:"event_count" json:"event_count"`
	// How many were announced so far.
	Snapshots int64     `db:"snapshots" json:"snapshots"`
	MadeAt    time.Time `db:"made_at" json:"made_at"`
	Meta
}
