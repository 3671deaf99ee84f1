package projectiontest

import (
	"fmt"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// history draws a log step by step.
type history struct {
	*Log
	t     *rapid.T
	plans []Plan
	// late are facts that have happened and have not come yet.
	late []proto.Message
	// made counts intents, so that each has its own name.
	made int
}

// Random draws a log of legal commands and of facts that come duplicated, late and out of order. Commands that the state
// refuses are not in it; any other error is the rules' own, and is returned.
func Random(t *rapid.T, stepsMax int) (*Log, error) {
	h := &history{Log: NewLog(), t: t, plans: randomPlans(t)}
	if err := h.Registered(); err != nil {
		return nil, err
	}
	for range rapid.IntRange(stepsMax/2, stepsMax).Draw(t, "steps") {
		if err := h.step(); err != nil {
			return nil, err
		}
	}
	for _, payload := range h.late {
		if err := h.try(payload); err != nil {
			return nil, err
		}
	}
	return h.Log, nil
}

func randomPlans(t *rapid.T) []Plan {
	plans := []Plan{Long("a"), Long("b"), Short("c"), Long("d"), Short("e")}
	plans[0].Strategy, plans[3].Strategy = StrategyID, StrategyID
	plans[1].Symbol, plans[1].Entry, plans[1].Stop, plans[1].Step = "ETHUSDT", "2000.5", "1950.25", "0.0001"
	plans[3].Symbol = "ETHUSDT"
	for i := range plans {
		plans[i].Capital = fmt.Sprint(rapid.IntRange(100, 20000).Draw(t, "capital"))
	}
	return plans
}

// try appends a payload; a refusal is no failure.
func (h *history) try(payload proto.Message) error {
	_, err := h.Append(payload)
	if fault.Is(err, fault.Refused) || fault.Is(err, fault.Invalid) {
		return nil
	}
	return err
}

// tell lets a fact come now, now and again, or later.
func (h *history) tell(payload proto.Message) error {
	switch rapid.IntRange(0, 5).Draw(h.t, "when") {
	case 0:
		h.late = append(h.late, payload)
		return nil
	case 1:
		h.late = append(h.late, payload)
	}
	return h.try(payload)
}

func (h *history) step() error {
	plan := rapid.SampledFrom(h.plans).Draw(h.t, "plan")
	position := h.Position(plan.PositionID())
	switch rapid.IntRange(0, 11).Draw(h.t, "step") {
	case 10, 11:
		return h.observe()
	case 0, 1, 2, 3, 4:
		return h.advance(plan, position)
	case 5:
		return h.setUp()
	case 6:
		return h.arrive()
	case 7:
		if position != nil {
			return h.command(plan, position)
		}
		return h.advance(plan, position)
	}
	intents := h.intents(plan)
	if len(intents) == 0 {
		return h.advance(plan, position)
	}
	return h.happen(plan, rapid.SampledFrom(intents).Draw(h.t, "intent"))
}

// arrive lets a late fact come.
func (h *history) arrive() error {
	if len(h.late) == 0 {
		return nil
	}
	i := rapid.IntRange(0, len(h.late)-1).Draw(h.t, "late")
	payload := h.late[i]
	h.late = append(h.late[:i:i], h.late[i+1:]...)
	return h.try(payload)
}

// advance takes a plan one step towards its entry, or its exit one step towards the close.
func (h *history) advance(plan Plan, position *projection.Position) error {
	if position == nil {
		return h.try(h.Armed(plan))
	}
	switch {
	case h.Signal(plan.SignalID()) == nil:
		return h.try(h.Detected(plan))
	case h.Decision(plan.DecisionID()) == nil:
		return h.propose(plan)
	case h.Decision(plan.DecisionID()).Status == projection.DecisionProposed && rapid.IntRange(0, 4).Draw(h.t, "passes") == 0:
		failed := h.Failed(plan)
		failed.AccountBreach = rapid.Bool().Draw(h.t, "breach")
		return h.try(failed)
	case h.Decision(plan.DecisionID()).Status == projection.DecisionProposed:
		return h.try(h.Passed(plan))
	case h.Intent(plan.EntryID()) == nil && h.Signal(plan.SignalID()).Status == projection.SignalDetected:
		return h.try(h.answered(plan))
	case h.Intent(plan.EntryID()) == nil:
		return h.try(h.Entry(plan))
	case h.Order(event.OrderID(plan.EntryID(), 1)) == nil:
		return h.try(h.Claim(plan.EntryID(), 1))
	case position.OpenedAt == nil && position.EntryQuantity.IsPositive() && position.State == projection.PositionEntering:
		return h.try(h.Opened(plan, position.EntryPrice.Decimal.String(), position.EntryQuantity.String()))
	case position.State == projection.PositionActive:
		return h.hold(plan, position)
	case position.State == projection.PositionExiting || position.State == projection.PositionError:
		return h.leave(plan, position)
	case !position.EntryDone:
		return h.happen(plan, h.Intent(plan.EntryID()))
	}
	return h.try(h.Closed(plan, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED))
}

// propose decides on a signal, mostly after its stop was analyzed.
func (h *history) propose(plan Plan) error {
	if h.Signal(plan.SignalID()).StopAnalyzedAt == nil && rapid.IntRange(0, 3).Draw(h.t, "analyzes") > 0 {
		return h.try(h.StopAnalyzed(plan))
	}
	return h.try(h.Proposed(plan))
}

// answered says what a decision has made of its signal.
func (h *history) answered(plan Plan) proto.Message {
	signal, position := plan.SignalID().String(), plan.PositionID().String()
	if h.Decision(plan.DecisionID()).Status == projection.DecisionRejected {
		return &eventv1.SignalRejected{SignalId: signal, PositionId: position, Reason: eventv1.SignalRejection_SIGNAL_REJECTION_RISK}
	}
	return &eventv1.SignalAccepted{SignalId: signal, PositionId: position, DecisionId: plan.DecisionID().String()}
}

// hold protects an active position, moves its stop, or leaves it.
func (h *history) hold(plan Plan, position *projection.Position) error {
	h.made++
	switch rapid.IntRange(0, 3).Draw(h.t, "hold") {
	case 0:
		return h.moveStop(plan, position)
	case 1:
		return h.try(h.Protect(plan, h.made, position.CurrentQuantity.String(), plan.Stop))
	case 2:
		return h.try(h.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	}
	return h.happen(plan, rapid.SampledFrom(h.intents(plan)).Draw(h.t, "intent"))
}

func (h *history) moveStop(plan Plan, position *projection.Position) error {
	stop := position.TrailingStopPrice.Decimal
	move := decimal.NewFromInt(int64(rapid.IntRange(1, 2000).Draw(h.t, "move")))
	if position.Side == "short" {
		move = move.Neg()
	}
	return h.try(h.StopMoved(plan, stop.String(), stop.Add(move).String(), position.FavorableExtreme.Decimal.Add(move).String()))
}

// leave sells what is open, and closes the position once nothing is left that lives.
func (h *history) leave(plan Plan, position *projection.Position) error {
	free := position.CurrentQuantity.Sub(position.ReservedQuantity)
	for _, intent := range h.intents(plan) {
		if intent.Status == projection.IntentPending {
			return h.try(h.Claim(intent.IntentID, 1))
		}
	}
	switch {
	case position.ReservedQuantity.IsPositive():
		return h.happen(plan, rapid.SampledFrom(h.intents(plan)).Draw(h.t, "intent"))
	case free.GreaterThan(dec(plan.Step)) && rapid.IntRange(0, 3).Draw(h.t, "sells") > 0:
		h.made++
		return h.try(h.Exit(plan, h.made, floor(free, dec("1"), dec(plan.Step)).String()))
	}
	return h.try(h.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
}

// command is what a user or the process manager may want of a position.
func (h *history) command(plan Plan, position *projection.Position) error {
	open := position.CurrentQuantity
	if open.IsNegative() {
		open = decimal.Zero
	}
	part := open.Mul(decimal.NewFromInt(int64(rapid.IntRange(1, 4).Draw(h.t, "part")))).Shift(-1).Mul(decimal.New(25, -1)).Truncate(8)
	h.made++
	switch rapid.IntRange(0, 6).Draw(h.t, "command") {
	case 0:
		return h.try(h.Leaving(plan, eventv1.ExitReason_EXIT_REASON_PANIC))
	case 1:
		return h.try(h.Exit(plan, h.made, part.String()))
	case 2:
		return h.try(h.Protect(plan, h.made, part.String(), plan.Stop))
	case 3:
		return h.moveStop(plan, position)
	case 4:
		return h.try(&eventv1.PositionDisarmed{PositionId: plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_USER})
	case 5:
		intents := h.intents(plan)
		if len(intents) == 0 {
			return nil
		}
		intent := rapid.SampledFrom(intents).Draw(h.t, "cancel")
		return h.try(h.Cancel(plan, event.OrderID(intent.IntentID, 1)))
	}
	return h.try(&eventv1.DiscrepancyDetected{
		DiscrepancyId: ID(fmt.Sprint("stale", h.made)).String(), AccountId: plan.Account.String(),
		Kind:       eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION,
		PositionId: plan.PositionID().String(), Entity: "position", Resolution: eventv1.Resolution_RESOLUTION_OBSERVED,
	})
}

// intents are the plan's intents that orders carry out.
func (h *history) intents(plan Plan) []*projection.Intent {
	var intents []*projection.Intent
	for _, row := range h.State.Rows() {
		intent, ok := row.(*projection.Intent)
		if ok && intent.PositionID.UUID == plan.PositionID() && intent.IntentType != "cancel" {
			intents = append(intents, intent)
		}
	}
	return intents
}

// happen is what may become of an order, claimed or not.
func (h *history) happen(plan Plan, intent *projection.Intent) error {
	attempt := int32(rapid.IntRange(1, 2).Draw(h.t, "attempt"))
	filled := "0"
	order := h.Order(event.OrderID(intent.IntentID, attempt))
	if order != nil {
		filled = order.FilledQuantity.String()
	}
	switch rapid.IntRange(0, 11).Draw(h.t, "what") {
	case 0, 1:
		claim := h.Claim(intent.IntentID, attempt)
		claim.Recovered = order != nil && !order.Known
		return h.try(claim)
	case 2:
		return h.tell(h.Ack(intent, attempt))
	case 3:
		return h.tell(h.Canceled(intent, attempt, filled))
	case 4:
		return h.tell(h.Expired(intent, attempt, filled))
	case 5:
		return h.tell(h.Rejected(intent, attempt))
	case 6:
		return h.tell(h.Uncertain(intent, attempt, rapid.SampledFrom([]string{"place", "cancel"}).Draw(h.t, "operation")))
	case 7:
		return h.try(h.EndedUnsent(intent))
	}
	return h.tell(h.Fill(intent, attempt, h.trade(plan, intent)))
}

// trade draws a trade of a part of an intent; now and then its id was used before.
func (h *history) trade(plan Plan, intent *projection.Intent) Trade {
	tenths := rapid.SampledFrom([]int{1, 3, 5, 7, 10, 10, 11}).Draw(h.t, "tenths")
	trade := Trade{
		ID:       fmt.Sprint(rapid.IntRange(1, 12).Draw(h.t, "trade")),
		Price:    dec(plan.Entry).Add(decimal.NewFromInt(int64(rapid.IntRange(-99, 99).Draw(h.t, "slip")))).String(),
		Quantity: intent.Quantity.Mul(decimal.New(int64(tenths), -1)).String(),
		FeeAsset: rapid.SampledFrom([]string{"BTC", "USDT", "BNB"}).Draw(h.t, "fee asset"),
	}
	trade.Fee = dec(trade.Quantity).Shift(-3).String()
	return trade
}

// setUp is what may change around the positions.
func (h *history) setUp() error {
	switch rapid.IntRange(0, 8).Draw(h.t, "set up") {
	case 0:
		return h.try(h.StrategyEnabled())
	case 1:
		return h.try(&eventv1.StrategyDisabled{StrategyId: StrategyID.String(), Reason: "random"})
	case 2:
		return h.try(h.AccountRegistered(Spot, eventv1.Product_PRODUCT_SPOT))
	case 3:
		limit := &eventv1.RiskLimitExceeded{
			AccountId: Spot.String(), LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Limit: "1", Value: "2",
			Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: "2026-11-23",
		}
		if rapid.Bool().Draw(h.t, "cleared") {
			limit.ClearedBy = "operator"
		}
		return h.try(limit)
	case 4:
		updated := &eventv1.StrategyUpdated{StrategyId: StrategyID.String(), Version: 2, RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}}
		if known := h.Strategy(StrategyID); known != nil {
			updated.Version = known.Version + 1
		}
		return h.try(updated)
	case 5:
		plan := rapid.SampledFrom(h.plans).Draw(h.t, "expires")
		return h.try(&eventv1.SignalExpired{SignalId: plan.SignalID().String(), PositionId: plan.PositionID().String(), ExpiredAt: h.stamp()})
	}
	sample := h.Sample(fmt.Sprint(len(h.Events)), rapid.SampledFrom([]string{"USDT", "BTC"}).Draw(h.t, "asset"),
		fmt.Sprint(rapid.IntRange(0, 9).Draw(h.t, "free")))
	return h.tell(sample)
}
