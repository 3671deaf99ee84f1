package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// Config bounds rebuilds. The zero value of each field gets its default.
type Config struct {
	// RowsMax is how many rows a generation of a fold has in memory. Default 6 000.
	RowsMax int
	// DifferencesMax is how many differing rows a comparison keeps, and tells. Default 20 000.
	DifferencesMax int
	// MendMax is how many rows are mended under the lock; where more differ, an epoch is built. Default 2 000.
	MendMax int
	// StretchMax is how many events lie between two checkpoints of a build. Default 100 000.
	StretchMax int64
	// LockedTailMax is how many events are folded while appends wait; eight times as many where a log is hard to catch up with.
	// Default 250.
	LockedTailMax int64
	// TailRowsMax is how many rows may be touched by what comes during a comparison. Default 100 000.
	TailRowsMax int
	// PassesMax is how often a build tries to catch up with a log. Default 50.
	PassesMax int
	// RunsMax is how many runs of all tenants go on at a time. Default 2.
	RunsMax int
	// RetryAfter is the delay that is advised where one must come again. Default 1 s.
	RetryAfter time.Duration
	// AnnounceMax bounds the telling of the log when a rebuild is done. Default 10 s.
	AnnounceMax time.Duration
	// FinishMax bounds the recording of how a run ended. Default 5 s.
	FinishMax time.Duration
}

// WithDefaults returns a copy in which every unset field has its default.
func (c Config) WithDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"RowsMax", &c.RowsMax, 6_000},
		{"DifferencesMax", &c.DifferencesMax, 20_000},
		{"MendMax", &c.MendMax, 2000},
		{"TailRowsMax", &c.TailRowsMax, 100_000},
		{"PassesMax", &c.PassesMax, 50},
		{"RunsMax", &c.RunsMax, 2},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
		if *f.value < 1 {
			return c, fmt.Errorf("replay config: %s %d must be above zero", f.name, *f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value *int64
		def   int64
	}{
		{"StretchMax", &c.StretchMax, 100_000},
		{"LockedTailMax", &c.LockedTailMax, 250},
		{"RetryAfter", (*int64)(&c.RetryAfter), int64(time.Second)},
		{"AnnounceMax", (*int64)(&c.AnnounceMax), int64(10 * time.Second)},
		{"FinishMax", (*int64)(&c.FinishMax), int64(5 * time.Second)},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
		if *f.value < 1 {
			return c, fmt.Errorf("replay config: %s %d must be above zero", f.name, *f.value)
		}
	}
	return c, nil
}

func (c Config) machine(fromZero bool) MachineConfig {
	return MachineConfig{RowsMax: c.RowsMax, KeptMax: c.DifferencesMax, FromZero: fromZero}
}

// Announcer tells the log of a rebuild: PROJECTION_REBUILT, once for each run however often it is told.
type Announcer interface {
	Announce(ctx context.Context, tenant uuid.UUID, result *Result) error
}

// Telling is how far a run is.
type Telling struct {
	Run         uuid.UUID
	Phase       Phase
	Done, Total int64
}

// Rebuilder rebuilds and compares. It is safe for concurrent use.
type Rebuilder struct {
	clock clock.Clock
	db    Database
	runs  Runs
	past  Past
	log   Announcer
	cfg   Config
	slots chan struct{}
}

// Store is all that a Rebuilder needs of the database.
type Store interface {
	Database
	Runs
	Past
}

// NewRebuilder makes a Rebuilder.
func NewRebuilder(clk clock.Clock, store Store, log Announcer, cfg Config) (*Rebuilder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	return &Rebuilder{clock: clk, db: store, runs: store, past: store, log: log, cfg: cfg, slots: make(chan struct{}, cfg.RunsMax)}, nil
}

// Config is what bounds it.
func (r *Rebuilder) Config() Config { return r.cfg }

// work is a run that goes on.
type work struct {
	claim   Claim
	request Request
	resumed Run
	result  Result
	// epoch is being built, and folded up to from.
	epoch int32
	from  int64
	begun time.Time
	told  func(Telling)
	r     *Rebuilder
}

// tell tells how far it is.
func (w *work) tell(phase Phase, done, total int64) {
	w.told(Telling{Run: w.claim.Run, Phase: phase, Done: done, Total: total})
}

// at records and tells how far it is.
func (w *work) at(ctx context.Context, phase Phase, done, total int64) error {
	w.tell(phase, done, total)
	return w.r.runs.Progress(ctx, w.claim, Progress{Phase: phase, Epoch: w.epoch, Done: done, Total: total})
}

// finishIn records the result in the transaction that changes the state, so that either both are there or neither.
func (w *work) finishIn(ctx context.Context, l Locked) error {
	w.r.took(w)
	return l.Finish(ctx, w.result.JSON())
}

// hold measures how long a log is held.
type hold struct {
	clock clock.Clock
	begun time.Time
}

func (r *Rebuilder) hold() hold    { return hold{r.clock, r.clock.Now()} }
func (h hold) over() time.Duration { return h.clock.Now().Sub(h.begun) }

// took notes when the run was done, and how long it took.
func (r *Rebuilder) took(w *work) {
	w.result.At = r.clock.Now().UTC()
	w.result.Took = w.result.At.Sub(w.begun)
}

// Start is a run to begin or to go on with.
type Start struct {
	Tenant uuid.UUID
	// Run is its id.
	Run     uuid.UUID
	Kind    RunKind
	Request Request
	// Resume goes on with a run that was broken off.
	Resume bool
}

// Run does a run from its beginning, or from where it was broken off, to its end. told is called often, and must not block. A run
// whose context ends is interrupted: what is live stays as it was, and the run can be resumed.
func (r *Rebuilder) Run(ctx context.Context, start Start, told func(Telling)) (*Result, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return nil, fault.New(fault.Exhausted, "TOO_MANY_RUNS", "%d runs go on already", r.cfg.RunsMax).WithRetryAfter(r.cfg.RetryAfter)
	}
	w := &work{begun: r.clock.Now(), told: told, r: r}
	err := r.runs.Alone(ctx, start.Tenant, func(ctx context.Context) error {
		if err := r.runs.Abandon(ctx, start.Tenant); err != nil {
			return err
		}
		if err := r.begin(ctx, w, start); err != nil {
			return err
		}
		err := r.do(ctx, w)
		if err != nil && r.stands(ctx, w) {
			return nil
		}
		r.end(ctx, w, err)
		return err
	})
	if err != nil {
		return nil, err
	}
	if start.Kind != KindValidate && !w.request.DryRun {
		r.announce(ctx, w)
	}
	return &w.result, nil
}

// begin records the run, or takes it over.
func (r *Rebuilder) begin(ctx context.Context, w *work, start Start) error {
	if start.Resume {
		run, err := r.runs.Take(ctx, start.Tenant, start.Run)
		if err != nil {
			return err
		}
		run.Tenant = start.Tenant
		request, err := ParseRequest(run.Request)
		if err != nil {
			return err
		}
		w.claim, w.request, w.resumed = run.Claim(), request, run
		w.result = Result{Run: run.ID, Request: request}
		return nil
	}
	text, err := json.Marshal(start.Request)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	w.request, w.result = start.Request, Result{Run: start.Run, Request: start.Request}
	w.claim, err = r.runs.Begin(ctx, start.Tenant, Begin{
		Run: start.Run, Kind: start.Kind, Phase: PhaseCompare, RulesVersion: projection.RulesVersion, Request: text,
	})
	return err
}

// stands says whether a run that met an error has switched all the same: the connection was lost at COMMIT, or afterwards, when
// there was nothing left to do but to end what was only read. The switch has recorded the run as done.
func (r *Rebuilder) stands(ctx context.Context, w *work) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.FinishMax)
	defer cancel()
	run, err := r.runs.Get(ctx, w.claim.Tenant, w.claim.Run)
	if err != nil || run.Status != StatusDone {
		return false
	}
	result, err := ParseResult(run.Result)
	if err != nil {
		return false
	}
	result.Differences, result.Held = w.result.Differences, w.result.Held
	w.result = result
	return true
}

// end records how a run ended, unless the switch did.
func (r *Rebuilder) end(ctx context.Context, w *work, err error) {
	status, message := StatusDone, ""
	switch {
	case err == nil && (w.result.Outcome == OutcomeMended || w.result.Outcome == OutcomeBuilt):
		return // Recorded with the switch.
	case err == nil:
		r.took(w)
	case ctx.Err() != nil:
		status, message = StatusInterrupted, "it was broken off"
	default:
		status, message = StatusFailed, err.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.FinishMax)
	defer cancel()
	// Where this fails too, the run is found as one that nobody goes on with.
	_ = r.runs.Finish(ctx, w.claim, status, w.result.JSON(), message)
}

// announce tells the log, and notes that it did. What is not told now is told by whoever looks for runs that were not.
func (r *Rebuilder) announce(ctx context.Context, w *work) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.AnnounceMax)
	defer cancel()
	err := r.log.Announce(ctx, w.claim.Tenant, &w.result)
	w.result.Announced, w.result.Unannounced = err == nil, ""
	if err != nil {
		w.result.Unannounced = err.Error()
	}
	_ = r.runs.Result(ctx, w.claim, w.result.JSON())
}

// errBuild says that a comparison cannot be mended, and why.
type errBuild struct{ why string }

func (e errBuild) Error() string { return e.why }

// do compares, and mends or builds where it must.
func (r *Rebuilder) do(ctx context.Context, w *work) error {
	if w.resumed.Phase == PhaseBuild && w.resumed.Checkpoint > 0 || w.request.Build {
		return r.build(ctx, w)
	}
	var must errBuild
	err := r.db.Frozen(ctx, w.claim.Tenant, func(ctx context.Context, f Frozen) error { return r.compare(ctx, w, f) })
	if errors.As(err, &must) {
		if !w.request.Scope.IsTenant() {
			w.result.Note = "the whole tenant was rebuilt: " + must.why
		}
		return r.build(ctx, w)
	}
	return err
}

// compare compares, and mends what differs while it can still see what it compared with.
func (r *Rebuilder) compare(ctx context.Context, w *work, f Frozen) error {
	head := f.Head()
	writes := !w.request.DryRun
	if head.RulesVersion > projection.RulesVersion {
		return fault.New(fault.Refused, "RULES_OLDER", "the state was made by rules of version %d, these are of version %d", head.RulesVersion, projection.RulesVersion)
	}
	if writes && head.RulesVersion != projection.RulesVersion {
		return errBuild{fmt.Sprintf("its state was made by rules of version %d, these are of version %d", head.RulesVersion, projection.RulesVersion)}
	}
	if err := w.at(ctx, PhaseCompare, 0, head.Position); err != nil {
		return err
	}
	c, within, err := r.differences(ctx, w, f)
	if err != nil {
		return err
	}
	w.found(c, within)
	if err := r.sums(ctx, w, f, c, within); err != nil {
		return err
	}
	if !writes {
		return nil
	}
	switch {
	case c.Broken:
		return errBuild{"more rows differ than can be told"}
	case len(within) > r.cfg.MendMax:
		return errBuild{fmt.Sprintf("%d rows differ", len(within))}
	case len(within) == 0:
		return nil
	}
	wrong := overlay{}
	for i := range within {
		wrong[within[i].Key] = within[i].Expected
	}
	err = r.mend(ctx, w, f, wrong, 0)
	if errors.Is(err, ErrTooManyKept) {
		return errBuild{"too much has come meanwhile"}
	}
	return err
}

// differences compares, from a snapshot where that was asked for and is possible, and gives what differs within the scope.
func (r *Rebuilder) differences(ctx context.Context, w *work, f Frozen) (*Comparison, []Difference, error) {
	c, served, err := r.onward(ctx, w, f)
	if err != nil || served {
		return c, c.all(), err
	}
	c, err = Compare(ctx, f, r.cfg.machine(true), func(done, total int64) error {
		w.tell(PhaseCompare, done, total)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	within, err := r.within(ctx, f, w.request.Scope, c)
	return c, within, err
}

// found takes over what a comparison found within the scope.
func (w *work) found(c *Comparison, within []Difference) {
	result := &w.result
	result.ToPosition, result.Events, result.Rows = c.Position, c.Events, c.Rows()
	result.Tables, result.AtLeast = c.Tables, c.Broken
	result.Differences, result.Found = within, int64(len(within))
	result.Generation = c.Head.Generation
	result.Outcome, result.Identical = OutcomeIdentical, true
	if len(within) > 0 {
		result.Outcome, result.Identical = OutcomeDiffers, false
	}
}

// sums makes the checksums of the live rows and of the fold's, both at the position of the comparison: of all rows, or of those that
// were compared where the others were known to be as they were.
func (r *Rebuilder) sums(ctx context.Context, w *work, f Frozen, c *Comparison, within []Difference) error {
	var before Digest
	var err error
	if c.narrow {
		before, err = f.DigestOf(ctx, c.compared)
	} else {
		before, err = f.Digest(ctx)
	}
	if err != nil {
		return err
	}
	w.result.ChecksumBefore, w.result.ChecksumAfter = before.Checksum(), before.Checksum()
	if len(within) == 0 || w.result.AtLeast {
		return nil
	}
	var expected, found []projection.Row
	for i := range within {
		if within[i].Expected != nil {
			expected = append(expected, within[i].Expected)
		}
		if within[i].Found != nil {
			found = append(found, within[i].Found)
		}
	}
	added, err := f.DigestOf(ctx, expected)
	if err != nil {
		return err
	}
	removed, err := f.DigestOf(ctx, found)
	if err != nil {
		return err
	}
	w.result.ChecksumAfter = before.With(added, removed).Checksum()
	return nil
}
