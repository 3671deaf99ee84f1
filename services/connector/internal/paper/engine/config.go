package engine

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// FeeMode says which asset fees are taken in.
type FeeMode string

// The fee modes. In the received one a buyer pays in the base asset, a seller in quote, as Binance does. In BNB mode
// the rate is three quarters, and without enough BNB or without a BNB price the fee is taken as received.
const (
	FeeReceived FeeMode = "received"
	FeeQuote    FeeMode = "quote"
	FeeBNB      FeeMode = "bnb"
)

const (
	bnb = "BNB"
	// feePlaces is what fees and loans are truncated to.
	feePlaces = 8
)

var (
	bnbDiscount = decimal.New(75, -2)
	defaultFee  = decimal.New(1, -3)
	maxRate     = decimal.New(1, -1)
)

// AccountConfig is an account at the venue.
type AccountConfig struct {
	Key          venue.AccountKey `json:"key"`
	Product      venue.Product    `json:"product"`
	MarginSymbol string           `json:"margin_symbol,omitempty"`
	FeeMode      FeeMode          `json:"fee_mode"`
	MakerRate    decimal.Decimal  `json:"maker_rate"`
	TakerRate    decimal.Decimal  `json:"taker_rate"`
	// MaxLeverage bounds debts to equity x (leverage - 1).
	MaxLeverage decimal.Decimal `json:"max_leverage"`
	// HourlyInterest is the rate a loan costs for each hour begun of market time.
	HourlyInterest decimal.Decimal `json:"hourly_interest"`
}

// NewAccountConfig gives an account its defaults: fees of 0.001 in the received asset, three times leverage, no interest.
func NewAccountConfig(ref venue.AccountRef) AccountConfig {
	return AccountConfig{
		Key: ref.Key, Product: ref.Product, MarginSymbol: ref.MarginSymbol,
		FeeMode: FeeReceived, MakerRate: defaultFee, TakerRate: defaultFee, MaxLeverage: decimal.NewFromInt(3),
	}
}

// Validate refuses an account that could not trade.
func (c AccountConfig) Validate() error {
	rateFits := func(r decimal.Decimal) bool { return !r.IsNegative() && r.LessThanOrEqual(maxRate) }
	switch {
	case c.Key == "":
		return fmt.Errorf("account: key is missing")
	case c.Product != venue.Spot && c.Product != venue.IsolatedMargin:
		return fmt.Errorf("account %s: product %q: spot or isolated_margin", c.Key, c.Product)
	case (c.Product == venue.IsolatedMargin) != (c.MarginSymbol != ""):
		return fmt.Errorf("account %s: a margin symbol belongs to an isolated margin account, and to no other", c.Key)
	case c.FeeMode != FeeReceived && c.FeeMode != FeeQuote && c.FeeMode != FeeBNB:
		return fmt.Errorf("account %s: fee mode %q: received, quote or bnb", c.Key, c.FeeMode)
	case !rateFits(c.MakerRate), !rateFits(c.TakerRate), !rateFits(c.HourlyInterest):
		return fmt.Errorf("account %s: rates must lie within 0 and %s", c.Key, maxRate)
	case c.MaxLeverage.LessThan(decimal.NewFromInt(1)) || c.MaxLeverage.GreaterThan(decimal.NewFromInt(20)):
		return fmt.Errorf("account %s: leverage %s: must lie within 1 and 20", c.Key, c.MaxLeverage)
	default:
		return nil
	}
}

// wallet is where the account's orders take from and give to.
func (c AccountConfig) wallet() string {
	if c.Product == venue.IsolatedMargin {
		return venue.IsolatedWallet(c.MarginSymbol)
	}
	return venue.SpotWallet
}

// Level is one level of the depth ladder.
type Level struct {
	Quantity    decimal.Decimal `json:"quantity"`
	OffsetTicks int64           `json:"offset_ticks"`
}

// BookConfig is how a symbol's market takes orders.
type BookConfig struct {
	// SpreadTicks is ask - bid; bid is the last price.
	SpreadTicks int64 `json:"spread_ticks,omitempty"`
	// Depth is what a side holds at each tick, nearest first; empty: one level without bound.
	Depth []Level `json:"depth,omitempty"`
	// TickVolume is the most that resting orders of a side are filled by at one tick; zero: no bound.
	TickVolume decimal.Decimal `json:"tick_volume"`
	// LatencyTicks makes a market order take one level at once and one more each so many ticks, so that it can be seen
	// partially filled; 0: all at once.
	LatencyTicks int64 `json:"latency_ticks,omitempty"`
}

// Limits of a book.
const (
	depthMax        = 50
	offsetTicksMax  = 1_000_000
	latencyTicksMax = 1_000
)

// Validate refuses a book that no order could meet.
func (b BookConfig) Validate() error {
	if b.SpreadTicks < 0 || b.SpreadTicks > offsetTicksMax {
		return fmt.Errorf("market: spread of %d ticks: must lie within 0 and %d", b.SpreadTicks, offsetTicksMax)
	}
	if b.LatencyTicks < 0 || b.LatencyTicks > latencyTicksMax {
		return fmt.Errorf("market: latency of %d ticks: must lie within 0 and %d", b.LatencyTicks, latencyTicksMax)
	}
	if b.TickVolume.IsNegative() {
		return fmt.Errorf("market: tick volume %s: must not be negative", b.TickVolume)
	}
	if len(b.Depth) > depthMax {
		return fmt.Errorf("market: %d levels, at most %d", len(b.Depth), depthMax)
	}
	for n, level := range b.Depth {
		if !level.Quantity.IsPositive() {
			return fmt.Errorf("market: level %d: quantity %s: must be above zero", n, level.Quantity)
		}
		if level.OffsetTicks < 0 || level.OffsetTicks > offsetTicksMax {
			return fmt.Errorf("market: level %d: offset of %d ticks: must lie within 0 and %d", n, level.OffsetTicks, offsetTicksMax)
		}
		if n > 0 && level.OffsetTicks <= b.Depth[n-1].OffsetTicks {
			return fmt.Errorf("market: level %d: its offset must be greater than that of the level before", n)
		}
	}
	return nil
}

// DefaultTiming is the paper venue's: it does a request when it arrives, and refuses one stamped more than the window
// ago.
var DefaultTiming = venue.Timing{ReceiveWindow: 5 * time.Second, Margin: time.Second}

// Bounds of what the venue remembers. What is older is forgotten, as Binance archives old orders.
const (
	closedOrdersMax = 20_000
	reportsMax      = 50_000
	depositsMax     = 10_000
	pricesMax       = 50_000
	// compactBytes is the size of journal at which it is folded into a snapshot.
	compactBytes = 8 << 20
)
