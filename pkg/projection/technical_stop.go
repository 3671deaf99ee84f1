package projection

import (
	"github.com/shopspring/decimal"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// pctTolerance is how far a percentage may be from the exact one: people round it to two places.
var pctTolerance = decimal.New(5, -3)

// foldTechnicalStop notes where the chart puts the stop of a signal. The first one that a position is told stays its own
// until the decision to enter, which has the last word.
func (c *change) foldTechnicalStop(p *eventv1.TechnicalStopAnalyzed) {
	before, position := c.editPosition(p.GetPositionId())
	signal := c.signal(c.id("signal_id", p.GetSignalId()))
	if before == nil || signal == nil {
		c.fail("signal %s does not exist", p.GetSignalId())
		return
	}
	at, level := c.occurred(), p.GetLevelN()
	changed := clone(signal)
	changed.StopMethod, changed.StopConfidence, changed.StopLevelN = maybeText(p.GetMethod()), maybeText(p.GetConfidence()), &level
	changed.StopLevels = make([]string, len(p.GetLevels()))
	for i, text := range p.GetLevels() {
		changed.StopLevels[i] = c.amount("levels", text).String()
	}
	changed.TechnicalStopPrice = c.maybeAmount("technical_stop_price", p.GetTechnicalStopPrice())
	changed.StopDistance = c.maybeAmount("distance", p.GetDistance())
	changed.StopDistancePct = c.maybeAmount("distance_pct", p.GetDistancePct())
	changed.StopAnalyzedAt = &at
	c.put(changed)
	if position.TechnicalStopPrice.Valid {
		return
	}
	position.TechnicalStopPrice, position.TechnicalStopDistance = changed.TechnicalStopPrice, changed.StopDistance
	c.putPosition(before, position)
}

// checkTechnicalStop wants a stop on the right side of the signal's entry, once, before anything was decided on it.
func (r *reader) checkTechnicalStop(p *eventv1.TechnicalStopAnalyzed) error {
	position, err := r.positionIn(p.GetPositionId(), PositionArmed)
	if err != nil {
		return err
	}
	signal, err := r.waitingSignal(p.GetSignalId(), p.GetPositionId())
	switch {
	case err != nil:
		return err
	case signal.StopAnalyzedAt != nil:
		return refused("STOP_ANALYZED", "the stop of signal %s was analyzed already", signal.SignalID)
	case signal.DecisionID.Valid:
		return refused("SIGNAL_DECIDED", "signal %s has led to decision %s", signal.SignalID, signal.DecisionID.UUID).With("decision_id", idText(signal.DecisionID))
	}
	entry, stop := signal.EntryPrice, r.amount("technical_stop_price", p.GetTechnicalStopPrice())
	distance := entry.Sub(stop).Abs()
	err = firstOf(
		onRightSide("technical_stop_price", position.Side, entry, stop),
		sameAmount("distance", r.amount("distance", p.GetDistance()), distance))
	if err != nil {
		return err
	}
	exact := quotient(distance.Shift(2), entry)
	if pct := r.amount("distance_pct", p.GetDistancePct()); pct.Sub(exact).Abs().GreaterThan(pctTolerance) {
		return invalid("distance_pct", "must be %s as a percentage of %s, to two places at least, %s, and is %s", distance, entry, exact.Round(2), pct)
	}
	if n := int(p.GetLevelN()); n < 0 || n > len(p.GetLevels()) {
		return invalid("level_n", "must be the number of one of the %d levels, or 0, and is %d", len(p.GetLevels()), n)
	}
	return nil
}
