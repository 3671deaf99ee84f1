package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// eventsCommand is `robson events`: the log itself.
func eventsCommand(app *App) *cobra.Command {
	return parentCommand("events", "The log: what happened, in order", eventsListCommand(app), eventsTailCommand(app), eventsSearchCommand(app), eventsGetCommand(app), eventsReplayCommand(app))
}

// reading are the flags of reading events.
type reading struct {
	limit     int
	backwards bool
}

func (r *reading) register(cmd *cobra.Command) {
	limitFlag(cmd, &r.limit)
	cmd.Flags().BoolVar(&r.backwards, "backwards", false, "newest first")
}

func (r *reading) direction() eventlogv1.Direction {
	if r.backwards {
		return eventlogv1.Direction_DIRECTION_BACKWARDS
	}
	return eventlogv1.Direction_DIRECTION_FORWARDS
}

// eventsListCommand reads a stream, or the whole log.
func eventsListCommand(app *App) *cobra.Command {
	var stream string
	var from int64
	var how reading
	cmd := &cobra.Command{
		Use: "list", Short: "List events of a stream, or of the whole log", Args: noArgs,
		Example: indent("robson events list --stream position:6f0c1c1e-... --limit 50\nrobson events list --backwards --limit 20"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(how.limit); err != nil {
				return err
			}
			if from < 0 {
				return usagef("--from: must be at least 1, found %d", from)
			}
			app.typed["stream_key"] = "--stream"
			if cmd.Flags().Changed("stream") {
				return app.printEvents(cmd.Context(), how.limit, app.readStream(stream, how.direction(), from))
			}
			return app.printEvents(cmd.Context(), how.limit, app.readLog(how.direction(), from))
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&stream, "stream", "", "stream key, e.g. position:<uuid> (default: the whole log)")
	cmd.Flags().Int64Var(&from, "from", 0, "begin at this seq of the stream, or position of the log (default: where the direction begins)")
	how.register(cmd)
	return cmd
}

// searchFields are the conditions of a search, as flags.
var searchFields = []string{
	"trace_id", "command_id", "descendants", "causation_id", "workflow_id", "position_id", "order_id", "account_id", "strategy_id", "since", "until",
}

// eventsSearchCommand asks by what events are about.
func eventsSearchCommand(app *App) *cobra.Command {
	var how reading
	var types []string
	flags := newFieldFlags((&eventlogv1.EventFilter{}).ProtoReflect().Descriptor(), searchFields)
	cmd := &cobra.Command{
		Use: "search", Short: "Find events by what they are about; all conditions hold at once", Args: noArgs,
		Example: indent("robson events search --trace-id 0f8fad5b-...\nrobson events search --type ORDER_SUBMITTED,FILL_RECEIVED --since 2026-11-01\nrobson events search --command-id 0f8fad5b-... --descendants"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(how.limit); err != nil {
				return err
			}
			filter := &eventlogv1.EventFilter{EventTypes: types}
			if err := flags.apply(cmd.Flags(), filter, app.typed); err != nil {
				return err
			}
			if filter.GetDescendants() && filter.GetCommandId() == "" {
				return usagef("--descendants: needs --command-id, whose events' descendants are meant")
			}
			if proto.Size(filter) == 0 {
				return usagef("give at least one condition: --trace-id, --command-id, --position-id, --order-id, --type, --since ...; see %s --help", cmd.CommandPath())
			}
			for field, flag := range map[string]string{"event_types": "--type"} {
				app.typed[field], app.typed["filter."+field] = flag, flag
			}
			return app.printEvents(cmd.Context(), how.limit, app.queryEvents(filter, how.direction()))
		},
	}
	cmd.Flags().SortFlags = false
	flags.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&types, "type", nil, "event types, any of them, e.g. ORDER_SUBMITTED,FILL_RECEIVED")
	how.register(cmd)
	return cmd
}

// eventsGetCommand shows one event whole.
func eventsGetCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT_ID", Short: "Show one event whole", Args: oneArg("EVENT_ID"), Example: indent("robson events get 01KAS0QJ5W0000000000000000"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := app.service(client.Eventlog)
			if err != nil {
				return err
			}
			app.typed["event_id"] = "EVENT_ID"
			response, err := eventlogv1.NewReadServiceClient(conn).GetEvent(cmd.Context(), &eventlogv1.GetEventRequest{EventId: args[0]})
			if err != nil {
				return err
			}
			if app.json() {
				return screen.JSON(app.out, response)
			}
			head := &eventv1.Event{}
			proto.Merge(head, response.GetEvent())
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

// eventPage is one answer of a read.
type eventPage interface {
	proto.Message
	GetEvents() []*eventv1.Event
}

// nextPage reads the next page of at most n events; more is false after the last.
type nextPage func(ctx context.Context, n int32) (page eventPage, more bool, err error)

func (a *App) readLog(direction eventlogv1.Direction, from int64) nextPage {
	return func(ctx context.Context, n int32) (eventPage, bool, error) {
		conn, err := a.service(client.Eventlog)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).ReadLog(ctx, &eventlogv1.ReadLogRequest{FromPosition: from, Direction: direction, PageSize: n})
		from = page.GetNextPosition()
		return page, from != 0, err
	}
}

func (a *App) readStream(stream string, direction eventlogv1.Direction, from int64) nextPage {
	return func(ctx context.Context, n int32) (eventPage, bool, error) {
		conn, err := a.service(client.Eventlog)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: stream, FromSeq: from, Direction: direction, PageSize: n})
		from = page.GetNextSeq()
		return page, from != 0, err
	}
}

func (a *App) queryEvents(filter *eventlogv1.EventFilter, direction eventlogv1.Direction) nextPage {
	token := ""
	return func(ctx context.Context, n int32) (eventPage, bool, error) {
		conn, err := a.service(client.Eventlog)
		if err != nil {
			return nil, false, err
		}
		page, err := eventlogv1.NewReadServiceClient(conn).QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: filter, Direction: direction, PageSize: n, PageToken: token})
		token = page.GetNextPageToken()
		return page, token != "", err
	}
}

// printEvents reads pages until the limit and prints them: as JSON in one answer of the contract's form, which says where
// to go on as the last page does.
func (a *App) printEvents(ctx context.Context, limit int, next nextPage) error {
	var events []*eventv1.Event
	var last eventPage
	more := true
	for more && len(events) < limit {
		var err error
		last, more, err = next(ctx, int32(min(pageSize, limit-len(events))))
		if err != nil {
			return err
		}
		events = append(events, last.GetEvents()...)
	}
	if a.json() {
		list := last.ProtoReflect().Mutable(last.ProtoReflect().Descriptor().Fields().ByName("events")).List()
		list.Truncate(0)
		for _, e := range events {
			list.Append(protoValue(e))
		}
		return screen.JSON(a.out, last)
	}
	if len(events) == 0 {
		fmt.Fprintln(a.out, "no events")
		return nil
	}
	screen.WriteTimeline(a.out, events, true)
	hint := ""
	if more {
		hint = "; there are more: raise --limit"
	}
	fmt.Fprintf(a.err, "%s%s\n", counted(len(events), "events"), hint)
	return nil
}
