package projection

import (
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// Intent is a row of intents_current: what we are going to do at the venue, and how far it is.
type Intent struct {
	TenantID    uuid.UUID           `db:"tenant_id" json:"tenant_id"`
	IntentID    uuid.UUID           `db:"intent_id" json:"intent_id"`
	PositionID  uuid.NullUUID       `db:"position_id" json:"position_id"`
	AccountID   uuid.UUID           `db:"account_id" json:"account_id"`
	DecisionID  uuid.NullUUID       `db:"decision_id" json:"decision_id"`
	IntentType  string              `db:"intent_type" json:"intent_type"`
	Symbol      string              `db:"symbol" json:"symbol"`
	Side        string              `db:"side" json:"side"`
	OrderType   string              `db:"order_type" json:"order_type"`
	TimeInForce *string             `db:"time_in_force" json:"time_in_force"`
	Quantity    decimal.Decimal     `db:"quantity" json:"quantity"`
	Price       decimal.NullDecimal `db:"price" json:"price"`
	StopPrice   decimal.NullDecimal `db:"stop_price" json:"stop_price"`
	// That of attempt 1.
	ClientOrderID  string        `db:"client_order_id" json:"client_order_id"`
	ExpiresAt      *time.Time    `db:"expires_at" json:"expires_at"`
	Reason         string        `db:"reason" json:"reason"`
	CancelsOrderID uuid.NullUUID `db:"cancels_order_id" json:"cancels_order_id"`
	Status         IntentStatus  `db:"status" json:"status"`
	// The newest attempt's order.
	OrderID uuid.NullUUID `db:"order_id" json:"order_id"`
	// Orders claimed for it.
	Attempts int32 `db:"attempts" json:"attempts"`
	// Nothing more may be done for it: no order may be claimed.
	Ended bool `db:"ended" json:"ended"`
	// Why it ended without doing anything, if so.
	EndReason *string `db:"end_reason" json:"end_reason"`
	Meta
}

// Order is a row of orders_current: an order; status is a function of the set of facts, not of their order of arrival.
type Order struct {
	TenantID        uuid.UUID     `db:"tenant_id" json:"tenant_id"`
	OrderID         uuid.UUID     `db:"order_id" json:"order_id"`
	AccountID       uuid.UUID     `db:"account_id" json:"account_id"`
	PositionID      uuid.NullUUID `db:"position_id" json:"position_id"`
	IntentID        uuid.NullUUID `db:"intent_id" json:"intent_id"`
	ClientOrderID   string        `db:"client_order_id" json:"client_order_id"`
	ExchangeOrderID *string       `db:"exchange_order_id" json:"exchange_order_id"`
	Symbol          string        `db:"symbol" json:"symbol"`
	Side            string        `db:"side" json:"side"`
	OrderType       string        `db:"order_type" json:"order_type"`
	TimeInForce     *string       `db:"time_in_force" json:"time_in_force"`
	// Ordered, base asset.
	Quantity     decimal.Decimal     `db:"quantity" json:"quantity"`
	Price        decimal.NullDecimal `db:"price" json:"price"`
	StopPrice    decimal.NullDecimal `db:"stop_price" json:"stop_price"`
	ReduceIntent string              `db:"reduce_intent" json:"reduce_intent"`
	Attempt      int32               `db:"attempt" json:"attempt"`
	Product      string              `db:"product" json:"product"`
	SideEffect   *string             `db:"side_effect" json:"side_effect"`
	Status       OrderStatus         `db:"status" json:"status"`
	// False for a stub made by a fact that came before the claim.
	Known bool `db:"known" json:"known"`
	// The claim was taken in later, from the venue's report.
	Recovered bool `db:"recovered" json:"recovered"`
	// The outcome of placing or canceling is unknown.
	NeedsResolution bool            `db:"needs_resolution" json:"needs_resolution"`
	FilledQuantity  decimal.Decimal `db:"filled_quantity" json:"filled_quantity"`
	// Sum of price x quantity of the fills.
	CumQuote decimal.Decimal `db:"cum_quote" json:"cum_quote"`
	// cum_quote / filled_quantity, 18 places half-even.
	AverageFillPrice decimal.NullDecimal `db:"average_fill_price" json:"average_fill_price"`
	// Per asset.
	Fees Amounts `db:"fees" json:"fees"`
	// Sum of the valued fees, quote.
	FeeQuote decimal.Decimal `db:"fee_quote" json:"fee_quote"`
	// Fills whose fee could not be valued.
	UnvaluedFees int32 `db:"unvalued_fees" json:"unvalued_fees"`
	// Sum of the fees taken in the base asset.
	BaseFee decimal.Decimal `db:"base_fee" json:"base_fee"`
	// What they were worth at their fills' prices, quote.
	BaseFeeCost decimal.Decimal `db:"base_fee_cost" json:"base_fee_cost"`
	// In the order they came.
	ExchangeTradeIDs []string `db:"exchange_trade_ids" json:"exchange_trade_ids"`
	// A definitive refusal has been reported.
	Rejected bool `db:"rejected" json:"rejected"`
	// canceled or expired; canceled when both were reported.
	EndedBy *string `db:"ended_by" json:"ended_by"`
	// A placing with unknown outcome has been reported.
	UncertainPlace bool `db:"uncertain_place" json:"uncertain_place"`
	// A cancel with unknown outcome has been reported.
	UncertainCancel bool    `db:"uncertain_cancel" json:"uncertain_cancel"`
	RejectStage     *string `db:"reject_stage" json:"reject_stage"`
	RejectCode      *int32  `db:"reject_code" json:"reject_code"`
	RejectReason    *string `db:"reject_reason" json:"reject_reason"`
	ExpiryReason    *string `db:"expiry_reason" json:"expiry_reason"`
	CanceledBy      *string `db:"canceled_by" json:"canceled_by"`
	// Intents to cancel it.
	CancelIntentIDs []uuid.UUID `db:"cancel_intent_ids" json:"cancel_intent_ids"`
	SubmittedAt     *time.Time  `db:"submitted_at" json:"submitted_at"`
	AckedAt         *time.Time  `db:"acked_at" json:"acked_at"`
	// The newest filled_at of its fills.
	LastFillAt *time.Time `db:"last_fill_at" json:"last_fill_at"`
	// last_fill_at, once all is filled.
	FilledAt   *time.Time `db:"filled_at" json:"filled_at"`
	CanceledAt *time.Time `db:"canceled_at" json:"canceled_at"`
	ExpiredAt  *time.Time `db:"expired_at" json:"expired_at"`
	RejectedAt *time.Time `db:"rejected_at" json:"rejected_at"`
	Meta
}

// Fill is a row of fills: a trade of ours; it counts once.
type Fill struct {
	TenantID        uuid.UUID       `db:"tenant_id" json:"tenant_id"`
	AccountID       uuid.UUID       `db:"account_id" json:"account_id"`
	Symbol          string          `db:"symbol" json:"symbol"`
	ExchangeOrderID string          `db:"exchange_order_id" json:"exchange_order_id"`
	ExchangeTradeID string          `db:"exchange_trade_id" json:"exchange_trade_id"`
	FillID          uuid.UUID       `db:"fill_id" json:"fill_id"`
	OrderID         uuid.UUID       `db:"order_id" json:"order_id"`
	PositionID      uuid.NullUUID   `db:"position_id" json:"position_id"`
	ClientOrderID   string          `db:"client_order_id" json:"client_order_id"`
	Side            string          `db:"side" json:"side"`
	FillPrice       decimal.Decimal `db:"fill_price" json:"fill_price"`
	FillQuantity    decimal.Decimal `db:"fill_quantity" json:"fill_quantity"`
	QuoteQuantity   decimal.Decimal `db:"quote_quantity" json:"quote_quantity"`
	Fee             decimal.Decimal `db:"fee" json:"fee"`
	FeeAsset        *string         `db:"fee_asset" json:"fee_asset"`
	// Null when it could not be valued.
	FeeQuote  decimal.NullDecimal `db:"fee_quote" json:"fee_quote"`
	IsMaker   bool                `db:"is_maker" json:"is_maker"`
	Synthetic bool                `db:"synthetic" json:"synthetic"`
	Source    string              `db:"source" json:"source"`
	FilledAt  time.Time           `db:"filled_at" json:"filled_at"`
	Meta
}
