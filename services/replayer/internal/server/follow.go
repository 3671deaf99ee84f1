package server

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/robson/robson/pkg/clock"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
	"github.com/robson/robson/services/replayer/internal/replay"
)

const (
	// progressEvery is how often a run tells how far it is.
	progressEvery = 500 * time.Millisecond
	// stoppingRetryAfter is how long a caller should wait for another replica.
	stoppingRetryAfter = time.Second
	// differencesDefault is how many differences are sent where the request does not say.
	differencesDefault = 100
)

// message is one message of a stream that follows a run.
type message struct {
	progress   *replayerv1.Progress
	difference *replayerv1.Difference
	result     *replayerv1.RunResult
}

// follower does a run beside the sending, so that a slow receiver never holds the run up.
type follower struct {
	clock  clock.Clock
	runner Runner
	send   func(message) error

	mu   sync.Mutex
	last replay.Telling
	// phase is the phase that last was in when begun, and at how many events it began.
	phase     replay.Phase
	begun     time.Time
	begunWith int64
}

// told takes in how far the run is.
func (f *follower) told(t replay.Telling) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.Phase != f.phase {
		f.phase, f.begun, f.begunWith = t.Phase, f.clock.Now(), t.Done
	}
	f.last = t
}

// progress tells how far the run is.
func (f *follower) progress() *replayerv1.Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &replayerv1.Progress{RunId: f.last.Run.String(), Phase: phases[f.last.Phase], EventsDone: f.last.Done, EventsTotal: f.last.Total}
	took := f.clock.Now().Sub(f.begun)
	if done := f.last.Done - f.begunWith; done > 0 && took > 0 {
		rate := int64(float64(done) / took.Seconds())
		p.EventsPerSecond = rate
		if left := f.last.Total - f.last.Done; left > 0 && rate > 0 {
			p.TimeLeft = durationpb.New(time.Duration(left/rate) * time.Second)
		}
	}
	return p
}

// ended is what a run came to.
type ended struct {
	result *replay.Result
	err    error
}

// follow does the run and sends what there is to be told. A receiver that is gone ends the run.
func (f *follower) follow(ctx context.Context, start replay.Start, differencesMax int32) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan ended, 1)
	go func() {
		result, err := f.runner.Run(ctx, start, f.told)
		done <- ended{result, err}
	}()
	ticker := f.clock.NewTicker(progressEvery)
	defer ticker.Stop()
	var failed error
	for {
		select {
		case <-ticker.C():
			if failed == nil && f.begunYet() {
				if failed = f.send(message{progress: f.progress()}); failed != nil {
					cancel() // The run's end is still waited for.
				}
			}
		case e := <-done:
			switch {
			case failed != nil:
				return failed
			case e.err != nil:
				return cause(ctx, e.err)
			}
			return f.conclude(e.result, differencesMax)
		}
	}
}

func (f *follower) begunYet() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.phase != ""
}

// cause is why a run ended that its context has ended.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) //nolint:wrapcheck // It is ours.
	}
	return err
}

// conclude sends the last of the progress, the differences and the result.
func (f *follower) conclude(result *replay.Result, most int32) error {
	f.told(replay.Telling{Run: result.Run, Phase: replay.PhaseDone, Done: f.last.Done, Total: f.last.Total})
	if err := f.send(message{progress: f.progress()}); err != nil {
		return err
	}
	if most == 0 {
		most = differencesDefault
	}
	for i := range result.Differences[:min(int(most), len(result.Differences))] {
		if err := f.send(message{difference: differenceMessage(&result.Differences[i])}); err != nil {
			return err
		}
	}
	return f.send(message{result: resultMessage(result)})
}

var phases = map[replay.Phase]replayerv1.Phase{
	replay.PhaseCompare: replayerv1.Phase_PHASE_COMPARE, replay.PhaseMend: replayerv1.Phase_PHASE_MEND, replay.PhaseBuild: replayerv1.Phase_PHASE_BUILD,
	replay.PhaseSwitch: replayerv1.Phase_PHASE_SWITCH, replay.PhaseSweep: replayerv1.Phase_PHASE_SWEEP, replay.PhaseDone: replayerv1.Phase_PHASE_DONE,
}

var differenceKinds = map[replay.Kind]replayerv1.DifferenceKind{
	replay.Altered: replayerv1.DifferenceKind_DIFFERENCE_KIND_ALTERED, replay.Lost: replayerv1.DifferenceKind_DIFFERENCE_KIND_LOST,
	replay.Phantom: replayerv1.DifferenceKind_DIFFERENCE_KIND_PHANTOM,
}

var outcomes = map[replay.Outcome]replayerv1.Outcome{
	replay.OutcomeIdentical: replayerv1.Outcome_OUTCOME_IDENTICAL, replay.OutcomeDiffers: replayerv1.Outcome_OUTCOME_DIFFERS,
	replay.OutcomeMended: replayerv1.Outcome_OUTCOME_MENDED, replay.OutcomeBuilt: replayerv1.Outcome_OUTCOME_BUILT,
}

func differenceMessage(d *replay.Difference) *replayerv1.Difference {
	out := &replayerv1.Difference{Kind: differenceKinds[d.Kind], Table: d.Key.Table, Key: d.Key.ID()}
	for _, f := range d.Fields {
		out.Fields = append(out.Fields, &replayerv1.FieldDifference{Field: f.Name, Expected: f.Expected, Found: f.Found})
	}
	return out
}

func resultMessage(r *replay.Result) *replayerv1.RunResult {
	out := &replayerv1.RunResult{
		RunId: r.Run.String(), Outcome: outcomes[r.Outcome], Scope: scopeMessage(r.Request.Scope), DryRun: r.Request.DryRun, SnapshotId: idText(r.Snapshot),
		FromPosition: r.FromPosition, ToPosition: r.ToPosition, Events: r.Events, Rows: r.Rows, RowsDifferent: r.Found, AtLeast: r.AtLeast,
		RowsChanged: r.Changed, ChecksumBefore: r.ChecksumBefore, ChecksumAfter: r.ChecksumAfter, Generation: r.Generation,
		Held: durationpb.New(r.Held), Took: durationpb.New(r.Took), Note: r.Note, Announced: r.Announced,
	}
	var tables []*replayerv1.TableResult
	for name, t := range r.Tables {
		if t != (replay.TableReport{}) {
			tables = append(tables, &replayerv1.TableResult{Table: name, Rows: t.Rows, Altered: t.Altered, Lost: t.Lost, Phantom: t.Phantom})
		}
	}
	slices.SortFunc(tables, func(a, b *replayerv1.TableResult) int { return strings.Compare(a.GetTable(), b.GetTable()) })
	out.Tables = tables
	return out
}
