package line_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

var num = decimal.RequireFromString

// world is a venue of one order's trades and two prices.
type world struct {
	venue.Trading
	venue.MarketData
	trades []venue.Trade
	err    error
	asked  int
}

func (w *world) Name() string                           { return "world" }
func (w *world) Market() venue.MarketData               { return w }
func (w *world) Account(venue.AccountRef) venue.Account { return venue.Account{Trading: w} }

func (w *world) OrderTrades(context.Context, string, venue.OrderID) ([]venue.Trade, error) {
	w.asked++
	return w.trades, w.err
}

func (w *world) Instrument(_ context.Context, symbol string) (venue.Instrument, error) {
	if symbol != "BTCUSDT" {
		return venue.Instrument{}, venue.ErrInvalidSymbol
	}
	return venue.Instrument{Symbol: symbol, BaseAsset: "BTC", QuoteAsset: "USDT"}, nil
}

func (w *world) LastPrice(_ context.Context, symbol string) (venue.Price, error) {
	if symbol != "BNBUSDT" {
		return venue.Price{}, venue.ErrNoPrice
	}
	return venue.Price{Price: num("600")}, nil
}

func account(environment eventv1.Environment) *projectorv1.Account {
	return &projectorv1.Account{AccountId: uuid.NewString(), Environment: environment, Product: eventv1.Product_PRODUCT_SPOT}
}

func (w *world) lines(t *testing.T) line.Lines {
	t.Helper()
	lines, err := line.NewDesk(w).For(uuid.New(), account(eventv1.Environment_ENVIRONMENT_SIM))
	require.NoError(t, err)
	return lines
}

func TestDesk_For(t *testing.T) {
	t.Parallel()
	tenant, desk := uuid.New(), line.NewDesk(&world{})
	margin := account(eventv1.Environment_ENVIRONMENT_SIM)
	margin.Product, margin.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "BTCUSDT"
	lines, err := desk.For(tenant, margin)
	require.NoError(t, err)
	require.Equal(t, venue.AccountRef{
		Key: venue.AccountKey(tenant.String() + "/" + margin.GetAccountId()), Product: venue.IsolatedMargin, MarginSymbol: "BTCUSDT",
	}, lines.Ref)
	require.NotEqual(t, lines.Ref, line.Ref(uuid.New(), margin), "tenants may have accounts of one id")
	for _, other := range []eventv1.Environment{
		eventv1.Environment_ENVIRONMENT_PROD, eventv1.Environment_ENVIRONMENT_TESTNET, eventv1.Environment_ENVIRONMENT_DEMO, eventv1.Environment_ENVIRONMENT_UNSPECIFIED,
	} {
		_, err := desk.For(tenant, account(other))
		require.True(t, fault.Is(err, fault.Refused), "%v", err)
		require.Equal(t, "VENUE_NOT_SERVED", fault.ReasonOf(err))
	}
}

// named is a venue that only has a name.
type named struct {
	world
	name string
}

func (n *named) Name() string { return n.name }

// TestDesk_For_live has each account served by the venue of its exchange and environment, and by no other.
func TestDesk_For_live(t *testing.T) {
	t.Parallel()
	prod, sim, testnet := eventv1.Environment_ENVIRONMENT_PROD, eventv1.Environment_ENVIRONMENT_SIM, eventv1.Environment_ENVIRONMENT_TESTNET
	for name, c := range map[string]struct {
		environment eventv1.Environment // of the live venue
		exchange    string              // of the account
		of          eventv1.Environment
		want        string // empty: not served
	}{
		"prod":                             {prod, "binance", prod, "live"},
		"prod, another exchange":           {prod, "kraken", prod, ""},
		"prod where testnet is served":     {testnet, "binance", prod, ""},
		"paper where prod is served":       {prod, "paper", sim, "paper"},
		"on paper, where prod is served":   {prod, "binance", sim, "paper"},
		"simulator":                        {sim, "binance", sim, "live"},
		"paper beside the simulator":       {sim, "paper", sim, "paper"},
		"testnet where the sim is served":  {sim, "binance", testnet, ""},
		"prod of the paper venue is no go": {sim, "paper", prod, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk := line.NewDesk(&named{name: "paper"}, line.Live{Exchange: "binance", Environment: c.environment, Venue: &named{name: "live"}})
			of := account(c.of)
			of.Exchange = c.exchange
			lines, err := desk.For(uuid.New(), of)
			if c.want == "" {
				require.Equal(t, "VENUE_NOT_SERVED", fault.ReasonOf(err), "%v", err)
				require.ErrorContains(t, err, "--binance-environment")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, lines.Venue)
		})
	}
}

func TestLines_Trades(t *testing.T) {
	t.Parallel()
	one, two := venue.Trade{TradeID: 1, Quantity: num("0.02")}, venue.Trade{TradeID: 2, Quantity: num("0.03")}
	order := venue.Order{ClientOrderID: "x", Executed: num("0.05")}

	w := &world{}
	got, err := w.lines(t).Trades(t.Context(), order, []venue.Trade{one, two})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Zero(t, w.asked, "what came with the answer is enough")

	w = &world{trades: []venue.Trade{one, two}}
	got, err = w.lines(t).Trades(t.Context(), order, []venue.Trade{one})
	require.NoError(t, err)
	require.Len(t, got, 2)

	w = &world{trades: []venue.Trade{one}}
	_, err = w.lines(t).Trades(t.Context(), order, nil)
	require.ErrorIs(t, err, line.ErrTradesMissing, "its queries lag")

	w = &world{err: errors.New("away")}
	_, err = w.lines(t).Trades(t.Context(), order, nil)
	require.ErrorContains(t, err, "away")
}

func TestLines_Facts(t *testing.T) {
	t.Parallel()
	w := &world{}
	order := fact.Order{ID: uuid.New(), Account: uuid.New(), Symbol: "BTCUSDT", ClientOrderID: "x"}
	trade := venue.Trade{Symbol: "BTCUSDT", TradeID: 1, OrderID: 7, Side: venue.Sell, Price: num("95000"), Quantity: num("0.02"), QuoteQuantity: num("1900"), Fee: num("0"), FeeAsset: "USDT", Time: time.Unix(1, 0)}
	kinds := func(facts []fact.Fact) (out []string) {
		for _, f := range facts {
			descriptor, err := event.OfMessage(f.Payload)
			require.NoError(t, err)
			out = append(out, string(descriptor.Type))
		}
		return out
	}
	for status, want := range map[venue.OrderStatus][]string{
		venue.StatusFilled:         {"ORDER_ACKED", "FILL_RECEIVED"},
		venue.StatusCanceled:       {"ORDER_ACKED", "FILL_RECEIVED", "ORDER_CANCELED"},
		venue.StatusExpiredInMatch: {"ORDER_ACKED", "FILL_RECEIVED", "ORDER_EXPIRED"},
		venue.StatusRejected:       {"FILL_RECEIVED", "ORDER_REJECTED"},
	} {
		facts, err := w.lines(t).Facts(t.Context(), order, venue.Order{Symbol: "BTCUSDT", OrderID: 7, Status: status}, []venue.Trade{trade}, fact.Reconcile)
		require.NoError(t, err)
		require.Equal(t, want, kinds(facts), "its end is told after its trades")
	}
	trade.Symbol = "NOPE"
	_, err := w.lines(t).Facts(t.Context(), order, venue.Order{Status: venue.StatusFilled}, []venue.Trade{trade}, fact.Reconcile)
	require.ErrorIs(t, err, venue.ErrInvalidSymbol)
}

func TestLines_Fill_ValuesFees(t *testing.T) {
	t.Parallel()
	w := &world{}
	order := fact.Order{ID: uuid.New(), Account: uuid.New(), Symbol: "BTCUSDT", ClientOrderID: "x"}
	for _, c := range []struct{ fee, asset, want string }{
		{"0.00002", "BTC", "1.9"}, {"1.9", "USDT", "1.9"}, {"0.0025", "BNB", "1.5"}, {"1", "XYZ", ""}, {"0", "XYZ", "0"},
	} {
		f, err := w.lines(t).Fill(t.Context(), order, venue.Trade{
			Symbol: "BTCUSDT", TradeID: 1, OrderID: 7, Side: venue.Buy, Price: num("95000"), Quantity: num("0.02"),
			QuoteQuantity: num("1900"), Fee: num(c.fee), FeeAsset: c.asset, Time: time.Unix(1, 0),
		}, fact.Stream)
		require.NoError(t, err)
		require.Equal(t, c.want, f.Payload.(*eventv1.FillReceived).GetFeeQuote(), "%s %s", c.fee, c.asset)
	}
}

func TestFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   fault.Kind
		reason string
		err    error
	}{
		{fault.Exhausted, "VENUE_RATE_LIMIT", &venue.RateLimitedError{RetryAfter: time.Second}},
		{fault.Refused, "VENUE_REJECTED", &venue.RejectedError{Code: -2010}},
		{fault.Refused, "NO_PRICE", fmt.Errorf("BTCUSDT: %w", venue.ErrNoPrice)},
		{fault.Invalid, "UNKNOWN_SYMBOL", venue.ErrInvalidSymbol},
		{fault.Unavailable, "VENUE_UNCERTAIN", &venue.UncertainError{Cause: venue.CauseTimeout, Err: context.DeadlineExceeded}},
		{fault.Unavailable, "VENUE_UNAVAILABLE", errors.New("anything else")},
		{fault.NotFound, "ORDER", fault.New(fault.NotFound, "ORDER", "no order")},
		{fault.Unknown, "", context.DeadlineExceeded},
	} {
		err := line.Fault("try", c.err)
		require.Equal(t, c.kind, fault.KindOf(err), "%v", err)
		require.Equal(t, c.reason, fault.ReasonOf(err))
		require.ErrorIs(t, err, c.err)
	}
	require.Equal(t, time.Second, fault.As(line.Fault("try", &venue.RateLimitedError{RetryAfter: time.Second})).RetryAfter)
}
