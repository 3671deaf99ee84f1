// Package worldtest is a world in memory for tests of the process manager and the monitor: one tenant's log, folded by
// the real rules of pkg/projection, the state that the projector would serve, and a venue that fills what it is sent.
package worldtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// World is one tenant's log and venue. It is safe for use by many goroutines.
type World struct {
	Tenant uuid.UUID

	mu          sync.Mutex
	changed     chan struct{}
	rows        rowMap
	events      []*eventv1.Event
	streams     map[string][]*eventv1.Event
	commands    map[string]*eventlogv1.GetCommandResponse
	checkpoints map[string]int64
	fails       []error

	venue venue
}

// New makes a world whose market stands at a price.
func New(price string) *World {
	w := &World{
		Tenant: uuid.New(), changed: make(chan struct{}), rows: rowMap{}, streams: map[string][]*eventv1.Event{},
		commands: map[string]*eventlogv1.GetCommandResponse{}, checkpoints: map[string]int64{},
	}
	w.venue = newVenue(price)
	return w
}

// rowMap is the state.
type rowMap map[projection.Key]projection.Row

// Get implements projection.View.
func (r rowMap) Get(key projection.Key) (projection.Row, error) { return r[key], nil }

// Put implements projection.State.
func (r rowMap) Put(row projection.Row) { r[row.Key()] = row }

// Fail makes the next appends answer errors; a nil lets one pass.
func (w *World) Fail(errs ...error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = append(w.fails, errs...)
}

// Append implements the log: checked, folded, all or nothing.
func (w *World) Append(_ context.Context, in *eventlogv1.AppendRequest, _ ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	return w.write(in)
}

func (w *World) write(in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	if err := protovalidate.Validate(in); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "CONTRACT", "append")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fails) > 0 {
		err := w.fails[0]
		w.fails = w.fails[1:]
		if err != nil {
			return nil, err
		}
	}
	if known := w.commands[in.GetCommandId()]; known != nil {
		if !slices.Equal(known.GetRequestDigest(), in.GetRequestDigest()) {
			return nil, fault.New(fault.Duplicate, "COMMAND_ID_REUSED", "command %s", in.GetCommandId())
		}
		return known.GetReceipt(), nil
	}
	for _, read := range in.GetReads() {
		if row := w.rows[readKey(read)]; row != nil && row.Changed().LastPosition > in.GetDecidedAt() {
			return nil, fault.New(fault.Conflict, "ROW_CHANGED", "%s has changed", read)
		}
	}
	return w.append(in)
}

func readKey(read *eventlogv1.ReadRef) projection.Key {
	id := uuid.MustParse(read.GetId())
	switch read.GetRow() {
	case eventlogv1.RowKind_ROW_KIND_ORDER:
		return projection.OrderKey(id)
	case eventlogv1.RowKind_ROW_KIND_ACCOUNT_RISK:
		return projection.RiskKey(id, uuid.Nil)
	case eventlogv1.RowKind_ROW_KIND_STRATEGY:
		return projection.StrategyKey(id)
	default:
		return projection.PositionKey(id)
	}
}

func (w *World) append(in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	overlay := projection.NewOverlay(w.rows)
	var made []*eventv1.Event
	receipt := &eventlogv1.AppendResponse{CommandId: in.GetCommandId()}
	for _, stream := range in.GetStreams() {
		seq := int64(len(w.streams[stream.GetStreamKey()]))
		if stream.GetExpected().GetNoStream() && seq > 0 {
			return nil, fault.New(fault.Conflict, "STREAM_VERSION", "stream %s exists", stream.GetStreamKey())
		}
		for _, fresh := range stream.GetEvents() {
			seq++
			envelope, err := w.fold(overlay, in, stream.GetStreamKey(), seq, int64(len(w.events)+len(made)+1), fresh)
			if err != nil {
				return nil, err
			}
			made = append(made, envelope)
			receipt.Events = append(receipt.Events, &eventlogv1.EventReceipt{
				EventId: envelope.GetEventId(), Position: envelope.GetPosition(), StreamKey: envelope.GetStreamKey(),
				Seq: seq, EventType: envelope.GetEventType(),
			})
		}
	}
	overlay.MergeInto(w.rows)
	w.events = append(w.events, made...)
	for _, envelope := range made {
		w.streams[envelope.GetStreamKey()] = append(w.streams[envelope.GetStreamKey()], envelope)
	}
	stored := &eventlogv1.AppendResponse{CommandId: in.GetCommandId(), Events: receipt.GetEvents(), Duplicate: true}
	w.commands[in.GetCommandId()] = &eventlogv1.GetCommandResponse{Receipt: stored, RequestDigest: in.GetRequestDigest()}
	close(w.changed)
	w.changed = make(chan struct{})
	return receipt, nil
}

// fold checks and folds one event and gives its envelope.
func (w *World) fold(
	overlay *projection.Overlay, in *eventlogv1.AppendRequest, stream string, seq, position int64, fresh *eventlogv1.NewEvent,
) (*eventv1.Event, error) {
	descriptor, message, err := event.Of(fresh.GetPayload())
	if err != nil {
		return nil, err
	}
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).Add(time.Duration(position) * time.Millisecond)
	id := ulid.ULID{14: byte(position >> 8), 15: byte(position)}
	folding := projection.Event{
		TenantID: w.Tenant, Position: position, EventID: uuid.UUID(id), StreamKey: stream, Seq: seq,
		Type: descriptor.Type, OccurredAt: fresh.GetOccurredAt().AsTime(), IngestedAt: at, Payload: message,
	}
	if err := projection.Check(overlay, folding); err != nil {
		return nil, err
	}
	if _, err := projection.Fold(overlay, folding); err != nil {
		return nil, err
	}
	return &eventv1.Event{
		EventId: id.String(), Position: position, StreamKey: stream, Seq: seq, EventType: string(folding.Type),
		Payload: fresh.GetPayload(), OccurredAt: fresh.GetOccurredAt(), IngestedAt: timestamppb.New(at),
		CommandId: in.GetCommandId(), CausationId: in.GetCausationId(), TraceId: in.GetTraceId(), WorkflowId: in.GetWorkflowId(),
	}, nil
}

// GetCommand implements the log.
func (w *World) GetCommand(_ context.Context, in *eventlogv1.GetCommandRequest, _ ...grpc.CallOption) (*eventlogv1.GetCommandResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.commands[in.GetCommandId()]; known != nil {
		return known, nil
	}
	return nil, fault.New(fault.NotFound, "COMMAND_UNKNOWN", "no command %s", in.GetCommandId())
}

// ReadLog implements the log.
func (w *World) ReadLog(_ context.Context, in *eventlogv1.ReadLogRequest, _ ...grpc.CallOption) (*eventlogv1.ReadLogResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := max(in.GetFromPosition()-1, 0)
	return &eventlogv1.ReadLogResponse{Events: w.events[from:min(from+int64(in.GetPageSize()), int64(len(w.events)))]}, nil
}

// ReadStream implements the log; backwards it gives everything at once.
func (w *World) ReadStream(_ context.Context, in *eventlogv1.ReadStreamRequest, _ ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := slices.Clone(w.streams[in.GetStreamKey()])
	if in.GetDirection() == eventlogv1.Direction_DIRECTION_BACKWARDS {
		slices.Reverse(events)
		return &eventlogv1.ReadStreamResponse{Events: events}, nil
	}
	from := int(max(in.GetFromSeq()-1, 0))
	if from >= len(events) {
		return &eventlogv1.ReadStreamResponse{}, nil
	}
	return &eventlogv1.ReadStreamResponse{Events: events[from:]}, nil
}

// GetEvent implements the log.
func (w *World) GetEvent(_ context.Context, in *eventlogv1.GetEventRequest, _ ...grpc.CallOption) (*eventlogv1.GetEventResponse, error) {
	for _, known := range w.Events() {
		if known.GetEventId() == in.GetEventId() {
			return &eventlogv1.GetEventResponse{Event: known}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "EVENT_UNKNOWN", "no event %s", in.GetEventId())
}

// ListTenants implements the log.
func (w *World) ListTenants(context.Context, *eventlogv1.ListTenantsRequest, ...grpc.CallOption) (*eventlogv1.ListTenantsResponse, error) {
	return &eventlogv1.ListTenantsResponse{TenantIds: []string{w.Tenant.String()}}, nil
}

// GetCheckpoint implements the log.
func (w *World) GetCheckpoint(_ context.Context, in *eventlogv1.GetCheckpointRequest, _ ...grpc.CallOption) (*eventlogv1.GetCheckpointResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &eventlogv1.GetCheckpointResponse{Value: w.checkpoints[in.GetName()]}, nil
}

// SaveCheckpoint implements the log.
func (w *World) SaveCheckpoint(_ context.Context, in *eventlogv1.SaveCheckpointRequest, _ ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkpoints[in.GetName()] = max(w.checkpoints[in.GetName()], in.GetValue())
	return &eventlogv1.SaveCheckpointResponse{Value: w.checkpoints[in.GetName()]}, nil
}

// subscription streams the log to one subscriber.
type subscription struct {
	grpc.ClientStream
	ctx   context.Context //nolint:containedctx // a stream lives in its context
	world *World
	after int64
}

// Subscribe implements the log.
func (w *World) Subscribe(ctx context.Context, in *eventlogv1.SubscribeRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[eventlogv1.SubscribeResponse], error) {
	return &subscription{ctx: ctx, world: w, after: in.GetAfterPosition()}, nil
}

// Recv implements the stream.
func (s *subscription) Recv() (*eventlogv1.SubscribeResponse, error) {
	for {
		s.world.mu.Lock()
		changed := s.world.changed
		var next *eventv1.Event
		if int(s.after) < len(s.world.events) {
			next = s.world.events[s.after]
		}
		s.world.mu.Unlock()
		if next != nil {
			s.after++
			return &eventlogv1.SubscribeResponse{Message: &eventlogv1.SubscribeResponse_Event{Event: next}}, nil
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return nil, io.ErrUnexpectedEOF
		}
	}
}

// Events is the log.
func (w *World) Events() []*eventv1.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// Types names the events of the log, in order.
func (w *World) Types() []string {
	var types []string
	for _, known := range w.Events() {
		types = append(types, known.GetEventType())
	}
	return types
}

// Checkpoint is a saved checkpoint.
func (w *World) Checkpoint(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.checkpoints[name]
}

// Wait waits until a condition on the log's events holds.
func (w *World) Wait(ctx context.Context, holds func([]*eventv1.Event) bool) error {
	for {
		w.mu.Lock()
		changed := w.changed
		events := slices.Clone(w.events)
		w.mu.Unlock()
		if holds(events) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the log has %d events and still not what was waited for", len(events))
		}
	}
}

// Record appends events of one stream as a service would that made them up; it is how a test says what happened.
func (w *World) Record(stream string, at time.Time, payloads ...*eventv1.Payload) error {
	group := &eventlogv1.StreamAppend{StreamKey: stream, Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}}}
	for _, payload := range payloads {
		group.Events = append(group.Events, &eventlogv1.NewEvent{Payload: payload, OccurredAt: timestamppb.New(at)})
	}
	_, err := w.write(&eventlogv1.AppendRequest{
		CommandId: uuid.NewString(), RequestDigest: make([]byte, 32), Streams: []*eventlogv1.StreamAppend{group}, TraceId: uuid.NewString(),
	})
	return err
}
