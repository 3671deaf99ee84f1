package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

// state is all that the venue remembers. It is changed by apply alone. Its JSON form is the snapshot: maps are written
// with sorted keys, so equal states give equal bytes.
type state struct {
	// Time is the venue's clock at the last record; it never goes back.
	Time     time.Time                          `json:"time"`
	TranID   int64                              `json:"tran_id"`
	Symbols  map[string]*symbolState            `json:"symbols"`
	Accounts map[venue.AccountKey]*accountState `json:"accounts"`
}

type symbolState struct {
	Instrument venue.Instrument `json:"instrument"`
	Book       BookConfig       `json:"book"`
	Source     feed.Source      `json:"source"`
	Origin     string           `json:"origin"`
	// Cursor is where the path stands; Last the newest price, which outlives the path.
	Cursor      feed.Tick     `json:"cursor"`
	Last        venue.Price   `json:"last"`
	Pace        time.Duration `json:"pace"`
	LastOrderID venue.OrderID `json:"last_order_id"`
	LastTradeID venue.TradeID `json:"last_trade_id"`
	// Taken is what this tick's orders have eaten of each level, by side of the order.
	Taken map[venue.Side][]decimal.Decimal `json:"taken,omitempty"`

	// open holds the orders that may still trade, by id; made from the accounts' orders.
	open []*orderState
}

type accountState struct {
	Config AccountConfig `json:"config"`
	// Balances by wallet and asset, Orders and Trades by symbol and order id, Latest and Placed by symbol and client id.
	Balances map[string]venue.Balance `json:"balances"`
	Orders   map[string]*orderState   `json:"orders"`
	Trades   map[string][]venue.Trade `json:"trades"`
	Latest   map[string]venue.OrderID `json:"latest"`
	Placed   map[string]int32         `json:"placed"`
	Closed   []string                 `json:"closed"`
	Deposits []string                 `json:"deposits"`
	Reports  []venue.Report           `json:"reports"`
	Cursor   venue.Cursor             `json:"cursor"`
	Accrued  time.Time                `json:"accrued"`
	// LastNumber is the number of the newest order, LastMoved when money last came or went.
	LastNumber int64     `json:"last_number"`
	LastMoved  time.Time `json:"last_moved"`
}

// orderState is an order with what only the engine knows of it.
type orderState struct {
	venue.Order
	Account venue.AccountKey `json:"account"`
	// Number counts the account's orders over all symbols, from 1: a smaller one is older.
	Number int64 `json:"number"`
	// Locked is what it holds of LockAsset.
	LockAsset string          `json:"lock_asset"`
	Locked    decimal.Decimal `json:"locked"`
	// Borrowed is what its side effect borrowed of LockAsset.
	Borrowed decimal.Decimal `json:"borrowed"`
	// Triggered: a stop order whose trigger price was reached.
	Triggered bool `json:"triggered,omitempty"`
	// NextLevel and NextTick say how a market order that takes its time goes on.
	NextLevel int   `json:"next_level,omitempty"`
	NextTick  int64 `json:"next_tick,omitempty"`
}

// isWorking: a market order between two of its fills.
func (o *orderState) isWorking() bool { return o.NextTick > 0 }

// isResting: a limit order in the book.
func (o *orderState) isResting() bool {
	return o.Type == venue.Limit || o.Type == venue.StopLossLimit && o.Triggered
}

// isWaiting: a stop order not yet triggered.
func (o *orderState) isWaiting() bool { return o.Type.IsStop() && !o.Triggered }

func newState() *state {
	return &state{Symbols: map[string]*symbolState{}, Accounts: map[venue.AccountKey]*accountState{}}
}

func newAccountState(config AccountConfig) *accountState {
	return &accountState{
		Config: config, Balances: map[string]venue.Balance{}, Orders: map[string]*orderState{},
		Trades: map[string][]venue.Trade{}, Latest: map[string]venue.OrderID{}, Placed: map[string]int32{},
	}
}

func orderKey(symbol string, id venue.OrderID) string        { return fmt.Sprintf("%s|%d", symbol, id) }
func clientKey(symbol string, id venue.ClientOrderID) string { return symbol + "|" + string(id) }
func balanceKey(wallet, asset string) string                 { return wallet + "|" + asset }
func (a *accountState) balance(wallet, asset string) venue.Balance {
	if b, ok := a.Balances[balanceKey(wallet, asset)]; ok {
		return b
	}
	return venue.Balance{Wallet: wallet, Asset: asset}
}

// newest gives the newest order that had a client order id, or nil.
func (a *accountState) newest(symbol string, id venue.ClientOrderID) *orderState {
	orderID, ok := a.Latest[clientKey(symbol, id)]
	if !ok {
		return nil
	}
	return a.Orders[orderKey(symbol, orderID)]
}

// openOrders lists the account's open orders by symbol and id; all symbols if symbol is empty.
func (a *accountState) openOrders(symbol string) []*orderState {
	var out []*orderState
	for _, o := range a.Orders {
		if o.Status.IsOpen() && (symbol == "" || o.Symbol == symbol) {
			out = append(out, o)
		}
	}
	sortOrders(out)
	return out
}

func sortOrders(orders []*orderState) {
	slices.SortFunc(orders, func(a, b *orderState) int {
		return cmp.Or(strings.Compare(a.Symbol, b.Symbol), cmp.Compare(a.OrderID, b.OrderID))
	})
}

// index rebuilds what is made from the rest, after a snapshot was read.
func (s *state) index() {
	for _, account := range s.Accounts {
		for _, o := range account.openOrders("") {
			symbol := s.Symbols[o.Symbol]
			symbol.open = append(symbol.open, o)
		}
	}
	for _, symbol := range s.Symbols {
		sortOrders(symbol.open)
	}
}
