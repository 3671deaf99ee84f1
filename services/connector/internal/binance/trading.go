package binance

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	lib "github.com/adshao/go-binance/v2"

	"github.com/robson/robson/services/connector/internal/venue"
)

// Weights of requests (domain 3.1).
const (
	weightOrder     = 1
	weightQuery     = 4
	weightOpen      = 6
	weightOpenAll   = 80
	weightOfOrder   = 5
	weightList      = 20
	weightAccount   = 20
	weightRate      = 20
	weightInfo      = 20
	weightAggTrades = 4
)

// Place sends an order, once.
func (a *account) Place(ctx context.Context, order venue.NewOrder) (venue.Placed, error) {
	if order.SideEffect != "" && order.SideEffect != venue.NoSideEffect {
		return venue.Placed{}, fmt.Errorf("%s: %w: %s is for margin accounts", venue.OpPlace, venue.ErrNotSent, order.SideEffect)
	}
	return a.send(ctx, order, weightOrder, func(ctx context.Context, client *lib.Client) (*lib.CreateOrderResponse, error) {
		return request(client, order).Do(ctx, a.venue.window())
	})
}

// send makes the one request that places an order.
func (a *account) send(
	ctx context.Context, order venue.NewOrder, weight int64, place func(context.Context, *lib.Client) (*lib.CreateOrderResponse, error),
) (venue.Placed, error) {
	c, err := a.stamped(ctx, venue.OpPlace, weight, trading, order.Stamp)
	if err != nil {
		return venue.Placed{}, err
	}
	if order.Stamp.IsZero() || order.ClientOrderID == "" {
		return venue.Placed{}, fmt.Errorf("%s: %w: it has no stamp or no id", venue.OpPlace, venue.ErrNotSent)
	}
	var response *lib.CreateOrderResponse
	err = a.venue.do(ctx, c, func(ctx context.Context, client *lib.Client) (err error) {
		response, err = place(ctx, client)
		return err
	})
	if err != nil {
		return venue.Placed{}, err
	}
	placed, err := placedOf(c.body, order, response)
	if err != nil {
		return venue.Placed{}, unreadable(c)
	}
	return placed, nil
}

func request(client *lib.Client, order venue.NewOrder) *lib.CreateOrderService {
	service := client.NewCreateOrderService().Symbol(order.Symbol).Side(lib.SideType(order.Side)).Type(lib.OrderType(order.Type)).
		Quantity(order.Quantity.String()).NewClientOrderID(string(order.ClientOrderID)).NewOrderRespType(lib.NewOrderRespTypeFULL)
	if order.Type.HasPrice() {
		service = service.Price(order.Price.String()).TimeInForce(lib.TimeInForceType(order.TimeInForce))
	}
	if order.Type.IsStop() {
		service = service.StopPrice(order.StopPrice.String())
	}
	return service
}

// Cancel ends an open order.
func (a *account) Cancel(ctx context.Context, cancel venue.CancelOrder) (venue.Order, error) {
	return a.end(ctx, cancel, weightOrder, func(ctx context.Context, client *lib.Client) (*lib.CancelOrderResponse, error) {
		service := client.NewCancelOrderService().Symbol(cancel.Symbol).OrigClientOrderID(string(cancel.ClientOrderID))
		if cancel.CancelID != "" {
			service = service.NewClientOrderID(string(cancel.CancelID))
		}
		return service.Do(ctx, a.venue.window())
	})
}

// end makes the request that cancels an order.
func (a *account) end(
	ctx context.Context, cancel venue.CancelOrder, weight int64, do func(context.Context, *lib.Client) (*lib.CancelOrderResponse, error),
) (venue.Order, error) {
	c, err := a.signed(ctx, venue.OpCancel, weight, trading)
	if err != nil {
		return venue.Order{}, err
	}
	var response *lib.CancelOrderResponse
	err = a.venue.do(ctx, c, func(ctx context.Context, client *lib.Client) (err error) {
		response, err = do(ctx, client)
		return err
	})
	if err != nil {
		return venue.Order{}, err
	}
	order, err := canceledOf(c.body, cancel, response)
	if err != nil {
		return venue.Order{}, unreadable(c)
	}
	return order, nil
}

// QueryOrder gives the newest order that had a client order id.
func (a *account) QueryOrder(ctx context.Context, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	return a.one(ctx, symbol, weightQuery, func(ctx context.Context, client *lib.Client) (*lib.Order, error) {
		return client.NewGetOrderService().Symbol(symbol).OrigClientOrderID(string(id)).Do(ctx, a.venue.window())
	})
}

// one asks for one order.
func (a *account) one(
	ctx context.Context, symbol string, weight int64, get func(context.Context, *lib.Client) (*lib.Order, error),
) (venue.Order, error) {
	var row *lib.Order
	c, err := a.ask(ctx, venue.OpQuery, weight, asking, func(ctx context.Context, client *lib.Client) (err error) {
		row, err = get(ctx, client)
		return err
	})
	if err != nil {
		return venue.Order{}, err
	}
	order, err := orderOf(row)
	if err != nil || order.Symbol != symbol {
		return venue.Order{}, unreadable(c)
	}
	order.ExpiryReason = expiryReasonOf(c.body)
	return order, nil
}

// OpenOrders lists what may still trade, by order id.
func (a *account) OpenOrders(ctx context.Context, symbol string) ([]venue.Order, error) {
	weight := int64(weightOpenAll)
	if symbol != "" {
		weight = weightOpen
	}
	return a.orders(ctx, venue.OpOpen, weight, func(ctx context.Context, client *lib.Client) ([]*lib.Order, error) {
		service := client.NewListOpenOrdersService()
		if symbol != "" {
			service = service.Symbol(symbol)
		}
		return service.Do(ctx, a.venue.window())
	})
}

// Orders lists the account's orders of a symbol by id, open or ended.
func (a *account) Orders(ctx context.Context, symbol string, from venue.OrderID, limit int) ([]venue.Order, error) {
	if err := pageLimit(venue.OpListOrders, limit); err != nil {
		return nil, err
	}
	return a.orders(ctx, venue.OpListOrders, weightList, func(ctx context.Context, client *lib.Client) ([]*lib.Order, error) {
		return client.NewListOrdersService().Symbol(symbol).OrderID(max(int64(from), 0)).Limit(limit).Do(ctx, a.venue.window())
	})
}

func (a *account) orders(
	ctx context.Context, operation string, weight int64, list func(context.Context, *lib.Client) ([]*lib.Order, error),
) ([]venue.Order, error) {
	var rows []*lib.Order
	c, err := a.ask(ctx, operation, weight, listing, func(ctx context.Context, client *lib.Client) (err error) {
		rows, err = list(ctx, client)
		return err
	})
	if err != nil {
		return nil, err
	}
	reasons := expiryReasonsOf(c.body)
	out := make([]venue.Order, 0, len(rows))
	for _, row := range rows {
		order, err := orderOf(row)
		if err != nil {
			return nil, unreadable(c)
		}
		order.ExpiryReason = reasons[orderKey{order.Symbol, row.OrderID}]
		out = append(out, order)
	}
	slices.SortFunc(out, func(x, y venue.Order) int {
		return cmp.Or(cmp.Compare(x.OrderID, y.OrderID), cmp.Compare(x.Symbol, y.Symbol))
	})
	return out, nil
}

// OrderTrades lists the trades of one order by trade id.
func (a *account) OrderTrades(ctx context.Context, symbol string, id venue.OrderID) ([]venue.Trade, error) {
	var all []venue.Trade
	for {
		page, err := a.trades(ctx, venue.OpTrades, weightOfOrder, asking, func(ctx context.Context, client *lib.Client) ([]*lib.TradeV3, error) {
			service := client.NewListTradesService().Symbol(symbol).OrderId(int64(id)).Limit(venue.PageMax)
			if len(all) > 0 {
				service = service.FromID(int64(all[len(all)-1].TradeID) + 1)
			}
			return service.Do(ctx, a.venue.window())
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < venue.PageMax {
			return all, nil
		}
	}
}

// Trades lists the account's trades of a symbol by id.
func (a *account) Trades(ctx context.Context, symbol string, from venue.TradeID, limit int) ([]venue.Trade, error) {
	if err := pageLimit(venue.OpListTrades, limit); err != nil {
		return nil, err
	}
	return a.trades(ctx, venue.OpListTrades, weightList, listing, func(ctx context.Context, client *lib.Client) ([]*lib.TradeV3, error) {
		return client.NewListTradesService().Symbol(symbol).FromID(max(int64(from), 0)).Limit(limit).Do(ctx, a.venue.window())
	})
}

func (a *account) trades(
	ctx context.Context, operation string, weight int64, of class, list func(context.Context, *lib.Client) ([]*lib.TradeV3, error),
) ([]venue.Trade, error) {
	var rows []*lib.TradeV3
	c, err := a.ask(ctx, operation, weight, of, func(ctx context.Context, client *lib.Client) (err error) {
		rows, err = list(ctx, client)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]venue.Trade, 0, len(rows))
	for _, row := range rows {
		trade, err := tradeOf(row)
		if err != nil {
			return nil, unreadable(c)
		}
		out = append(out, trade)
	}
	slices.SortStableFunc(out, func(x, y venue.Trade) int { return cmp.Compare(x.TradeID, y.TradeID) })
	return out, nil
}

func pageLimit(operation string, limit int) error {
	if limit < 1 || limit > venue.PageMax {
		return fmt.Errorf("%s: %w: a page of %d: must be 1 to %d", operation, venue.ErrNotSent, limit, venue.PageMax)
	}
	return nil
}
