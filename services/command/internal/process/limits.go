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

// limits halts an account's entries when a result that was booked has used up one of its loss limits.
func (w *worker) limits(ctx context.Context, accountID string, items []item) ([]item, time.Duration) {
	for i, it := range items {
		if err := w.checkLimits(ctx, accountID, it); err != nil {
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
		request := stepRequest(lifecycle.Step{
			Name: "risk_limit/" + name, Key: closed.EventID, Cause: closed, OccurredAt: closed.OccurredAt,
			Payload: event.Wrap(&eventv1.RiskLimitExceeded{
				AccountId: accountID, LimitName: breach.Limit, Limit: breach.Most.String(), Value: breach.Value.String(),
				Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: breach.Period,
			}),
		}, "account:"+accountID)
		request.Reads = []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_ACCOUNT_RISK, Id: accountID}}
		request.DecidedAt = view.GetAsOf()
		// Refused means that it is set by now, which is all that was wanted.
		if _, err := w.deps.Log.Append(ctx, request); err != nil && !fault.Is(err, fault.Refused) {
			return err
		}
	}
	return nil
}
