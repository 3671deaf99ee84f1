package simexchange

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/simexchange/internal/engine"
	"github.com/robson/robson/pkg/simexchange/internal/fault"
	"github.com/robson/robson/pkg/simexchange/internal/httpapi"
	"github.com/robson/robson/pkg/simexchange/internal/market"
)

// What the exchange is made of.
type (
	// Symbol is what is traded, its filters and its depth.
	Symbol = engine.Symbol
	// Level is liquidity at a distance from the best price.
	Level = engine.Level
	// Order is an order as the exchange knows it.
	Order = engine.Order
	// OrderRequest asks for an order.
	OrderRequest = engine.Request
	// OrderRef names an order by its id, or by its client id.
	OrderRef = engine.Ref
	// Trade is one fill of one order.
	Trade = engine.Trade
	// Balance is what is free and what is locked.
	Balance = engine.Balance
	// MarginSheet is an isolated margin account, valued in quote.
	MarginSheet = engine.MarginSheet
	// Fault is one thing that goes wrong.
	Fault = fault.Rule
	// Chaos is what goes wrong by chance.
	Chaos = fault.Chaos
	// Request is a request that came in.
	Request = httpapi.Entry
)

// Kinds of faults.
const (
	DropBefore        = fault.DropBefore
	AcceptThenTimeout = fault.AcceptThenTimeout
	AcceptThenDrop    = fault.AcceptThenDrop
	AcceptThenError   = fault.AcceptThenError
	Reject            = fault.Reject
	RateLimit         = fault.RateLimit
	BadBody           = fault.BadBody
	Slow              = fault.Slow
	SlowAnswer        = fault.SlowAnswer
	QueryLag          = fault.QueryLag
	PartialFill       = fault.PartialFill
	FillBeforeCancel  = fault.FillBeforeCancel
	EventDrop         = fault.EventDrop
	EventDuplicate    = fault.EventDuplicate
	EventReorder      = fault.EventReorder
	Disconnect        = fault.Disconnect
	HalfOpen          = fault.HalfOpen
	SubscribeReject   = fault.SubscribeReject
	Terminated        = fault.Terminated
	Shutdown          = fault.Shutdown
)

// pingUsual is Binance's.
const pingUsual = 20 * time.Second

// Account is an account and its API key.
type Account struct {
	Name     string            `json:"name"`
	Balances map[string]string `json:"balances"`
	// Maker and Taker are fee rates, 0.001 if empty. FeeMode is "received" (the default) or "bnb".
	Maker   string `json:"maker,omitempty"`
	Taker   string `json:"taker,omitempty"`
	FeeMode string `json:"feeMode,omitempty"`
	// Key and Secret are made from the seed and the name if empty. A PublicKey (PEM, RSA or Ed25519) takes the place of the secret.
	Key       string `json:"key,omitempty"`
	Secret    string `json:"secret,omitempty"`
	PublicKey string `json:"publicKey,omitempty"`
}

// Credentials are what a client signs with.
type Credentials struct {
	Account string `json:"account"`
	Key     string `json:"key"`
	Secret  string `json:"secret,omitempty"`
}

// Config founds an exchange; its zero value works.
type Config struct {
	// Listen is where it listens: a free port of loopback if empty.
	Listen string
	// Seed makes the keys and the walks.
	Seed uint64
	// Symbols are BTCUSDT, ETHUSDT and BNBUSDT if none are given.
	Symbols  []Symbol
	Accounts []Account
	// Prices are where symbols stand at first, by name.
	Prices map[string]string
	// Files are recorded market data, by symbol; see market.ReadFile. Walks are seeded walks, by symbol: the ticks of the largest step.
	Files map[string]string
	Walks map[string]int64
	// Pace is how often all paths go on by one price by themselves; zero: only by Step.
	Pace time.Duration
	// Virtual is a time that stands still unless Advance moves it, and at which the exchange's clock begins; zero: Clock's time.
	Virtual time.Time
	// Clock is the machine's if nil.
	Clock clock.Clock
	// FirstID is the first order and trade id of each symbol, 1 if zero.
	FirstID int64
	// WeightMax is the weight that all callers together may use in a minute, as exchangeInfo tells; zero: Binance's 6,000.
	WeightMax int64
	// PingEvery is how often each WebSocket is pinged; zero: every 20 s, as Binance does.
	PingEvery time.Duration
	// Token opens /sim/; without one it is shut.
	Token string
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.PingEvery == 0 {
		c.PingEvery = pingUsual
	}
	if len(c.Symbols) == 0 {
		c.Symbols = DefaultSymbols()
	}
	return c
}

// DefaultSymbols are three pairs with the filters that Binance had in 2025, and a ladder of three levels. Those of BTC and ETH have isolated
// margin accounts.
func DefaultSymbols() []Symbol {
	number := decimal.RequireFromString
	pair := func(base, step, depth string) Symbol {
		q := number(depth)
		return Symbol{
			Name: base + "USDT", Base: base, Quote: "USDT", Tick: number("0.01"), PriceMin: number("0.01"), PriceMax: number("1000000"),
			Step: number(step), QtyMin: number(step), QtyMax: number("9000"), NotionalMin: number("5"), NotionalMax: number("9000000"),
			OrdersMax: 200, AlgoOrdersMax: 5, Spread: 1,
			Ladder: []Level{{Quantity: q, Offset: 0}, {Quantity: q, Offset: 10}, {Quantity: q.Mul(decimal.NewFromInt(100)), Offset: 50}},
		}
	}
	symbols := []Symbol{pair("BTC", "0.00001", "1"), pair("ETH", "0.0001", "20"), pair("BNB", "0.001", "100")}
	for n := range symbols[:2] {
		symbols[n].Margin = true
	}
	return symbols
}

func (a Account) founded() (engine.Account, error) {
	out := engine.Account{Name: a.Name, FeeMode: a.FeeMode, Balances: map[string]decimal.Decimal{}}
	if a.Name == "" {
		return out, fmt.Errorf("an account needs a name")
	}
	for asset, text := range a.Balances {
		amount, err := decimal.NewFromString(text)
		if err != nil {
			return out, fmt.Errorf("account %s: %s of %s: %w", a.Name, text, asset, err)
		}
		out.Balances[asset] = amount
	}
	for _, rate := range []struct {
		text string
		to   *decimal.Decimal
	}{{a.Maker, &out.Maker}, {a.Taker, &out.Taker}} {
		*rate.to = decimal.New(1, -3)
		if rate.text != "" {
			var err error
			if *rate.to, err = decimal.NewFromString(rate.text); err != nil {
				return out, fmt.Errorf("account %s: fee rate: %w", a.Name, err)
			}
		}
	}
	return out, nil
}

// derive makes a key of 64 signs, as Binance's are.
func derive(seed uint64, what, name string) string {
	sum := sha256.Sum256([]byte(strconv.FormatUint(seed, 10) + "\x00" + what + "\x00" + name))
	return hex.EncodeToString(sum[:])
}

// paths are the price paths of a configuration, by symbol.
func (c Config) paths() (map[string]market.Path, error) {
	out := map[string]market.Path{}
	for symbol, file := range c.Files {
		ticks, err := market.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out[symbol] = market.Recorded(ticks)
	}
	for n, symbol := range slices.Sorted(maps.Keys(c.Walks)) {
		if out[symbol] != nil {
			return nil, fmt.Errorf("symbol %s has both a file and a walk", symbol)
		}
		k := slices.IndexFunc(c.Symbols, func(s Symbol) bool { return s.Name == symbol })
		if k < 0 {
			return nil, fmt.Errorf("a walk of %s, which is not traded", symbol)
		}
		start, err := decimal.NewFromString(c.Prices[symbol])
		if err != nil {
			return nil, fmt.Errorf("a walk of %s needs a price to start from: %w", symbol, err)
		}
		walk := market.Walk{Seed: c.Seed + uint64(n), Start: start, Tick: c.Symbols[k].Tick, Steps: c.Walks[symbol], Every: 1000}
		if out[symbol], err = walk.Path(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
