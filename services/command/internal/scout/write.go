package scout

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/detector"
	"github.com/robson/robson/services/command/internal/lifecycle"
	"github.com/robson/robson/services/command/internal/rows"
)

// detectedStep names the append of a signal, within its candle.
const detectedStep = "signal_detected"

// write has a signal in the log, unless its position does not wait for one any more.
func (f *feed) write(ctx context.Context, w *watched, found detector.Found) error {
	return f.persist(ctx, alertName(w.positionID, signalOf), func(ctx context.Context) (*eventlogv1.AppendRequest, error) {
		signalID := derive(w.positionID, found.Open, "signal").String()
		position, before, err := f.idle(ctx, w, signalID)
		if position == nil || err != nil {
			return nil, err
		}
		return f.append(w, position, found, signalID, runID(w.positionID, before)), nil
	})
}

// giveUp has a position disarmed that has waited for a signal as long as it was to.
func (f *feed) giveUp(ctx context.Context, w *watched, now time.Time) error {
	if w.settings.ArmedFor == 0 || !now.After(w.armedAt.Add(w.settings.ArmedFor)) {
		return nil
	}
	asked := false
	err := f.persist(ctx, alertName(w.positionID, expiryOf), func(ctx context.Context) (*eventlogv1.AppendRequest, error) {
		position, _, err := f.idle(ctx, w, "")
		if position == nil || err != nil {
			return nil, err
		}
		asked = true
		at := timestamppb.New(w.armedAt.Add(w.settings.ArmedFor))
		request := step(position, w.armedAt, "expired")
		request.Streams[0].Events = []*eventlogv1.NewEvent{{OccurredAt: at, Payload: event.Wrap(&eventv1.PositionDisarmed{
			PositionId: w.positionID, Reason: eventv1.DisarmReason_DISARM_REASON_EXPIRED, DisarmedAt: at,
		})}}
		return request, nil
	})
	if err == nil && asked {
		f.forget(w.positionID)
	}
	return err
}

// persist has what a request says in the log; one that is nil has nothing to say any more. It tries until that is settled;
// its only error is the context's. The market waits meanwhile: the venue keeps what was not taken.
func (f *feed) persist(ctx context.Context, name string, build func(context.Context) (*eventlogv1.AppendRequest, error)) error {
	for failures := 0; ; failures++ {
		request, err := build(ctx)
		if err == nil && request != nil {
			_, err = f.deps.Log.Append(ctx, request)
		}
		switch {
		case err == nil:
			f.deps.Alerts.Clear(f.market.tenant, name)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Is(err, fault.Conflict) && failures == 0:
			continue // The position has changed since it was read.
		}
		f.report(ctx, f.market.tenant, name, "write it", err)
		if fault.Is(err, fault.Refused) || fault.Is(err, fault.Invalid) {
			return nil // It would be refused for ever, and other positions wait. The alert stays until the next of its kind.
		}
		if err := f.pause(ctx, failures); err != nil {
			return err
		}
	}
}

// idle gives a position if it is armed and no signal of it waits, nor is the named one in the log; and its newest signal.
func (f *feed) idle(ctx context.Context, w *watched, signalID string) (*projectorv1.Position, string, error) {
	answer, err := f.deps.State.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: w.positionID})
	switch {
	case fault.Is(err, fault.NotFound):
		f.forget(w.positionID)
		return nil, "", nil
	case err != nil:
		return nil, "", err
	case answer.GetPosition().GetState() != projectorv1.PositionState_POSITION_STATE_ARMED:
		f.forget(w.positionID)
		return nil, "", nil
	}
	// The newest change comes first, so a signal that waits, and this one, are on the first page.
	signals, err := f.deps.State.ListSignals(ctx, &projectorv1.ListSignalsRequest{PositionId: w.positionID})
	if err != nil {
		return nil, "", err
	}
	newest := ""
	for i, signal := range signals.GetSignals() {
		if i == 0 {
			newest = signal.GetSignalId()
		}
		if signal.GetSignalId() == signalID || rows.Waiting(signal) {
			return nil, "", nil
		}
	}
	return answer.GetPosition(), newest, nil
}

// step is an append to an armed position, named by the position, a time and what is done, and guarded by its row.
func step(position *projectorv1.Position, at time.Time, name string) *eventlogv1.AppendRequest {
	id := position.GetPositionId()
	return &eventlogv1.AppendRequest{
		CommandId:     derive(id, at, name).String(),
		RequestDigest: lifecycle.StepDigest(id+"/"+at.UTC().Format(time.RFC3339), name),
		Reads:         []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_POSITION, Id: id}},
		DecidedAt:     position.GetLastPosition(),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "position:" + id, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
		}},
	}
}

// append is the request by which a signal and its stop are written.
func (f *feed) append(
	w *watched, position *projectorv1.Position, found detector.Found, signalID, run string,
) *eventlogv1.AppendRequest {
	first := int32(0)
	request := step(position, found.Open, detectedStep)
	request.TraceId, request.WorkflowId = run, run
	request.Streams[0].Events = []*eventlogv1.NewEvent{
		{Payload: f.detected(w, position, found, signalID), OccurredAt: timestamppb.New(found.Closed)},
		{Payload: analyzed(w, found, signalID), OccurredAt: timestamppb.New(found.Closed), CausedBy: &first},
	}
	return request
}

func (f *feed) detected(w *watched, position *projectorv1.Position, found detector.Found, signalID string) *eventv1.Payload {
	return event.Wrap(&eventv1.SignalDetected{
		SignalId: signalID, PositionId: w.positionID, StrategyId: position.GetStrategyId(), Symbol: f.market.symbol, Side: w.side,
		EntryPrice: found.Entry.String(), StopLoss: found.Stop.Price.String(), Detector: detector.MACross,
		MarketRef:  &eventv1.MarketRef{Symbol: f.market.symbol, Interval: w.settings.IntervalName, OpenTime: timestamppb.New(found.Open)},
		DetectedAt: timestamppb.New(found.Closed), ExpiresAt: timestamppb.New(found.Closed.Add(w.settings.SignalTTL)),
	})
}

func analyzed(w *watched, found detector.Found, signalID string) *eventv1.Payload {
	levels := make([]string, len(found.Stop.Levels))
	for i, level := range found.Stop.Levels {
		levels[i] = level.String()
	}
	return event.Wrap(&eventv1.TechnicalStopAnalyzed{
		SignalId: signalID, PositionId: w.positionID, Method: found.Stop.Method, LevelN: int32(found.Stop.Level), Levels: levels, // bounded by the settings
		TechnicalStopPrice: found.Stop.Price.String(), Distance: found.Stop.Distance.String(),
		DistancePct: found.Stop.DistancePercent(found.Entry).String(), Confidence: found.Stop.Confidence,
	})
}

// derive makes the id of something that belongs to a position's candle: the same for whoever watches.
func derive(positionID string, open time.Time, name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("robson.command.v1.detector\n"+positionID+"\n"+open.UTC().Format(time.RFC3339)+"\n"+name))
}

// runID names the run of a position's detector that follows the end of a signal; the first follows none.
func runID(positionID, before string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("robson.command.v1.detector\n"+positionID+"\nrun after "+before)).String()
}
