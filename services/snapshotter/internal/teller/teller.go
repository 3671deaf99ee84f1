// Package teller tells the event log of snapshots.
package teller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
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

// step names the command that tells of a snapshot, below the snapshot's id.
const step = "SNAPSHOT_CREATED"

// Scopes are the kinds of scopes as the contracts have them.
var Scopes = map[projection.ScopeKind]eventv1.SnapshotScope{
	projection.ScopeAccount:  eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT,
	projection.ScopeStrategy: eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY,
	projection.ScopePosition: eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION,
}

// Tell appends SNAPSHOT_CREATED to the tenant's own stream, where it makes no snapshot due. Its command id and digest follow from
// the snapshot's id: told again, by whomever, the log answers with its first receipt.
func (t *Teller) Tell(ctx context.Context, s checkpoint.Snapshot) error {
	stream := event.StreamKey{Kind: event.KindTenant, ID: s.TenantID}
	digest := sha256.Sum256([]byte(step + " " + s.ID.String()))
	_, err := t.log.Append(identity.WithTenant(ctx, s.TenantID), &eventlogv1.AppendRequest{
		CommandId: uuid.NewSHA1(s.ID, []byte(step)).String(), RequestDigest: digest[:],
		Streams: []*eventlogv1.StreamAppend{{
			StreamKey: stream.String(), Expected: &eventlogv1.Expected{Kind: &eventlogv1.Expected_Exists{Exists: true}},
			Events: []*eventlogv1.NewEvent{{Payload: event.Wrap(payload(s)), OccurredAt: timestamppb.New(s.CreatedAt)}},
		}},
	})
	if err != nil {
		return fmt.Errorf("tell the log of snapshot %s: %w", s.ID, err)
	}
	return nil
}

func payload(s checkpoint.Snapshot) *eventv1.SnapshotCreated {
	p := &eventv1.SnapshotCreated{
		SnapshotId: s.ID.String(), Scope: Scopes[s.Scope.Kind], ScopeId: s.Scope.ID.String(), AsOfPosition: s.AsOf,
		SnapshotType: string(s.Trigger), Checksum: hex.EncodeToString(s.Hash[:]), EventCount: s.EventCount,
		StreamCount: &s.StreamCount, ChainHash: hex.EncodeToString(s.ChainHash[:]), RulesVersion: &s.RulesVersion,
	}
	for _, stream := range s.Streams {
		p.AsOfSeqs = append(p.AsOfSeqs, &eventv1.StreamSeq{StreamKey: stream.StreamKey, Seq: stream.Seq})
	}
	return p
}
