package server

import (
	"context"

	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/identity"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
	"github.com/robson/robson/services/snapshotter/internal/store"
)

// CreateSnapshot implements snapshotterv1.OperateServiceServer. That the log could not be told yet is no failure: the snapshot shows
// it, and a worker's next round tells it.
func (o *Operate) CreateSnapshot(ctx context.Context, in *snapshotterv1.CreateSnapshotRequest) (*snapshotterv1.CreateSnapshotResponse, error) {
	scope, err := scopeOf(in.GetScope())
	if err != nil {
		return nil, err
	}
	made, err := o.deps.Maker.Make(ctx, identity.Tenant(ctx), scope, checkpoint.TriggerRequest)
	if err != nil {
		return nil, err //nolint:wrapcheck // The maker says what it was doing.
	}
	return &snapshotterv1.CreateSnapshotResponse{Snapshot: message(made.Snapshot), Created: made.Created}, nil
}

// PruneSnapshots implements snapshotterv1.OperateServiceServer.
func (o *Operate) PruneSnapshots(in *snapshotterv1.PruneSnapshotsRequest, stream grpc.ServerStreamingServer[snapshotterv1.PruneSnapshotsResponse]) error {
	filter, err := filterOf(in.GetKind(), in.GetScopeId())
	if err != nil {
		return err
	}
	ctx, cancel := until(stream.Context(), o.deps.Stopping)
	defer cancel(nil)
	sum := &snapshotterv1.PruneSummary{}
	params := checkpoint.PruneParams{Filter: filter, Keep: int(in.GetKeep()), Before: timeOf(in.GetCreatedBefore()), DryRun: in.GetDryRun()}
	err = o.deps.Pruner.Prune(ctx, identity.Tenant(ctx), params, func(s checkpoint.Snapshot) error {
		sum.Removed++
		sum.StoredBytes += s.StoredBytes
		return stream.Send(&snapshotterv1.PruneSnapshotsResponse{Message: &snapshotterv1.PruneSnapshotsResponse_Removed{Removed: message(s)}})
	})
	if err != nil {
		return ended(ctx, err)
	}
	return stream.Send(&snapshotterv1.PruneSnapshotsResponse{Message: &snapshotterv1.PruneSnapshotsResponse_Summary{Summary: sum}}) //nolint:wrapcheck // The call has ended.
}

// SetSchedule implements snapshotterv1.OperateServiceServer.
func (o *Operate) SetSchedule(ctx context.Context, in *snapshotterv1.SetScheduleRequest) (*snapshotterv1.SetScheduleResponse, error) {
	change := store.ScheduleChange{EveryEvents: in.EveryEvents, EverySeconds: in.EverySeconds, AtWorkflowEnd: in.AtWorkflowEnd}
	set, err := o.deps.Store.SetSchedule(ctx, identity.Tenant(ctx), change)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &snapshotterv1.SetScheduleResponse{Schedule: scheduleMessage(set)}, nil
}
