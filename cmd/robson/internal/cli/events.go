package cli

import (
	"context"
	"fmt"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// eventsCommand is `robson events`: the log itself.
func eventsCommand(app *App) *cobra.Command {
	parent := &cobra.Command{Use: "events", Short: "Read the log: what happened, in order"}
	parent.AddCommand(eventsListCommand(app), eventsSearchCommand(app), eventsGetCommand(app))
	return parent
}

// eventsListCommand reads a stream, or the whole log.
func eventsListCommand(app *App) *cobra.Command {
	var stream string
	var limit int
	var from int64
	var backwards bool
	cmd := &cobra.Command{
		Use: "list", Short: "List events of a stream, or of the whole log", Args: cobra.NoArgs,
		Example: "robson events list --stream position:6f0c... --limit 50\nrobson events list --backwards --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be at least 1, found %d", limit)
			}
			direction := eventlogv1.Direction_DIRECTION_FORWARDS
			if backwards {
				direction = eventlogv1.Direction_DIRECTION_BACKWARDS
			}
			read := app.readLog(direction, from)
			if stream != "" {
				read = app.readStream(stream, direction, from)
			}
			return app.printEvents(cmd.Context(), limit, read)
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "stream key, e.g. position:<uuid> (default: the whole log)")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many events")
	cmd.Flags().Int64Var(&from, "from", 0, "first seq of the stream, or first position of the log")
	cmd.Flags().BoolVar(&backwards, "backwards", false, "newest first")
	return cmd
}

// eventsSearchCommand asks by what events are about.
func eventsSearchCommand(app *App) *cobra.Command {
	var limit int
	var backwards bool
	flags := newFieldFlags((&eventlogv1.EventFilter{}).ProtoReflect().Descriptor(), []string{
		"event_types", "since", "until", "trace_id", "causation_id", "command_id", "descendants", "workflow_id", "account_id", "strategy_id", "position_id", "order_id",
	})
	var types []string
	cmd := &cobra.Command{
		Use: "search", Short: "Find events by what they are about", Args: cobra.NoArgs,
		Example: "robson events search --trace-id <uuid>\nrobson events search --type FILL_RECEIVED --since 2026-11-01\nrobson events search --command-id <uuid> --descendants",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be at least 1, found %d", limit)
			}
			filter := &eventlogv1.EventFilter{}
			if err := flags.apply(cmd.Flags(), filter); err != nil {
				return err
			}
			filter.EventTypes = append(filter.EventTypes, types...)
			if proto.Size(filter) == 0 {
				return usagef("give at least one condition, e.g. --trace-id, --position-id, --order-id, --command-id, --type or --since")
			}
			direction := eventlogv1.Direction_DIRECTION_FORWARDS
			if backwards {
				direction = eventlogv1.Direction_DIRECTION_BACKWARDS
			}
			return app.printEvents(cmd.Context(), limit, app.queryEvents(filter, direction))
		},
	}
	flags.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&types, "type", nil, "event types, e.g. ORDER_SUBMITTED,FILL_RECEIVED")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many events")
	cmd.Flags().BoolVar(&backwards, "backwards", false, "newest first")
	return cmd
}

// eventsGetCommand shows one event whole.
func eventsGetCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT_ID", Short: "Show one event whole", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := app.eventlog(cmd.Context())
			if err != nil {
				return err
			}
			response, err := eventlogv1.NewReadServiceClient(conn).GetEvent(cmd.Context(), &eventlogv1.GetEventRequest{EventId: args[0]})
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			head := proto.CloneOf(response.GetEvent())
			head.Payload = nil
			screen.Fields(app.out, head)
			if payload := screen.Payload(response.GetEvent()); payload != nil {
				fmt.Fprintln(app.out)
				screen.Fields(app.out, payload.Interface())
			}
			return nil
		},
	}
}

// eventPage reads the next page of at most n events; more is false after the last.
type eventPage func(ctx context.Context, n int32) (events []*eventv1.Event, more bool, err error)

func (a *App) readLog(direction eventlogv1.Direction, from int64) eventPage {
	return func(ctx context.Context, n int32) ([]*eventv1.Event, bool, error) {
		conn, err := a.eventlog(ctx)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).ReadLog(ctx, &eventlogv1.ReadLogRequest{FromPosition: from, Direction: direction, PageSize: n})
		if err != nil {
			return nil, false, err
		}
		from = page.GetNextPosition()
		return page.GetEvents(), from != 0, nil
	}
}

func (a *App) readStream(stream string, direction eventlogv1.Direction, from int64) eventPage {
	return func(ctx context.Context, n int32) ([]*eventv1.Event, bool, error) {
		conn, err := a.eventlog(ctx)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: stream, FromSeq: from, Direction: direction, PageSize: n})
		if err != nil {
			return nil, false, err
		}
		from = page.GetNextSeq()
		return page.GetEvents(), from != 0, nil
	}
}

func (a *App) queryEvents(filter *eventlogv1.EventFilter, direction eventlogv1.Direction) eventPage {
	token := ""
	return func(ctx context.Context, n int32) ([]*eventv1.Event, bool, error) {
		conn, err := a.eventlog(ctx)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: filter, Direction: direction, PageSize: n, PageToken: token})
		if err != nil {
			return nil, false, err
		}
		token = page.GetNextPageToken()
		return page.GetEvents(), token != "", nil
	}
}

// printEvents reads pages until the limit and prints them.
func (a *App) printEvents(ctx context.Context, limit int, next eventPage) error {
	var events []*eventv1.Event
	more := true
	for more && len(events) < limit {
		var page []*eventv1.Event
		var err error
		page, more, err = next(ctx, int32(min(pageSize, limit-len(events)))) //nolint:gosec // bounded by pageSize
		if err != nil {
			return err
		}
		events = append(events, page...)
	}
	if a.json() {
		return screen.JSON(a.out, &eventlogv1.ReadLogResponse{Events: events})
	}
	screen.WriteTimeline(a.out, events)
	fmt.Fprintf(a.err, "%d events", len(events))
	if more {
		fmt.Fprint(a.err, "; there are more: raise --limit")
	}
	fmt.Fprintln(a.err)
	return nil
}
