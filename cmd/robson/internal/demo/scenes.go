package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/money"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// raceTriesMax bounds how often two openings are raced until one is decided anew.
const raceTriesMax = 8

// accepted checks that a command was accepted.
func (d *Demo) accepted(what string, outcome *commandv1.Outcome) error {
	d.counts.commands++
	d.counts.conflicts += int(outcome.GetConflicts())
	if outcome.GetVerdict() == commandv1.Verdict_VERDICT_ACCEPTED {
		return nil
	}
	for _, c := range outcome.GetFailedChecks() {
		d.say("%s: limit %s, value %s: %s", c.GetName(), c.GetLimit(), c.GetValue(), c.GetMessage())
	}
	return fmt.Errorf("%s was not accepted: %s", what, outcome.GetVerdict())
}

// longRequest is the long of scene 1.
func (d *Demo) longRequest() *commandv1.OpenPositionRequest {
	return &commandv1.OpenPositionRequest{
		AccountId: d.world.spot, StrategyId: d.world.strategy, Symbol: symbolBTC, Side: eventv1.PositionSide_POSITION_SIDE_LONG,
		Capital: money.Format(capital), RiskPercent: money.Format(riskPercent), TechnicalStop: money.Format(d.world.plan.long.stop),
	}
}

// sendLong opens the long; sent again, it is the same command.
func (d *Demo) sendLong(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
	return retry(d.step(ctx, "open-long"), d, "open the long", func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
		return d.trading.OpenPosition(ctx, d.longRequest())
	})
}

// openLong is scene 1 up to the entry.
func (d *Demo) openLong(ctx context.Context) error {
	if err := d.advance(ctx, d.world.plan.long.entryTick); err != nil {
		return err
	}
	response, err := d.sendLong(ctx)
	if err != nil {
		return err
	}
	if err := d.accepted("the long", response.GetOutcome()); err != nil {
		return err
	}
	d.world.longPosition = response.GetPositionId()
	d.longTrace = response.GetOutcome().GetTraceId()
	n := response.GetDecision()
	d.say("%s, price %s, technical stop %s, span %s", d.marketClock(d.world.tick), n.GetEntryPrice(), n.GetTechnicalStopPrice(), n.GetTechnicalStopDistance())
	d.say("quantity = %s x 1%% / %s = %s, rounded down to %s (bound by %s); planned risk %s", money.Format(capital), n.GetTechnicalStopDistance(), n.GetRawQuantity(), n.GetQuantity(), n.GetQuantityLimit(), n.GetPlannedRisk())
	if err := d.settle(ctx); err != nil {
		return err
	}
	position, err := d.position(ctx, d.world.longPosition, response.GetOutcome().GetPosition())
	if err != nil {
		return err
	}
	if err := d.showParts(ctx); err != nil {
		return err
	}
	d.say("position %s is %s: holds %s, bought at %s on average", position.GetPositionId(), stateText(position), position.GetCurrentQuantity(), screen.Round(position.GetEntryPrice()))
	return nil
}

// showParts shows the trades by which the long was entered: the market's depth makes several of one order.
func (d *Demo) showParts(ctx context.Context) error {
	fills, err := d.fills(ctx, d.world.longPosition)
	if err != nil {
		return err
	}
	if len(fills) < 2 {
		return fmt.Errorf("the long was filled at once; several parts were due")
	}
	var parts []string
	for _, f := range fills {
		parts = append(parts, f.GetFillQuantity()+" at "+f.GetFillPrice())
	}
	d.say("one market order, filled in %d parts: %s", len(parts), strings.Join(parts, ", "))
	return nil
}

// repeatLong is scene 2.
func (d *Demo) repeatLong(ctx context.Context) error {
	response, err := d.sendLong(ctx)
	if err != nil {
		return err
	}
	if !response.GetOutcome().GetDuplicate() || response.GetPositionId() != d.world.longPosition {
		return fmt.Errorf("the command sent again gave position %s, duplicate %t; position %s, duplicate true was due", response.GetPositionId(), response.GetOutcome().GetDuplicate(), d.world.longPosition)
	}
	d.counts.commands++
	d.counts.duplicates++
	d.say("command %s is in the log once: the answer is the first one, nothing was written", response.GetOutcome().GetCommandId())
	return nil
}

// refusedOpen is scene 3.
func (d *Demo) refusedOpen(ctx context.Context) error {
	request := &commandv1.OpenPositionRequest{
		AccountId: d.world.second, Symbol: symbolBTC, Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "500000", RiskPercent: "1",
		TechnicalStop: money.Format(d.world.plan.long.stop),
	}
	if d.stage.shorts() {
		request.Side = eventv1.PositionSide_POSITION_SIDE_SHORT
		request.TechnicalStop = money.Format(d.world.prices[d.world.tick].Add(d.world.prices[d.world.tick].Sub(d.world.plan.long.stop)))
	}
	response, err := retry(d.step(ctx, "open-too-big"), d, "open too big", func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
		return d.trading.OpenPosition(ctx, request)
	})
	if err != nil {
		return err
	}
	if response.GetOutcome().GetVerdict() != commandv1.Verdict_VERDICT_REFUSED {
		return fmt.Errorf("a trade with 50 times the account's capital was %s", response.GetOutcome().GetVerdict())
	}
	d.counts.commands++
	d.counts.refused++
	d.say("refused, and recorded as decision %s:", response.GetDecision().GetDecisionId())
	for _, c := range response.GetOutcome().GetFailedChecks() {
		d.say("  %-22s limit %s, value %s", c.GetName(), c.GetLimit(), c.GetValue())
	}
	return d.settle(ctx)
}

// rideLong is scene 1 from the entry to the exit by the stop, tick by tick.
func (d *Demo) rideLong(ctx context.Context) error {
	stop := ""
	for tick := d.world.tick + 1; tick <= d.world.plan.long.exitTick; tick++ {
		if err := d.advance(ctx, tick); err != nil {
			return err
		}
		position, err := d.position(ctx, d.world.longPosition, 0)
		if err != nil {
			return err
		}
		if position.GetTrailingStopPrice() != stop && position.GetState() == projectorv1.PositionState_POSITION_STATE_ACTIVE {
			stop = position.GetTrailingStopPrice()
			d.say("%s  price %-9s stop %s", d.marketClock(tick), d.world.prices[tick], stop)
		}
		if position.GetState() == projectorv1.PositionState_POSITION_STATE_CLOSED {
			d.say("%s  price %-9s left by %s, net P&L %s", d.marketClock(tick), d.world.prices[tick], position.GetExitReason(), screen.Round(position.GetNetPnl()))
			return nil
		}
	}
	return fmt.Errorf("the long is still open at tick %d, where its stop was to be hit", d.world.tick)
}

// race is scene 4: two openings for one account at the same moment, until one of them had to be decided anew.
func (d *Demo) race(ctx context.Context) error {
	price, err := d.stage.standingPrice(ctx, d)
	if err != nil {
		return err
	}
	prices := map[string]decimal.Decimal{symbolBTC: d.world.prices[d.world.tick], symbolETH: price}
	for try := 1; try <= raceTriesMax; try++ {
		conflicts, err := d.raceOnce(ctx, try, prices)
		if err != nil {
			return err
		}
		if conflicts > 0 {
			d.say("try %d: both rested on the same state of the account; one was aborted and decided anew on the state the other left", try)
			return nil
		}
		d.say("try %d: they missed each other", try)
	}
	return fmt.Errorf("%d pairs of openings never met", raceTriesMax)
}

// raceOnce opens a position on each symbol at once, and closes both.
func (d *Demo) raceOnce(ctx context.Context, try int, prices map[string]decimal.Decimal) (int, error) {
	symbols := []string{symbolBTC, symbolETH}
	responses := make([]*commandv1.OpenPositionResponse, len(symbols))
	errs := make([]error, len(symbols))
	var wait sync.WaitGroup
	for i, symbol := range symbols {
		wait.Go(func() {
			name := fmt.Sprintf("race/%d/%s", try, symbol)
			responses[i], errs[i] = retry(d.step(ctx, name), d, "open "+symbol, func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
				return d.trading.OpenPosition(ctx, d.raceRequest(symbol, prices[symbol]))
			})
		})
	}
	wait.Wait()
	conflicts := 0
	for i, symbol := range symbols {
		if errs[i] != nil {
			return 0, errs[i]
		}
		if err := d.accepted("the long on "+symbol, responses[i].GetOutcome()); err != nil {
			return 0, err
		}
		conflicts += int(responses[i].GetOutcome().GetConflicts())
	}
	for i := range symbols {
		if err := d.closeByCommand(ctx, responses[i].GetPositionId()); err != nil {
			return 0, err
		}
	}
	return conflicts, nil
}

// raceRequest is a small long.
func (d *Demo) raceRequest(symbol string, price decimal.Decimal) *commandv1.OpenPositionRequest {
	stop := price.Sub(roundTick(price.Mul(spanPercents[0]).Div(hundred)))
	return &commandv1.OpenPositionRequest{
		AccountId: d.world.spot, Symbol: symbol, Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "1000", RiskPercent: "1", TechnicalStop: money.Format(stop),
	}
}

// closeByCommand leaves a position at the market and waits until it is closed. One whose entry came to nothing, because the
// stack was killed over it, is closed already.
func (d *Demo) closeByCommand(ctx context.Context, id string) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	before, err := d.position(ctx, id, 0)
	if err != nil {
		return err
	}
	if before.GetState() == projectorv1.PositionState_POSITION_STATE_CLOSED {
		d.say("position %s is closed already: %s", id, before.GetExitReason())
		return nil
	}
	response, err := retry(d.step(ctx, "close/"+id), d, "close "+id, func(ctx context.Context) (*commandv1.ClosePositionResponse, error) {
		return d.trading.ClosePosition(ctx, &commandv1.ClosePositionRequest{PositionId: id})
	})
	if err != nil {
		return err
	}
	if err := d.accepted("the close", response.GetOutcome()); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	position, err := d.position(ctx, id, response.GetOutcome().GetPosition())
	if err != nil {
		return err
	}
	if position.GetState() != projectorv1.PositionState_POSITION_STATE_CLOSED {
		return fmt.Errorf("position %s is %s after its close", id, stateText(position))
	}
	return nil
}

// cancelLimit is scene 5.
func (d *Demo) cancelLimit(ctx context.Context) error {
	price := d.world.prices[d.world.tick]
	limit := roundTick(price.Mul(hundred.Sub(spanPercents[2])).Div(hundred))
	stop := roundTick(limit.Mul(hundred.Sub(spanPercents[0])).Div(hundred))
	response, err := retry(d.step(ctx, "open-limit"), d, "open with a limit", func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
		return d.trading.OpenPosition(ctx, &commandv1.OpenPositionRequest{
			AccountId: d.world.spot, Symbol: symbolBTC, Side: eventv1.PositionSide_POSITION_SIDE_LONG, Capital: "1000", RiskPercent: "1",
			EntryPrice: money.Format(limit), OrderType: eventv1.OrderType_ORDER_TYPE_LIMIT, TechnicalStop: money.Format(stop),
		})
	})
	if err != nil {
		return err
	}
	if err := d.accepted("the limit entry", response.GetOutcome()); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	position, err := d.position(ctx, response.GetPositionId(), response.GetOutcome().GetPosition())
	if err != nil {
		return err
	}
	d.say("%s at %s, %s under the market, is resting", response.GetDecision().GetQuantity(), money.Format(limit), money.Format(price.Sub(limit)))
	canceled, err := retry(d.step(ctx, "cancel-limit"), d, "cancel the entry", func(ctx context.Context) (*commandv1.CancelOrderResponse, error) {
		return d.trading.CancelOrder(ctx, &commandv1.CancelOrderRequest{OrderId: position.GetEntryOrderId()})
	})
	if err != nil {
		return err
	}
	if err := d.accepted("the cancel", canceled.GetOutcome()); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	position, err = d.position(ctx, response.GetPositionId(), canceled.GetOutcome().GetPosition())
	if err != nil {
		return err
	}
	if position.GetState() != projectorv1.PositionState_POSITION_STATE_CLOSED {
		return fmt.Errorf("the position is %s after its entry was canceled", stateText(position))
	}
	d.say("canceled; the position is closed: %s", position.GetExitReason())
	return nil
}

// short is scene 6.
func (d *Demo) short(ctx context.Context) error {
	scene := d.world.plan.short
	if err := d.advance(ctx, scene.entryTick); err != nil {
		return err
	}
	response, err := retry(d.step(ctx, "open-short"), d, "open the short", func(ctx context.Context) (*commandv1.OpenPositionResponse, error) {
		return d.trading.OpenPosition(ctx, &commandv1.OpenPositionRequest{
			AccountId: d.world.second, Symbol: symbolBTC, Side: eventv1.PositionSide_POSITION_SIDE_SHORT, Capital: money.Format(capital), RiskPercent: "0.5",
			TechnicalStop: money.Format(scene.stop),
		})
	})
	if err != nil {
		return err
	}
	if err := d.accepted("the short", response.GetOutcome()); err != nil {
		return err
	}
	d.world.shortPosition = response.GetPositionId()
	d.say("%s  price %s, stop %s, quantity %s sold with borrowed coins", d.marketClock(d.world.tick), response.GetDecision().GetEntryPrice(), response.GetDecision().GetTechnicalStopPrice(), response.GetDecision().GetQuantity())
	for tick := scene.entryTick + 1; tick <= scene.closeTick; tick++ {
		if err := d.advance(ctx, tick); err != nil {
			return err
		}
	}
	if err := d.closeByCommand(ctx, response.GetPositionId()); err != nil {
		return err
	}
	position, err := d.position(ctx, response.GetPositionId(), 0)
	if err != nil {
		return err
	}
	if position.GetExitReason() != "user_close" {
		return fmt.Errorf("the short was left by %s, not by command", position.GetExitReason())
	}
	d.say("%s  price %s, left by %s, net P&L %s", d.marketClock(d.world.tick), d.world.prices[d.world.tick], position.GetExitReason(), screen.Round(position.GetNetPnl()))
	return nil
}

// stateText is a position's state in lower case words.
func stateText(p *projectorv1.Position) string {
	return enumWord(p.GetState().String(), "POSITION_STATE_")
}
