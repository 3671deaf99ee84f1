// Package teller tells the event log of rebuilds.
package teller

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

// Appender writes to the log. It offers an append again that the log cannot take now.
type Appender interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
}

// Teller tells the log. It is safe for concurrent use.
type Teller struct {
	log Appender
}

// New makes a teller.
func New(log Appender) *Teller { return &Teller{log: log} }

// step names the command that tells of a rebuild, below the run's id.
const step = "PROJECTION_REBUILT"

// Announce implements replay.Announcer. The command id and its digest follow from the run's id: told again, by whomever, the log
// answers with its first receipt.
func (t *Teller) Announce(ctx context.Context, tenant uuid.UUID, r *replay.Result) error {
	payload, err := payloadOf(r)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(step + " " + r.Run.String()))
	stream := event.StreamKey{Kind: event.KindTenant, ID: tenant}
	_, err = t.log.Append(identity.WithTenant(ctx, tenant), &eventlogv1.AppendRequest{
		CommandId: uuid.NewSHA1(r.Run, []byte(step)).String(), RequestDigest: digest[:],
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: stream.String(), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(payload), OccurredAt: timestamppb.New(r.At)}},
		}},
	})
	if err != nil {
		return fmt.Errorf("tell the log of run %s: %w", r.Run, err)
	}
	return nil
}

var scopes = map[replay.ScopeKind]eventv1.RebuildScope{
	replay.ScopeTenant: eventv1.RebuildScope_REBUILD_SCOPE_ALL, replay.ScopeStream: eventv1.RebuildScope_REBUILD_SCOPE_STREAM,
	replay.ScopeAccount: eventv1.RebuildScope_REBUILD_SCOPE_ACCOUNT, replay.ScopeStrategy: eventv1.RebuildScope_REBUILD_SCOPE_STRATEGY,
	replay.ScopePosition: eventv1.RebuildScope_REBUILD_SCOPE_POSITION,
}

func payloadOf(r *replay.Result) (*eventv1.ProjectionRebuilt, error) {
	scope, changed, rules := r.Request.Scope, r.Changed, int32(projection.RulesVersion)
	if scope.Kind == "" {
		scope.Kind = replay.ScopeTenant
	}
	kind, known := scopes[scope.Kind]
	if !known {
		return nil, fault.Bug("there is no scope %q", scope.Kind)
	}
	payload := &eventv1.ProjectionRebuilt{
		RunId: r.Run.String(), Scope: kind, StreamKey: scope.Stream, FromPosition: r.FromPosition, ToPosition: r.ToPosition,
		EventsApplied: r.Events, Rows: r.Rows, ChecksumBefore: r.ChecksumBefore, ChecksumAfter: r.ChecksumAfter, Identical: r.Identical,
		RowsChanged: &changed, RulesVersion: &rules,
	}
	if r.Snapshot != uuid.Nil {
		payload.FromSnapshotId = r.Snapshot.String()
	}
	if scope.ID != uuid.Nil {
		payload.ScopeId = scope.ID.String()
	}
	return payload, nil
}
