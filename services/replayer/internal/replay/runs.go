package replay

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
)

// RunKind is what a run is for.
type RunKind string

// The kinds of runs.
const (
	// KindRebuild was asked for.
	KindRebuild RunKind = "rebuild"
	// KindUpgrade folds a tenant anew because the rules have changed.
	KindUpgrade RunKind = "upgrade"
	// KindValidate compares and changes nothing.
	KindValidate RunKind = "validate"
)

// Status is how a run is.
type Status string

// The statuses of runs.
const (
	StatusRunning Status = "running"
	// StatusInterrupted is a run that was broken off: its caller went away, or its process stopped. It can be resumed.
	StatusInterrupted Status = "interrupted"
	StatusCanceled    Status = "canceled"
	// StatusFailed is a run that met an error. It can be resumed.
	StatusFailed Status = "failed"
	StatusDone   Status = "done"
)

// Phase is what a run is at.
type Phase string

// The phases of a run.
const (
	PhaseCompare Phase = "compare"
	PhaseMend    Phase = "mend"
	PhaseBuild   Phase = "build"
	PhaseSwitch  Phase = "switch"
	PhaseSweep   Phase = "sweep"
	PhaseDone    Phase = "done"
)

// Run is a run as it is recorded.
type Run struct {
	Tenant, ID           uuid.UUID
	StartedAt, UpdatedAt time.Time
	FinishedAt           *time.Time
	// Checkpoint is up to where Epoch, which is being built, is folded.
	Checkpoint   int64
	Epoch        int32
	Done, Total  int64
	Fence        int64
	RulesVersion int32
	Kind         RunKind
	Status       Status
	Phase        Phase
	Request      []byte
	Result       []byte
	Message      string
}

// Claim is the right to go on with a run. Who holds an older fence changes nothing any more.
type Claim struct {
	Tenant, Run uuid.UUID
	Fence       int64
}

// Claim is the right that the run's taker has.
func (r *Run) Claim() Claim { return Claim{Tenant: r.Tenant, Run: r.ID, Fence: r.Fence} }

// Begin is a run to be recorded.
type Begin struct {
	Run          uuid.UUID
	Kind         RunKind
	Phase        Phase
	RulesVersion int32
	Request      []byte
}

// Progress is how far a run is.
type Progress struct {
	Phase Phase
	// Epoch is the one that is being built; 0 for none.
	Epoch       int32
	Done, Total int64
}

// Checkpoint is up to where an epoch is folded, of how many events.
type Checkpoint struct{ Position, Total int64 }

// TenantState is a tenant and the rules of its state.
type TenantState struct {
	Tenant       uuid.UUID
	RulesVersion int32
	Epoch        int32
}

// Runs keeps the runs. What changes one by its claim is Conflict when the run is another's by now, or was canceled.
type Runs interface {
	// Alone runs fn while no other run goes on for the tenant, in any process; Conflict where one does.
	Alone(ctx context.Context, tenant uuid.UUID, fn func(context.Context) error) error
	// Abandon marks runs as interrupted that count as running. Whoever is alone knows that nobody goes on with them.
	Abandon(ctx context.Context, tenant uuid.UUID) error
	// Begin records a new run.
	Begin(ctx context.Context, tenant uuid.UUID, begin Begin) (Claim, error)
	// Take makes a run that has not ended the caller's.
	Take(ctx context.Context, tenant, run uuid.UUID) (Run, error)
	// Progress records how far it is.
	Progress(ctx context.Context, claim Claim, progress Progress) error
	// Finish records how it ended.
	Finish(ctx context.Context, claim Claim, status Status, result []byte, message string) error
	// Result replaces the result of a run that has ended.
	Result(ctx context.Context, claim Claim, result []byte) error
	// Get gives a run; NotFound.
	Get(ctx context.Context, tenant, run uuid.UUID) (Run, error)
	// Runs lists the newest runs of a kind; of all kinds where it is empty.
	Runs(ctx context.Context, tenant uuid.UUID, kind RunKind, most int) ([]Run, error)
}

// Database is a tenant's log and state.
type Database interface {
	// Frozen runs fn on the tenant as it is now.
	Frozen(ctx context.Context, tenant uuid.UUID, fn func(context.Context, Frozen) error) error
	// Glance does so for short stretches: what fn does comes one after the other.
	Glance(ctx context.Context, tenant uuid.UUID, fn func(context.Context, Frozen) error) error
	// Events calls each with the events of a span of the tenant's log.
	Events(ctx context.Context, tenant uuid.UUID, span Span, each func(*projection.Event) error) error
	// Build runs fn to write a stretch of an epoch, and commits it with the checkpoint that fn gives.
	Build(ctx context.Context, claim Claim, epoch int32, fn func(context.Context, Home) (Checkpoint, error)) error
	// Locked runs fn while nobody can append, and commits.
	Locked(ctx context.Context, claim Claim, fn func(context.Context, Locked) error) error
	// EpochDigest sums up the rows of an epoch.
	EpochDigest(ctx context.Context, tenant uuid.UUID, epoch int32) (Digest, error)
	// Sweep deletes the rows of all epochs but some, part by part.
	Sweep(ctx context.Context, tenant uuid.UUID, keep ...int32) error
}

// Locked is a tenant's log while nobody can append to it. What is done to it is committed as a whole.
type Locked interface {
	Head() Head
	// Events calls each with the events of a span.
	Events(ctx context.Context, span Span, each func(*projection.Event) error) error
	// Load reads live rows.
	Load(ctx context.Context, keys []projection.Key) (map[projection.Key]projection.Row, error)
	// Mend makes live rows right, takes away those that are gone, and counts the generation on.
	Mend(ctx context.Context, right []projection.Row, gone []projection.Key) error
	// Aside writes rows of an epoch that is being built.
	Aside(epoch int32) Home
	// Switch makes an epoch live that is folded up to the head.
	Switch(ctx context.Context, epoch int32) error
	// Finish records the run's result with what was done.
	Finish(ctx context.Context, result []byte) error
}
