package server

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

// contract shows records as the contract does.
func contract(t *testing.T, records []event.Record) []*eventv1.Event {
	t.Helper()
	out := make([]*eventv1.Event, len(records))
	for i := range records {
		e, err := records[i].ToProto()
		require.NoError(t, err)
		out[i] = e
	}
	return out
}

func requireSame(t *testing.T, want, got any) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
}

func TestRead(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	client := b.read("reader")
	all := contract(t, b.log.Records)
	last := b.log.Records[len(b.log.Records)-1]

	t.Run("GetHead", func(t *testing.T) {
		t.Parallel()
		got, err := client.GetHead(t.Context(), &eventlogv1.GetHeadRequest{})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.GetHeadResponse{
			Position: last.Position, EventId: last.EventID.String(), IngestedAt: timestamppb.New(last.IngestedAt), Hash: hex.EncodeToString(last.Hash[:]),
		}, got)
		_, err = b.read("stranger").GetHead(t.Context(), &eventlogv1.GetHeadRequest{})
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
		require.Equal(t, "TENANT_NOT_FOUND", fault.ReasonOf(err))
	})

	t.Run("GetHead of a log without events", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		_, err := b.owner.Exec(t.Context(), "update tenant_log set last_position = 0, last_event_id = $1, last_hash = $2", uuid.Nil, make([]byte, 32))
		require.NoError(t, err)
		got, err := b.read("reader").GetHead(t.Context(), &eventlogv1.GetHeadRequest{})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.GetHeadResponse{Hash: strings.Repeat("0", 64)}, got)
	})

	t.Run("GetEvent", func(t *testing.T) {
		t.Parallel()
		for _, want := range all {
			got, err := client.GetEvent(t.Context(), &eventlogv1.GetEventRequest{EventId: want.GetEventId()})
			require.NoError(t, err)
			requireSame(t, want, got.GetEvent())
		}
		_, err := b.read("stranger").GetEvent(t.Context(), &eventlogv1.GetEventRequest{EventId: all[0].GetEventId()})
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	})

	t.Run("what is read over the contract continues the chain", func(t *testing.T) {
		t.Parallel()
		page, err := client.ReadLog(t.Context(), &eventlogv1.ReadLogRequest{PageSize: 1000})
		require.NoError(t, err)
		chain := &event.Chain{}
		for _, e := range page.GetEvents() {
			record, _, err := event.FromProto(e)
			require.NoError(t, err)
			require.NoError(t, chain.Next(record))
		}
		require.Equal(t, last.Hash, chain.Hash())
	})

	t.Run("GetCommand", func(t *testing.T) {
		t.Parallel()
		command := b.read("command")
		for _, want := range b.log.Receipts {
			got, err := command.GetCommand(b.ctx(t), &eventlogv1.GetCommandRequest{CommandId: want.Command.String()})
			require.NoError(t, err)
			requireSame(t, response(intake.Answer{Receipt: want, Duplicate: true}), got.GetReceipt())
			require.Equal(t, want.Digest[:], got.GetRequestDigest())
		}
		_, err := command.GetCommand(b.ctx(t), &eventlogv1.GetCommandRequest{CommandId: uuid.NewString()})
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	})

	t.Run("ReadLog", func(t *testing.T) {
		t.Parallel()
		var got []*eventv1.Event
		request := &eventlogv1.ReadLogRequest{PageSize: 3, Direction: eventlogv1.Direction_DIRECTION_BACKWARDS}
		for {
			page, err := client.ReadLog(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, last.Position, page.GetLastPosition())
			got = append(got, page.GetEvents()...)
			if request.FromPosition = page.GetNextPosition(); request.GetFromPosition() == 0 {
				break
			}
		}
		for i := range got {
			requireSame(t, all[len(all)-1-i], got[i])
		}
		require.Len(t, got, len(all))
	})

	t.Run("ReadStream", func(t *testing.T) {
		t.Parallel()
		var want []*eventv1.Event
		for _, e := range all {
			if e.GetStreamKey() == all[5].GetStreamKey() {
				want = append(want, e)
			}
		}
		page, err := client.ReadStream(t.Context(), &eventlogv1.ReadStreamRequest{StreamKey: all[5].GetStreamKey()})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.ReadStreamResponse{Events: want, LastSeq: int64(len(want))}, page)
		page, err = client.ReadStream(t.Context(), &eventlogv1.ReadStreamRequest{StreamKey: "order:" + uuid.NewString()})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.ReadStreamResponse{}, page)
	})

	t.Run("QueryEvents", func(t *testing.T) {
		t.Parallel()
		filter := &eventlogv1.EventFilter{TraceId: all[0].GetTraceId(), Since: all[0].GetIngestedAt()}
		var want, got []*eventv1.Event
		for _, e := range all {
			if e.GetTraceId() == filter.GetTraceId() {
				want = append(want, e)
			}
		}
		request := &eventlogv1.QueryEventsRequest{Filter: filter, PageSize: 2}
		for {
			page, err := client.QueryEvents(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, last.Position, page.GetAsOf())
			got = append(got, page.GetEvents()...)
			if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
				break
			}
		}
		requireSame(t, want, got)
		page, err := client.QueryEvents(t.Context(), &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{CausationId: all[0].GetEventId()}})
		require.NoError(t, err)
		for _, e := range page.GetEvents() {
			require.Equal(t, all[0].GetEventId(), e.GetCausationId())
		}
		page, err = client.QueryEvents(t.Context(), &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{Until: &timestamppb.Timestamp{Seconds: -62135596800}}})
		require.NoError(t, err)
		require.Empty(t, page.GetEvents(), "nothing is before the year 1")
	})

	t.Run("ListTenants", func(t *testing.T) {
		t.Parallel()
		got, err := b.read("connector").ListTenants(t.Context(), &eventlogv1.ListTenantsRequest{})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.ListTenantsResponse{TenantIds: []string{b.log.Tenant.String()}}, got)
		_, err = client.ListTenants(t.Context(), &eventlogv1.ListTenantsRequest{})
		require.True(t, fault.Is(err, fault.Denied), "%v", err)
	})
}

func TestRead_refusals(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	client := b.read("reader")
	ctx := t.Context()

	for field, ask := range map[string]func() error{
		"event_id": func() error {
			_, err := client.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: "x"})
			return err
		},
		"command_id": func() error {
			_, err := client.GetCommand(ctx, &eventlogv1.GetCommandRequest{CommandId: "x"})
			return err
		},
		"stream_key": func() error {
			_, err := client.ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: "order:x"})
			return err
		},
		"page_size": func() error {
			_, err := client.ReadLog(ctx, &eventlogv1.ReadLogRequest{PageSize: 1001})
			return err
		},
		"from_position": func() error {
			_, err := client.ReadLog(ctx, &eventlogv1.ReadLogRequest{FromPosition: -1})
			return err
		},
		"filter": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{}})
			return err
		},
		"filter.descendants": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{Descendants: true, TraceId: uuid.NewString()}})
			return err
		},
		"filter.until": func() error {
			at := timestamppb.Now()
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{Since: at, Until: at}})
			return err
		},
		"filter.event_types[1]": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{EventTypes: []string{"ORDER_ACKED", "ORDER_ACKD"}}})
			return err
		},
		"filter.order_id": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{OrderId: "x"}})
			return err
		},
		"filter.since": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{Since: &timestamppb.Timestamp{Nanos: -1}}})
			return err
		},
		"page_token": func() error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{OrderId: uuid.NewString()}, PageToken: "x"})
			return err
		},
		"event_types[0]": func() error {
			stream, err := client.Subscribe(ctx, &eventlogv1.SubscribeRequest{EventTypes: []string{"NO_SUCH_TYPE"}})
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		},
		"stream_kinds[0]": func() error {
			stream, err := client.Subscribe(ctx, &eventlogv1.SubscribeRequest{StreamKinds: []string{"orders"}})
			require.NoError(t, err)
			_, err = stream.Recv()
			return err
		},
	} {
		err := ask()
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", field, err)
		require.Equal(t, field, fault.As(err).Fields[0].Path)
	}

	t.Run("who may not read gets nothing", func(t *testing.T) {
		for token, kind := range map[string]fault.Kind{"": fault.Unauthenticated, "nobody": fault.Unauthenticated, "auditor": fault.Denied, "eventlog": fault.Denied} {
			ctx := t.Context()
			if token == "eventlog" {
				ctx = b.ctx(t)
			}
			_, err := b.read(token).ReadLog(ctx, &eventlogv1.ReadLogRequest{})
			require.True(t, fault.Is(err, kind), "%q: %v", token, err)
		}
		page, err := b.read("stranger").ReadLog(t.Context(), &eventlogv1.ReadLogRequest{})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.ReadLogResponse{}, page)
		_, err = b.read("stranger").ReadLog(b.ctx(t), &eventlogv1.ReadLogRequest{})
		require.True(t, fault.Is(err, fault.Denied), "%v", err)
	})
}

// TestLaw11_an_event_that_cannot_be_read_stops_every_read: what is damaged is told by its position, and nothing is given in
// its place.
func TestLaw11_an_event_that_cannot_be_read_stops_every_read(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	damaged := b.log.Records[3]
	_, err := b.owner.Exec(t.Context(), "alter table event_log disable trigger all")
	require.NoError(t, err)
	month := "event_log_" + damaged.IngestedAt.Format("2006_01")
	_, err = b.owner.Exec(t.Context(), "alter table "+month+" disable trigger all")
	require.NoError(t, err)
	_, err = b.owner.Exec(t.Context(), "update "+month+" set event_type = 'FROM_THE_FUTURE' where position = 4")
	require.NoError(t, err)
	client := b.read("reader")
	for name, ask := range map[string]func(context.Context) error{
		"event": func(ctx context.Context) error {
			_, err := client.GetEvent(ctx, &eventlogv1.GetEventRequest{EventId: damaged.EventID.String()})
			return err
		},
		"log": func(ctx context.Context) error {
			_, err := client.ReadLog(ctx, &eventlogv1.ReadLogRequest{})
			return err
		},
		"stream": func(ctx context.Context) error {
			_, err := client.ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: damaged.StreamKey})
			return err
		},
		"query": func(ctx context.Context) error {
			_, err := client.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: &eventlogv1.EventFilter{CommandId: damaged.CommandID.String()}})
			return err
		},
		"subscription": func(ctx context.Context) error {
			stream, err := client.Subscribe(ctx, &eventlogv1.SubscribeRequest{})
			require.NoError(t, err)
			for position := int64(1); ; position++ {
				m, err := stream.Recv()
				if err != nil {
					require.EqualValues(t, 4, position, "those before it were sent")
					return err
				}
				require.Equal(t, position, m.GetEvent().GetPosition())
			}
		},
	} {
		err := ask(t.Context())
		require.True(t, fault.Is(err, fault.Corrupt), "%s: %v", name, err)
		require.Equal(t, "EVENT_TYPE_UNKNOWN", fault.ReasonOf(err), name)
		require.Equal(t, map[string]string{"position": "4"}, fault.As(err).Metadata, name)
	}
}
