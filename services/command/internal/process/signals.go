package process

import (
	"context"
	"time"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// manualDetector is who gives a signal by hand; it is decided on in the append that it comes with.
const manualDetector = "manual"

// leastLook keeps a lane from going round while the venue's clock reaches a signal's end.
const leastLook = time.Millisecond

// dispatchSignal has a detector's signal answered. Most are in the append that they come with, which the lane then finds.
func (w *worker) dispatchSignal(ctx context.Context, event *eventv1.Event) {
	signal := event.GetPayload().GetSignalDetected()
	if signal.GetPositionId() == "" || signal.GetDetector() == manualDetector {
		return
	}
	w.lanes.add(ctx, signalLane+signal.GetSignalId(), item{
		position: event.GetPosition(), demand: &demand{cause: lifecycle.CauseOf(event)},
	})
}

// signalPage is how many signals are listed at a time.
const signalPage = 500

// sweepSignals has every signal answered that waits, as it does when nobody was there to answer it.
func (w *worker) sweepSignals(ctx context.Context) error {
	request := &projectorv1.ListSignalsRequest{
		Statuses: []projectorv1.SignalStatus{projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED}, PageSize: signalPage,
	}
	for {
		page, err := w.deps.State.ListSignals(ctx, request)
		if err != nil {
			return err
		}
		for _, signal := range page.GetSignals() {
			if signal.GetPositionId() == "" || !rows.Waiting(signal) {
				continue // A strategy's own signal asks for nothing.
			}
			cause, err := w.detected(ctx, signal)
			if err != nil {
				return err
			}
			w.lanes.add(ctx, signalLane+signal.GetSignalId(), item{demand: &demand{cause: cause}})
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}

// detected finds the event that brought a signal, by which its answer is named.
func (w *worker) detected(ctx context.Context, signal *projectorv1.Signal) (lifecycle.Cause, error) {
	request := &eventlogv1.ReadStreamRequest{
		StreamKey: "position:" + signal.GetPositionId(), Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: streamPage,
	}
	for {
		page, err := w.deps.Log.ReadStream(ctx, request)
		if err != nil {
			return lifecycle.Cause{}, err
		}
		for _, event := range page.GetEvents() {
			if event.GetPayload().GetSignalDetected().GetSignalId() == signal.GetSignalId() {
				return lifecycle.CauseOf(event), nil
			}
		}
		if request.FromSeq = page.GetNextSeq(); request.GetFromSeq() == 0 {
			return lifecycle.Cause{}, fault.New(fault.Corrupt, "SIGNAL_WITHOUT_EVENT", "signal %s is in no event of its position", signal.GetSignalId())
		}
	}
}

// answer has a signal answered, and looks again while it waits: when it expires, and now and then before.
func (w *worker) answer(ctx context.Context, signalID string, items []item) ([]item, time.Duration) {
	name := "signal " + signalID
	it := items[len(items)-1] // all are of the one event that brought the signal
	waits, left, err := w.deps.Signals.Answer(ctx, it.demand.cause, signalID)
	switch {
	case ctx.Err() != nil:
		return items, 0
	case err != nil:
		if it.failures++; it.failures >= w.config.AlertAfter {
			w.report(ctx, w.tenant, name, "answer it", err)
		}
		return []item{it}, backoff(w.config.RetryDelay, w.config.RetryDelayMax, it.failures)
	}
	w.deps.Alerts.Clear(w.tenant, name)
	if !waits {
		return nil, 0
	}
	// It has been reacted to: the checkpoint goes on, and a sweep finds the signal again.
	return []item{{demand: it.demand}}, min(max(left, leastLook), w.config.SignalLook)
}
