package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// ConnectorState is a row of connector_state_current: a line of an account to its venue, and how it goes there. Requests
// go by the line "rest", and so do their failures, their unknown outcomes and the venue's wish to be left alone.
type ConnectorState struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	Channel   string    `db:"channel" json:"channel"`
	// Empty as long as no connection was told.
	Environment string `db:"environment" json:"environment"`
	Connected   bool   `db:"connected" json:"connected"`
	// The newest connection.
	ConnectionID   *string `db:"connection_id" json:"connection_id"`
	SubscriptionID *int32  `db:"subscription_id" json:"subscription_id"`
	// The venue's clock less ours.
	ClockOffsetMS *int32 `db:"clock_offset_ms" json:"clock_offset_ms"`
	// As the newest connection told it.
	ReconnectCount    int32      `db:"reconnect_count" json:"reconnect_count"`
	ConnectedAt       *time.Time `db:"connected_at" json:"connected_at"`
	DisconnectedAt    *time.Time `db:"disconnected_at" json:"disconnected_at"`
	DisconnectReason  *string    `db:"disconnect_reason" json:"disconnect_reason"`
	DisconnectPlanned bool       `db:"disconnect_planned" json:"disconnect_planned"`
	// The newest event that the venue had sent when a line went down.
	LastEventTime *time.Time `db:"last_event_time" json:"last_event_time"`
	// Requests that the venue definitely did not carry out.
	FailedCount int64 `db:"failed_count" json:"failed_count"`
	// Those of them that may be tried again.
	RetryableFailedCount int64      `db:"retryable_failed_count" json:"retryable_failed_count"`
	LastError            *string    `db:"last_error" json:"last_error"`
	LastErrorOperation   *string    `db:"last_error_operation" json:"last_error_operation"`
	LastErrorCode        *int32     `db:"last_error_code" json:"last_error_code"`
	LastErrorHTTPStatus  *int32     `db:"last_error_http_status" json:"last_error_http_status"`
	LastErrorAt          *time.Time `db:"last_error_at" json:"last_error_at"`
	// Requests of which nobody knew what became of them.
	UncertainCount   int64      `db:"uncertain_count" json:"uncertain_count"`
	LastUncertainAt  *time.Time `db:"last_uncertain_at" json:"last_uncertain_at"`
	RateLimitedCount int64      `db:"rate_limited_count" json:"rate_limited_count"`
	// No request goes out before.
	BlockedUntil *time.Time `db:"blocked_until" json:"blocked_until"`
	Meta
}

// MarginState is a row of margin_state_current: an isolated margin account, as the venue last judged it.
type MarginState struct {
	TenantID  uuid.UUID `db:"tenant_id" json:"tenant_id"`
	AccountID uuid.UUID `db:"account_id" json:"account_id"`
	Symbol    string    `db:"symbol" json:"symbol"`
	// The newest sample; null as long as only transfers were told.
	SampleID    uuid.NullUUID       `db:"sample_id" json:"sample_id"`
	MarginLevel decimal.NullDecimal `db:"margin_level" json:"margin_level"`
	MarginRatio decimal.NullDecimal `db:"margin_ratio" json:"margin_ratio"`
	// Empty before the first sample.
	Status         string              `db:"status" json:"status"`
	IndexPrice     decimal.NullDecimal `db:"index_price" json:"index_price"`
	LiquidatePrice decimal.NullDecimal `db:"liquidate_price" json:"liquidate_price"`
	Borrowed       decimal.NullDecimal `db:"borrowed" json:"borrowed"`
	Interest       decimal.NullDecimal `db:"interest" json:"interest"`
	SampledAt      *time.Time          `db:"sampled_at" json:"sampled_at"`
	// What was moved in less what was moved out, per asset.
	Transferred Amounts `db:"transferred" json:"transferred"`
	Meta
}
