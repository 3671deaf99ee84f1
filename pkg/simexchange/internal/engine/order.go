package engine

import "github.com/shopspring/decimal"

// Words of Binance that the engine decides on.
const (
	Buy  = "BUY"
	Sell = "SELL"

	Limit           = "LIMIT"
	Market          = "MARKET"
	LimitMaker      = "LIMIT_MAKER"
	StopLoss        = "STOP_LOSS"
	StopLossLimit   = "STOP_LOSS_LIMIT"
	TakeProfit      = "TAKE_PROFIT"
	TakeProfitLimit = "TAKE_PROFIT_LIMIT"

	StatusNew      = "NEW"
	StatusPartial  = "PARTIALLY_FILLED"
	StatusFilled   = "FILLED"
	StatusCanceled = "CANCELED"
	StatusExpired  = "EXPIRED"
	StatusInMatch  = "EXPIRED_IN_MATCH"

	GTC = "GTC"
	IOC = "IOC"
	FOK = "FOK"

	STPNone        = "NONE"
	STPExpireMaker = "EXPIRE_MAKER"
	STPExpireTaker = "EXPIRE_TAKER"
	STPExpireBoth  = "EXPIRE_BOTH"
)

// historyMax bounds what of an order's past is kept for late answers to queries.
const historyMax = 16

// Request asks for an order.
type Request struct {
	Symbol, Side, Type, TimeInForce, ClientOrderID, STP string
	// SideEffect is what it does to loans, of an isolated margin account.
	SideEffect                                string
	Quantity, QuoteQuantity, Price, StopPrice decimal.Decimal
	// Script bends what becomes of this one order; the zero value bends nothing.
	Script Script
}

// Script is what a fault plan does to an order that was accepted.
type Script struct {
	// FillMax bounds what fills at once; zero bounds nothing. A market order's rest expires.
	FillMax decimal.Decimal
	// End is the status in which the exchange itself ends what did not fill at once: CANCELED, EXPIRED or EXPIRED_IN_MATCH.
	End string
}

// Order is one order as the exchange knows it.
type Order struct {
	Account                                   string
	Symbol, Side, Type, TimeInForce           string
	ClientOrderID, STP, Status, ExpiryReason  string
	SideEffect                                string
	ID                                        int64
	Quantity, QuoteQuantity, Price, StopPrice decimal.Decimal
	Executed, CumQuote, Prevented             decimal.Decimal
	// Borrowed is what its side effect borrowed and what ended unused has not given back.
	Borrowed                        decimal.Decimal
	CreatedAt, UpdatedAt, WorkingAt int64 // milliseconds
	Working, Maker                  bool

	lockPrice decimal.Decimal // at which what remains of a buy is locked; zero if nothing is
	locked    bool
	history   []past
}

type past struct {
	status             string
	executed, cumQuote decimal.Decimal
	at                 int64
}

// Open says whether the order can still fill.
func (o *Order) Open() bool { return o.Status == StatusNew || o.Status == StatusPartial }

// Remaining is what has not filled.
func (o *Order) Remaining() decimal.Decimal { return o.Quantity.Sub(o.Executed) }

func (o *Order) buys() bool { return o.Side == Buy }

// conditional says whether the order waits for its stop price.
func (o *Order) conditional() bool {
	switch o.Type {
	case StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit:
		return true
	default:
		return false
	}
}

// limited says whether the order has a limit price.
func (o *Order) limited() bool {
	switch o.Type {
	case Limit, LimitMaker, StopLossLimit, TakeProfitLimit:
		return true
	default:
		return false
	}
}

func (o *Order) remember(at int64) {
	o.UpdatedAt = at
	if len(o.history) == historyMax {
		o.history = append(o.history[:0], o.history[1:]...)
	}
	o.history = append(o.history, past{o.Status, o.Executed, o.CumQuote, at})
}

// asOf is the order as it stood lag changes ago; false if it did not exist then.
func (o *Order) asOf(lag int) (Order, bool) {
	n := len(o.history) - 1 - lag
	if n < 0 {
		return Order{}, false
	}
	view := *o
	then := o.history[n]
	view.Status, view.Executed, view.CumQuote, view.UpdatedAt = then.status, then.executed, then.cumQuote, then.at
	view.history = nil
	return view, true
}

// Trade is one fill of one order.
type Trade struct {
	Account, Symbol, Side   string
	ID, OrderID             int64
	Price, Quantity, Quote  decimal.Decimal
	Fee                     decimal.Decimal
	FeeAsset, ClientOrderID string
	At                      int64
	Maker                   bool
}

// Balance is what an account has of an asset.
type Balance struct{ Free, Locked decimal.Decimal }

// Report kinds, Binance's x.
const (
	ReportNew       = "NEW"
	ReportTrade     = "TRADE"
	ReportCanceled  = "CANCELED"
	ReportExpired   = "EXPIRED"
	ReportPrevented = "TRADE_PREVENTION"
)

// Event is something that an account's user stream tells. Exactly one of Report, Position and Balance is set.
type Event struct {
	Account  string
	At       int64
	Report   *Report
	Position *Position
	Balance  *BalanceChange
}

// Report is an executionReport: the order as it stood right after, and what happened.
type Report struct {
	Order       Order
	Kind        string
	ExecutionID int64
	Trade       *Trade
	// CancelID is the client id of the request that cancelled the order.
	CancelID string
}

// Position is an outboundAccountPosition: the balances that an order changed.
type Position struct{ Balances map[string]Balance }

// BalanceChange is a balanceUpdate: money that came or went without a trade.
type BalanceChange struct {
	Asset string
	Delta decimal.Decimal
}
