package paper

import (
	"context"
	"errors"
	"time"

	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/venue"
)

const (
	// batchMax is how many reports or prices are handed over at a time.
	batchMax = 500
	// waitMax is how long a request for what has not happened yet is kept waiting before it is asked again.
	waitMax = 5 * time.Second
)

var (
	callPlace = call[placeIn, venue.Placed]{
		"/place", true,
		func(ctx context.Context, e *engine.Engine, in placeIn) (venue.Placed, error) {
			return e.PlaceFaulty(ctx, in.Ref, in.Order)
		},
	}
	callCancel = call[cancelIn, venue.Order]{
		"/cancel", true,
		func(ctx context.Context, e *engine.Engine, in cancelIn) (venue.Order, error) {
			return e.CancelFaulty(ctx, in.Ref, in.Cancel)
		},
	}
	callOrder = call[orderIn, venue.Order]{
		"/query", false,
		func(ctx context.Context, e *engine.Engine, in orderIn) (venue.Order, error) {
			return e.OrderFaulty(ctx, in.Ref, in.Symbol, in.ID)
		},
	}
	callOpen = call[orderIn, []venue.Order]{
		"/open_orders", false,
		func(_ context.Context, e *engine.Engine, in orderIn) ([]venue.Order, error) {
			return e.OpenOrders(in.Ref, in.Symbol)
		},
	}
	callTrades = call[tradesIn, []venue.Trade]{
		"/order_trades", false,
		func(_ context.Context, e *engine.Engine, in tradesIn) ([]venue.Trade, error) {
			return e.OrderTrades(in.Ref, in.Symbol, in.ID)
		},
	}
	callListTrades = call[pageIn, []venue.Trade]{
		"/list_trades", false,
		func(_ context.Context, e *engine.Engine, in pageIn) ([]venue.Trade, error) {
			return e.Trades(in.Ref, in.Symbol, venue.TradeID(in.From), in.Limit)
		},
	}
	callListOrders = call[pageIn, []venue.Order]{
		"/list_orders", false,
		func(_ context.Context, e *engine.Engine, in pageIn) ([]venue.Order, error) {
			return e.Orders(in.Ref, in.Symbol, venue.OrderID(in.From), in.Limit)
		},
	}
	callBalances = call[accountIn, venue.BalanceSheet]{
		"/balances", false,
		func(_ context.Context, e *engine.Engine, in accountIn) (venue.BalanceSheet, error) {
			return e.Balances(in.Ref)
		},
	}
	callMargin = call[accountIn, venue.MarginState]{
		"/margin", false,
		func(_ context.Context, e *engine.Engine, in accountIn) (venue.MarginState, error) {
			return e.Margin(in.Ref)
		},
	}
	callReports     = call[reportsIn, reportsOut]{"/reports", false, runReports}
	callTime        = call[none, time.Time]{"/time", false, func(_ context.Context, e *engine.Engine, _ none) (time.Time, error) { return e.Time() }}
	callInstruments = call[none, []venue.Instrument]{
		"/instruments", false,
		func(_ context.Context, e *engine.Engine, _ none) ([]venue.Instrument, error) { return e.Instruments() },
	}
	callInstrument = call[symbolIn, venue.Instrument]{
		"/instrument", false,
		func(_ context.Context, e *engine.Engine, in symbolIn) (venue.Instrument, error) {
			return e.Instrument(in.Symbol)
		},
	}
	callLastPrice = call[symbolIn, venue.Price]{
		"/last_price", false,
		func(_ context.Context, e *engine.Engine, in symbolIn) (venue.Price, error) {
			return e.LastPrice(in.Symbol)
		},
	}
	callPrices = call[pricesIn, []venue.Price]{"/prices", false, runPrices}

	callMarket = call[symbolIn, engine.MarketState]{
		"/market", false,
		func(_ context.Context, e *engine.Engine, in symbolIn) (engine.MarketState, error) {
			return e.Market(in.Symbol)
		},
	}
	callLoad = call[loadIn, engine.MarketState]{
		"/load", true,
		func(_ context.Context, e *engine.Engine, in loadIn) (engine.MarketState, error) {
			return e.Load(in.Symbol, in.Book, in.Source, in.Origin)
		},
	}
	// Advancing to a tick, setting a pace, settings, faults and named deposits can be done again without harm.
	callAdvance = call[advanceIn, engine.MarketState]{
		"/advance", false,
		func(ctx context.Context, e *engine.Engine, in advanceIn) (engine.MarketState, error) {
			return e.Advance(ctx, in.Symbol, in.To)
		},
	}
	callPace = call[paceIn, engine.MarketState]{
		"/pace", false,
		func(_ context.Context, e *engine.Engine, in paceIn) (engine.MarketState, error) {
			return e.Pace(in.Symbol, in.Pace)
		},
	}
	callDeposit = call[depositIn, venue.Balance]{
		"/deposit", false,
		func(_ context.Context, e *engine.Engine, in depositIn) (venue.Balance, error) {
			return e.Deposit(in.Ref, in.ID, in.Wallet, in.Asset, in.Amount)
		},
	}
	callConfigure = call[engine.AccountConfig, none]{
		"/configure", false,
		func(_ context.Context, e *engine.Engine, in engine.AccountConfig) (none, error) {
			return none{}, e.Configure(in)
		},
	}
	callConfig = call[accountIn, engine.AccountConfig]{
		"/config", false,
		func(_ context.Context, e *engine.Engine, in accountIn) (engine.AccountConfig, error) {
			return e.Config(in.Ref)
		},
	}
	callSetInstruments = call[instrumentsIn, none]{
		"/set_instruments", false,
		func(_ context.Context, e *engine.Engine, in instrumentsIn) (none, error) {
			return none{}, e.SetInstruments(in.Instruments)
		},
	}
	callFaults = call[faultsIn, none]{
		"/faults", false,
		func(_ context.Context, e *engine.Engine, in faultsIn) (none, error) {
			return none{}, e.SetFaults(in.Key, in.Faults)
		},
	}
	callList = call[listIn, []engine.Listed]{
		"/list", false,
		func(_ context.Context, e *engine.Engine, in listIn) ([]engine.Listed, error) {
			return e.List(in.Ref, in.Symbol, in.After, in.Limit)
		},
	}
	callExchangeCancel = call[orderIn, venue.Order]{
		"/cancel_by_exchange", true,
		func(_ context.Context, e *engine.Engine, in orderIn) (venue.Order, error) {
			return e.CancelByExchange(in.Ref, in.Symbol, in.ID)
		},
	}
	callCursors = call[prefixIn, map[venue.AccountKey]venue.Cursor]{
		"/cursors", false,
		func(_ context.Context, e *engine.Engine, in prefixIn) (map[venue.AccountKey]venue.Cursor, error) {
			return e.Cursors(in.Prefix)
		},
	}
)

// remoteCalls is what the holder serves, by path.
func remoteCalls() map[string]remoteCall {
	calls := map[string]remoteCall{}
	add := func(name string, c remoteCall) { calls[name] = c }
	add(callPlace.remote())
	add(callCancel.remote())
	add(callOrder.remote())
	add(callOpen.remote())
	add(callTrades.remote())
	add(callListTrades.remote())
	add(callListOrders.remote())
	add(callBalances.remote())
	add(callMargin.remote())
	add(callReports.remote())
	add(callTime.remote())
	add(callInstruments.remote())
	add(callInstrument.remote())
	add(callLastPrice.remote())
	add(callPrices.remote())
	add(callMarket.remote())
	add(callLoad.remote())
	add(callAdvance.remote())
	add(callPace.remote())
	add(callDeposit.remote())
	add(callConfigure.remote())
	add(callConfig.remote())
	add(callSetInstruments.remote())
	add(callFaults.remote())
	add(callList.remote())
	add(callExchangeCancel.remote())
	add(callCursors.remote())
	return calls
}

func runReports(ctx context.Context, e *engine.Engine, in reportsIn) (reportsOut, error) {
	var out reportsOut
	var err error
	out.Newest, err = e.Cursor(in.Ref)
	if err != nil {
		return out, err
	}
	if in.After == out.Newest && in.Wait == 0 {
		return out, nil
	}
	err = within(ctx, in.Wait, func(ctx context.Context) error {
		out.Reports, out.Gap, err = e.Reports(ctx, in.Ref, in.After, batchMax)
		return err
	})
	return out, err
}

func runPrices(ctx context.Context, e *engine.Engine, in pricesIn) ([]venue.Price, error) {
	var out []venue.Price
	err := within(ctx, in.Wait, func(ctx context.Context) error {
		var err error
		out, err = e.Prices(ctx, in.Symbol, in.After, batchMax)
		return err
	})
	return out, err
}

// errWaited ends a wait in which nothing happened.
var errWaited = errors.New("nothing happened yet")

// within waits at most so long for what has not happened yet, which is no error.
func within(ctx context.Context, wait time.Duration, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, max(wait, time.Millisecond), errWaited)
	defer cancel()
	if err := look(ctx); !errors.Is(err, errWaited) {
		return err
	}
	return nil
}
