package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	replayerv1 "github.com/robson/robson/proto/gen/go/robson/replayer/v1"
)

// stateAtCommand tells what was.
func stateAtCommand(app *App) *cobra.Command {
	var at string
	flags := newFieldFlags((&replayerv1.StateAtRequest{}).ProtoReflect().Descriptor(), []string{"clock", "position_id", "order_id", "account_id"})
	cmd := &cobra.Command{
		Use: "state", Short: "Show a position, an order or an account as it was", Args: noArgs,
		Long: "Folds the log up to a position, or up to a time, on the newest snapshot before it. A time is by the clock of the log, which\n" +
			"never goes backwards (--clock ingested), or by that of what happened (--clock occurred).",
		Example: indent("robson state --at 4711 --position-id 6f0c1c1e-...\nrobson state --at 2026-11-23T10:00:00Z --account-id 6f0c1c1e-...\nrobson state --at 2026-11-23T10:00:00Z --clock occurred --order-id 6f0c1c1e-..."),
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &replayerv1.StateAtRequest{}
			if err := setAt(request, at); err != nil {
				return err
			}
			given := 0
			for _, flag := range []string{"position-id", "order-id", "account-id"} {
				if cmd.Flags().Changed(flag) {
					given++
				}
			}
			if given != 1 {
				return usagef("give one of --position-id, --order-id and --account-id")
			}
			if err := flags.apply(cmd.Flags(), request, app.typed); err != nil {
				return err
			}
			app.typed["position"], app.typed["time"], app.typed["at"] = "--at", "--at", "--at"
			return app.stateAt(cmd.Context(), request)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&at, "at", "", "a `position` of the log, or a time: 4711, 2026-11-23T10:00:00Z")
	flags.register(cmd.Flags())
	requireFlags(cmd, "at")
	return cmd
}

// setAt reads a position or a time.
func setAt(request *replayerv1.StateAtRequest, at string) error {
	if position, err := strconv.ParseInt(at, 10, 64); err == nil {
		request.At = &replayerv1.StateAtRequest_Position{Position: position}
		return nil
	}
	moment, err := parseTime(at)
	if err != nil {
		return usagef("--at: %s; or a position of the log", err)
	}
	request.At = &replayerv1.StateAtRequest_Time{Time: timestamppb.New(moment)}
	return nil
}

// stateAt asks and prints.
func (a *App) stateAt(ctx context.Context, request *replayerv1.StateAtRequest) error {
	conn, err := a.service(client.Replayer)
	if err != nil {
		return err
	}
	response, err := replayerv1.NewHistoryServiceClient(conn).StateAt(ctx, request)
	if err != nil {
		return err
	}
	if a.json() {
		return screen.JSON(a.out, response)
	}
	m := response.ProtoReflect()
	if state := m.WhichOneof(m.Descriptor().Oneofs().ByName("state")); state != nil {
		a.printState(m.Get(state).Message())
	}
	from := "the first event"
	if response.GetSnapshotId() != "" {
		from = "snapshot " + response.GetSnapshotId()
	}
	fmt.Fprintf(a.err, "true at position %d, %s; %s from %s\n", response.GetAsOf(), response.GetIngestedAt().AsTime().Format(time.RFC3339Nano),
		counted(int(response.GetEventsFolded()), "events"), from)
	return nil
}

// printState prints single rows whole, and lists as tables of what a person looks for.
func (a *App) printState(state protoreflect.Message) {
	fields := state.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !state.Has(field) {
			continue
		}
		title := strings.ToUpper(strings.ReplaceAll(string(field.Name()), "_", " "))
		if !field.IsList() {
			fmt.Fprintf(a.out, "%s\n", title)
			screen.Fields(a.out, state.Get(field).Message().Interface())
			fmt.Fprintln(a.out)
			continue
		}
		list := state.Get(field).List()
		rows := make([]proto.Message, list.Len())
		for j := range rows {
			rows[j] = list.Get(j).Message().Interface()
		}
		fmt.Fprintf(a.out, "%s\n", title)
		screen.Rows(a.out, columnsOf(string(field.Message().Name())), rows)
		fmt.Fprintln(a.out)
	}
}

// columnsOf are the columns by which a resource's rows are listed; ids where nobody lists them.
func columnsOf(message string) []screen.Column {
	for _, r := range resources() {
		rows := r.listResponse().ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(r.rows))
		if rows != nil && string(rows.Message().Name()) == message {
			return r.columns
		}
	}
	return []screen.Column{screen.Col("account_id", "ACCOUNT"), screen.Col("updated_at", "UPDATED (UTC)")}
}

// eventsReplayCommand goes through events as they are folded.
func eventsReplayCommand(app *App) *cobra.Command {
	var scope partFlags
	request := &replayerv1.ReplayEventsRequest{}
	cmd := &cobra.Command{
		Use: "replay", Short: "Go through events in order, with what each changes", Args: noArgs,
		Example: indent("robson events replay --account-id 6f0c1c1e-...\nrobson events replay --position-id 6f0c1c1e-... -o json"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if request.Scope, err = scope.scope(app, true); err != nil {
				return err
			}
			app.typed["after_position"], app.typed["to_position"], app.typed["limit"] = "--after", "--to", "--limit"
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			return app.replayEvents(ctx, request)
		},
	}
	cmd.Flags().SortFlags = false
	scope.register(cmd, "go through")
	cmd.Flags().Int64Var(&request.AfterPosition, "after", 0, "show only events after this `position`")
	cmd.Flags().Int64Var(&request.ToPosition, "to", 0, "the last `position` (default: the newest)")
	cmd.Flags().Int32Var(&request.Limit, "limit", 0, "at most so many events (default: all)")
	return cmd
}

// replayEvents prints events as they come.
func (a *App) replayEvents(ctx context.Context, request *replayerv1.ReplayEventsRequest) error {
	conn, err := a.service(client.Replayer)
	if err != nil {
		return err
	}
	stream, err := replayerv1.NewHistoryServiceClient(conn).ReplayEvents(ctx, request)
	if err != nil {
		return err
	}
	count := 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && ctx.Err() != nil {
			return nil //nolint:nilerr // Who watched has seen enough.
		}
		if err != nil {
			return err
		}
		count++
		if a.json() {
			if err := screen.JSON(a.out, m); err != nil {
				return err
			}
			continue
		}
		a.printFolded(m)
	}
	if !a.json() {
		fmt.Fprintf(a.err, "%s\n", counted(count, "events"))
	}
	return nil
}

// printFolded prints an event and beneath it what it changes.
func (a *App) printFolded(m *replayerv1.ReplayEventsResponse) {
	e := m.GetEvent()
	fmt.Fprintf(a.out, "#%d  %s  %s  %s\n", e.GetPosition(), e.GetIngestedAt().AsTime().Format(time.RFC3339Nano),
		screen.Paint(a.out, screen.EventInk(e), e.GetEventType()), screen.Summary(e))
	for _, c := range m.GetChanges() {
		made := ""
		if c.GetMade() {
			made = " (new)"
		}
		fmt.Fprintf(a.out, "    %s %s%s\n", c.GetTable(), c.GetKey(), made)
		for _, f := range c.GetFields() {
			if c.GetMade() {
				fmt.Fprintf(a.out, "        %s = %s\n", f.GetField(), shortened(f.GetAfter()))
			} else {
				fmt.Fprintf(a.out, "        %s: %s -> %s\n", f.GetField(), shortened(f.GetBefore()), shortened(f.GetAfter()))
			}
		}
	}
}
