package replay

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
)

// Head is the end of a tenant's log, and what its state is.
type Head struct {
	Position   int64
	EventID    ulid.ULID
	IngestedAt time.Time
	// Generation goes up with each rebuild.
	Generation int64
	// RulesVersion names the rules that made the state.
	RulesVersion int32
	// Epoch is the one of the rows that is live.
	Epoch int32
}

// Span is a stretch of a log: the events after After, up to To.
type Span struct {
	After, To int64
	// Account leaves out what folding this account does not need; Nil: nothing is left out.
	Account uuid.UUID
	// Streams are those of the account's positions and strategies that may go on after After.
	Streams []event.StreamKey
}

// Horizon says which row versions a snapshot has for certain: those of transactions before XID, in the database cluster that counts
// them so. The zero value is unknown.
type Horizon struct{ XID, Cluster int64 }

// Recent are the rows of a scope, of which some were not written for long.
type Recent struct {
	// Rows may have been written since.
	Rows []projection.Row
	// Older counts the others by table.
	Older map[string]int64
}

// Frozen is a tenant's log and live rows as they were at one moment.
type Frozen interface {
	// Home takes rows that are equal to the live ones, and gives live ones.
	Home
	// Head is the head at that moment.
	Head() Head
	// Events calls each with the events of a span, in order. An event is valid until each returns; its payload stays.
	Events(ctx context.Context, span Span, each func(*projection.Event) error) error
	// Scope gives the live rows that belong to a scope.
	Scope(ctx context.Context, scope projection.Scope) ([]projection.Row, error)
	// Since gives the live rows of a scope that may have been written since a horizon, and how many each table has besides, which
	// were not. False: nothing can be told by that horizon, or there are more than most.
	Since(ctx context.Context, scope projection.Scope, horizon Horizon, most int) (Recent, bool, error)
	// Counts says how many live rows each table has.
	Counts(ctx context.Context) (map[string]int64, error)
	// Keys calls each with the key of every live row of a table.
	Keys(ctx context.Context, table string, each func(projection.Key) error) error
	// Digest sums up the live rows.
	Digest(ctx context.Context) (Digest, error)
	// DigestOf sums up rows that need not be stored.
	DigestOf(ctx context.Context, rows []projection.Row) (Digest, error)
}
