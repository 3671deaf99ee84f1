package fact

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// textMax bounds text that comes from venues, so that it can be stored.
const textMax = 512

// Origin is what an event follows from: it keeps its cause's trace. The zero Origin leaves both to the call.
type Origin struct {
	Trace uuid.UUID
	// Cause is the causing event, a ULID; empty: none.
	Cause string
}

// Fact is one event about to be recorded.
type Fact struct {
	Stream     event.StreamKey
	Payload    proto.Message
	OccurredAt time.Time
	Origin     Origin
	// Workflow is the run that brought it; Nil: none.
	Workflow uuid.UUID
	// identity names a record; facts are named by the identity that their payload tells.
	identity string
}

// Append is the request that records the fact, whatever its stream holds.
func (f Fact) Append() (*eventlogv1.AppendRequest, error) {
	event.MakeStorable(f.Payload, textMax)
	command, digest, err := f.name()
	if err != nil {
		return nil, fmt.Errorf("name an event for %s: %w", f.Stream, err)
	}
	request := &eventlogv1.AppendRequest{
		CommandId: command.String(), RequestDigest: digest[:], CausationId: f.Origin.Cause,
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: f.Stream.String(), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Any{Any: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(f.Payload), OccurredAt: timestamppb.New(f.OccurredAt)}},
		}},
	}
	if f.Origin.Trace != uuid.Nil {
		request.TraceId = f.Origin.Trace.String()
	}
	if f.Workflow != uuid.Nil {
		request.WorkflowId = f.Workflow.String()
	}
	return request, nil
}

// name gives the command that records the event, and the digest that tells two reports of it apart. Of a record the
// first one told stands, whatever a second one says.
func (f Fact) name() (command uuid.UUID, digest [32]byte, err error) {
	if f.identity != "" {
		return event.FactCommandID(f.identity), sha256.Sum256([]byte(f.identity)), nil
	}
	identity, err := event.Identity(f.Payload)
	if err != nil {
		return uuid.Nil, digest, err
	}
	digest, err = event.Digest(f.Payload)
	return event.FactCommandID(identity), digest, err
}

// record makes an event that no venue identity names: its command follows from what it is about.
func record(stream event.StreamKey, payload proto.Message, at time.Time, origin Origin, identity string) Fact {
	return Fact{Stream: stream, Payload: payload, OccurredAt: at, Origin: origin, identity: identity}
}

func accountStream(account uuid.UUID) event.StreamKey {
	return event.StreamKey{Kind: event.KindAccount, ID: account}
}

// Source is how a report reached us.
type Source = eventv1.Source

// The sources.
const (
	Answer    = eventv1.Source_SOURCE_REST
	Stream    = eventv1.Source_SOURCE_WS
	Reconcile = eventv1.Source_SOURCE_RECONCILE
)
