package server

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// plan is what a decision comes to: the events to append, and what it rests on.
type plan struct {
	streams   []*eventlogv1.StreamAppend
	reads     []*eventlogv1.ReadRef
	decidedAt int64
	// standing are events in the log that answer the command as they are; there is nothing to append then.
	standing []*eventv1.Event
	// events counts those planned so far, over all streams.
	events int32
}

// Expectations of a stream.
func noStream() *eventlogv1.Expected {
	return &eventlogv1.Expected{Kind: &eventlogv1.Expected_NoStream{NoStream: true}}
}

func exists() *eventlogv1.Expected {
	return &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}}
}

// add plans events of one stream, each caused by the one before it; the first is caused by the caller's causation.
func (p *plan) add(stream string, expected *eventlogv1.Expected, at time.Time, payloads ...*eventv1.Payload) {
	group := &eventlogv1.StreamAppend{StreamKey: stream, Expected: expected}
	for i, payload := range payloads {
		event := &eventlogv1.NewEvent{Payload: payload, OccurredAt: timestamppb.New(at)}
		if i > 0 {
			before := p.events - 1
			event.CausedBy = &before
		}
		group.Events = append(group.Events, event)
		p.events++
	}
	p.streams = append(p.streams, group)
}

// read plans a guard: the append is aborted if the row has changed since the plan's position.
func (p *plan) read(kind eventlogv1.RowKind, id string) {
	if id != "" {
		p.reads = append(p.reads, &eventlogv1.ReadRef{Row: kind, Id: id})
	}
}

// Row kinds a decision can rest on.
const (
	rowPosition = eventlogv1.RowKind_ROW_KIND_POSITION
	rowOrder    = eventlogv1.RowKind_ROW_KIND_ORDER
	rowRisk     = eventlogv1.RowKind_ROW_KIND_ACCOUNT_RISK
	rowStrategy = eventlogv1.RowKind_ROW_KIND_STRATEGY
)

// Keys of streams.
func positionStream(id string) string { return "position:" + id }
func accountStream(id string) string  { return "account:" + id }
func strategyStream(id string) string { return "strategy:" + id }
func tenantStream(id string) string   { return "tenant:" + id }
