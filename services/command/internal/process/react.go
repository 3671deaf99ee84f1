package process

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// roundsMax is how often a position is looked at in one go before others get their turn.
const roundsMax = 50

// try is a step that failed, or is still due after it was taken.
type try struct {
	count int
	next  time.Time
}

// work is the lanes' work: an account's limits, a signal's answer, or a position's steps.
func (w *worker) work(ctx context.Context, key string, items []item) ([]item, time.Duration) {
	if signalID, ok := strings.CutPrefix(key, signalLane); ok {
		return w.answer(ctx, signalID, items)
	}
	if accountID, ok := strings.CutPrefix(key, accountLane); ok {
		return w.limits(ctx, accountID, items)
	}
	return w.react(ctx, strings.TrimPrefix(key, positionLane), items)
}

// react takes the steps that are due for a position until none is, and tells when to look again.
func (w *worker) react(ctx context.Context, positionID string, items []item) ([]item, time.Duration) {
	known := w.memory(positionID)
	minPosition, demands := sorted(items)
	for range roundsMax {
		if ctx.Err() != nil {
			return items, 0
		}
		seen, err := w.look(ctx, known, positionID, minPosition)
		if err != nil {
			return w.unseen(ctx, known, positionID, demands, err)
		}
		known.failures = 0
		w.deps.Alerts.Clear(w.tenant, "position "+positionID)
		w.deps.Watch.Look(ctx, w.tenant, seen.row, seen.sequence, seen.stopSet())
		if seen.Position.State == lifecycle.Closed {
			w.settleTries(known, positionID, nil)
			w.forget(positionID)
			return nil, 0
		}
		var steps []lifecycle.Step
		if steps, demands = demanded(seen, demands); len(steps) == 0 {
			steps = lifecycle.Next(seen.State)
		}
		w.settleTries(known, positionID, steps)
		due, wait := known.due(steps, w.clock.Now())
		if len(due) == 0 {
			return demands, wait
		}
		for _, step := range due {
			position, err := w.take(ctx, seen, step)
			minPosition = max(minPosition, position)
			w.tried(ctx, known, positionID, step, err)
		}
	}
	return demands, w.config.RetryDelay
}

// sorted tells the highest position among items, and those that demand something.
func sorted(items []item) (minPosition int64, demands []item) {
	for _, it := range items {
		minPosition = max(minPosition, it.position)
		if it.demand != nil {
			demands = append(demands, it)
		}
	}
	return minPosition, demands
}

// unseen ends a turn in which the position could not be looked at.
func (w *worker) unseen(ctx context.Context, known *memory, positionID string, demands []item, err error) ([]item, time.Duration) {
	if ctx.Err() != nil {
		return demands, 0
	}
	known.failures++
	if known.failures >= w.config.AlertAfter {
		w.report(ctx, w.tenant, "position "+positionID, "look at it", err)
	}
	return demands, backoff(w.config.RetryDelay, w.config.RetryDelayMax, known.failures)
}

// demanded tells the steps that events demand, and which demands are still open.
func demanded(seen *looked, demands []item) (steps []lifecycle.Step, open []item) {
	for _, it := range demands {
		if step := lifecycle.Demand(seen.State, it.demand.cause, it.demand.reason); step != nil {
			if len(steps) == 0 {
				steps = append(steps, *step) // the others are satisfied by it
			}
			open = append(open, it)
		}
	}
	return steps, open
}

// due picks the steps to take now, and tells how long to wait for the first of the others; 0 if there is none.
func (m *memory) due(steps []lifecycle.Step, now time.Time) (due []lifecycle.Step, wait time.Duration) {
	for _, step := range steps {
		at := step.NotBefore
		if before := m.tries[step.Name]; before != nil && before.next.After(at) {
			at = before.next
		}
		if !at.After(now) {
			due = append(due, step)
			continue
		}
		if rest := at.Sub(now); wait == 0 || rest < wait {
			wait = rest
		}
	}
	return due, wait
}

// settleTries forgets the tries of steps that are not due any more, with their alerts.
func (w *worker) settleTries(known *memory, positionID string, steps []lifecycle.Step) {
	still := map[string]bool{}
	for _, step := range steps {
		still[step.Name] = true
		if step.Alert != "" {
			w.deps.Alerts.Set(w.tenant, alertName(positionID, step.Name), step.Alert)
			known.note(step.Name)
		}
	}
	for name := range known.tries {
		if !still[name] {
			delete(known.tries, name)
			w.deps.Alerts.Clear(w.tenant, alertName(positionID, name))
		}
	}
}

func alertName(positionID, step string) string { return "position " + positionID + " " + step }

// note keeps a step in mind.
func (m *memory) note(name string) *try {
	if m.tries[name] == nil {
		m.tries[name] = &try{}
	}
	return m.tries[name]
}

// tried notes how a step went. Whatever still is due after it is taken again later, ever more slowly. A conflict only
// means that the state has moved on: it is looked at again at once.
func (w *worker) tried(ctx context.Context, known *memory, positionID string, step lifecycle.Step, err error) {
	if ctx.Err() != nil || err == nil && step.Action == lifecycle.Decide {
		return
	}
	before := known.note(step.Name)
	before.count++
	before.next = w.clock.Now().Add(backoff(w.config.RetryDelay, w.config.RetryDelayMax, before.count))
	if err == nil {
		return
	}
	if fault.Is(err, fault.Conflict) && before.count == 1 {
		before.next = time.Time{}
		return
	}
	if before.count >= w.config.AlertAfter {
		w.report(ctx, w.tenant, alertName(positionID, step.Name), "take the step", err)
	}
}

// take takes one step, and tells the last position it has written or seen.
func (w *worker) take(ctx context.Context, seen *looked, step lifecycle.Step) (int64, error) {
	if step.Action == lifecycle.Decide {
		receipt, err := w.deps.Log.Append(ctx, seen.request(step))
		return lastPosition(receipt), err
	}
	ctx = correlation.With(ctx, seen.correlation(step))
	ctx, cancel := context.WithTimeout(ctx, w.config.ExecuteTimeout)
	defer cancel()
	switch step.Action {
	case lifecycle.Execute:
		answer, err := w.deps.Connector.Execute(ctx, &connectorv1.ExecuteRequest{IntentId: step.IntentID, Attempt: 1})
		return answer.GetOrder().GetPosition(), err
	case lifecycle.EndUnsent:
		reason := "cancelled"
		if seen.History.ExitReason == eventv1.ExitReason_EXIT_REASON_PANIC {
			reason = "panic"
		}
		answer, err := w.deps.Connector.EndIntent(ctx, &connectorv1.EndIntentRequest{IntentId: step.IntentID, Reason: reason})
		return answer.GetOrder().GetPosition(), err
	default:
		answer, err := w.deps.Connector.ResolveOrder(ctx, &connectorv1.ResolveOrderRequest{OrderId: step.OrderID})
		return answer.GetOrder().GetPosition(), err
	}
}

func lastPosition(receipt *eventlogv1.AppendResponse) int64 {
	var last int64
	for _, event := range receipt.GetEvents() {
		last = max(last, event.GetPosition())
	}
	return last
}

// stopSet is the event that last set the position's stop.
func (l *looked) stopSet() *lifecycle.Cause {
	if l.History == nil {
		return nil
	}
	return l.History.StopSet
}

// correlation is what a call to the connector travels with: the trace of the intent that it carries out.
func (l *looked) correlation(step lifecycle.Step) correlation.IDs {
	cause, known := l.History.Intents[step.IntentID]
	if !known {
		return correlation.IDs{}
	}
	ids := correlation.IDs{Causation: cause.EventID}
	if trace, err := uuid.Parse(cause.TraceID); err == nil {
		ids.Trace = trace
	}
	if workflow, err := uuid.Parse(cause.WorkflowID); err == nil {
		ids.Workflow = workflow
	}
	return ids
}

// request is the append of a decision: named by what made it due, and guarded by the rows it rests on. Orders that have
// ended are guarded by the position, whose row a late fill of theirs changes.
func (l *looked) request(step lifecycle.Step) *eventlogv1.AppendRequest {
	request := stepRequest(step, "position:"+l.Position.ID)
	request.DecidedAt = l.asOf
	request.Reads = []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_POSITION, Id: l.Position.ID}}
	for _, order := range l.Orders {
		if !order.Ended {
			request.Reads = append(request.Reads, &eventlogv1.ReadRef{Row: eventlogv1.RowKind_ROW_KIND_ORDER, Id: order.ID})
		}
	}
	return request
}

// stepRequest is the append of one event that follows from another: it keeps its cause's trace and workflow, and its
// digest is of (cause, step), so it is the same for whoever takes the step.
func stepRequest(step lifecycle.Step, stream string) *eventlogv1.AppendRequest {
	return &eventlogv1.AppendRequest{
		CommandId:     lifecycle.CommandID(step.Key, step.Name).String(),
		RequestDigest: lifecycle.StepDigest(step.Key, step.Name),
		TraceId:       step.Cause.TraceID, CausationId: step.Cause.EventID, WorkflowId: step.Cause.WorkflowID,
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: stream,
			Expected:  &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
			Events:    []*eventlogv1.NewEvent{{Payload: step.Payload, OccurredAt: timestamppb.New(step.OccurredAt)}},
		}},
	}
}
