package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/robson/robson/cmd/robson/internal/client"
	"github.com/robson/robson/cmd/robson/internal/screen"
	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// tail is what a line of `robson events tail` asks for.
type tail struct {
	after  int64
	stream string
	types  []string
	filter eventlogv1.EventFilter
	from   bool // after was given
}

// tailFields are the conditions of following, as flags.
var tailFields = []string{"account_id", "strategy_id", "position_id", "order_id", "trace_id", "command_id", "workflow_id", "since"}

// eventsTailCommand follows the log.
func eventsTailCommand(app *App) *cobra.Command {
	var t tail
	flags := newFieldFlags((&eventlogv1.EventFilter{}).ProtoReflect().Descriptor(), tailFields)
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow the log: each event as it is committed", Args: noArgs,
		Long: "Prints each event as it is committed, a line each, until Ctrl-C: from now on, or from an earlier place. When a service restarts\n" +
			"or the connection breaks, it goes on after the last event, without gap or repeat. With --output json: a JSON document a line.",
		Example: indent("robson events tail\nrobson events tail --type FILL_RECEIVED --account-id 0f8fad5b-...\nrobson events tail --after-position 0 -o json | jq .event_type"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.apply(cmd.Flags(), &t.filter, app.typed); err != nil {
				return err
			}
			t.from = cmd.Flags().Changed("after-position")
			if t.after < 0 {
				return usagef("--after-position: must be at least 0, found %d", t.after)
			}
			if t.from && t.filter.GetSince() != nil {
				return usagef("--after-position and --since both say where to begin: give one")
			}
			if _, err := event.ParseStreamKey(t.stream); t.stream != "" && err != nil {
				return usagef("--stream: %q is no stream, as position:<uuid> is", t.stream)
			}
			app.typed["event_types"] = "--type"
			ctx, stop := app.signaled(cmd.Context())
			defer stop()
			return app.tail(ctx, &t)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Int64Var(&t.after, "after-position", 0, "begin after this `position` of the log; 0: with the first event (default: after the last one)")
	cmd.Flags().StringVar(&t.stream, "stream", "", "only of this stream, e.g. position:<uuid>")
	cmd.Flags().StringSliceVar(&t.types, "type", nil, "event types, any of them, e.g. ORDER_SUBMITTED,FILL_RECEIVED")
	flags.register(cmd.Flags())
	return cmd
}

// tail follows until the context ends.
func (a *App) tail(ctx context.Context, t *tail) error {
	conn, err := a.service(client.Eventlog)
	if err != nil {
		return err
	}
	log := eventlogv1.NewReadServiceClient(conn)
	if err := t.begin(ctx, log); err != nil {
		return err
	}
	if !a.json() {
		fmt.Fprintf(a.err, "following after position %d; Ctrl-C ends\n", t.after)
	}
	return a.follow(ctx, stream{
		open:  func(ctx context.Context) (bool, error) { return a.tailOnce(ctx, log, t) },
		place: func() string { return fmt.Sprintf("position %d", t.after) },
	})
}

// begin finds the position to begin after.
func (t *tail) begin(ctx context.Context, log eventlogv1.ReadServiceClient) error {
	if t.from {
		return nil
	}
	if since := t.filter.GetSince(); since != nil {
		first, err := log.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{Since: since}, PageSize: 1})
		if err != nil {
			return err
		}
		t.after = first.GetAsOf()
		if len(first.GetEvents()) > 0 {
			t.after = first.GetEvents()[0].GetPosition() - 1
		}
		return nil
	}
	head, err := log.GetHead(ctx, &eventlogv1.GetHeadRequest{})
	t.after = head.GetPosition()
	return err
}

// tailOnce prints what a subscription sends until it breaks, and keeps the place.
func (a *App) tailOnce(ctx context.Context, log eventlogv1.ReadServiceClient, t *tail) (came bool, err error) {
	request := &eventlogv1.SubscribeRequest{AfterPosition: t.after, EventTypes: t.types, AccountId: t.filter.GetAccountId()}
	if kind, _, given := strings.Cut(t.stream, ":"); given {
		request.StreamKinds = []string{kind}
	}
	subscription, err := log.Subscribe(ctx, request)
	if err != nil {
		return false, err
	}
	for {
		m, err := subscription.Recv()
		if err != nil {
			return came, err
		}
		came = true
		e := m.GetEvent()
		if e == nil {
			t.after = max(t.after, m.GetCaughtUp().GetPosition())
			continue
		}
		if e.GetPosition() <= t.after {
			continue // the log repeats nothing; should it, we do not
		}
		if t.wants(e) {
			if err := a.printEvent(e); err != nil {
				return came, err
			}
		}
		t.after = e.GetPosition()
	}
}

// printEvent prints an event in one line.
func (a *App) printEvent(e *eventv1.Event) error {
	if a.json() {
		return screen.JSONLine(a.out, e)
	}
	screen.EventLine(a.out, e)
	return nil
}

// wants says whether an event meets the conditions that the subscription does not know.
func (t *tail) wants(e *eventv1.Event) bool {
	for _, c := range []struct{ wanted, found string }{
		{t.stream, e.GetStreamKey()}, {t.filter.GetTraceId(), e.GetTraceId()}, {t.filter.GetCommandId(), e.GetCommandId()}, {t.filter.GetWorkflowId(), e.GetWorkflowId()},
	} {
		if c.wanted != "" && !strings.EqualFold(c.wanted, c.found) {
			return false
		}
	}
	if t.filter.GetStrategyId()+t.filter.GetPositionId()+t.filter.GetOrderId() == "" {
		return true
	}
	key, keyErr := event.ParseStreamKey(e.GetStreamKey())
	_, payload, err := event.Of(e.GetPayload())
	if keyErr != nil || err != nil {
		return false
	}
	about := event.SubjectsOf(key, payload)
	for _, c := range []struct {
		wanted string
		found  uuid.UUID
	}{{t.filter.GetStrategyId(), about.StrategyID}, {t.filter.GetPositionId(), about.PositionID}, {t.filter.GetOrderId(), about.OrderID}} {
		if c.wanted != "" && !strings.EqualFold(c.wanted, c.found.String()) {
			return false
		}
	}
	return true
}
