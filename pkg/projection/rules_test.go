package projection_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestRules_declare_every_event_type(t *testing.T) {
	t.Parallel()
	require.Len(t, event.All(), 44)
	for _, descriptor := range event.All() {
		require.True(t, projection.Folds(descriptor.Type), descriptor.Type)
	}
	require.False(t, projection.Folds("ORDER_INVENTED"))
}

// Law 6: facts are never refused, whatever the state; not even by one that knows nothing.
func TestCheck_never_refuses_facts(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "closed")
	intent := s.Intent(s.plan.EntryID())
	empty := &projection.Memory{}
	for _, payload := range []proto.Message{
		s.Ack(intent, 1), s.Rejected(intent, 1), s.Canceled(intent, 1, "9"), s.Expired(intent, 1, "9"),
		s.Fill(intent, 1, projectiontest.Trade{ID: "x", Price: "-1", Quantity: "-1"}), s.Uncertain(intent, 1, "place"),
		s.Sample("x", "USDT", "-1"),
	} {
		require.NoError(t, projection.Check(s.State, s.Next(payload)))
		require.NoError(t, projection.Check(empty, s.Next(payload)))
		_, err := projection.Fold(empty, s.Next(payload))
		require.NoError(t, err)
	}
}

func TestCheck_an_event_in_the_wrong_place(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	ack := s.Ack(s.Intent(s.plan.EntryID()), 1)
	tests := []struct {
		name   string
		change func(e *projection.Event)
		field  string
	}{
		{"another order's stream", func(e *projection.Event) { e.StreamKey = "order:" + uuid.NewString() }, "order_id"},
		{"a position's stream", func(e *projection.Event) { e.StreamKey = "position:" + ack.GetOrderId() }, "stream_key"},
		{"no stream", func(e *projection.Event) { e.StreamKey = "order" }, "stream_key"},
		{"an unknown type", func(e *projection.Event) { e.Type = "ORDER_INVENTED" }, "payload"},
		{"no payload", func(e *projection.Event) { e.Payload = nil }, "payload"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			next := s.Next(ack)
			test.change(&next)
			e := fault.As(projection.Check(s.State, next))
			require.NotNil(t, e)
			require.Equal(t, fault.Invalid, e.Kind)
			require.Equal(t, test.field, e.Fields[0].Path)
		})
	}
	t.Run("another tenant's stream", func(t *testing.T) {
		t.Parallel()
		created := s.Next(&eventv1.TenantCreated{TenantId: uuid.NewString()})
		created.StreamKey = "tenant:" + created.Payload.(*eventv1.TenantCreated).GetTenantId()
		require.Equal(t, fault.Invalid, fault.KindOf(projection.Check(s.State, created)))
	})
	t.Run("not first in its stream", func(t *testing.T) {
		t.Parallel()
		plan := projectiontest.Long("z")
		plan.Symbol = "ETHUSDT"
		next := s.Next(s.Armed(plan))
		next.Seq = 2
		require.Equal(t, "STREAM_EXISTS", fault.ReasonOf(projection.Check(s.State, next)))
	})
}

// Law 11: what cannot be folded stops whoever folds, and leaves the state as it was.
func TestFold_stops_at_what_it_does_not_understand(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	unknown := s.Next(s.Ack(s.Intent(s.plan.EntryID()), 1))
	unknown.Type = "ORDER_INVENTED"
	mistyped := s.Next(s.Sample("1", "USDT", "1"))
	mistyped.Type = "ORDER_ACKED"
	unreadable := s.Next(s.Sample("1", "USDT", "one"))
	badID := s.Next(s.Ack(s.Intent(s.plan.EntryID()), 1))
	badID.Payload.(*eventv1.OrderAcked).AccountId = "x"
	homeless := s.Next(s.Opened(projectiontest.Long("none"), "1", "1"))
	twice := s.Next(s.Claim(s.plan.EntryID(), 1))
	undecided := s.Next(s.Entry(projectiontest.Long("none")))
	for _, next := range []projection.Event{unknown, mistyped, unreadable, badID, homeless, twice, undecided} {
		before := s.State.Render()
		_, err := projection.Fold(s.State, next)
		require.True(t, fault.Is(err, fault.Corrupt), "%s: %v", next.Type, err)
		require.Equal(t, before, s.State.Render())
	}
	err := projection.Check(s.State, changedEvent(s.Next(s.Passed(s.plan)), func(e *projection.Event) {
		e.Payload.(*eventv1.RiskCheckPassed).DecisionId = "x"
	}))
	require.True(t, fault.Is(err, fault.Invalid))
}

func changedEvent(e projection.Event, change func(*projection.Event)) projection.Event {
	change(&e)
	return e
}

func TestReads(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "active")
	id := s.plan.PositionID()
	for kind, want := range map[projection.ReadKind]projection.Key{
		projection.ReadPosition: projection.PositionKey(id), projection.ReadOrder: projection.OrderKey(id),
		projection.ReadAccountRisk: projection.RiskKey(id, uuid.Nil), projection.ReadStrategy: projection.StrategyKey(id),
	} {
		key, known := projection.ReadKey(kind, id)
		require.True(t, known)
		require.Equal(t, want, key)
	}
	_, known := projection.ReadKey(9, id)
	require.False(t, known)

	head := int64(len(s.Events))
	risk := projection.RiskKey(projectiontest.Spot, uuid.Nil)
	at, changed, err := projection.ChangedSince(s.State, risk, head)
	require.NoError(t, err)
	require.False(t, changed)
	add(t, s.Log, s.Sample("1", "USDT", "5")) // A sample disturbs nobody.
	again, _, err := projection.ChangedSince(s.State, risk, head)
	require.NoError(t, err)
	require.Equal(t, at, again)
	add(t, s.Log, s.StopMoved(s.plan, "93500", "94000", "95500")) // Less risk: whoever decides on it must know.
	now, changed, err := projection.ChangedSince(s.State, risk, head)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, head+2, now)
	absent, changed, err := projection.ChangedSince(s.State, projection.PositionKey(uuid.New()), 0)
	require.NoError(t, err)
	require.False(t, changed)
	require.Zero(t, absent)
	_, _, err = projection.ChangedSince(&projection.Cache{}, risk, 0)
	var missing *projection.Missing
	require.ErrorAs(t, err, &missing)
}
