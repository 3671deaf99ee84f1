package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Rebuild implements replayerv1.RebuildServiceServer.
type Rebuild struct {
	replayerv1.UnimplementedRebuildServiceServer
	clock    clock.Clock
	runner   Runner
	archive  Archive
	stopping <-chan struct{}
}

// NewRebuild makes the server of rebuilds. Those under way are interrupted when stopping is closed.
func NewRebuild(clk clock.Clock, runner Runner, archive Archive, stopping <-chan struct{}) *Rebuild {
	return &Rebuild{clock: clk, runner: runner, archive: archive, stopping: stopping}
}

// Rebuild implements replayerv1.RebuildServiceServer.
func (s *Rebuild) Rebuild(in *replayerv1.RebuildRequest, stream grpc.ServerStreamingServer[replayerv1.RebuildResponse]) error {
	scope, err := scopeOf(in.GetScope())
	if err != nil {
		return err
	}
	request := replay.Request{Scope: scope, FromSnapshot: in.GetFromSnapshot(), DryRun: in.GetDryRun(), Build: in.GetBuild()}
	switch {
	case request.FromSnapshot && !scope.HasSnapshots():
		return fault.InvalidField("from_snapshot", "is for an account, a strategy or a position")
	case request.Build && (!scope.IsTenant() || request.DryRun):
		return fault.InvalidField("build", "is for a whole tenant, and no dry run")
	}
	ctx, cancel := stoppable(stream.Context(), s.stopping)
	defer cancel(nil)
	f := &follower{clock: s.clock, runner: s.runner, send: func(m message) error {
		out := &replayerv1.RebuildResponse{}
		switch {
		case m.progress != nil:
			out.Message = &replayerv1.RebuildResponse_Progress{Progress: m.progress}
		case m.difference != nil:
			out.Message = &replayerv1.RebuildResponse_Difference{Difference: m.difference}
		default:
			out.Message = &replayerv1.RebuildResponse_Result{Result: m.result}
		}
		return stream.Send(out)
	}}
	start := replay.Start{Tenant: identity.Tenant(ctx), Run: uuid.New(), Kind: replay.KindRebuild, Request: request}
	return f.follow(ctx, start, in.GetDifferencesMax())
}

// ResumeRun implements replayerv1.RebuildServiceServer.
func (s *Rebuild) ResumeRun(in *replayerv1.ResumeRunRequest, stream grpc.ServerStreamingServer[replayerv1.ResumeRunResponse]) error {
	ctx, cancel := stoppable(stream.Context(), s.stopping)
	defer cancel(nil)
	run, err := s.archive.Get(ctx, identity.Tenant(ctx), uuid.MustParse(in.GetRunId())) // The contract was checked.
	if err != nil {
		return err //nolint:wrapcheck // The store says what it was doing.
	}
	if run.Kind == replay.KindValidate {
		return fault.New(fault.Refused, "RUN_NOT_OPEN", "run %s is a validation, which is begun anew", run.ID)
	}
	f := &follower{clock: s.clock, runner: s.runner, send: func(m message) error {
		out := &replayerv1.ResumeRunResponse{}
		switch {
		case m.progress != nil:
			out.Message = &replayerv1.ResumeRunResponse_Progress{Progress: m.progress}
		case m.difference != nil:
			out.Message = &replayerv1.ResumeRunResponse_Difference{Difference: m.difference}
		default:
			out.Message = &replayerv1.ResumeRunResponse_Result{Result: m.result}
		}
		return stream.Send(out)
	}}
	return f.follow(ctx, replay.Start{Tenant: identity.Tenant(ctx), Run: run.ID, Kind: run.Kind, Resume: true}, 0)
}

// CancelRun implements replayerv1.RebuildServiceServer.
func (s *Rebuild) CancelRun(ctx context.Context, in *replayerv1.CancelRunRequest) (*replayerv1.CancelRunResponse, error) {
	id := uuid.MustParse(in.GetRunId())
	if _, err := s.archive.Get(ctx, identity.Tenant(ctx), id); err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	canceled, err := s.archive.Cancel(ctx, identity.Tenant(ctx), id)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	return &replayerv1.CancelRunResponse{Canceled: canceled}, nil
}

// runsDefault is how many runs are listed where the request does not say.
const runsDefault = 20

// ListRuns implements replayerv1.RebuildServiceServer.
func (s *Rebuild) ListRuns(ctx context.Context, in *replayerv1.ListRunsRequest) (*replayerv1.ListRunsResponse, error) {
	most := int(in.GetLimit())
	if most == 0 {
		most = runsDefault
	}
	var kind replay.RunKind
	for k, m := range runKinds {
		if m == in.GetKind() {
			kind = k
		}
	}
	runs, err := s.archive.Runs(ctx, identity.Tenant(ctx), kind, most)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	out := &replayerv1.ListRunsResponse{}
	for i := range runs {
		m, err := runMessage(&runs[i])
		if err != nil {
			return nil, err
		}
		out.Runs = append(out.Runs, m)
	}
	return out, nil
}

var runKinds = map[replay.RunKind]replayerv1.RunKind{
	replay.KindRebuild: replayerv1.RunKind_RUN_KIND_REBUILD, replay.KindUpgrade: replayerv1.RunKind_RUN_KIND_UPGRADE,
	replay.KindValidate: replayerv1.RunKind_RUN_KIND_VALIDATE,
}

var statuses = map[replay.Status]replayerv1.RunStatus{
	replay.StatusRunning: replayerv1.RunStatus_RUN_STATUS_RUNNING, replay.StatusInterrupted: replayerv1.RunStatus_RUN_STATUS_INTERRUPTED,
	replay.StatusCanceled: replayerv1.RunStatus_RUN_STATUS_CANCELED, replay.StatusFailed: replayerv1.RunStatus_RUN_STATUS_FAILED,
	replay.StatusDone: replayerv1.RunStatus_RUN_STATUS_DONE,
}

// runMessage tells a run.
func runMessage(r *replay.Run) (*replayerv1.Run, error) {
	request, err := replay.ParseRequest(r.Request)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says what it was doing.
	}
	out := &replayerv1.Run{
		RunId: r.ID.String(), Kind: runKinds[r.Kind], Status: statuses[r.Status], Phase: phases[r.Phase], Scope: scopeMessage(request.Scope),
		DryRun: request.DryRun, StartedAt: timestamppb.New(r.StartedAt), UpdatedAt: timestamppb.New(r.UpdatedAt),
		EventsDone: r.Done, EventsTotal: r.Total, Checkpoint: r.Checkpoint, Message: r.Message,
	}
	if r.FinishedAt != nil {
		out.FinishedAt = timestamppb.New(*r.FinishedAt)
	}
	if len(r.Result) == 0 {
		return out, nil
	}
	result, err := replay.ParseResult(r.Result)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says what it was doing.
	}
	if result.Outcome != "" {
		out.Result = resultMessage(&result)
	}
	return out, nil
}

// idText is an id that may be absent.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
