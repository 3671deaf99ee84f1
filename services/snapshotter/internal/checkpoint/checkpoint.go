// Package checkpoint makes snapshots, tells the log of them, and verifies them before anybody uses one.
//
//	due > claimed > made and stored, and no longer due > told (SNAPSHOT_CREATED)
//
// A crash between any two steps is mended by the next round of any snapshotter: a claim ends, and what is stored and not told is
// told, under a command id that follows from the snapshot's own, so that the log has it once.
//
//	stored > verified: fit, and used
//	                   unfit: marked, told by log and metric, and due again
//
// What is unfit stays, as evidence, until it is pruned or made again at the same position.
package checkpoint

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Trigger says what made a snapshot due, as it is stored.
type Trigger string

// The triggers.
const (
	TriggerCount    Trigger = "count"
	TriggerTime     Trigger = "time"
	TriggerWorkflow Trigger = "workflow"
	TriggerRequest  Trigger = "request"
	TriggerRemake   Trigger = "remake"
)

// TriggerOf reads the reason that a due snapshot was recorded with. Those of eventlog's appends are events and workflow_end.
func TriggerOf(reason string) Trigger {
	switch reason {
	case "events":
		return TriggerCount
	case "workflow_end":
		return TriggerWorkflow
	case string(TriggerTime):
		return TriggerTime
	case string(TriggerRemake):
		return TriggerRemake
	default:
		return TriggerRequest
	}
}

// StreamSeq is how far a stream was.
type StreamSeq struct {
	StreamKey string `json:"stream_key"`
	Seq       int64  `json:"seq"`
}

// StreamsMax is up to how many streams of a scope a snapshot says how far each was.
const StreamsMax = 64

// Snapshot is what is known of a snapshot beside its state.
type Snapshot struct {
	snapshot.Expected
	ID        uuid.UUID
	CreatedAt time.Time
	// AsOfTime is the ingested_at of the event at AsOf.
	AsOfTime   time.Time
	Trigger    Trigger
	EventCount int64
	// Own and Context count the rows.
	Own, Context int64
	// StoredBytes is the size of the state as it is stored.
	StoredBytes int64
	StreamCount int32
	// Streams are all streams of the scope, or none where they are more than StreamsMax.
	Streams    []StreamSeq
	Horizon    Horizon
	ToldAt     *time.Time
	VerifiedAt *time.Time
	// Unfit says why it is not used; empty: it is.
	Unfit snapshot.Reason
}

// Horizon says which row versions a state has for certain: those of transactions before XID, in the database cluster that counts
// them so. The zero value is unknown. Who folds on from a snapshot need not compare rows that nobody has written since.
type Horizon struct{ XID, Cluster int64 }

// namespaceSnapshot is the UUIDv5 namespace of the ids of snapshots.
var namespaceSnapshot = uuid.MustParse("5c1f6a8e-52f1-5d1c-9c1d-0d7d1e6f5a11")

// IDOf is the id of the snapshot of a scope at a position by some rules. Whoever makes it, it is the same snapshot.
func IDOf(m snapshot.Meta) uuid.UUID {
	name := m.TenantID.String() + "/" + m.Scope.String() + "/" + strconv.FormatInt(m.AsOf, 10) + "/" + strconv.Itoa(int(m.RulesVersion))
	return uuid.NewSHA1(namespaceSnapshot, []byte(name))
}

// State is a scope's part of a tenant's state, all of it true at one position.
type State struct {
	// Position is that of the head, Hash and IngestedAt are the last event's.
	Position   int64
	Hash       [32]byte
	IngestedAt time.Time
	// RulesVersion is that of the rules that folded the state.
	RulesVersion int32
	Cut          projection.Cut
	EventCount   int64
	StreamCount  int32
	Streams      []StreamSeq
	Horizon      Horizon
}

// Due is a snapshot that is to be made, and was claimed for it.
type Due struct {
	TenantID uuid.UUID
	Scope    projection.Scope
	// Position is where it became due: a snapshot there or after it will do.
	Position int64
	Trigger  Trigger
}

// Schedule says when snapshots of a tenant's scopes are due.
type Schedule struct {
	// EveryEvents of a scope, and EverySeconds while it changes; 0: never.
	EveryEvents, EverySeconds int32
	AtWorkflowEnd             bool
}

// Filter chooses snapshots of a tenant. What is zero chooses all.
type Filter struct {
	ID            uuid.UUID
	Kind          projection.ScopeKind
	ScopeID       uuid.UUID
	CreatedFrom   time.Time
	CreatedBefore time.Time
	// Unfit: only those that are or are not marked.
	Unfit *bool
}
