package server

import (
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

// kinds are the kinds of scopes as the contract has them.
var kinds = map[eventv1.SnapshotScope]projection.ScopeKind{
	eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT:  projection.ScopeAccount,
	eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY: projection.ScopeStrategy,
	eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION: projection.ScopePosition,
}

// triggers are what makes snapshots due, as the contract has it.
var triggers = map[checkpoint.Trigger]snapshotterv1.Trigger{
	checkpoint.TriggerCount:    snapshotterv1.Trigger_TRIGGER_COUNT,
	checkpoint.TriggerTime:     snapshotterv1.Trigger_TRIGGER_TIME,
	checkpoint.TriggerWorkflow: snapshotterv1.Trigger_TRIGGER_WORKFLOW,
	checkpoint.TriggerRequest:  snapshotterv1.Trigger_TRIGGER_REQUEST,
	checkpoint.TriggerRemake:   snapshotterv1.Trigger_TRIGGER_REMAKE,
}

// reasons are why a snapshot is not used, as the contract has it.
var reasons = map[snapshot.Reason]snapshotterv1.Unfit{
	snapshot.ReasonRules:       snapshotterv1.Unfit_UNFIT_OTHER_RULES,
	snapshot.ReasonHash:        snapshotterv1.Unfit_UNFIT_BAD_HASH,
	snapshot.ReasonLength:      snapshotterv1.Unfit_UNFIT_BAD_LENGTH,
	snapshot.ReasonCompression: snapshotterv1.Unfit_UNFIT_BAD_COMPRESSION,
	snapshot.ReasonFormat:      snapshotterv1.Unfit_UNFIT_BAD_FORMAT,
	snapshot.ReasonMismatch:    snapshotterv1.Unfit_UNFIT_OTHER_SNAPSHOT,
	snapshot.ReasonChain:       snapshotterv1.Unfit_UNFIT_OTHER_CHAIN,
	snapshot.ReasonState:       snapshotterv1.Unfit_UNFIT_OTHER_STATE,
}

// message is a snapshot as the contract shows it.
func message(s checkpoint.Snapshot) *snapshotterv1.Snapshot {
	return &snapshotterv1.Snapshot{
		SnapshotId: s.ID.String(), Scope: scopeMessage(s.Scope), AsOfPosition: s.AsOf, CreatedAt: timestamppb.New(s.CreatedAt),
		Trigger: triggers[s.Trigger], RulesVersion: s.RulesVersion, ChainHash: hex.EncodeToString(s.ChainHash[:]), Hash: hex.EncodeToString(s.Hash[:]),
		EventCount: s.EventCount, Rows: s.Own, ContextRows: s.Context, TextBytes: s.Length, StoredBytes: s.StoredBytes,
		AnnouncedAt: maybe(s.ToldAt), VerifiedAt: maybe(s.VerifiedAt), Unfit: reasons[s.Unfit],
	}
}

func scopeMessage(s projection.Scope) *snapshotterv1.Scope {
	m := &snapshotterv1.Scope{Id: s.ID.String()}
	for kind, name := range kinds {
		if name == s.Kind {
			m.Kind = kind
		}
	}
	return m
}

func maybe(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// scopeOf reads a scope that the contract has seen to.
func scopeOf(m *snapshotterv1.Scope) (projection.Scope, error) {
	id, err := parseID("scope.id", m.GetId())
	return projection.Scope{Kind: kinds[m.GetKind()], ID: id}, err
}

// filterOf reads the conditions that lists have in common.
func filterOf(kind eventv1.SnapshotScope, scopeID string) (checkpoint.Filter, error) {
	id, err := parseID("scope_id", scopeID)
	return checkpoint.Filter{Kind: kinds[kind], ScopeID: id}, err
}

// timeOf is a time that may be absent.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
