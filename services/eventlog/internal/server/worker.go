package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// Keeper keeps how far workers have come and who is at work. Time is the database's.
type Keeper interface {
	subscription.Leases

	// Checkpoint is zero for a worker that never saved any.
	Checkpoint(ctx context.Context, w store.Worker) (store.Checkpoint, error)
	// CheckpointSave moves it forward, never back, and gives what is then stored.
	CheckpointSave(ctx context.Context, w store.Worker, value int64) (store.Checkpoint, error)
	// LeaseAcquire takes or renews a lease, unless another's has not lapsed, and gives who holds it then.
	LeaseAcquire(ctx context.Context, w store.Worker, holder string, ttl time.Duration) (store.Lease, error)
	// LeaseRelease gives a lease back, if the holder has it.
	LeaseRelease(ctx context.Context, w store.Worker, holder string) error
}

// Worker implements eventlogv1.WorkerServiceServer.
type Worker struct {
	eventlogv1.UnimplementedWorkerServiceServer
	keeper   Keeper
	follower Follower
}

// Follower sends the logs of all tenants, shared out among those who follow under one name, until the context ends or something
// fails; it never returns nil.
type Follower interface {
	Follow(ctx context.Context, leases subscription.Leases, r subscription.FollowRequest, to subscription.Follower) error
}

// NewWorker makes the server of the workers' bookkeeping, and of following all tenants.
func NewWorker(keeper Keeper, follower Follower) *Worker {
	return &Worker{keeper: keeper, follower: follower}
}

// GetCheckpoint implements eventlogv1.WorkerServiceServer.
func (s *Worker) GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest) (*eventlogv1.GetCheckpointResponse, error) {
	worker, err := workerOf(ctx, in.GetName())
	if err != nil {
		return nil, err
	}
	checkpoint, err := s.keeper.Checkpoint(ctx, worker)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	out := &eventlogv1.GetCheckpointResponse{Value: checkpoint.Value}
	if !checkpoint.SavedAt.IsZero() {
		out.SavedAt = timestamppb.New(checkpoint.SavedAt)
	}
	return out, nil
}

// SaveCheckpoint implements eventlogv1.WorkerServiceServer.
func (s *Worker) SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest) (*eventlogv1.SaveCheckpointResponse, error) {
	worker, err := workerOf(ctx, in.GetName())
	if err != nil {
		return nil, err
	}
	checkpoint, err := s.keeper.CheckpointSave(ctx, worker, in.GetValue())
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &eventlogv1.SaveCheckpointResponse{Value: checkpoint.Value}, nil
}

// AcquireLease implements eventlogv1.WorkerServiceServer.
func (s *Worker) AcquireLease(ctx context.Context, in *eventlogv1.AcquireLeaseRequest) (*eventlogv1.AcquireLeaseResponse, error) {
	worker, err := workerOf(ctx, in.GetName())
	if err != nil {
		return nil, err
	}
	lease, err := s.keeper.LeaseAcquire(ctx, worker, in.GetHolder(), in.GetTimeToLive().AsDuration())
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &eventlogv1.AcquireLeaseResponse{
		Acquired: lease.Holder == in.GetHolder(), Holder: lease.Holder, ExpiresAt: timestamppb.New(lease.ExpiresAt),
	}, nil
}

// ReleaseLease implements eventlogv1.WorkerServiceServer.
func (s *Worker) ReleaseLease(ctx context.Context, in *eventlogv1.ReleaseLeaseRequest) (*eventlogv1.ReleaseLeaseResponse, error) {
	worker, err := workerOf(ctx, in.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.keeper.LeaseRelease(ctx, worker, in.GetHolder()); err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &eventlogv1.ReleaseLeaseResponse{}, nil
}

// workerOf is a worker of the service that calls, for the call's tenant.
func workerOf(ctx context.Context, name string) (store.Worker, error) {
	caller, _ := identity.From(ctx)
	if !caller.IsService() {
		return store.Worker{}, servicesOnly()
	}
	return store.Worker{Tenant: identity.Tenant(ctx), Service: caller.Service, Name: name}, nil
}

func servicesOnly() error {
	return fault.New(fault.Denied, "SERVICES_ONLY", "only Robson's own services have workers here")
}
