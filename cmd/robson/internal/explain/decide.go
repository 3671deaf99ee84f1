package explain

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// limitsMax bounds the registrations and halts that are looked through for those in force at a position.
const limitsMax = 1000

// decide tells the decisions among the events, with the limits that were in force.
func (x *Explanation) decide(ctx context.Context, r Reader, b *book) error {
	x.Decisions = []Decision{}
	for _, e := range x.Events {
		proposed := e.GetPayload().GetDecisionProposed()
		if proposed == nil {
			continue
		}
		d := Decision{
			DecisionID: proposed.GetDecisionId(), Position: e.GetPosition(), Verdict: VerdictNone, Reason: proposed.GetRejectedReason(),
			Checks: []Check{}, Inputs: Message{proposed},
		}
		for _, other := range b.ordered() {
			d.checked(other)
		}
		limits, err := x.limitsAt(ctx, r, b, moment{position: e.GetPosition(), time: decidedAt(e), strategy: proposed.GetStrategyId()})
		if err != nil {
			return err
		}
		d.Limits = limits
		x.Decisions = append(x.Decisions, d)
	}
	return nil
}

// checked takes in what the gates said, if the event is their answer to this decision.
func (d *Decision) checked(e *eventv1.Event) {
	if passed := e.GetPayload().GetRiskCheckPassed(); passed.GetDecisionId() == d.DecisionID && passed != nil {
		d.Verdict, d.CheckedAt, d.Checks = VerdictApproved, e.GetPosition(), checksOf(passed.GetChecksPerformed())
		d.ExposureBefore, d.ExposureAfter, d.BudgetLeft = passed.GetExposureBefore(), passed.GetExposureAfter(), passed.GetBudgetRemaining()
	}
	if failed := e.GetPayload().GetRiskCheckFailed(); failed.GetDecisionId() == d.DecisionID && failed != nil {
		d.Verdict, d.CheckedAt, d.Checks = VerdictRefused, e.GetPosition(), checksOf(failed.GetChecksPerformed())
		d.ExposureBefore, d.ExposureAfter, d.BudgetLeft = failed.GetExposureBefore(), failed.GetExposureAfter(), failed.GetBudgetRemaining()
		d.Reason = failed.GetViolationReason()
		if len(d.Checks) == 0 {
			d.Checks = checksOf(failed.GetFailedChecks())
		}
	}
}

func checksOf(checks []*eventv1.RiskCheck) []Check {
	out := make([]Check, len(checks))
	for i, c := range checks {
		out[i] = Check{Name: c.GetName(), Limit: c.GetLimit(), Value: c.GetValue(), Passed: c.GetPassed(), Message: c.GetMessage()}
	}
	return out
}

// moment is when a decision was made, and for which strategy; empty: for none.
type moment struct {
	position int64
	time     time.Time
	strategy string
}

// decidedAt is the time of deciding that the engine was given.
func decidedAt(e *eventv1.Event) time.Time {
	if at := e.GetPayload().GetDecisionProposed().GetDecidedAt(); at != nil {
		return at.AsTime()
	}
	return e.GetOccurredAt().AsTime()
}

// limitsAt are the limits that were in force at a decision: not today's.
func (x *Explanation) limitsAt(ctx context.Context, r Reader, b *book, at moment) (Limits, error) {
	var limits Limits
	account := &eventlogv1.EventFilter{AccountId: x.About.AccountID, EventTypes: []string{"ACCOUNT_REGISTERED"}}
	registered, err := x.newestBefore(ctx, r, b, account, at.position)
	if err != nil {
		return Limits{}, err
	}
	if registered != nil {
		limits.Account, limits.AccountSince = Message{registered.GetPayload().GetAccountRegistered().GetRiskLimits()}, registered.GetPosition()
	}
	if at.strategy != "" {
		settings := &eventlogv1.EventFilter{StrategyId: at.strategy, EventTypes: []string{"STRATEGY_REGISTERED", "STRATEGY_ENABLED", "STRATEGY_UPDATED"}}
		configured, err := x.newestBefore(ctx, r, b, settings, at.position)
		if err != nil {
			return Limits{}, err
		}
		if configured != nil {
			limits.Strategy, limits.StrategySince = Message{riskConfigOf(configured)}, configured.GetPosition()
		}
	}
	halts, err := x.haltsAt(ctx, r, b, at)
	limits.Halts = halts
	return limits, err
}

// newestBefore is the newest event that a question finds before a position; nil if there is none.
func (x *Explanation) newestBefore(ctx context.Context, r Reader, b *book, filter *eventlogv1.EventFilter, position int64) (*eventv1.Event, error) {
	if filter.GetAccountId() == "" && filter.GetStrategyId() == "" {
		return nil, nil
	}
	found, err := r.Query(ctx, filter, eventlogv1.Direction_DIRECTION_BACKWARDS, limitsMax)
	if err != nil {
		return nil, fmt.Errorf("find the limits in force: %w", err)
	}
	for _, e := range found.Events {
		if e.GetPosition() < position {
			x.include(e)
			return e, nil
		}
	}
	if found.More {
		b.note("the limits at position %d lie more than %d registrations back, and were not looked for", position, limitsMax)
	}
	return nil, nil
}

// riskConfigOf are the risk settings that an event of a strategy carries.
func riskConfigOf(e *eventv1.Event) proto.Message {
	switch p := e.GetPayload(); {
	case p.GetStrategyRegistered() != nil:
		return p.GetStrategyRegistered().GetRiskConfig()
	case p.GetStrategyUpdated() != nil:
		return p.GetStrategyUpdated().GetRiskConfig()
	default:
		return p.GetStrategyEnabled().GetRiskConfig()
	}
}

// haltsAt are the positions of the limits that were passed before a decision, were not cleared, and whose period was not over.
func (x *Explanation) haltsAt(ctx context.Context, r Reader, b *book, at moment) ([]int64, error) {
	if x.About.AccountID == "" {
		return nil, nil
	}
	filter := &eventlogv1.EventFilter{AccountId: x.About.AccountID, EventTypes: []string{"RISK_LIMIT_EXCEEDED"}}
	found, err := r.Query(ctx, filter, eventlogv1.Direction_DIRECTION_BACKWARDS, limitsMax)
	if err != nil {
		return nil, fmt.Errorf("find the halts in force: %w", err)
	}
	if found.More {
		b.note("the account has had more than %d halts: older ones were not looked at", limitsMax)
	}
	var halts []int64
	told := map[string]bool{}
	for _, e := range found.Events { // newest first: the first word on a limit and its period is the last
		limit := e.GetPayload().GetRiskLimitExceeded()
		key := projection.HaltKey(limit.GetLimitName().String(), limit.GetPeriod())
		scope := limit.GetStrategyId() + "|" + key
		if e.GetPosition() >= at.position || told[scope] {
			continue
		}
		told[scope] = true
		if limit.GetClearedBy() == "" && halting(limit, at.strategy) && !isOver(key, at.time) {
			x.include(e)
			halts = append(halts, e.GetPosition())
		}
	}
	return halts, nil
}

// halting says whether a limit that was passed stops entries of a strategy: it says so, or it is a panic of the whole account.
func halting(p *eventv1.RiskLimitExceeded, strategy string) bool {
	if p.GetStrategyId() != "" && p.GetStrategyId() != strategy {
		return false
	}
	return p.GetAction() == eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES ||
		p.GetAction() == eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE && p.GetSymbol() == ""
}

// isOver says whether a halt's period ended before a time, by the rule of the books.
func isOver(key string, at time.Time) bool {
	row := projection.Risk{Halts: map[string]string{key: key}}
	_, halted := row.Halted(at)
	return !halted
}

// include adds an event that is told of, and is no part of the tree.
func (x *Explanation) include(e *eventv1.Event) {
	if x.Events.At(e.GetPosition()) == nil {
		x.Events = append(x.Events, e)
	}
}
