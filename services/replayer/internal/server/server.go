// Package server turns the contract's requests into runs and questions, and what they come to into the contract's messages.
package server

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Runner does runs, and keeps them.
type Runner interface {
	// Run does a run to its end; see replay.Rebuilder.
	Run(ctx context.Context, start replay.Start, told func(replay.Telling)) (*replay.Result, error)
}

// Archive keeps the runs.
type Archive interface {
	// Runs lists the newest runs of a kind; of all where it is empty.
	Runs(ctx context.Context, tenant uuid.UUID, kind replay.RunKind, most int) ([]replay.Run, error)
	// Get gives a run; NotFound.
	Get(ctx context.Context, tenant, id uuid.UUID) (replay.Run, error)
	// Cancel ends a run wherever it goes on, and says whether it had not ended before.
	Cancel(ctx context.Context, tenant, id uuid.UUID) (bool, error)
}

// scopeOf reads a scope.
func scopeOf(in *replayerv1.Scope) (replay.Scope, error) {
	kinds := map[replay.ScopeKind]string{
		replay.ScopeAccount: in.GetAccountId(), replay.ScopeStrategy: in.GetStrategyId(), replay.ScopePosition: in.GetPositionId(),
	}
	for kind, text := range kinds {
		if text == "" {
			continue
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return replay.Scope{}, fault.InvalidField("scope."+string(kind)+"_id", "must be a UUID")
		}
		return replay.Scope{Kind: kind, ID: id}, nil
	}
	if in.GetStreamKey() != "" {
		return replay.Scope{Kind: replay.ScopeStream, Stream: in.GetStreamKey()}, nil
	}
	return replay.Scope{Kind: replay.ScopeTenant}, nil
}

// scopeMessage tells a scope.
func scopeMessage(s replay.Scope) *replayerv1.Scope {
	switch s.Kind {
	case replay.ScopeAccount:
		return &replayerv1.Scope{Part: &replayerv1.Scope_AccountId{AccountId: s.ID.String()}}
	case replay.ScopeStrategy:
		return &replayerv1.Scope{Part: &replayerv1.Scope_StrategyId{StrategyId: s.ID.String()}}
	case replay.ScopePosition:
		return &replayerv1.Scope{Part: &replayerv1.Scope_PositionId{PositionId: s.ID.String()}}
	case replay.ScopeStream:
		return &replayerv1.Scope{Part: &replayerv1.Scope_StreamKey{StreamKey: s.Stream}}
	case replay.ScopeTenant:
	}
	return &replayerv1.Scope{}
}

// stoppable ends a stream's work when the service stops.
func stoppable(ctx context.Context, stopping <-chan struct{}) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(fault.New(fault.Unavailable, "STOPPING", "this replica stops, and the run with it; it can be resumed").WithRetryAfter(stoppingRetryAfter))
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// protoValue is a message as a field holds it.
func protoValue(m proto.Message) protoreflect.Value {
	return protoreflect.ValueOfMessage(m.ProtoReflect())
}
