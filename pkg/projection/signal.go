package projection

import (
	"strings"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func (c *change) foldSignalDetected(p *eventv1.SignalDetected) {
	signal := &Signal{
		TenantID: c.ev.TenantID, SignalID: c.id("signal_id", p.GetSignalId()), PositionID: c.maybeID("position_id", p.GetPositionId()),
		StrategyID: c.maybeID("strategy_id", p.GetStrategyId()), Symbol: p.GetSymbol(), Side: enumText(positionSides, p.GetSide()),
		EntryPrice: c.amount("entry_price", p.GetEntryPrice()), StopLoss: c.amount("stop_loss", p.GetStopLoss()),
		Detector: p.GetDetector(), Status: SignalDetected,
		DetectedAt: c.moment(p.GetDetectedAt()), ExpiresAt: maybeMoment(p.GetExpiresAt()), StopLevels: []string{},
	}
	if c.signal(signal.SignalID) != nil {
		c.fail("signal %s exists already", signal.SignalID)
	}
	c.put(signal)
	if !signal.StrategyID.Valid {
		return
	}
	if strategy := c.strategy(signal.StrategyID.UUID); strategy != nil {
		changed := clone(strategy)
		changed.TotalSignals++
		c.put(changed)
	}
}

func (c *change) foldSignalAccepted(p *eventv1.SignalAccepted) {
	if signal := c.signal(c.id("signal_id", p.GetSignalId())); signal != nil {
		changed := clone(signal)
		changed.Status, changed.DecisionID = SignalAccepted, some(c.id("decision_id", p.GetDecisionId()))
		c.put(changed)
	}
}

// foldSignalRejected closes a signal. A signal that was never detected, since it did not even fit its position, leaves
// its event alone.
func (c *change) foldSignalRejected(p *eventv1.SignalRejected) {
	if signal := c.signal(c.id("signal_id", p.GetSignalId())); signal != nil {
		changed := clone(signal)
		changed.Status, changed.RejectionReason = SignalRejected, maybeText(enumText(signalRejections, p.GetReason()))
		c.put(changed)
	}
}

func (c *change) foldSignalExpired(p *eventv1.SignalExpired) {
	if signal := c.signal(c.id("signal_id", p.GetSignalId())); signal != nil {
		changed := clone(signal)
		changed.Status = SignalExpired
		c.put(changed)
	}
}

func (r *reader) checkSignalDetected(p *eventv1.SignalDetected) error {
	id := r.id("signal_id", p.GetSignalId())
	if r.signal(id) != nil {
		return refused("SIGNAL_EXISTS", "signal %s was detected already", id)
	}
	if p.GetPositionId() == "" {
		strategy, err := r.knownStrategy(p.GetStrategyId())
		if err != nil {
			return err
		}
		return r.onStream(event.KindStrategy, strategy.StrategyID)
	}
	position, err := r.knownPosition(p.GetPositionId())
	if err != nil {
		return err
	}
	return firstOf(
		r.onStream(event.KindPosition, position.PositionID),
		sameText("symbol", p.GetSymbol(), position.Symbol),
		sameText("side", enumText(positionSides, p.GetSide()), position.Side),
		sameText("strategy_id", strings.ToLower(p.GetStrategyId()), idText(position.StrategyID)))
}

func (r *reader) checkSignalAccepted(p *eventv1.SignalAccepted) error {
	position, err := r.knownPosition(p.GetPositionId())
	if err != nil {
		return err
	}
	signal, err := r.waitingSignal(p.GetSignalId(), p.GetPositionId())
	if err != nil {
		return err
	}
	decisionID := r.id("decision_id", p.GetDecisionId())
	decision := r.decision(decisionID)
	switch {
	case position.State != PositionArmed:
		return refused("POSITION_NOT_ARMED", "position %s is %s, not armed", position.PositionID, position.State).With("state", string(position.State))
	case decision == nil || decision.SignalID != signal.SignalID:
		return refused("DECISION_UNKNOWN", "decision %s is not one for signal %s", decisionID, signal.SignalID)
	case signal.ExpiresAt != nil && r.ev.OccurredAt.After(*signal.ExpiresAt):
		return refused("SIGNAL_EXPIRED", "signal %s was good until %s", signal.SignalID, signal.ExpiresAt.Format(timeLayout))
	}
	return nil
}

func (r *reader) checkSignalRejected(p *eventv1.SignalRejected) error {
	id := r.id("signal_id", p.GetSignalId())
	known := r.signal(id)
	if known == nil {
		return r.onPositionOrStrategy(p.GetPositionId())
	}
	signal, err := r.waitingSignal(p.GetSignalId(), p.GetPositionId())
	if err != nil {
		return err
	}
	byRisk := p.GetReason() == eventv1.SignalRejection_SIGNAL_REJECTION_RISK
	if byRisk != signal.DecisionID.Valid {
		return refused("SIGNAL_DECIDED", "signal %s is rejected for risk if and only if it has led to a decision", id)
	}
	return nil
}

func (r *reader) checkSignalExpired(p *eventv1.SignalExpired) error {
	signal, err := r.waitingSignal(p.GetSignalId(), p.GetPositionId())
	if err != nil {
		return err
	}
	if signal.DecisionID.Valid {
		return refused("SIGNAL_DECIDED", "signal %s has led to decision %s", signal.SignalID, signal.DecisionID.UUID)
	}
	return nil
}

// waitingSignal is a signal of the named position of which nothing has become yet.
func (r *reader) waitingSignal(signalID, positionID string) (*Signal, error) {
	id := r.id("signal_id", signalID)
	signal := r.signal(id)
	switch {
	case signal == nil:
		return nil, refused("SIGNAL_UNKNOWN", "signal %s was not detected", id)
	case signal.Status != SignalDetected:
		return nil, refused("SIGNAL_NOT_WAITING", "signal %s is %s", id, signal.Status).With("status", string(signal.Status))
	}
	return signal, firstOf(
		sameText("position_id", strings.ToLower(positionID), idText(signal.PositionID)),
		r.onPositionOrStrategy(positionID))
}

// onPositionOrStrategy refuses an event about a signal that is neither in its position's stream nor, unattached, in a
// strategy's.
func (r *reader) onPositionOrStrategy(positionID string) error {
	if positionID == "" {
		if !strings.HasPrefix(r.ev.StreamKey, "strategy:") {
			return invalid("stream_key", "must be a strategy's for a signal of no position and is %s", r.ev.StreamKey)
		}
		return nil
	}
	return r.onStream(event.KindPosition, r.id("position_id", positionID))
}
