package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/money"
	"github.com/robson/robson/pkg/simexchange"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// exchangeStage is a simulated exchange, of which the connector knows nothing but its protocol.
type exchangeStage struct {
	*Exchange
	tick int
}

func (x *exchangeStage) second() string { return "other" }

func (x *exchangeStage) shorts() bool { return false }

func (x *exchangeStage) scenes(d *Demo) []scene {
	return []scene{{"an order is taken, and its answer never comes", func(ctx context.Context) error { return x.lostAnswer(ctx, d) }}}
}

// read has nothing to do: the exchange was founded on the market data.
func (x *exchangeStage) read(context.Context, *Demo) (string, error) { return x.note, nil }

// open has nothing to do: the exchange stands at the first price of its path since it was founded.
func (x *exchangeStage) open(context.Context, *Demo) error { return nil }

func (x *exchangeStage) accounts(ctx context.Context, d *Demo) (spot, other string, err error) {
	tenant, err := retry(ctx, d, "look at the tenant", func(ctx context.Context) (*projectorv1.GetTenantResponse, error) {
		return d.state.GetTenant(ctx, &projectorv1.GetTenantRequest{})
	})
	if err != nil {
		return "", "", err
	}
	open := func(name, feeMode string) (string, error) {
		id := d.id("account/" + name).String()
		fingerprint, err := x.account(tenant.GetTenant().GetTenantId(), id, feeMode)
		if err != nil {
			return "", err
		}
		d.say("%s %s, %s BNB, fees %s; the key is in a file, the log knows %s", depositText, assetUSDT, bnbText, feeMode, fingerprint)
		return d.registerAccount(ctx, accountPlan{name: name, product: eventv1.Product_PRODUCT_SPOT, fingerprint: fingerprint, id: id})
	}
	if spot, err = open("spot", feesInBNB); err != nil {
		return "", "", err
	}
	other, err = open(x.second(), feesAsReceived)
	return spot, other, err
}

func (x *exchangeStage) standingPrice(context.Context, *Demo) (decimal.Decimal, error) {
	return decimal.NewFromString(priceETH)
}

func (x *exchangeStage) advance(_ context.Context, _ *Demo, tick int) error {
	if err := x.server.Step(tick - x.tick); err != nil {
		return fmt.Errorf("move the market: %w", err)
	}
	x.tick = tick
	return nil
}

// behind holds the log against the exchange, which nobody else asks: its trades, and the orders that are open there.
func (x *exchangeStage) behind(ctx context.Context, d *Demo, monitor []*commandv1.PriceProgress) (string, error) {
	for _, account := range []string{d.world.spot, d.world.second} {
		if account == "" {
			continue // it is not registered yet
		}
		waiting, err := x.accountBehind(ctx, d, account)
		if err != nil || waiting != "" {
			return waiting, err
		}
	}
	price := money.Format(d.world.prices[x.tick])
	for _, at := range monitor {
		if at.GetSymbol() == symbolBTC && at.GetPrice() != "" && at.GetPrice() != price {
			return fmt.Sprintf("the stop monitor is at price %s, the market at %s", at.GetPrice(), price), nil
		}
	}
	return "", nil
}

func (x *exchangeStage) accountBehind(ctx context.Context, d *Demo, account string) (string, error) {
	differences, _, err := x.against(ctx, d, account)
	if err != nil || len(differences) > 0 {
		return strings.Join(differences, "; "), err
	}
	orders, err := x.server.Orders(account, "")
	if err != nil {
		return "", fmt.Errorf("ask the exchange: %w", err)
	}
	open := 0
	for _, o := range orders {
		if o.Open() {
			open++
		}
	}
	live, err := retry(ctx, d, "list live orders", func(ctx context.Context) (*projectorv1.ListOrdersResponse, error) {
		return d.state.ListOrders(ctx, &projectorv1.ListOrdersRequest{AccountId: account, PageSize: rowsMax, Statuses: []projectorv1.OrderStatus{
			projectorv1.OrderStatus_ORDER_STATUS_PENDING, projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED,
			projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, projectorv1.OrderStatus_ORDER_STATUS_PARTIAL,
		}})
	})
	if err != nil {
		return "", err
	}
	if len(live.GetOrders()) != open {
		return fmt.Sprintf("%d orders are open in the log, %d at the exchange", len(live.GetOrders()), open), nil
	}
	return "", nil
}

// trades are an account's, on the symbols that are played on.
func (x *exchangeStage) trades(account string) ([]simexchange.Trade, error) {
	var all []simexchange.Trade
	for _, symbol := range []string{symbolBTC, symbolETH} {
		trades, err := x.server.Trades(account, symbol)
		if err != nil {
			return nil, fmt.Errorf("ask the exchange: %w", err)
		}
		all = append(all, trades...)
	}
	return all, nil
}

// accountFills are all fills of an account.
func (d *Demo) accountFills(ctx context.Context, account string) ([]*projectorv1.Fill, error) {
	page, err := retry(ctx, d, "list fills", func(ctx context.Context) (*projectorv1.ListFillsResponse, error) {
		return d.state.ListFills(ctx, &projectorv1.ListFillsRequest{AccountId: account, PageSize: fillsMax})
	})
	return page.GetFills(), err
}

// lostAnswer has the exchange carry an order out and never say so. The order is flagged, asked about, and found; it is not sent again.
func (x *exchangeStage) lostAnswer(ctx context.Context, d *Demo) error {
	if _, err := x.server.AddFault(simexchange.Fault{
		Kind: simexchange.AcceptThenTimeout, Method: "POST", Path: "/api/v3/order", Account: d.world.second,
	}); err != nil {
		return fmt.Errorf("plan a fault: %w", err)
	}
	request := d.raceRequest(symbolBTC, d.world.prices[d.world.tick])
	request.AccountId = d.world.second
	response, err := retry(d.step(ctx, "open-lost"), d, "open", func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
		return d.trading.OpenPosition(ctx, request)
	})
	if err != nil {
		return err
	}
	if err := d.accepted("the long", response.GetOutcome()); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	if err := x.showLost(ctx, d, response); err != nil {
		return err
	}
	return d.closeByCommand(ctx, response.GetPositionId())
}

// showLost shows what became of the order, and that there is one.
func (x *exchangeStage) showLost(ctx context.Context, d *Demo, response *commandv1.OpenPositionResponse) error {
	position, err := d.position(ctx, response.GetPositionId(), 0)
	if err != nil {
		return err
	}
	orders, err := retry(ctx, d, "look at the entry", func(ctx context.Context) (*projectorv1.GetOrderResponse, error) {
		return d.state.GetOrder(ctx, &projectorv1.GetOrderRequest{OrderId: position.GetEntryOrderId()})
	})
	if err != nil {
		return err
	}
	order := orders.GetOrder()
	events, err := d.traced(ctx, response.GetOutcome().GetTraceId())
	if err != nil {
		return err
	}
	flagged := false
	for _, e := range events {
		flagged = flagged || e.GetEventType() == "EXCHANGE_STATE_UNCERTAIN"
	}
	placed := x.placed(d.world.second, order.GetClientOrderId())
	switch {
	case !flagged:
		return errors.New("no EXCHANGE_STATE_UNCERTAIN in the log: the answer was not missed")
	case order.GetNeedsResolution():
		return fmt.Errorf("order %s is still unknown", order.GetOrderId())
	case placed != 1:
		return fmt.Errorf("order %s was placed %d times", order.GetOrderId(), placed)
	}
	d.say("no answer: EXCHANGE_STATE_UNCERTAIN; asked, and found %s: %s filled at %s", enumWord(order.GetStatus().String(), "ORDER_STATUS_"),
		order.GetFilledQuantity(), screen.Round(order.GetAverageFillPrice()))
	d.say("the exchange was asked to place %s once", order.GetClientOrderId())
	return nil
}

// against holds an account's book against the exchange; held is what there is to hold it against.
func (x *exchangeStage) against(ctx context.Context, d *Demo, account string) (differences []string, held string, err error) {
	trades, err := x.trades(account)
	if err != nil {
		return nil, "", err
	}
	has, err := x.server.Balances(account)
	if err != nil {
		return nil, "", fmt.Errorf("ask the exchange: %w", err)
	}
	fills, err := d.accountFills(ctx, account)
	if err != nil {
		return nil, "", err
	}
	balances, err := d.balances(ctx, account)
	if err != nil {
		return nil, "", err
	}
	return against(fills, trades, balances, has), fmt.Sprintf("%d trades, each once, and %d balances", len(trades), len(has)), nil
}

// check holds the whole book against the exchange.
func (x *exchangeStage) check(ctx context.Context, d *Demo) error {
	for _, account := range []string{d.world.spot, d.world.second} {
		differences, held, err := x.against(ctx, d, account)
		if err != nil {
			return err
		}
		for _, difference := range differences {
			d.say("%s", difference)
		}
		if len(differences) > 0 {
			return fmt.Errorf("the book of account %s differs from the exchange in %d places", d.account(account), len(differences))
		}
		d.say("%s: book = exchange: %s, to the last digit", d.account(account), held)
	}
	return nil
}
