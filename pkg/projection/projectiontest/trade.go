package projectiontest

import (
	"strconv"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/money"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// What the payloads below are about.
var (
	Spot       = ID("spot account")
	Margin     = ID("margin account")
	StrategyID = ID("strategy")
)

// Limits are an account's limits: 1 % a trade, 4 % of 10000 a month, 200 a day.
func Limits() *eventv1.RiskLimits {
	return &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "200", MaxDrawdown: "1000",
		MonthlyBudgetPercent: "4", CapitalBase: "10000", MaxOpenPositions: 3,
	}
}

// Registered are the events that begin a log: the tenant, a spot and an isolated margin account, and an enabled strategy
// of the spot account.
func (l *Log) Registered() error {
	tenant := &eventv1.TenantCreated{TenantId: l.TenantID.String(), Name: "tenant"}
	if _, err := l.Append(tenant); err != nil {
		return err
	}
	if _, err := l.Append(l.AccountRegistered(Spot, eventv1.Product_PRODUCT_SPOT)); err != nil {
		return err
	}
	if _, err := l.Append(l.AccountRegistered(Margin, eventv1.Product_PRODUCT_ISOLATED_MARGIN)); err != nil {
		return err
	}
	if _, err := l.Append(l.StrategyRegistered()); err != nil {
		return err
	}
	_, err := l.Append(l.StrategyEnabled())
	return err
}

// AccountRegistered registers an account, or registers it again.
func (l *Log) AccountRegistered(id uuid.UUID, product eventv1.Product) *eventv1.AccountRegistered {
	payload := &eventv1.AccountRegistered{
		AccountId: id.String(), Exchange: "binance", Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: product,
		Label: "account", RiskLimits: Limits(), ApiKeyFingerprint: "key-" + id.String(), Permissions: []string{"trade"},
		Version: 1, QuoteAsset: "USDT",
	}
	if product == eventv1.Product_PRODUCT_ISOLATED_MARGIN {
		payload.MarginSymbol = "BTCUSDT"
	}
	if known := row[projection.Account](l, projection.AccountKey(id)); known != nil {
		payload.Version = known.Version + 1
	}
	return payload
}

// StrategyRegistered registers the strategy.
func (l *Log) StrategyRegistered() *eventv1.StrategyRegistered {
	return &eventv1.StrategyRegistered{
		StrategyId: StrategyID.String(), AccountId: Spot.String(), StrategyName: "manual", StrategyType: "manual",
		RiskConfig: &eventv1.RiskConfig{RiskPercent: "1", MaxExposure: "20000"}, Version: 1,
	}
}

// StrategyEnabled enables the strategy with its present settings.
func (l *Log) StrategyEnabled() *eventv1.StrategyEnabled {
	registered := l.StrategyRegistered()
	payload := &eventv1.StrategyEnabled{
		StrategyId: registered.GetStrategyId(), AccountId: registered.GetAccountId(), StrategyName: registered.GetStrategyName(),
		StrategyType: registered.GetStrategyType(), RiskConfig: registered.GetRiskConfig(), Version: 1,
	}
	if known := l.Strategy(StrategyID); known != nil {
		payload.Version = known.Version
	}
	return payload
}

// Plan is a position that is going to be opened.
type Plan struct {
	// Name tells it from others; its ids follow from it.
	Name    string
	Account uuid.UUID
	// Strategy is zero for a position of no strategy.
	Strategy uuid.UUID
	Symbol   string
	Side     eventv1.PositionSide
	Entry    string
	Stop     string
	Capital  string
	Step     string
}

// Long is domain S1: BTCUSDT at 95000 with a stop at 93500 on 10000.
func Long(name string) Plan {
	return Plan{
		Name: name, Account: Spot, Symbol: "BTCUSDT", Side: eventv1.PositionSide_POSITION_SIDE_LONG,
		Entry: "95000", Stop: "93500", Capital: "10000", Step: "0.00001",
	}
}

// Short is its mirror on the margin account.
func Short(name string) Plan {
	p := Long(name)
	p.Account, p.Side, p.Stop = Margin, eventv1.PositionSide_POSITION_SIDE_SHORT, "96500"
	return p
}

// PositionID, SignalID, DecisionID and EntryID are the ids of what comes of the plan.
func (p Plan) PositionID() uuid.UUID { return ID(p.Name + "/position") }

// SignalID is the signal's id.
func (p Plan) SignalID() uuid.UUID { return ID(p.Name + "/signal") }

// DecisionID is the decision's id.
func (p Plan) DecisionID() uuid.UUID { return ID(p.Name + "/decision") }

// EntryID is the entry intent's id.
func (p Plan) EntryID() uuid.UUID { return ID(p.Name + "/entry") }

func (p Plan) strategyText() string {
	if p.Strategy == uuid.Nil {
		return ""
	}
	return p.Strategy.String()
}

// sides of orders that enter and that leave.
func (p Plan) sides() (enter, leave eventv1.Side) {
	if p.Side == eventv1.PositionSide_POSITION_SIDE_SHORT {
		return eventv1.Side_SIDE_SELL, eventv1.Side_SIDE_BUY
	}
	return eventv1.Side_SIDE_BUY, eventv1.Side_SIDE_SELL
}

// Armed arms the position.
func (l *Log) Armed(p Plan) *eventv1.PositionArmed {
	return &eventv1.PositionArmed{
		PositionId: p.PositionID().String(), AccountId: p.Account.String(), StrategyId: p.strategyText(), Symbol: p.Symbol,
		Side: p.Side, Capital: p.Capital, RiskPercent: "1", ArmedAt: l.stamp(),
	}
}

// Detected is the position's signal.
func (l *Log) Detected(p Plan) *eventv1.SignalDetected {
	return &eventv1.SignalDetected{
		SignalId: p.SignalID().String(), PositionId: p.PositionID().String(), StrategyId: p.strategyText(), Symbol: p.Symbol,
		Side: p.Side, EntryPrice: p.Entry, StopLoss: p.Stop, Detector: "manual", DetectedAt: l.stamp(),
	}
}

// Proposed is the decision: the Golden Rule, capped by the capital.
func (l *Log) Proposed(p Plan) *eventv1.DecisionProposed {
	entry, stop, capital := dec(p.Entry), dec(p.Stop), dec(p.Capital)
	distance, maxRisk := entry.Sub(stop).Abs(), capital.Shift(-2)
	raw := money.Div18(maxRisk, distance)
	quantity, limit := floor(maxRisk, distance, dec(p.Step)), eventv1.QuantityLimit_QUANTITY_LIMIT_RISK
	if most := floor(capital, entry, dec(p.Step)); most.LessThan(quantity) {
		quantity, limit = most, eventv1.QuantityLimit_QUANTITY_LIMIT_MARGIN
	}
	return &eventv1.DecisionProposed{
		DecisionId: p.DecisionID().String(), PositionId: p.PositionID().String(), SignalId: p.SignalID().String(),
		StrategyId: p.strategyText(), Symbol: p.Symbol, Side: p.Side, EntryPrice: p.Entry, TechnicalStopPrice: p.Stop,
		TechnicalStopDistance: distance.String(), Capital: p.Capital, RiskPercent: "1", MaxRiskAmount: maxRisk.String(),
		RawQuantity: raw.String(), Quantity: quantity.String(), QuantityLimit: limit, PlannedRisk: quantity.Mul(distance).String(),
		Notional: quantity.Mul(entry).String(), StepSize: p.Step, DecidedAt: l.stamp(),
	}
}

// floor is num / den cut down to a multiple of a step.
func floor(num, den, step decimal.Decimal) decimal.Decimal {
	steps, _ := num.QuoRem(den.Mul(step), 0)
	return steps.Mul(step)
}

// Passed lets the decision through one gate.
func (l *Log) Passed(p Plan) *eventv1.RiskCheckPassed {
	return &eventv1.RiskCheckPassed{
		CheckId: ID(p.Name + "/check").String(), DecisionId: p.DecisionID().String(), AccountId: p.Account.String(),
		StrategyId:      p.strategyText(),
		ChecksPerformed: []*eventv1.RiskCheck{{Name: "total_exposure", Limit: "30000", Value: "0", Passed: true}},
	}
}

// Failed refuses the decision for the month's budget.
func (l *Log) Failed(p Plan) *eventv1.RiskCheckFailed {
	failed := []*eventv1.RiskCheck{{Name: "monthly_budget", Limit: "50.01", Value: "99.99", Message: "too much"}}
	return &eventv1.RiskCheckFailed{
		CheckId: ID(p.Name + "/check").String(), DecisionId: p.DecisionID().String(), AccountId: p.Account.String(),
		StrategyId: p.strategyText(), ChecksPerformed: failed, FailedChecks: failed,
		Severity: eventv1.Severity_SEVERITY_WARNING, ViolationReason: "monthly_budget",
	}
}

// Entry is the intent to enter, at the market.
func (l *Log) Entry(p Plan) *eventv1.IntentCreated {
	enter, _ := p.sides()
	quantity := "1"
	if decision := l.Decision(p.DecisionID()); decision != nil {
		quantity = decision.Quantity.String()
	}
	intent := l.intent(p, p.EntryID(), eventv1.IntentType_INTENT_TYPE_ENTRY, quantity)
	intent.DecisionId, intent.Side = p.DecisionID().String(), enter
	return intent
}

func (l *Log) intent(p Plan, id uuid.UUID, kind eventv1.IntentType, quantity string) *eventv1.IntentCreated {
	_, leave := p.sides()
	return &eventv1.IntentCreated{
		IntentId: id.String(), PositionId: p.PositionID().String(), AccountId: p.Account.String(), IntentType: kind,
		Symbol: p.Symbol, Side: leave, OrderType: eventv1.OrderType_ORDER_TYPE_MARKET, Quantity: quantity,
		ClientOrderId: event.ClientOrderID(event.OrderID(id, 1)), Reason: "test",
	}
}

// Exit is the n-th intent to leave, at the market.
func (l *Log) Exit(p Plan, n int, quantity string) *eventv1.IntentCreated {
	return l.intent(p, ExitID(p, n), eventv1.IntentType_INTENT_TYPE_EXIT, quantity)
}

// ExitID is the id of the n-th intent to leave.
func ExitID(p Plan, n int) uuid.UUID { return ID(p.Name + "/exit" + strconv.Itoa(n)) }

// Protect is the n-th intent to keep a resting stop.
func (l *Log) Protect(p Plan, n int, quantity, stop string) *eventv1.IntentCreated {
	intent := l.intent(p, ProtectID(p, n), eventv1.IntentType_INTENT_TYPE_INSURANCE_STOP, quantity)
	intent.OrderType, intent.StopPrice = eventv1.OrderType_ORDER_TYPE_STOP_LOSS, stop
	return intent
}

// ProtectID is the id of the n-th intent to keep a resting stop.
func ProtectID(p Plan, n int) uuid.UUID { return ID(p.Name + "/stop" + strconv.Itoa(n)) }

// Cancel is the intent to cancel an order.
func (l *Log) Cancel(p Plan, order uuid.UUID) *eventv1.IntentCreated {
	intent := l.intent(p, ID("cancel "+order.String()), eventv1.IntentType_INTENT_TYPE_CANCEL, "1")
	intent.CancelsOrderId = order.String()
	return intent
}

// Opening takes a plan up to its entry intent.
func (l *Log) Opening(p Plan) error {
	if _, err := l.Append(l.Armed(p)); err != nil {
		return err
	}
	if _, err := l.Append(l.Detected(p)); err != nil {
		return err
	}
	if _, err := l.Append(l.Proposed(p)); err != nil {
		return err
	}
	if _, err := l.Append(l.Passed(p)); err != nil {
		return err
	}
	_, err := l.Append(l.Entry(p))
	return err
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }
