package monitor

import (
	"context"
	"crypto/sha256"
	"fmt"

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

// watched is a position with a stop, as it was last known.
type watched struct {
	id   string
	stop engine.Stop
	open string
	// changedAt is the position that last changed its row, cause the event that last set its stop.
	changedAt int64
	cause     lifecycle.Cause
	// guards says whether there is a stop to guard: the position is open and is not being left. A position that is only
	// being entered is expected.
	guards   bool
	expected bool
	// from is where the market stood when the position was first seen.
	from int64
}

// newWatched reads a position's row.
func newWatched(row *projectorv1.Position, stopSet *lifecycle.Cause) (*watched, error) {
	r := &rows.Reader{}
	w := &watched{
		id: row.GetPositionId(), open: row.GetCurrentQuantity(), changedAt: row.GetLastPosition(),
		stop: engine.Stop{
			Side: row.GetSide(), Mode: row.GetTrailingMode(),
			Technical: r.Amount(row.GetTechnicalStopPrice()), Distance: r.Amount(row.GetTechnicalStopDistance()),
			Price: r.Amount(row.GetTrailingStopPrice()), Extreme: r.Amount(row.GetFavorableExtreme()),
			Since: row.GetExtremeAt().AsTime(),
		},
	}
	if stopSet != nil {
		w.cause = *stopSet
	}
	// A position that something was sold of and that nobody has decided to leave is being left by the stop that rests at
	// the venue; the process manager says so.
	left := r.Amount(row.GetExitQuantity()).IsPositive()
	wanted := follows(row) && !rows.Exiting(row) && !left
	w.guards = wanted && stopSet != nil && w.stop.Price.IsPositive()
	w.expected = wanted && !w.guards
	if w.open == "" {
		w.open = "0"
	}
	return w, r.Err
}

// tick is one price of a market, with its number.
type tick struct {
	engine.Tick
	sequence int64
}

// append is the request that a tick leads to; nil if it leads to nothing.
func (w *watched) append(symbol string, at tick) (*eventlogv1.AppendRequest, engine.Trailed) {
	if w == nil || !w.guards {
		return nil, engine.Trailed{}
	}
	trailed := engine.Trail(w.stop, at.Tick)
	switch trailed.Action {
	case engine.TrailMove:
		return w.request("trail/"+trailed.Stop.String(), at, event.Wrap(&eventv1.TrailingStopUpdated{
			PositionId: w.id, PreviousStop: w.stop.Price.String(), NewStop: trailed.Stop.String(),
			FavorableExtreme: trailed.Extreme.String(), TriggerPrice: at.Price.String(),
			PriceEventId: fmt.Sprintf("%s/%d", symbol, at.sequence), ObservedAt: timestamppb.New(at.At),
		})), trailed
	case engine.TrailExit:
		request := w.request("exit", at, event.Wrap(&eventv1.ExitTriggered{
			PositionId: w.id, Reason: eventv1.ExitReason_EXIT_REASON_TRAILING_STOP, TriggerPrice: at.Price.String(),
			StopPrice: w.stop.Price.String(), Quantity: w.open, TriggeredAt: timestamppb.New(at.At),
		}))
		request.Reads = []*eventlogv1.ReadRef{{Row: eventlogv1.RowKind_ROW_KIND_POSITION, Id: w.id}}
		request.DecidedAt = w.changedAt
		return request, trailed
	default:
		return nil, trailed
	}
}

// request is the append of one event caused by the event that set the stop, and named by it.
func (w *watched) request(step string, at tick, payload *eventv1.Payload) *eventlogv1.AppendRequest {
	digest := sha256.Sum256([]byte("robson.command.v1.monitor\n" + w.cause.EventID + "\n" + step))
	return &eventlogv1.AppendRequest{
		CommandId:     lifecycle.CommandID(w.cause.EventID, step).String(),
		RequestDigest: digest[:],
		TraceId:       w.cause.TraceID, CausationId: w.cause.EventID, WorkflowId: w.cause.WorkflowID,
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: "position:" + w.id,
			Expected:  &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
			Events:    []*eventlogv1.NewEvent{{Payload: payload, OccurredAt: timestamppb.New(at.At)}},
		}},
	}
}

// took notes that what a tick led to is in the log.
func (w *watched) took(trailed engine.Trailed, at tick, receipt *eventlogv1.AppendResponse) {
	if trailed.Action == engine.TrailExit {
		w.guards = false
		return
	}
	w.stop.Price, w.stop.Extreme, w.stop.Since = trailed.Stop, trailed.Extreme, at.At
	for _, event := range receipt.GetEvents() {
		w.cause.EventID, w.cause.Position = event.GetEventId(), event.GetPosition()
		w.changedAt = max(w.changedAt, event.GetPosition())
	}
}

// reload reads a position anew, with the event that last set its stop.
func (m *Monitor) reload(ctx context.Context, id string) (*watched, error) {
	found, err := m.deps.State.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: id})
	if err != nil {
		return nil, err
	}
	row := found.GetPosition()
	if row.GetStopEventId() == "" {
		return newWatched(row, nil)
	}
	event, err := m.deps.Log.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: row.GetStopEventId()})
	if err != nil {
		return nil, err
	}
	cause := lifecycle.CauseOf(event.GetEvent())
	return newWatched(row, &cause)
}

// outdated says whether an append failed because the position is not as it was known.
func outdated(err error) bool { return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Refused) }
