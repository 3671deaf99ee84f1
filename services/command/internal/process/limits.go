package process

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/engine"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// limits halts an account's entries when a result that was booked has used up one of its loss limits, or the venue says
// that its margin is short.
func (w *worker) limits(ctx context.Context, accountID string, items []item) ([]item, time.Duration) {
	for i, it := range items {
		check := w.checkLimits
		if it.demand.sample != nil {
			check = w.checkMargin
		}
		if err := check(ctx, accountID, it); err != nil {
			if ctx.Err() == nil {
				w.report(ctx, w.tenant, accountLane+accountID, "check limits", err)
			}
			return items[i:], w.config.RetryDelay
		}
	}
	w.deps.Alerts.Clear(w.tenant, accountLane+accountID)
	return nil, 0
}

func (w *worker) checkLimits(ctx context.Context, accountID string, it item) error {
	closed := it.demand.cause
	view, err := w.deps.State.GetDecisionView(ctx, &projectorv1.GetDecisionViewRequest{
		AccountId: accountID, At: timestamppb.New(closed.OccurredAt), MinPosition: it.position,
	})
	if err != nil {
		return err
	}
	r := &rows.Reader{}
	limits, usage := r.Limits(view.GetAccountRisk()), r.Usage(view.GetAccountRisk(), view.GetPeriods())
	if r.Err != nil {
		return r.Err
	}
	for _, breach := range engine.Breaches(limits, usage, closed.OccurredAt) {
		name := event.EnumText(breach.Limit)
		if _, set := view.GetAccountRisk().GetHalts()[name+"|"+breach.Period]; set {
			continue
		}
		err := w.appendLimit(ctx, closed, view.GetAsOf(), &eventv1.RiskLimitExceeded{
			AccountId: accountID, LimitName: breach.Limit, Limit: breach.Most.String(), Value: breach.Value.String(),
			Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: breach.Period,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkMargin halts entries while the venue judges a margin account below normal, and lets them go on when it does not
// any more. A sample that is older than one that was looked at says nothing.
func (w *worker) checkMargin(ctx context.Context, accountID string, it item) error {
	sample, cause := it.demand.sample, it.demand.cause
	if !w.newest(accountID, sample) {
		return nil
	}
	view, err := w.deps.State.GetDecisionView(ctx, &projectorv1.GetDecisionViewRequest{AccountId: accountID, MinPosition: it.position})
	if err != nil {
		return err
	}
	_, set := view.GetAccountRisk().GetHalts()[marginHalt+"|"+sample.GetSymbol()]
	if set == short(sample.GetStatus()) {
		return nil
	}
	// At which level the venue calls is its own affair: it tells the level and its judgement.
	limit := &eventv1.RiskLimitExceeded{
		AccountId: accountID, LimitName: eventv1.LimitName_LIMIT_NAME_MARGIN_LEVEL, Limit: "0", Value: sample.GetMarginLevel(),
		Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: sample.GetSymbol(),
		Note: "the venue judges the margin level of " + sample.GetSymbol() + ", " + sample.GetMarginLevel() + ", as " + event.EnumText(sample.GetStatus()),
	}
	if set {
		limit.ClearedBy = marginHalt
	}
	return w.appendLimit(ctx, cause, view.GetAsOf(), limit)
}

// marginHalt names the limit, and who clears it: the next level that is normal.
const marginHalt = "margin_level"

// short says whether the venue judges a margin account below normal.
func short(status eventv1.MarginStatus) bool {
	switch status {
	case eventv1.MarginStatus_MARGIN_STATUS_MARGIN_CALL, eventv1.MarginStatus_MARGIN_STATUS_PRE_LIQUIDATION,
		eventv1.MarginStatus_MARGIN_STATUS_FORCE_LIQUIDATION:
		return true
	default:
		return false
	}
}

// newest notes a sample and says whether it is not older than one that was looked at before.
func (w *worker) newest(accountID string, sample *eventv1.MarginLevelSampled) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key, at := accountID+"/"+sample.GetSymbol(), sample.GetSampledAt().AsTime()
	if at.Before(w.sampled[key]) {
		return false
	}
	if len(w.sampled) >= memoryMax {
		clear(w.sampled)
	}
	w.sampled[key] = at
	return true
}

// appendLimit sets or clears a limit of an account, once for the event that it follows from.
func (w *worker) appendLimit(ctx context.Context, cause lifecycle.Cause, decidedAt int64, limit *eventv1.RiskLimitExceeded) error {
	request := stepRequest(lifecycle.Step{
		Name: "risk_limit/" + event.EnumText(limit.GetLimitName()), Key: cause.EventID, Cause: cause, OccurredAt: cause.OccurredAt,
		Payload: event.Wrap(limit),
	}, "account:"+limit.GetAccountId())
	request.Reads = []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_ACCOUNT_RISK, Id: limit.GetAccountId()}}
	request.DecidedAt = decidedAt
	// Refused means that it is set, or cleared, by now, which is all that was wanted.
	if _, err := w.deps.Log.Append(ctx, request); err != nil && !fault.Is(err, fault.Refused) {
		return err
	}
	return nil
}
