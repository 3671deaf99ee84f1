package server

import (
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Subscribe implements eventlogv1.ReadServiceServer.
func (s *Read) Subscribe(in *eventlogv1.SubscribeRequest, stream grpc.ServerStreamingServer[eventlogv1.SubscribeResponse]) error {
	p := conditions{}
	filter := subscription.Filter{
		Types: p.types("event_types", in.GetEventTypes()), Kinds: kindsOf(in.GetStreamKinds()), AccountID: p.id("account_id", in.GetAccountId()),
	}
	if p.err != nil {
		return p.err
	}
	ctx := stream.Context()
	request := subscription.Request{Tenant: identity.Tenant(ctx), After: in.GetAfterPosition(), Filter: filter}
	return s.subscriber.Subscribe(ctx, request, receiver{stream}) //nolint:wrapcheck // The hub says what it was doing.
}

// kindsOf are the kinds of streams that a request names; its contract says which there are.
func kindsOf(names []string) []event.Kind {
	kinds := make([]event.Kind, len(names))
	for i, name := range names {
		kinds[i] = event.Kind(name)
	}
	return kinds
}

// receiver is the far side of a subscription. A send waits until the receiver's window has room: that is what keeps a slow
// one from filling this process. It ends with the call, even one that is waiting.
type receiver struct {
	stream grpc.ServerStreamingServer[eventlogv1.SubscribeResponse]
}

// Event implements subscription.Receiver.
func (r receiver) Event(event *subscription.Event) error {
	e, err := event.Message()
	if err != nil {
		return err //nolint:wrapcheck // It says where it stands.
	}
	return r.stream.Send(&eventlogv1.SubscribeResponse{Message: &eventlogv1.SubscribeResponse_Event{Event: e}}) //nolint:wrapcheck // The call has ended.
}

// CaughtUp implements subscription.Receiver.
func (r receiver) CaughtUp(position int64) error {
	caughtUp := &eventlogv1.SubscribeResponse_CaughtUp{CaughtUp: &eventlogv1.CaughtUp{Position: position}}
	return r.stream.Send(&eventlogv1.SubscribeResponse{Message: caughtUp}) //nolint:wrapcheck // The call has ended.
}
