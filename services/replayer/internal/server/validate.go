package server

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Validation implements replayerv1.ValidationServiceServer.
type Validation struct {
	replayerv1.UnimplementedValidationServiceServer
	clock    clock.Clock
	runner   Runner
	archive  Archive
	stopping <-chan struct{}
}

// NewValidation makes the server of validations. Those under way end when stopping is closed.
func NewValidation(clk clock.Clock, runner Runner, archive Archive, stopping <-chan struct{}) *Validation {
	return &Validation{clock: clk, runner: runner, archive: archive, stopping: stopping}
}

// Validate implements replayerv1.ValidationServiceServer.
func (s *Validation) Validate(in *replayerv1.ValidateRequest, stream grpc.ServerStreamingServer[replayerv1.ValidateResponse]) error {
	scope, err := scopeOf(in.GetScope())
	if err != nil {
		return err
	}
	ctx, cancel := stoppable(stream.Context(), s.stopping)
	defer cancel(nil)
	f := &follower{clock: s.clock, runner: s.runner, send: func(m message) error {
		out := &replayerv1.ValidateResponse{}
		switch {
		case m.progress != nil:
			out.Message = &replayerv1.ValidateResponse_Progress{Progress: m.progress}
		case m.difference != nil:
			out.Message = &replayerv1.ValidateResponse_Difference{Difference: m.difference}
		default:
			out.Message = &replayerv1.ValidateResponse_Result{Result: m.result}
		}
		return stream.Send(out)
	}}
	start := replay.Start{
		Tenant: identity.Tenant(ctx), Run: uuid.New(), Kind: replay.KindValidate, Request: replay.Request{Scope: scope, DryRun: true},
	}
	return f.follow(ctx, start, in.GetDifferencesMax())
}

// lastAmong is among how many runs the last validation that came to an end is looked for: before it are those that did not.
const lastAmong = 50

// GetLastValidation implements replayerv1.ValidationServiceServer.
func (s *Validation) GetLastValidation(ctx context.Context, _ *replayerv1.GetLastValidationRequest) (*replayerv1.GetLastValidationResponse, error) {
	runs, err := s.archive.Runs(ctx, identity.Tenant(ctx), replay.KindValidate, lastAmong)
	if err != nil {
		return nil, err //nolint:wrapcheck // The store says what it was doing.
	}
	at := slices.IndexFunc(runs, func(r replay.Run) bool { return r.Status == replay.StatusDone })
	if at < 0 {
		return nil, fault.New(fault.NotFound, "NOT_VALIDATED", "the tenant's state was not validated yet")
	}
	run, err := runMessage(&runs[at])
	if err != nil {
		return nil, err
	}
	return &replayerv1.GetLastValidationResponse{Run: run}, nil
}
