package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	snapshotterv1 "github.com/robson/robson/proto/gen/go/robson/snapshotter/v1"
)

// snapshotsCommand makes, shows, proves and removes checkpoints.
func snapshotsCommand(app *App) *cobra.Command {
	return parentCommand("snapshots", "Checkpoints of accounts, strategies and positions",
		snapshotCreateCommand(app), snapshotListCommand(app), snapshotGetCommand(app), snapshotVerifyCommand(app),
		snapshotRestoreCommand(app), snapshotPruneCommand(app), snapshotScheduleCommand(app))
}

// snapshotColumns are what a list of snapshots shows.
var snapshotColumns = []screen.Column{
	screen.Col("snapshot_id", "SNAPSHOT"), screen.Col("scope.kind", "SCOPE"), screen.Col("scope.id", "OF"), screen.Num("as_of_position", "POSITION"), screen.Col("trigger", "DUE BY"),
	screen.Num("rows", "ROWS"), screen.Num("stored_bytes", "BYTES"), screen.Col("unfit", "NOT USED"), screen.Col("created_at", "CREATED (UTC)"),
}

// scopeFlags say which account, strategy or position is meant.
type scopeFlags struct{ account, strategy, position string }

func (f *scopeFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.account, "account-id", "", "an account (`UUID`)")
	cmd.Flags().StringVar(&f.strategy, "strategy-id", "", "a strategy (`UUID`)")
	cmd.Flags().StringVar(&f.position, "position-id", "", "a position (`UUID`)")
	cmd.MarkFlagsMutuallyExclusive("account-id", "strategy-id", "position-id")
}

// scope is what the line names; its kind is unspecified if it names none.
func (f *scopeFlags) scope(app *App) *snapshotterv1.Scope {
	for _, named := range []struct {
		id, flag string
		kind     eventv1.SnapshotScope
	}{
		{f.account, "--account-id", eventv1.SnapshotScope_SNAPSHOT_SCOPE_ACCOUNT},
		{f.strategy, "--strategy-id", eventv1.SnapshotScope_SNAPSHOT_SCOPE_STRATEGY},
		{f.position, "--position-id", eventv1.SnapshotScope_SNAPSHOT_SCOPE_POSITION},
	} {
		if named.id != "" {
			app.typed["scope.id"], app.typed["scope_id"] = named.flag, named.flag
			return &snapshotterv1.Scope{Kind: named.kind, Id: named.id}
		}
	}
	return &snapshotterv1.Scope{}
}

func snapshotCreateCommand(app *App) *cobra.Command {
	var flags scopeFlags
	cmd := &cobra.Command{
		Use: "create", Short: "Make a snapshot as of now", Args: noArgs,
		Example: indent("robson snapshots create --account-id 0f8fad5b-...\nrobson snapshots create --position-id 6f0c1c1e-..."),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &snapshotterv1.CreateSnapshotRequest{Scope: flags.scope(app)}
			if request.GetScope().GetId() == "" {
				return usagef("snapshots create needs --account-id, --strategy-id or --position-id")
			}
			conn, err := app.service(client.Snapshotter)
			if err != nil {
				return err
			}
			made, err := snapshotterv1.NewOperateServiceClient(conn).CreateSnapshot(cmd.Context(), request)
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, made)
			}
			if !made.GetCreated() {
				fmt.Fprintln(app.out, "nothing has happened since the newest one:")
			}
			screen.Fields(app.out, made.GetSnapshot())
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd)
	return cmd
}

// snapshotListRequest reads the conditions of a list.
func snapshotListRequest(app *App, flags *scopeFlags, unfit bool, limit int32) *snapshotterv1.ListSnapshotsRequest {
	scope := flags.scope(app)
	request := &snapshotterv1.ListSnapshotsRequest{Kind: scope.GetKind(), ScopeId: scope.GetId(), PageSize: limit}
	app.typed["page_size"] = "--limit"
	if unfit {
		request.Unfit = &unfit
	}
	return request
}

func snapshotListCommand(app *App) *cobra.Command {
	var flags scopeFlags
	var unfit bool
	var limit int32
	var token string
	cmd := &cobra.Command{
		Use: "list", Short: "List snapshots, newest first", Args: noArgs,
		Example: indent("robson snapshots list --account-id 0f8fad5b-...\nrobson snapshots list --unfit"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := snapshotListRequest(app, &flags, unfit, limit)
			request.PageToken, app.typed["page_token"] = token, "--page-token"
			conn, err := app.service(client.Snapshotter)
			if err != nil {
				return err
			}
			page, err := snapshotterv1.NewReadServiceClient(conn).ListSnapshots(cmd.Context(), request)
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, page)
			}
			rows := make([]proto.Message, len(page.GetSnapshots()))
			for i, s := range page.GetSnapshots() {
				rows[i] = s
			}
			if len(rows) == 0 {
				fmt.Fprintln(app.out, "no snapshots")
				return nil
			}
			screen.Rows(app.out, snapshotColumns, rows)
			if page.GetNextPageToken() != "" {
				fmt.Fprintf(app.out, "more: --page-token %s\n", page.GetNextPageToken())
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd)
	cmd.Flags().BoolVar(&unfit, "unfit", false, "only those that are not used, and why")
	cmd.Flags().Int32Var(&limit, "limit", 0, "at most so many (default 100, at most 1000)")
	cmd.Flags().StringVar(&token, "page-token", "", "where the list before ended")
	return cmd
}

func snapshotGetCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "get SNAPSHOT_ID", Short: "Show what is known of a snapshot", Args: oneArg("SNAPSHOT_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			app.typed["snapshot_id"] = "SNAPSHOT_ID"
			conn, err := app.service(client.Snapshotter)
			if err != nil {
				return err
			}
			found, err := snapshotterv1.NewReadServiceClient(conn).GetSnapshot(cmd.Context(), &snapshotterv1.GetSnapshotRequest{SnapshotId: args[0]})
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, found.GetSnapshot())
			}
			screen.Fields(app.out, found.GetSnapshot())
			return nil
		},
	}
}

func snapshotPruneCommand(app *App) *cobra.Command {
	var flags scopeFlags
	var keep int32
	var olderThan time.Duration
	var dryRun bool
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove snapshots that are more than needed", Args: noArgs,
		Long: "Of each account, strategy and position the newest so many stay, and of the others those that are younger than --older-than.\n" +
			"The newest that is fit for use always stays: it is verified first. Those that are not fit go.",
		Example: indent("robson snapshots prune --keep 5 --dry-run\nrobson snapshots prune --keep 2 --older-than 720h"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			scope := flags.scope(app)
			request := &snapshotterv1.PruneSnapshotsRequest{Keep: keep, DryRun: dryRun, Kind: scope.GetKind(), ScopeId: scope.GetId()}
			app.typed["keep"] = "--keep"
			if cmd.Flags().Changed("older-than") {
				if olderThan < 0 {
					return usagef("--older-than: must not be below 0, found %s", olderThan)
				}
				request.CreatedBefore = timestamppb.New(clock.System().Now().Add(-olderThan))
			}
			return app.prune(ctx, request)
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd)
	cmd.Flags().Int32Var(&keep, "keep", 3, "how many of each stay")
	cmd.Flags().DurationVar(&olderThan, "older-than", 0, "of the others, only those made longer ago: 720h (default: all)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, remove nothing")
	return cmd
}

// prune removes and tells of each.
func (a *App) prune(ctx context.Context, request *snapshotterv1.PruneSnapshotsRequest) error {
	conn, err := a.service(client.Snapshotter)
	if err != nil {
		return err
	}
	stream, err := snapshotterv1.NewOperateServiceClient(conn).PruneSnapshots(ctx, request)
	if err != nil {
		return err
	}
	word := "removed"
	if request.GetDryRun() {
		word = "would be removed"
	}
	return receive(stream.Recv, func(m *snapshotterv1.PruneSnapshotsResponse) error {
		if a.json() {
			return screen.JSON(a.out, m)
		}
		if s := m.GetRemoved(); s != nil {
			fmt.Fprintf(a.out, "%s  %s at position %d, %d bytes\n", s.GetSnapshotId(), scopeText(s.GetScope()), s.GetAsOfPosition(), s.GetStoredBytes())
		}
		if sum := m.GetSummary(); sum != nil {
			fmt.Fprintf(a.out, "%s %s, %d bytes\n", counted(int(sum.GetRemoved()), "snapshots"), word, sum.GetStoredBytes())
		}
		return nil
	})
}

// scopeText is a scope for people: position 6f0c1c1e-...
func scopeText(s *snapshotterv1.Scope) string {
	return screen.EnumText(s.GetKind().Descriptor(), s.GetKind().Number()) + " " + s.GetId()
}

// receive hands on the messages of a stream until it ends.
func receive[M any](recv func() (M, error), each func(M) error) error {
	for {
		m, err := recv()
		if err == io.EOF { //nolint:errorlint // gRPC gives it bare.
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

func snapshotScheduleCommand(app *App) *cobra.Command {
	var events, seconds int32
	var workflow bool
	cmd := &cobra.Command{
		Use: "schedule", Short: "Show or set when snapshots are due", Args: noArgs,
		Long: "Without flags: shows when snapshots of the tenant's accounts, strategies and positions are due. With flags: sets what they\n" +
			"name, and leaves the rest as it is.",
		Example: indent("robson snapshots schedule\nrobson snapshots schedule --every-events 1000 --every-seconds 0 --at-workflow-end=false"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &snapshotterv1.SetScheduleRequest{}
			app.typed["every_events"], app.typed["every_seconds"] = "--every-events", "--every-seconds"
			set := false
			for name, take := range map[string]func(){
				"every-events":    func() { request.EveryEvents = &events },
				"every-seconds":   func() { request.EverySeconds = &seconds },
				"at-workflow-end": func() { request.AtWorkflowEnd = &workflow },
			} {
				if cmd.Flags().Changed(name) {
					take()
					set = true
				}
			}
			return app.schedule(cmd.Context(), request, set)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Int32Var(&events, "every-events", 0, "each so many events of one, from 100 on; 0: never")
	cmd.Flags().Int32Var(&seconds, "every-seconds", 0, "each so many seconds while it changes, from 60 on; 0: never")
	cmd.Flags().BoolVar(&workflow, "at-workflow-end", true, "when a position ends, and when an account was reconciled")
	return cmd
}

// schedule shows the schedule, as it is or as it is set.
func (a *App) schedule(ctx context.Context, request *snapshotterv1.SetScheduleRequest, set bool) error {
	conn, err := a.service(client.Snapshotter)
	if err != nil {
		return err
	}
	var answer interface {
		proto.Message
		GetSchedule() *snapshotterv1.Schedule
	}
	if set {
		answer, err = snapshotterv1.NewOperateServiceClient(conn).SetSchedule(ctx, request)
	} else {
		answer, err = snapshotterv1.NewReadServiceClient(conn).GetSchedule(ctx, &snapshotterv1.GetScheduleRequest{})
	}
	if err != nil {
		return err
	}
	if a.json() {
		return screen.JSON(a.out, answer)
	}
	every := func(n int32, what string) string {
		if n == 0 {
			return "never by " + what
		}
		return fmt.Sprintf("each %d %s", n, what)
	}
	s := answer.GetSchedule()
	end := "not at the end of a workflow"
	if s.GetAtWorkflowEnd() {
		end = "at the end of each workflow"
	}
	fmt.Fprintf(a.out, "%s, %s, %s\n", every(s.GetEveryEvents(), "events"), every(s.GetEverySeconds(), "seconds"), end)
	return nil
}
