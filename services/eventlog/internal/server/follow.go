package server

import (
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Follow implements eventlogv1.WorkerServiceServer.
func (s *Worker) Follow(in *eventlogv1.FollowRequest, stream grpc.ServerStreamingServer[eventlogv1.FollowResponse]) error {
	ctx := stream.Context()
	caller, _ := identity.From(ctx)
	if !caller.IsService() {
		return servicesOnly()
	}
	p := conditions{}
	request := subscription.FollowRequest{
		Crew: subscription.Crew{Service: caller.Service, Name: in.GetName()}, Holder: in.GetHolder(), TenantsMax: int(in.GetTenantsMax()),
		Filter: subscription.Filter{Types: p.types("event_types", in.GetEventTypes()), Kinds: kindsOf(in.GetStreamKinds())},
	}
	if p.err != nil {
		return p.err
	}
	return s.follower.Follow(ctx, s.keeper, request, follower{stream}) //nolint:wrapcheck // The hub says what it was doing.
}

// follower is the far side of the following of all tenants.
type follower struct {
	stream grpc.ServerStreamingServer[eventlogv1.FollowResponse]
}

// Assigned implements subscription.Follower.
func (f follower) Assigned(tenant uuid.UUID, checkpoint int64) error {
	assigned := &eventlogv1.FollowResponse_Assigned{Assigned: &eventlogv1.Assigned{Checkpoint: checkpoint}}
	return f.send(&eventlogv1.FollowResponse{TenantId: tenant.String(), Message: assigned})
}

// Event implements subscription.Follower.
func (f follower) Event(event *subscription.Event) error {
	e, err := event.Message()
	if err != nil {
		return err //nolint:wrapcheck // It says where it stands.
	}
	return f.send(&eventlogv1.FollowResponse{TenantId: e.GetTenantId(), Message: &eventlogv1.FollowResponse_Event{Event: e}})
}

// CaughtUp implements subscription.Follower.
func (f follower) CaughtUp(tenant uuid.UUID, position int64) error {
	caughtUp := &eventlogv1.FollowResponse_CaughtUp{CaughtUp: &eventlogv1.CaughtUp{Position: position}}
	return f.send(&eventlogv1.FollowResponse{TenantId: tenant.String(), Message: caughtUp})
}

// Revoked implements subscription.Follower.
func (f follower) Revoked(tenant uuid.UUID, why error) error {
	revoked := &eventlogv1.Revoked{}
	if why != nil {
		revoked.Reason, revoked.Message = fault.ReasonOf(why), why.Error()
	}
	return f.send(&eventlogv1.FollowResponse{TenantId: tenant.String(), Message: &eventlogv1.FollowResponse_Revoked{Revoked: revoked}})
}

func (f follower) send(m *eventlogv1.FollowResponse) error {
	return f.stream.Send(m) //nolint:wrapcheck // The call has ended.
}
