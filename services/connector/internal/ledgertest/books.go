// Package ledgertest stands in for the event log and the projector in tests: it checks and folds by the real rules, in
// memory.
package ledgertest

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
)

// Books are one tenant's log and state.
type Books struct {
	mu       sync.Mutex
	log      *projectiontest.Log
	receipts map[string]*eventlogv1.AppendResponse
	digests  map[string][]byte
	events   []*eventv1.Event
	points   map[string]int64
	leases   map[string]string
	denied   int
	// BeforeAppend may refuse or watch each append; AfterAppend may lose its answer.
	BeforeAppend, AfterAppend func(*eventlogv1.AppendRequest) error
}

var (
	_ ledger.Appender = (*Books)(nil)
	_ ledger.Reader   = (*Books)(nil)
	_ ledger.State    = (*Books)(nil)
	_ ledger.Workers  = (*Books)(nil)
)

// New makes books with a registered tenant, a spot and an isolated margin account.
func New(t *testing.T) *Books {
	t.Helper()
	b := &Books{
		log: projectiontest.NewLog(), receipts: map[string]*eventlogv1.AppendResponse{}, digests: map[string][]byte{},
		points: map[string]int64{}, leases: map[string]string{},
	}
	b.Do(t, func(l *projectiontest.Log) error { return l.Registered() })
	return b
}

// Ledger is a ledger on these books.
func (b *Books) Ledger() *ledger.Ledger {
	l, err := ledger.New(clock.System(), ledger.Deps{Appender: b, Reader: b, State: b, Workers: b}, ledger.Config{})
	if err != nil {
		panic(err) // only meters of one name and two kinds could be refused
	}
	return l
}

// Tenant is whose books these are.
func (b *Books) Tenant() uuid.UUID { return b.log.TenantID }

// Do works on the log as the other services would.
func (b *Books) Do(t *testing.T, work func(*projectiontest.Log) error) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.Now = clock.System().Now().UTC()
	if err := work(b.log); err != nil {
		t.Fatal(err)
	}
	b.keep("", uuid.NewString(), "")
}

// Events lists the log's events of some types, in order; all types if none is named.
func (b *Books) Events(types ...event.Type) []*eventv1.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*eventv1.Event
	for _, e := range b.events {
		wanted := len(types) == 0
		for _, name := range types {
			wanted = wanted || e.GetEventType() == string(name)
		}
		if wanted {
			out = append(out, e)
		}
	}
	return out
}

// Row gives an order's row; nil if there is none.
func (b *Books) Row(id uuid.UUID) *projection.Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Order(id)
}

// keep writes down the events that the log has and these books do not.
func (b *Books) keep(cause, trace, workflow string) {
	for _, e := range b.log.Events[len(b.events):] {
		b.events = append(b.events, &eventv1.Event{
			EventId: ulid.ULID(e.EventID).String(), TenantId: e.TenantID.String(), Position: e.Position, StreamKey: e.StreamKey,
			Seq: e.Seq, EventType: string(e.Type), Payload: event.Wrap(e.Payload), OccurredAt: timestamppb.New(e.OccurredAt),
			IngestedAt: timestamppb.New(e.IngestedAt), CausationId: cause, TraceId: trace, WorkflowId: workflow,
		})
	}
}

// Append appends by the rules of the log.
func (b *Books) Append(_ context.Context, in *eventlogv1.AppendRequest, _ ...grpc.CallOption) (*eventlogv1.AppendResponse, error) {
	if b.BeforeAppend != nil {
		if err := b.BeforeAppend(in); err != nil {
			return nil, err
		}
	}
	response, err := b.append(in)
	if err == nil && b.AfterAppend != nil {
		err = b.AfterAppend(in)
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (b *Books) append(in *eventlogv1.AppendRequest) (*eventlogv1.AppendResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first, ok := b.receipts[in.GetCommandId()]; ok {
		again := &eventlogv1.AppendResponse{CommandId: first.GetCommandId(), Events: first.GetEvents(), IngestedAt: first.GetIngestedAt(), Duplicate: true}
		_, payload, err := event.Of(in.GetStreams()[0].GetEvents()[0].GetPayload())
		descriptor, typeErr := event.OfMessage(payload)
		if err != nil || typeErr != nil || !descriptor.IsFact() && !bytes.Equal(b.digests[in.GetCommandId()], in.GetRequestDigest()) {
			return nil, fault.New(fault.Duplicate, "COMMAND_REUSED", "command %s stands for another request", in.GetCommandId())
		}
		return again, nil
	}
	stream := in.GetStreams()[0]
	if stream.GetExpected().GetNoStream() && b.has(stream.GetStreamKey()) {
		return nil, fault.New(fault.Conflict, "STREAM_VERSION", "stream %s is there", stream.GetStreamKey())
	}
	_, payload, err := event.Of(stream.GetEvents()[0].GetPayload())
	if err != nil {
		return nil, err
	}
	b.log.Now = clock.System().Now().UTC()
	response := &eventlogv1.AppendResponse{CommandId: in.GetCommandId(), IngestedAt: timestamppb.New(b.log.Now)}
	at := len(b.log.Events)
	if _, err := b.log.Append(payload); err != nil {
		return nil, err
	}
	trace := in.GetTraceId()
	if trace == "" {
		trace = uuid.NewString()
	}
	b.keep(in.GetCausationId(), trace, in.GetWorkflowId())
	e := b.events[at]
	e.OccurredAt = stream.GetEvents()[0].GetOccurredAt()
	response.Events = []*eventlogv1.EventReceipt{{
		EventId: e.GetEventId(), Position: e.GetPosition(), StreamKey: e.GetStreamKey(), Seq: e.GetSeq(), EventType: e.GetEventType(),
	}}
	b.receipts[in.GetCommandId()], b.digests[in.GetCommandId()] = response, in.GetRequestDigest()
	return response, nil
}

func (b *Books) has(stream string) bool {
	for _, e := range b.events {
		if e.GetStreamKey() == stream {
			return true
		}
	}
	return false
}
