package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/test/internal/simulated"
)

// life is a plan being lived, by an account of its own.
type life struct {
	faultPlan
	desk *desk
	// account is its account's id in our log.
	account, position string
}

// ownMoney is what an isolated margin account begins with.
const ownMoney = "20000"

// begin registers the account, hands its key over and waits until the connector trades with it. Nothing goes wrong yet.
func (l *life) begin(ctx context.Context) error {
	key, err := l.desk.exchange.Open(ctx, simulated.Account{
		Name: l.name(), Balances: map[string]string{"USDT": "50000", "BNB": "10"}, FeeMode: l.fees,
	})
	if err != nil {
		return err
	}
	if l.margin {
		if _, err := l.desk.exchange.Margin(ctx, l.name(), btc, "USDT", ownMoney); err != nil {
			return err
		}
	}
	l.account = uuid.NewString()
	if err := key.HandOver(l.desk.keys, l.desk.operated.id, l.account); err != nil {
		return err
	}
	request := &commandv1.RegisterAccountRequest{
		AccountId: l.account, Environment: eventv1.Environment_ENVIRONMENT_SIM, Exchange: "binance", Product: eventv1.Product_PRODUCT_SPOT,
		Label: l.name(), QuoteAsset: "USDT", ApiKeyFingerprint: key.Fingerprint(), Permissions: []string{"read", "trade"},
		RiskLimits: &eventv1.RiskLimits{
			RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "300", MaxDrawdown: "1000", MonthlyBudgetPercent: "4", CapitalBase: "10000", MaxOpenPositions: 3,
		},
	}
	if l.margin {
		request.Product, request.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, btc
	}
	if _, err := insist(ctx, commandv1.NewSetupServiceClient(l.desk.command.conn).RegisterAccount, request); err != nil {
		return err
	}
	if err := await(ctx, "the key is found", readyMax, func() error {
		_, err := connectorv1.NewMarketServiceClient(l.desk.connector.conn).SampleBalances(asUser(ctx), &connectorv1.SampleBalancesRequest{AccountId: l.account})
		return err
	}); err != nil {
		return err
	}
	for _, f := range l.faults {
		if err := l.desk.exchange.Harm(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// enter opens a position, and plays the exchange's part and the user's in what becomes of its entry.
func (l *life) enter(ctx context.Context) error {
	stop := "93500"
	if l.exit == exitStopped {
		stop = "94500"
	}
	request := &commandv1.OpenPositionRequest{
		AccountId: l.account, Symbol: btc, Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "10000", RiskPercent: "1", TechnicalStop: stop,
	}
	limit := "94900"
	if l.margin {
		request.Side, request.TechnicalStop, limit = eventv1.PositionSide_POSITION_SIDE_SHORT, "96500", "95100"
	}
	if l.entry != entryMarket {
		request.OrderType, request.EntryPrice = eventv1.OrderType_ORDER_TYPE_LIMIT, limit
	}
	opened, err := insist(ctx, l.trading().OpenPosition, request)
	if err != nil {
		return fmt.Errorf("open a position: %w", err)
	}
	if opened.GetOutcome().GetVerdict() != commandv1.Verdict_VERDICT_ACCEPTED {
		return fmt.Errorf("a position was refused: %v", opened.GetOutcome())
	}
	l.position = opened.GetPositionId()
	if l.entry != entryMarket {
		if err := l.playLimit(ctx); err != nil {
			return err
		}
	}
	if l.byHand {
		if err := l.desk.exchange.PlaceByHand(ctx, l.trader(), btc, "BUY", "0.00123"); err != nil {
			return err
		}
	}
	return l.sooner(ctx, "the entry is known to be over", func() error {
		return l.whereNot(ctx, projectorv1.PositionState_POSITION_STATE_ARMED, projectorv1.PositionState_POSITION_STATE_ENTERING)
	})
}

// playLimit waits for the entry to rest at the exchange and has it filled, ended or canceled. One that never comes to rest has been refused.
func (l *life) playLimit(ctx context.Context) error {
	order, err := l.resting(ctx)
	if err != nil || order == nil {
		return err
	}
	for _, quantity := range []string{"0.01", "0.003"} {
		if err := l.desk.exchange.Fill(ctx, l.trader(), *order, quantity); err != nil {
			return err
		}
	}
	switch l.entry {
	case entryFilled:
		return l.unlessOver(ctx, order, l.desk.exchange.Fill(ctx, l.trader(), *order, ""))
	case entryEnded:
		return l.unlessOver(ctx, order, l.desk.exchange.End(ctx, l.trader(), *order, "EXPIRED_IN_MATCH"))
	case entryRaced:
		raced := make(chan error, 1)
		go func() { raced <- l.cancelEntry(ctx) }()
		filled := l.unlessOver(ctx, order, l.desk.exchange.Fill(ctx, l.trader(), *order, ""))
		return errors.Join(filled, <-raced)
	default:
		return l.cancelEntry(ctx)
	}
}

// resting is the one order of ours that rests at the exchange; nil if the entry was refused.
func (l *life) resting(ctx context.Context) (found *simulated.Order, err error) {
	err = await(ctx, "the entry rests at the exchange", knownMax, func() error {
		state, err := l.desk.exchange.State(ctx, l.trader())
		if err != nil {
			return err
		}
		if n := slices.IndexFunc(state.Orders, simulated.Order.Open); n >= 0 {
			found = &state.Orders[n]
			return nil
		}
		return l.whereNot(ctx, projectorv1.PositionState_POSITION_STATE_ARMED, projectorv1.PositionState_POSITION_STATE_ENTERING)
	})
	return found, err
}

// unlessOver lets an error pass where the order had ended before.
func (l *life) unlessOver(ctx context.Context, order *simulated.Order, failed error) error {
	if failed == nil {
		return nil
	}
	state, err := l.desk.exchange.State(ctx, l.trader())
	if err != nil {
		return err
	}
	for _, o := range state.Orders {
		if o.ID == order.ID && o.Symbol == order.Symbol && !o.Open() {
			return nil
		}
	}
	return failed
}

// cancelEntry has the user cancel the entry, which may have ended meanwhile.
func (l *life) cancelEntry(ctx context.Context) error {
	var id string
	if err := await(ctx, "the entry is in the log", knownMax, func() error {
		orders, err := l.orders(ctx)
		if err == nil && len(orders) == 0 {
			err = errors.New("no order")
		}
		if err == nil {
			id = orders[0].GetOrderId()
		}
		return err
	}); err != nil {
		return err
	}
	_, err := insist(ctx, l.trading().CancelOrder, &commandv1.CancelOrderRequest{OrderId: id})
	if status.Code(err) == codes.FailedPrecondition {
		err = nil // it has ended
	}
	return err
}

// leave has the user close what is open, unless it is to be stopped out.
func (l *life) leave(ctx context.Context) error {
	at, err := l.standing(ctx)
	if err != nil || at == projectorv1.PositionState_POSITION_STATE_CLOSED || l.exit == exitStopped {
		return err
	}
	if l.exit == exitPanic {
		_, err = insist(ctx, l.trading().Panic, &commandv1.PanicRequest{AccountId: l.account, Note: "chaos"})
		return err
	}
	_, err = insist(ctx, l.trading().ClosePosition, &commandv1.ClosePositionRequest{PositionId: l.position})
	return err
}

// standing is the position's state.
func (l *life) standing(ctx context.Context) (projectorv1.PositionState, error) {
	row, err := l.state().GetPosition(asUser(ctx), &projectorv1.GetPositionRequest{PositionId: l.position})
	return row.GetPosition().GetState(), err
}

// whereNot is an error while the position is in one of the states.
func (l *life) whereNot(ctx context.Context, states ...projectorv1.PositionState) error {
	at, err := l.standing(ctx)
	if err == nil && slices.Contains(states, at) {
		err = fmt.Errorf("the position is %s", at)
	}
	return err
}

func (l *life) trading() commandv1.TradingServiceClient {
	return commandv1.NewTradingServiceClient(l.desk.command.conn)
}

func (l *life) state() projectorv1.StateServiceClient { return l.desk.rig.state() }

func (l *life) reconciliation() connectorv1.ReconciliationServiceClient {
	return connectorv1.NewReconciliationServiceClient(l.desk.connector.conn)
}

// reconcile has the account reconciled.
func (l *life) reconcile(ctx context.Context) (*connectorv1.ReconciliationReport, error) {
	response, err := insist(ctx, l.reconciliation().Reconcile, &connectorv1.ReconcileRequest{AccountId: l.account})
	return response.GetReport(), err
}

func (l *life) orders(ctx context.Context) ([]*projectorv1.Order, error) {
	listed, err := l.state().ListOrders(asUser(ctx), &projectorv1.ListOrdersRequest{AccountId: l.account, PageSize: 500})
	return listed.GetOrders(), err
}
