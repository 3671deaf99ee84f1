package event_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestRecord_over_the_contract_and_back: a reader gets all that was hashed.
func TestRecord_over_the_contract_and_back(t *testing.T) {
	t.Parallel()
	chain := &event.Chain{}
	for _, record := range chained(t) {
		told, err := record.ToProto()
		require.NoError(t, err)
		require.Equal(t, string(record.Type), told.GetEventType())
		require.Len(t, told.GetEventId(), ulid.EncodedSize)
		require.True(t, strings.HasPrefix(told.GetIdempotencyKey(), "idem_"))
		wire, err := proto.Marshal(told)
		require.NoError(t, err)
		heard := &eventv1.Event{}
		require.NoError(t, proto.Unmarshal(wire, heard))
		back, message, err := event.FromProto(heard)
		require.NoError(t, err)
		back.OccurredAt, back.IngestedAt = back.OccurredAt.UTC(), back.IngestedAt.UTC()
		require.Equal(t, record, back)
		want, err := record.Message()
		require.NoError(t, err)
		require.True(t, proto.Equal(want, message))
		require.NoError(t, chain.Next(back))
	}
}

func TestRecord_ToProto_of_a_root(t *testing.T) {
	t.Parallel()
	told, err := chained(t)[0].ToProto()
	require.NoError(t, err)
	require.Empty(t, told.GetCausationId())
	require.Empty(t, told.GetWorkflowId())
	require.Equal(t, strings.Repeat("0", 64), told.GetPrevHash())

	unreadable := *chained(t)[0]
	unreadable.Payload = []byte("{")
	_, err = unreadable.ToProto()
	require.True(t, fault.Is(err, fault.Corrupt))
}

func TestFromProto_names_what_is_malformed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*eventv1.Event){
		"payload":                          func(e *eventv1.Event) { e.Payload = &eventv1.Payload{} },
		"payload.order_submitted.quantity": func(e *eventv1.Event) { e.GetPayload().GetOrderSubmitted().Quantity = "1e3" },
		"event_type":                       func(e *eventv1.Event) { e.EventType = "ORDER_ACKED" },
		"tenant_id":                        func(e *eventv1.Event) { e.TenantId = "x" },
		"trace_id":                         func(e *eventv1.Event) { e.TraceId = "x" },
		"command_id":                       func(e *eventv1.Event) { e.CommandId = "x" },
		"workflow_id":                      func(e *eventv1.Event) { e.WorkflowId = "x" },
		"event_id":                         func(e *eventv1.Event) { e.EventId = "x" },
		"causation_id":                     func(e *eventv1.Event) { e.CausationId = "01JDFX2Q7M00000000000000U0" },
		"idempotency_key":                  func(e *eventv1.Event) { e.IdempotencyKey = "idem_x" },
		"idempotency_key without its name": func(e *eventv1.Event) { e.IdempotencyKey = e.GetIdempotencyKey()[5:] },
		"hash that is none":                func(e *eventv1.Event) { e.Hash = strings.Repeat("x", 64) },
		"prev_hash":                        func(e *eventv1.Event) { e.PrevHash = strings.Repeat("0", 62) },
		"hash":                             func(e *eventv1.Event) { e.Hash += "00" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told, err := chained(t)[0].ToProto()
			require.NoError(t, err)
			change(told)
			_, _, err = event.FromProto(told)
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			field, _, _ := strings.Cut(name, " ")
			require.Equal(t, field, fault.As(err).Fields[0].Path)
		})
	}
}

func TestSubjectsOf(t *testing.T) {
	t.Parallel()
	id := func(s string) uuid.UUID { return uuid.MustParse(s) }
	position := uuid.NewSHA1(tenant, []byte("position"))
	for name, test := range map[string]struct {
		stream  event.StreamKey
		payload proto.Message
		want    event.Subjects
	}{
		"the stream and what the payload names": {
			event.StreamKey{Kind: event.KindOrder, ID: id(anID)},
			&eventv1.FillReceived{OrderId: anID, AccountId: account.String(), PositionId: position.String()},
			event.Subjects{AccountID: account, PositionID: position, OrderID: id(anID)},
		},
		"the stream before the payload": {
			event.StreamKey{Kind: event.KindStrategy, ID: id(anID)}, &eventv1.StrategyDisabled{StrategyId: otherID}, event.Subjects{StrategyID: id(anID)},
		},
		"the tenant's own":     {event.StreamKey{Kind: event.KindTenant, ID: tenant}, &eventv1.TenantCreated{TenantId: tenant.String()}, event.Subjects{}},
		"nothing that is read": {event.StreamKey{Kind: event.KindAccount, ID: account}, &eventv1.ExchangeRequestFailed{OrderId: "x"}, event.Subjects{AccountID: account}},
	} {
		require.Equal(t, test.want, event.SubjectsOf(test.stream, test.payload), name)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	for _, descriptor := range event.All() {
		m := populated(t, descriptor)
		found, known := event.Lookup(descriptor.Type)
		require.True(t, known)
		require.Same(t, descriptor, found)
		payload := event.Wrap(m)
		of, inner, err := event.Of(payload)
		require.NoError(t, err)
		require.Same(t, descriptor, of)
		require.True(t, proto.Equal(m, inner))
		require.Equal(t, strings.ToLower(string(descriptor.Type)), descriptor.FieldName())
	}
	_, known := event.Lookup("ORDER_INVENTED")
	require.False(t, known)
	_, _, err := event.Of(nil)
	require.True(t, fault.Is(err, fault.Invalid))
	require.Panics(t, func() { event.Wrap(&eventv1.RiskCheck{}) })
	list := event.All()
	list[0] = nil
	require.NotNil(t, event.All()[0], "the list is the caller's own")
}

func TestEnumText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "stop_loss_limit", event.EnumText(eventv1.OrderType_ORDER_TYPE_STOP_LOSS_LIMIT))
	require.Equal(t, "http_5xx", event.EnumText(eventv1.UncertainCause_UNCERTAIN_CAUSE_HTTP_5XX))
	require.Empty(t, event.EnumText(eventv1.Side_SIDE_UNSPECIFIED))
	require.Empty(t, event.EnumText(eventv1.Side(99)))
	sides := eventv1.Side(0).Descriptor()
	require.EqualValues(t, eventv1.Side_SIDE_SELL, event.EnumNumber(sides, "sell"))
	require.Zero(t, event.EnumNumber(sides, "SELL"))
	require.Zero(t, event.EnumNumber(sides, ""))
	require.Equal(t, "exchange", event.EnumText(eventv1.ActorType_ACTOR_TYPE_EXCHANGE))
}
