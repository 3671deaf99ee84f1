package venue

import "github.com/shopspring/decimal"

// Instrument is a tradable pair and its rules.
type Instrument struct {
	Symbol     string `json:"symbol"`
	BaseAsset  string `json:"base_asset"`
	QuoteAsset string `json:"quote_asset"`
	// Status is TRADING when orders are taken.
	Status string `json:"status"`
	// BasePrecision and QuotePrecision are the most decimals of an amount.
	BasePrecision  int32 `json:"base_precision"`
	QuotePrecision int32 `json:"quote_precision"`
	// MarginAllowed says whether isolated margin accounts may trade it.
	MarginAllowed bool `json:"margin_allowed"`

	Price     PriceFilter    `json:"price"`
	Lot       LotFilter      `json:"lot"`
	MarketLot LotFilter      `json:"market_lot"`
	Notional  NotionalFilter `json:"notional"`
	// MaxOrders and MaxAlgoOrders bound open orders and open stop orders; 0: no bound.
	MaxOrders     int `json:"max_orders"`
	MaxAlgoOrders int `json:"max_algo_orders"`
}

// StatusTrading is the instrument status in which orders are taken.
const StatusTrading = "TRADING"

// PriceFilter is PRICE_FILTER: a zero disables its part.
type PriceFilter struct {
	Min  decimal.Decimal `json:"min"`
	Max  decimal.Decimal `json:"max"`
	Tick decimal.Decimal `json:"tick"`
}

// LotFilter is LOT_SIZE or MARKET_LOT_SIZE: a zero disables its part. The real MARKET_LOT_SIZE of BTCUSDT has step 0.
type LotFilter struct {
	Min  decimal.Decimal `json:"min"`
	Max  decimal.Decimal `json:"max"`
	Step decimal.Decimal `json:"step"`
}

// NotionalFilter is NOTIONAL, or the older MIN_NOTIONAL without a maximum: bounds of price x quantity.
type NotionalFilter struct {
	Min              decimal.Decimal `json:"min"`
	Max              decimal.Decimal `json:"max"`
	ApplyMinToMarket bool            `json:"apply_min_to_market"`
	ApplyMaxToMarket bool            `json:"apply_max_to_market"`
}

// IsMultiple says whether a value is a whole number of steps; a step of zero disables the rule.
func IsMultiple(value, step decimal.Decimal) bool {
	return step.IsZero() || value.Mod(step).IsZero()
}
