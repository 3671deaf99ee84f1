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
)

// detectedStep names the append of a signal, within its candle.
const detectedStep = "signal_detected"

// write has a signal in the log, unless its position does not wait for one any more. It tries until that is settled; its
// only error is the context's. The market waits meanwhile: the venue keeps what was not taken.
func (f *feed) write(ctx context.Context, w *watched, found detector.Found) error {
	name := "position " + w.positionID + " signal"
	for failures := 0; ; failures++ {
		request, err := f.request(ctx, w, found)
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
		f.report(ctx, f.market.tenant, name, "write what was detected", err)
		if fault.Is(err, fault.Refused) || fault.Is(err, fault.Invalid) {
			return nil // It would be refused for ever, and other positions wait. The alert stays until the next signal.
		}
		if err := f.pause(ctx, failures); err != nil {
			return err
		}
	}
}

// request is the append of a signal; nil if the position does not wait for one: it is not armed, a signal of it still
// waits, or this one is in the log already.
func (f *feed) request(ctx context.Context, w *watched, found detector.Found) (*eventlogv1.AppendRequest, error) {
	answer, err := f.deps.State.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: w.positionID})
	switch {
	case fault.Is(err, fault.NotFound):
		f.forget(w.positionID)
		return nil, nil //nolint:nilnil // nothing to write is an answer
	case err != nil:
		return nil, err
	case answer.GetPosition().GetState() != projectorv1.PositionState_POSITION_STATE_ARMED:
		f.forget(w.positionID)
		return nil, nil //nolint:nilnil // nothing to write is an answer
	}
	signalID := derive(w.positionID, found.Open, "signal").String()
	before := ""
	// The newest change comes first, so a signal that waits, and this one, are on the first page.
	signals, err := f.deps.State.ListSignals(ctx, &projectorv1.ListSignalsRequest{PositionId: w.positionID})
	if err != nil {
		return nil, err
	}
	for i, signal := range signals.GetSignals() {
		if i == 0 {
			before = signal.GetSignalId()
		}
		if signal.GetSignalId() == signalID || signal.GetStatus() == projectorv1.SignalStatus_SIGNAL_STATUS_DETECTED {
			return nil, nil //nolint:nilnil // nothing to write is an answer
		}
	}
	return f.append(w, answer.GetPosition(), found, signalID, runID(w.positionID, before)), nil
}

// append is the request by which a signal and its stop are written.
func (f *feed) append(
	w *watched, position *projectorv1.Position, found detector.Found, signalID, run string,
) *eventlogv1.AppendRequest {
	first := int32(0)
	return &eventlogv1.AppendRequest{
		CommandId:     derive(w.positionID, found.Open, detectedStep).String(),
		RequestDigest: lifecycle.StepDigest(w.positionID+"/"+found.Open.Format(time.RFC3339), detectedStep),
		TraceId:       run, WorkflowId: run,
		Reads:     []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_POSITION, Id: w.positionID}},
		DecidedAt: position.GetLastPosition(),
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "position:" + w.positionID,
			Expected:  &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
			Events: []*eventlogv1.NewEvent{
				{Payload: f.detected(w, position, found, signalID), OccurredAt: timestamppb.New(found.Closed)},
				{Payload: analyzed(w, found, signalID), OccurredAt: timestamppb.New(found.Closed), CausedBy: &first},
			},
		}},
	}
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
