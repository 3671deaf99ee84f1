package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
)

// partFlags say which part of the state is meant.
type partFlags struct {
	account, strategy, position, stream string
	tenant                              bool
}

func (f *partFlags) register(cmd *cobra.Command, verb string) {
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account-id", "", verb+" an account, with all of its own")
	flags.StringVar(&f.strategy, "strategy-id", "", verb+" a strategy, with its positions")
	flags.StringVar(&f.position, "position-id", "", verb+" a position, with its orders and fills")
	flags.StringVar(&f.stream, "stream", "", verb+" what one stream is about, e.g. order:<uuid>")
	flags.BoolVar(&f.tenant, "tenant", false, verb+" the whole tenant")
}

// scope reads the flags; exactly one may be given, or none where the whole tenant is meant by that.
func (f *partFlags) scope(app *App, needed bool) (*replayerv1.Scope, error) {
	app.typed["scope.account_id"], app.typed["scope.strategy_id"] = "--account-id", "--strategy-id"
	app.typed["scope.position_id"], app.typed["scope.stream_key"] = "--position-id", "--stream"
	scope, given := &replayerv1.Scope{}, 0
	for _, part := range []struct {
		text string
		set  func(string)
	}{
		{f.account, func(s string) { scope.Part = &replayerv1.Scope_AccountId{AccountId: s} }},
		{f.strategy, func(s string) { scope.Part = &replayerv1.Scope_StrategyId{StrategyId: s} }},
		{f.position, func(s string) { scope.Part = &replayerv1.Scope_PositionId{PositionId: s} }},
		{f.stream, func(s string) { scope.Part = &replayerv1.Scope_StreamKey{StreamKey: s} }},
	} {
		if part.text != "" {
			given++
			part.set(part.text)
		}
	}
	if f.tenant {
		given++
	}
	if given > 1 || needed && given == 0 {
		return nil, usagef("give one of --account-id, --strategy-id, --position-id, --stream and --tenant")
	}
	return scope, nil
}

// replayCommand is `robson replay`: rebuilding from the log.
func replayCommand(app *App) *cobra.Command {
	var scope partFlags
	request := &replayerv1.RebuildRequest{}
	cmd := &cobra.Command{
		Use: "replay", Short: "Fold the log again, and make the state what it folds to", Args: noArgs,
		Long: "Folds the log from its first event, or from the newest snapshot, compares every row with the tables, and makes right what\n" +
			"differs: row by row where that is little, else by folding everything aside and switching to it. Trading goes on; appends\n" +
			"wait for a fraction of a second at the end. Ctrl-C, or a crash of anything, leaves the state as it was: `robson replay\n" +
			"list` shows the run, `robson replay resume` goes on with it.",
		Example: indent("robson replay --tenant\nrobson replay --account-id 6f0c1c1e-... --from-snapshot\nrobson replay --stream order:6f0c1c1e-... --dry-run"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if request.Scope, err = scope.scope(app, true); err != nil {
				return err
			}
			app.typed["from_snapshot"], app.typed["build"], app.typed["differences_max"] = "--from-snapshot", "--build", "--differences"
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			return app.followRun(ctx, func(ctx context.Context, c replayerv1.RebuildServiceClient) (runStream, error) {
				stream, err := c.Rebuild(ctx, request)
				return func() (runMessage, error) { return received(stream.Recv()) }, err
			})
		},
	}
	cmd.Flags().SortFlags = false
	scope.register(cmd, "replay")
	cmd.Flags().BoolVar(&request.FromSnapshot, "from-snapshot", false, "fold on from the newest snapshot that is fit")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "compare, and change nothing")
	cmd.Flags().BoolVar(&request.Build, "build", false, "fold everything aside and switch to it, however little differs")
	cmd.Flags().Int32Var(&request.DifferencesMax, "differences", 0, "show at most so many differences (default 100)")
	cmd.AddCommand(replayResumeCommand(app), replayListCommand(app), replayCancelCommand(app))
	return cmd
}

// replayResumeCommand goes on with a run.
func replayResumeCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "resume RUN_ID", Short: "Go on with a run that was broken off", Args: oneArg("RUN_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			app.typed["run_id"] = "RUN_ID"
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			return app.followRun(ctx, func(ctx context.Context, c replayerv1.RebuildServiceClient) (runStream, error) {
				stream, err := c.ResumeRun(ctx, &replayerv1.ResumeRunRequest{RunId: args[0]})
				return func() (runMessage, error) { return received(stream.Recv()) }, err
			})
		},
	}
}

// replayCancelCommand ends a run.
func replayCancelCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "cancel RUN_ID", Short: "End a run, wherever it goes on; the state stays as it was", Args: oneArg("RUN_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			app.typed["run_id"] = "RUN_ID"
			conn, err := app.service(client.Replayer)
			if err != nil {
				return err
			}
			response, err := replayerv1.NewRebuildServiceClient(conn).CancelRun(cmd.Context(), &replayerv1.CancelRunRequest{RunId: args[0]})
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			if response.GetCanceled() {
				fmt.Fprintln(app.out, "canceled")
			} else {
				fmt.Fprintln(app.out, "it had ended before")
			}
			return nil
		},
	}
}

// replayListCommand lists runs.
func replayListCommand(app *App) *cobra.Command {
	var limit int
	flags := newFieldFlags((&replayerv1.ListRunsRequest{}).ProtoReflect().Descriptor(), []string{"kind"})
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			app.typed["limit"] = "--limit"
			request := &replayerv1.ListRunsRequest{Limit: int32(limit)}
			if err := flags.apply(cmd.Flags(), request, app.typed); err != nil {
				return err
			}
			conn, err := app.service(client.Replayer)
			if err != nil {
				return err
			}
			response, err := replayerv1.NewRebuildServiceClient(conn).ListRuns(cmd.Context(), request)
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			return app.printRuns(response.GetRuns())
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many")
	return cmd
}

// printRuns prints a table of runs.
func (a *App) printRuns(runs []*replayerv1.Run) error {
	if len(runs) == 0 {
		fmt.Fprintln(a.out, "no runs")
		return nil
	}
	rows := make([]proto.Message, len(runs))
	for i, r := range runs {
		rows[i] = r
	}
	screen.Rows(a.out, []screen.Column{
		screen.Col("run_id", "RUN"), screen.Col("kind", "KIND"), screen.Col("status", "STATUS"), screen.Col("phase", "PHASE"),
		screen.Num("events_done", "EVENTS"), screen.Num("events_total", "OF"), screen.Col("result.outcome", "OUTCOME"), screen.Num("result.rows_changed", "CHANGED"),
		screen.Col("started_at", "STARTED (UTC)"), screen.Col("message", "MESSAGE"),
	}, rows)
	return nil
}

// runMessage is what streams of runs send.
type runMessage interface {
	GetProgress() *replayerv1.Progress
	GetDifference() *replayerv1.Difference
	GetResult() *replayerv1.RunResult
}

// runStream gives the next message.
type runStream func() (runMessage, error)

// received makes a message of any of the streams one of all.
func received[M runMessage](m M, err error) (runMessage, error) { return m, err }

// openRun begins a run's stream.
type openRun func(ctx context.Context, c replayerv1.RebuildServiceClient) (runStream, error)

// followRun begins a run, follows it, and prints what it came to.
func (a *App) followRun(ctx context.Context, open openRun) error {
	conn, err := a.service(client.Replayer)
	if err != nil {
		return err
	}
	f := &followed{}
	next, err := open(ctx, replayerv1.NewRebuildServiceClient(conn))
	if err == nil {
		f, err = a.receive(next)
	}
	switch {
	case err != nil && ctx.Err() != nil && f.run != "":
		return fmt.Errorf("the run was broken off; the state is as it was. Go on with: robson replay resume %s", f.run)
	case err != nil && ctx.Err() != nil:
		return errors.New("the run was broken off; the state is as it was")
	case err != nil:
		return err
	}
	return a.printFollowed(f)
}

// followed is what a run sent.
type followed struct {
	run         string
	differences []*replayerv1.Difference
	result      *replayerv1.RunResult
}

// receive takes in all that a run sends, and shows how far it is.
func (a *App) receive(next runStream) (*followed, error) {
	f := &followed{}
	var phase replayerv1.Phase
	progress := a.progress("events")
	defer func() { progress.End() }()
	for {
		m, err := next()
		if errors.Is(err, io.EOF) {
			if f.result == nil {
				return f, errors.New("the replayer ended the run without a result")
			}
			return f, nil
		}
		if err != nil {
			return f, err
		}
		if p := m.GetProgress(); p != nil {
			f.run = p.GetRunId()
			if p.GetPhase() != phase {
				progress.End()
				phase, progress = p.GetPhase(), a.progress("events ("+screen.EnumText(p.GetPhase().Descriptor(), protoreflect.EnumNumber(p.GetPhase()))+")")
			}
			if p.GetPhase() != replayerv1.Phase_PHASE_DONE {
				progress.Told(p.GetEventsDone(), p.GetEventsTotal(), p.GetEventsPerSecond())
			}
		}
		if d := m.GetDifference(); d != nil {
			f.differences = append(f.differences, d)
		}
		if r := m.GetResult(); r != nil {
			f.result = r
		}
	}
}

// printFollowed prints the differences and the result. For programs both are one document.
func (a *App) printFollowed(f *followed) error {
	if a.json() {
		if err := a.printRunJSON(f); err != nil {
			return err
		}
	} else {
		a.printDifferences(f.differences, f.result)
		a.printResult(f.result)
	}
	if f.result.GetOutcome() == replayerv1.Outcome_OUTCOME_DIFFERS {
		return differsError{f.result.GetRowsDifferent(), f.result.GetAtLeast()}
	}
	return nil
}

// printRunJSON writes one message a line: each difference, then the result.
func (a *App) printRunJSON(f *followed) error {
	for _, d := range f.differences {
		if err := screen.JSON(a.out, d); err != nil {
			return err
		}
	}
	return screen.JSON(a.out, f.result)
}

// differsError is a state that is not what the log folds to: an outcome, told on standard output already.
type differsError struct {
	rows    int64
	atLeast bool
}

func (e differsError) Error() string {
	least := ""
	if e.atLeast {
		least = "at least "
	}
	return "the state is not what the log folds to: " + least + counted(int(e.rows), "rows") + " differ"
}

// printDifferences prints a table of differences, field by field.
func (a *App) printDifferences(differences []*replayerv1.Difference, result *replayerv1.RunResult) {
	if len(differences) == 0 {
		return
	}
	table := screen.NewTable(screen.Text("HOW"), screen.Text("TABLE"), screen.Text("KEY"), screen.Text("FIELD"), screen.Text("EXPECTED"), screen.Text("FOUND"))
	for _, d := range differences {
		how := screen.EnumText(d.GetKind().Descriptor(), protoreflect.EnumNumber(d.GetKind()))
		if d.GetKind() != replayerv1.DifferenceKind_DIFFERENCE_KIND_ALTERED {
			table.Add(how, d.GetTable(), d.GetKey(), "", "", "")
			continue
		}
		for _, f := range d.GetFields() {
			table.Add(how, d.GetTable(), d.GetKey(), f.GetField(), shortened(f.GetExpected()), shortened(f.GetFound()))
		}
	}
	table.Write(a.out)
	if more := result.GetRowsDifferent() - int64(len(differences)); more > 0 {
		fmt.Fprintf(a.err, "and %s more that differ; raise --differences\n", counted(int(more), "rows"))
	}
	fmt.Fprintln(a.out)
}

// shortened is a field's JSON for a table.
func shortened(text string) string {
	const most = 48
	if text == "" {
		return "null"
	}
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// printResult says what a run came to.
func (a *App) printResult(r *replayerv1.RunResult) {
	what := map[replayerv1.Outcome]string{
		replayerv1.Outcome_OUTCOME_IDENTICAL: "identical: every row is what the log folds to",
		replayerv1.Outcome_OUTCOME_DIFFERS:   "different: nothing was changed",
		replayerv1.Outcome_OUTCOME_MENDED:    "mended",
		replayerv1.Outcome_OUTCOME_BUILT:     "built anew",
	}[r.GetOutcome()]
	fmt.Fprintln(a.out, what)
	took := r.GetTook().AsDuration()
	rate := ""
	if seconds := took.Seconds(); seconds > 0 {
		rate = fmt.Sprintf(", %.0f a second", float64(r.GetEvents())/seconds)
	}
	from := ""
	if r.GetSnapshotId() != "" {
		from = fmt.Sprintf(" from snapshot %s at position %d", r.GetSnapshotId(), r.GetFromPosition())
	}
	fmt.Fprintf(a.out, "  %s%s up to position %d, %s%s\n", counted(int(r.GetEvents()), "events"), from, r.GetToPosition(), took.Round(time.Millisecond), rate)
	fmt.Fprintf(a.out, "  %s, %d differed, %d changed\n", counted(int(r.GetRows()), "rows"), r.GetRowsDifferent(), r.GetRowsChanged())
	if r.GetHeld().AsDuration() > 0 {
		fmt.Fprintf(a.out, "  appends waited for %s\n", r.GetHeld().AsDuration().Round(time.Microsecond))
	}
	fmt.Fprintf(a.out, "  checksum %s\n", r.GetChecksumBefore())
	if r.GetChecksumAfter() != r.GetChecksumBefore() {
		fmt.Fprintf(a.out, "       now %s\n", r.GetChecksumAfter())
	}
	if r.GetNote() != "" {
		fmt.Fprintf(a.err, "note: %s\n", r.GetNote())
	}
}
