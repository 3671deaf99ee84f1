package binance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	lib "github.com/adshao/go-binance/v2"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Requests under /sapi weigh nothing in our budget: Binance counts them by limits of their own, and says so when one is reached.
const weightMargin = 0

const (
	// marginOrdersMax is how many orders one listing of a margin account gives.
	marginOrdersMax = 500
	// tradesSpan is how long a time trades may be listed of at once.
	tradesSpan = 24 * time.Hour
)

// pair is the lines of an isolated margin account: a pair's own wallet, orders, trades and loans.
type pair struct {
	*account
	debt *debt
}

// debt is what all lines of an isolated margin account know of what it owes.
type debt struct {
	// owed is what the last answer said; moved says that it said another thing than the one before.
	owed  atomic.Pointer[string]
	moved atomic.Bool
}

var (
	_ venue.Trading    = (*pair)(nil)
	_ venue.Wallets    = (*pair)(nil)
	_ venue.UserStream = (*pair)(nil)
)

// own refuses a symbol that is not the account's pair.
func (p *pair) own(operation, symbol string) error {
	if symbol != p.ref.MarginSymbol {
		return fmt.Errorf("%s: %w: the isolated margin account is of %s, not of %s", operation, venue.ErrNotSent, p.ref.MarginSymbol, symbol)
	}
	return nil
}

// Place sends an order, once; its side effect borrows or repays.
func (p *pair) Place(ctx context.Context, order venue.NewOrder) (venue.Placed, error) {
	if err := p.own(venue.OpPlace, order.Symbol); err != nil {
		return venue.Placed{}, err
	}
	return p.send(ctx, order, weightMargin, func(ctx context.Context, client *lib.Client) (*lib.CreateOrderResponse, error) {
		service := client.NewCreateMarginOrderService().IsIsolated(true).Symbol(order.Symbol).Side(lib.SideType(order.Side)).Type(lib.OrderType(order.Type)).
			Quantity(order.Quantity.String()).NewClientOrderID(string(order.ClientOrderID)).NewOrderRespType(lib.NewOrderRespTypeFULL).
			SideEffectType(lib.SideEffectType(cmp.Or(order.SideEffect, venue.NoSideEffect)))
		if order.Type.HasPrice() {
			service = service.Price(order.Price.String()).TimeInForce(lib.TimeInForceType(order.TimeInForce))
		}
		if order.Type.IsStop() {
			service = service.StopPrice(order.StopPrice.String())
		}
		return service.Do(ctx, p.venue.window())
	})
}

// Cancel ends an open order.
func (p *pair) Cancel(ctx context.Context, cancel venue.CancelOrder) (venue.Order, error) {
	if err := p.own(venue.OpCancel, cancel.Symbol); err != nil {
		return venue.Order{}, err
	}
	return p.end(ctx, cancel, weightMargin, func(ctx context.Context, client *lib.Client) (*lib.CancelOrderResponse, error) {
		service := client.NewCancelMarginOrderService().IsIsolated(true).Symbol(cancel.Symbol).OrigClientOrderID(string(cancel.ClientOrderID))
		if cancel.CancelID != "" {
			service = service.NewClientOrderID(string(cancel.CancelID))
		}
		r, err := service.Do(ctx, p.venue.window())
		if err != nil {
			return nil, err
		}
		id, err := strconv.ParseInt(r.OrderID, 10, 64)
		if err != nil {
			return nil, errContent
		}
		return &lib.CancelOrderResponse{
			Symbol: r.Symbol, OrigClientOrderID: r.OrigClientOrderID, OrderID: id, ClientOrderID: r.ClientOrderID, TransactTime: r.TransactTime,
			Price: r.Price, OrigQuantity: r.OrigQuantity, ExecutedQuantity: r.ExecutedQuantity, CummulativeQuoteQuantity: r.CummulativeQuoteQuantity,
			Status: r.Status, TimeInForce: r.TimeInForce, Type: r.Type, Side: r.Side,
		}, nil
	})
}

// QueryOrder gives the newest order that had a client order id.
func (p *pair) QueryOrder(ctx context.Context, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return p.query(ctx, symbol, func(service *lib.GetMarginOrderService) *lib.GetMarginOrderService {
		return service.OrigClientOrderID(string(id))
	})
}

func (p *pair) query(ctx context.Context, symbol string, of func(*lib.GetMarginOrderService) *lib.GetMarginOrderService) (venue.Order, error) {
	if err := p.own(venue.OpQuery, symbol); err != nil {
		return venue.Order{}, err
	}
	return p.one(ctx, symbol, weightMargin, func(ctx context.Context, client *lib.Client) (*lib.Order, error) {
		return of(client.NewGetMarginOrderService().IsIsolated(true).Symbol(symbol)).Do(ctx, p.venue.window())
	})
}

// OpenOrders lists what may still trade, by order id.
func (p *pair) OpenOrders(ctx context.Context, symbol string) ([]venue.Order, error) {
	if symbol != "" && symbol != p.ref.MarginSymbol {
		return nil, nil
	}
	return p.orders(ctx, venue.OpOpen, weightMargin, func(ctx context.Context, client *lib.Client) ([]*lib.Order, error) {
		return client.NewListMarginOpenOrdersService().IsIsolated(true).Symbol(p.ref.MarginSymbol).Do(ctx, p.venue.window())
	})
}

// Orders lists the account's orders by id, open or ended, over as many requests as it takes.
func (p *pair) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	if err := pageLimit(venue.OpListOrders, limit); err != nil {
		return nil, err
	}
	if err := p.own(venue.OpListOrders, symbol); err != nil {
		return nil, err
	}
	var all []venue.Order
	for len(all) < limit {
		size := min(limit-len(all), marginOrdersMax)
		page, err := p.orders(ctx, venue.OpListOrders, weightMargin, func(ctx context.Context, client *lib.Client) ([]*lib.Order, error) {
			return client.NewListMarginOrdersService().IsIsolated(true).Symbol(symbol).OrderID(max(int64(from), 0)).Limit(size).Do(ctx, p.venue.window())
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < size {
			break
		}
		from = page[len(page)-1].OrderID + 1
	}
	return all, nil
}

// Trades lists the account's trades by id.
func (p *pair) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	if err := pageLimit(venue.OpListTrades, limit); err != nil {
		return nil, err
	}
	if err := p.own(venue.OpListTrades, symbol); err != nil {
		return nil, err
	}
	return p.listTrades(ctx, venue.OpListTrades, listing, func(service *lib.ListMarginTradesService) *lib.ListMarginTradesService {
		return service.FromID(max(int64(from), 0)).Limit(limit)
	})
}

func (p *pair) listTrades(
	ctx context.Context, operation string, of class, narrow func(*lib.ListMarginTradesService) *lib.ListMarginTradesService,
) ([]venue.Trade, error) {
	return p.trades(ctx, operation, weightMargin, of, func(ctx context.Context, client *lib.Client) ([]*lib.TradeV3, error) {
		return narrow(client.NewListMarginTradesService().IsIsolated(true).Symbol(p.ref.MarginSymbol)).Do(ctx, p.venue.window())
	})
}

// OrderTrades lists the trades of one order by trade id. Binance lists those of a margin account by time only: they lie between the order's
// beginning and its last change.
func (p *pair) OrderTrades(ctx context.Context, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	order, err := p.query(ctx, symbol, func(service *lib.GetMarginOrderService) *lib.GetMarginOrderService { return service.OrderID(int64(id)) })
	if err != nil {
		return nil, err
	}
	if order.CreatedAt.IsZero() || order.UpdatedAt.IsZero() {
		// Trades are listed by time: without one there would be no end, or no beginning.
		return nil, fmt.Errorf("%s: %w: order %d has no time", venue.OpTrades, errContent, id)
	}
	var all []venue.Trade
	for from := order.CreatedAt; !from.After(order.UpdatedAt); from = from.Add(tradesSpan) {
		page, err := p.listTrades(ctx, venue.OpTrades, asking, func(service *lib.ListMarginTradesService) *lib.ListMarginTradesService {
			return service.StartTime(from.UnixMilli()).EndTime(from.Add(tradesSpan).UnixMilli() - 1).Limit(venue.PageMax)
		})
		for err == nil && len(page) > 0 {
			for _, trade := range page {
				if trade.OrderID == id {
					all = append(all, trade)
				}
			}
			last := page[len(page)-1]
			if len(page) < venue.PageMax || last.Time.After(order.UpdatedAt) {
				break
			}
			page, err = p.Trades(ctx, symbol, last.TradeID+1, venue.PageMax)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(x, y venue.Trade) int { return cmp.Compare(x.TradeID, y.TradeID) })
	return slices.CompactFunc(all, func(x, y venue.Trade) bool { return x.TradeID == y.TradeID && x.Side == y.Side }), nil
}

// sheet asks for the pair's wallet.
func (p *pair) sheet(ctx context.Context) (lib.IsolatedMarginAsset, time.Time, *call, error) {
	// The time is read before the question: what the stream tells of a later moment is newer than the answer may be.
	now, err := p.venue.Time(ctx)
	if err != nil {
		return lib.IsolatedMarginAsset{}, now, nil, err
	}
	var held *lib.IsolatedMarginAccount
	c, err := p.ask(ctx, venue.OpBalances, weightMargin, asking, func(ctx context.Context, client *lib.Client) (err error) {
		held, err = client.NewGetIsolatedMarginAccountService().Symbols(p.ref.MarginSymbol).Do(ctx, p.venue.window())
		return err
	})
	if err != nil {
		return lib.IsolatedMarginAsset{}, now, c, err
	}
	for _, asset := range held.Assets {
		if asset.Symbol == p.ref.MarginSymbol {
			owed := asset.BaseAsset.Borrowed + " and " + asset.QuoteAsset.Borrowed
			if before := p.debt.owed.Swap(&owed); before == nil || *before != owed {
				p.debt.moved.Store(true)
			}
			return asset, now, c, nil
		}
	}
	return lib.IsolatedMarginAsset{}, now, c, fmt.Errorf("%s: %w: of %s", venue.OpBalances, venue.ErrNoMargin, p.ref.MarginSymbol)
}

// Balances lists what the pair's wallet holds and owes, by asset.
func (p *pair) Balances(ctx context.Context) (venue.BalanceSheet, error) {
	held, now, c, err := p.sheet(ctx)
	if err != nil {
		return venue.BalanceSheet{}, err
	}
	var n numbers
	out := venue.BalanceSheet{Time: now}
	for _, row := range []lib.IsolatedUserAsset{held.BaseAsset, held.QuoteAsset} {
		if row.Asset == "" {
			return venue.BalanceSheet{}, unreadable(c)
		}
		out.Balances = append(out.Balances, venue.Balance{
			Wallet: p.ref.Wallet(), Asset: row.Asset, Free: n.read(row.Free), Locked: n.read(row.Locked), Borrowed: n.read(row.Borrowed), Interest: n.read(row.Interest),
		})
	}
	if n.err != nil {
		return venue.BalanceSheet{}, unreadable(c)
	}
	slices.SortFunc(out.Balances, func(x, y venue.Balance) int { return cmp.Compare(x.Asset, y.Asset) })
	return out, nil
}

// Margin judges the account, as the venue does.
func (p *pair) Margin(ctx context.Context) (venue.MarginState, error) {
	held, now, c, err := p.sheet(ctx)
	if err != nil {
		return venue.MarginState{}, err
	}
	var n numbers
	price, base, quote := n.read(held.IndexPrice), held.BaseAsset, held.QuoteAsset
	sum := func(ofBase, ofQuote string) decimal.Decimal { return n.read(ofBase).Mul(price).Add(n.read(ofQuote)) }
	out := venue.MarginState{
		Symbol: p.ref.MarginSymbol, Level: n.read(held.MarginLevel), Status: venue.MarginStatus(held.MarginLevelStatus), Ratio: n.read(held.MarginRatio),
		IndexPrice: price, LiquidatePrice: n.read(held.LiquidatePrice), Time: now,
		Assets:   sum(base.Free, quote.Free).Add(sum(base.Locked, quote.Locked)),
		Borrowed: sum(base.Borrowed, quote.Borrowed), Interest: sum(base.Interest, quote.Interest),
	}
	out.Debts = out.Borrowed.Add(out.Interest)
	out.Equity = out.Assets.Sub(out.Debts)
	if n.err != nil || !out.Level.IsPositive() {
		return venue.MarginState{}, unreadable(c)
	}
	return out, nil
}
