package venue

import (
	"time"

	"github.com/shopspring/decimal"
)

// Side of an order or trade, as the venue writes it.
type Side string

// The sides.
const (
	Buy  Side = "BUY"
	Sell Side = "SELL"
)

// OrderType is how an order is executed, as the venue writes it.
type OrderType string

// The order types Robson uses.
const (
	Market        OrderType = "MARKET"
	Limit         OrderType = "LIMIT"
	StopLoss      OrderType = "STOP_LOSS"
	StopLossLimit OrderType = "STOP_LOSS_LIMIT"
)

// IsStop says whether the order waits for a trigger price.
func (t OrderType) IsStop() bool { return t == StopLoss || t == StopLossLimit }

// HasPrice says whether the order carries a limit price.
func (t OrderType) HasPrice() bool { return t == Limit || t == StopLossLimit }

// TimeInForce is how long a limit order stands.
type TimeInForce string

// The times in force.
const (
	GTC TimeInForce = "GTC"
	IOC TimeInForce = "IOC"
	FOK TimeInForce = "FOK"
)

// Product is the kind of account that trades.
type Product string

// The products.
const (
	Spot           Product = "spot"
	IsolatedMargin Product = "isolated_margin"
)

// SideEffect is what a margin order does to the account's loans.
type SideEffect string

// The side effects; the empty one is NoSideEffect.
const (
	NoSideEffect SideEffect = "NO_SIDE_EFFECT"
	MarginBuy    SideEffect = "MARGIN_BUY"
	AutoRepay    SideEffect = "AUTO_REPAY"
)

// OrderStatus is where an order stands at the venue.
type OrderStatus string

// The statuses.
const (
	StatusNew             OrderStatus = "NEW"
	StatusPartiallyFilled OrderStatus = "PARTIALLY_FILLED"
	StatusFilled          OrderStatus = "FILLED"
	StatusCanceled        OrderStatus = "CANCELED"
	StatusRejected        OrderStatus = "REJECTED"
	StatusExpired         OrderStatus = "EXPIRED"
	StatusExpiredInMatch  OrderStatus = "EXPIRED_IN_MATCH"
)

// IsOpen says whether the order may still trade.
func (s OrderStatus) IsOpen() bool { return s == StatusNew || s == StatusPartiallyFilled }

// IsKnown says whether the status is one of those a venue may report. An unknown one is not guessed at.
func (s OrderStatus) IsKnown() bool {
	switch s {
	case StatusNew, StatusPartiallyFilled, StatusFilled, StatusCanceled, StatusRejected, StatusExpired, StatusExpiredInMatch:
		return true
	default:
		return false
	}
}

// CanceledBy says who ended an order.
type CanceledBy string

// Who cancels. A cancel that none of our requests explains came from the user at the venue's own screen.
const (
	CanceledByUs       CanceledBy = "us"
	CanceledByUser     CanceledBy = "user"
	CanceledByExchange CanceledBy = "exchange"
)

// ClientOrderID is the id under which we name an order to the venue: ^[a-zA-Z0-9-_]{1,36}$.
// Venues hold it unique among open orders only: it protects nobody against sending twice.
type ClientOrderID string

// OrderID is the venue's id of an order, unique within its symbol.
type OrderID int64

// TradeID is the venue's id of a trade, unique within its symbol. A trade with oneself has one id and two sides.
type TradeID int64

// NewOrder is a request to place an order. Absent decimals are zero.
type NewOrder struct {
	Symbol        string          `json:"symbol"`
	Side          Side            `json:"side"`
	Type          OrderType       `json:"type"`
	TimeInForce   TimeInForce     `json:"time_in_force,omitempty"`
	Quantity      decimal.Decimal `json:"quantity"`
	Price         decimal.Decimal `json:"price"`
	StopPrice     decimal.Decimal `json:"stop_price"`
	ClientOrderID ClientOrderID   `json:"client_order_id"`
	SideEffect    SideEffect      `json:"side_effect,omitempty"`
	// Stamp is when the order was claimed, in real time. The request carries it instead of the moment of
	// sending, so that a sender that was held up in between cannot place an order that others have given up.
	Stamp time.Time `json:"stamp"`
}

// CancelOrder is a request to cancel the open order that has a client order id.
type CancelOrder struct {
	Symbol        string        `json:"symbol"`
	ClientOrderID ClientOrderID `json:"client_order_id"`
	// CancelID is the id of this cancel request; the venue repeats it in its report.
	CancelID ClientOrderID `json:"cancel_id"`
}

// Order is an order as the venue sees it.
type Order struct {
	Symbol        string          `json:"symbol"`
	OrderID       OrderID         `json:"order_id"`
	ClientOrderID ClientOrderID   `json:"client_order_id"`
	Status        OrderStatus     `json:"status"`
	Side          Side            `json:"side"`
	Type          OrderType       `json:"type"`
	TimeInForce   TimeInForce     `json:"time_in_force,omitempty"`
	SideEffect    SideEffect      `json:"side_effect,omitempty"`
	Quantity      decimal.Decimal `json:"quantity"`
	Price         decimal.Decimal `json:"price"`
	StopPrice     decimal.Decimal `json:"stop_price"`
	// Executed is the sum of the order's trades, base asset.
	Executed decimal.Decimal `json:"executed"`
	// CumQuote is the sum of price x quantity of the order's trades.
	CumQuote decimal.Decimal `json:"cum_quote"`
	// CreatedAt is when the venue took the order in, UpdatedAt when it last changed, by the market's time.
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// ExpiryReason says why an order expired, e.g. INSUFFICIENT_LIQUIDITY.
	ExpiryReason string `json:"expiry_reason,omitempty"`
	// CanceledBy and CancelID are set on a canceled order as far as the venue tells.
	CanceledBy CanceledBy    `json:"canceled_by,omitempty"`
	CancelID   ClientOrderID `json:"cancel_id,omitempty"`
}

// Remaining is what may still trade.
func (o Order) Remaining() decimal.Decimal { return o.Quantity.Sub(o.Executed) }

// Trade is one trade of one of the account's orders.
type Trade struct {
	Symbol        string          `json:"symbol"`
	TradeID       TradeID         `json:"trade_id"`
	OrderID       OrderID         `json:"order_id"`
	Side          Side            `json:"side"`
	Price         decimal.Decimal `json:"price"`
	Quantity      decimal.Decimal `json:"quantity"`
	QuoteQuantity decimal.Decimal `json:"quote_quantity"`
	Fee           decimal.Decimal `json:"fee"`
	FeeAsset      string          `json:"fee_asset"`
	IsMaker       bool            `json:"is_maker"`
	// Time is the market's.
	Time time.Time `json:"time"`
}

// Placed is the venue's answer to an order it took in: its state, and the trades it has made so far.
type Placed struct {
	Order  Order   `json:"order"`
	Trades []Trade `json:"trades,omitempty"`
}
