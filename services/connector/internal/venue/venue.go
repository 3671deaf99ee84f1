package venue

import (
	"context"
	"time"

	"github.com/shopspring/decimal"
)

// AccountKey is what the venue knows an account by: on the paper venue the account's own id.
// It is no secret; credentials are found by it, where a venue wants any.
type AccountKey string

// AccountRef names an account at the venue and says what it may trade.
type AccountRef struct {
	Key     AccountKey
	Product Product
	// MarginSymbol is the pair of an isolated margin account; empty for spot.
	MarginSymbol string
}

// Wallet is the stored name of the wallet that the account's orders take from and give to.
func (r AccountRef) Wallet() string {
	if r.MarginSymbol != "" {
		return IsolatedWallet(r.MarginSymbol)
	}
	return SpotWallet
}

// SpotWallet is the stored name of the spot wallet.
const SpotWallet = "spot"

// IsolatedWallet is the stored name of a pair's isolated margin wallet.
func IsolatedWallet(symbol string) string { return "isolated:" + symbol }

// Venue is one installation of one trading venue.
type Venue interface {
	// Name is the stored name, e.g. binance or paper.
	Name() string
	// Market is what everyone may ask.
	Market() MarketData
	// Account opens the lines of one account. It makes no call: a bad key is told by the first request.
	Account(ref AccountRef) Account
}

// Account is what one account can do, split by need.
type Account struct {
	Trading Trading
	Wallets Wallets
	Reports UserStream
}

// MarketData answers about instruments, time and prices.
type MarketData interface {
	// Instrument gives the trading rules of a symbol. ErrInvalidSymbol if there is none such.
	Instrument(ctx context.Context, symbol string) (Instrument, error)
	// Instruments gives the trading rules of every symbol, ordered by symbol.
	Instruments(ctx context.Context) ([]Instrument, error)
	// Time is the venue's own clock: the one that stamps of requests are measured by. It never goes back.
	Time(ctx context.Context) (time.Time, error)
	// MarketTime is the time that a symbol's orders and trades carry. It is Time, but for a market that is replayed.
	MarketTime(ctx context.Context, symbol string) (time.Time, error)
	// LastPrice is the price of the newest trade. ErrNoPrice before the first one.
	LastPrice(ctx context.Context, symbol string) (Price, error)
	// FollowPrices hands over the prices of a symbol after a sequence, in order, several at a time when there are
	// several, until ctx ends or handle fails. After 0 it begins with the newest price. Where prices after the sequence
	// are no longer kept it begins with the oldest that is, which then has Gap set.
	FollowPrices(ctx context.Context, symbol string, after int64, handle func(context.Context, []Price) error) error
	// Timing says how long a request may take to be done or be dead.
	Timing() Timing
}

// Timing bounds the life of a request. A venue refuses a request that reaches its engine later than ReceiveWindow after
// the time the request is stamped with, and is done with one that it took in after Processing.
type Timing struct {
	ReceiveWindow time.Duration
	Processing    time.Duration
	// Margin covers what clocks differ by.
	Margin time.Duration
}

// Lifetime is how long after its stamp a request may still come to be done: past it, an order that the venue does not
// know was never taken in and never will be.
func (t Timing) Lifetime() time.Duration { return t.ReceiveWindow + t.Processing + t.Margin }

// Price is one trade price of a symbol.
type Price struct {
	// Sequence counts the symbol's prices at this venue; it only grows.
	Sequence int64           `json:"sequence"`
	Symbol   string          `json:"symbol"`
	Price    decimal.Decimal `json:"price"`
	Bid      decimal.Decimal `json:"bid"`
	Ask      decimal.Decimal `json:"ask"`
	// Time is the venue's clock when the price was made; MarketTime is the market's, which differs on a replay.
	Time       time.Time `json:"time"`
	MarketTime time.Time `json:"market_time"`
	// EventID names the price for ever, e.g. paper/BTCUSDT/17.
	EventID string `json:"event_id"`
	// Gap says that prices before this one were missed.
	Gap bool `json:"gap,omitempty"`
}

// PageMax is the most that a venue lists at a time.
const PageMax = 1000

// Trading places, cancels and asks about orders of one account. Only Place and Cancel change anything.
type Trading interface {
	// Place sends an order, once. It never retries: after *UncertainError the caller asks by QueryOrder.
	Place(ctx context.Context, order NewOrder) (Placed, error)
	// Cancel ends an open order. An *OrderError with ErrUnknownOrder means only that it is not open: filled, canceled
	// or never there, to be found out by QueryOrder.
	Cancel(ctx context.Context, cancel CancelOrder) (Order, error)
	// QueryOrder gives the newest order that had a client order id. ErrOrderNotFound is no proof that the order was
	// not taken in, until the deadline of the request that placed it has passed.
	QueryOrder(ctx context.Context, symbol string, id ClientOrderID) (Order, error)
	// OpenOrders lists what may still trade, by order id; all symbols if symbol is empty.
	OpenOrders(ctx context.Context, symbol string) ([]Order, error)
	// OrderTrades lists the trades of one order by trade id. It may lag behind the order's state.
	OrderTrades(ctx context.Context, symbol string, id OrderID) ([]Trade, error)
	// Trades lists the account's trades of a symbol whose id is at least from, whoever placed their orders, by id, at
	// most limit (1 to PageMax). A trade with oneself is two of one id, which a page may part: go on at the last id of a
	// full page, not after it. It may lag behind the matching engine.
	Trades(ctx context.Context, symbol string, from TradeID, limit int) ([]Trade, error)
	// Orders lists the account's orders of a symbol whose id is at least from, open or ended, whoever placed them, by
	// id, at most limit (1 to PageMax). It may lag most of all, and forget what ended long ago without a trade.
	Orders(ctx context.Context, symbol string, from OrderID, limit int) ([]Order, error)
}

// Balance is an asset in a wallet.
type Balance struct {
	// Wallet is spot or isolated:SYMBOL.
	Wallet string          `json:"wallet"`
	Asset  string          `json:"asset"`
	Free   decimal.Decimal `json:"free"`
	Locked decimal.Decimal `json:"locked"`
	// Borrowed and Interest are owed; isolated margin only.
	Borrowed decimal.Decimal `json:"borrowed"`
	Interest decimal.Decimal `json:"interest"`
}

// Wallets tells what an account holds, owes and pays.
type Wallets interface {
	// TakerRate is the rate of the fee that the account pays on a symbol for an order that takes, before any discount.
	TakerRate(ctx context.Context, symbol string) (decimal.Decimal, error)
	// Balances lists every asset that is held or owed, by wallet and asset.
	Balances(ctx context.Context) (BalanceSheet, error)
	// Margin judges an isolated margin account. ErrNoMargin for a spot account.
	Margin(ctx context.Context) (MarginState, error)
}

// BalanceSheet is what an account holds at one moment.
type BalanceSheet struct {
	Balances []Balance `json:"balances"`
	// Time is the venue's clock at that moment.
	Time time.Time `json:"time"`
}

// MarginState is the venue's picture of an isolated margin account.
type MarginState struct {
	Symbol string `json:"symbol"`
	// Level is assets / debts in quote; NoDebtLevel when nothing is owed.
	Level decimal.Decimal `json:"level"`
	// Status is what the venue calls that level.
	Status MarginStatus `json:"status"`
	// Ratio is how many times its own money the account may hold.
	Ratio decimal.Decimal `json:"ratio"`
	// Assets, Debts and Equity are valued in quote at IndexPrice. Debts are Borrowed and Interest.
	Assets     decimal.Decimal `json:"assets"`
	Debts      decimal.Decimal `json:"debts"`
	Borrowed   decimal.Decimal `json:"borrowed"`
	Interest   decimal.Decimal `json:"interest"`
	Equity     decimal.Decimal `json:"equity"`
	IndexPrice decimal.Decimal `json:"index_price"`
	// LiquidatePrice is where the venue would sell the account up; zero where no price would make it.
	LiquidatePrice decimal.Decimal `json:"liquidate_price"`
	Time           time.Time       `json:"time"`
}

// MarginStatus is a margin level in words.
type MarginStatus string

// The statuses, the safest first.
const (
	MarginExcessive        MarginStatus = "EXCESSIVE"
	MarginNormal           MarginStatus = "NORMAL"
	MarginCall             MarginStatus = "MARGIN_CALL"
	MarginPreLiquidation   MarginStatus = "PRE_LIQUIDATION"
	MarginForceLiquidation MarginStatus = "FORCE_LIQUIDATION"
)

// NoDebtLevel is the margin level that Binance shows for an account that owes nothing.
var NoDebtLevel = decimal.New(999, 0)
