package server

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

type stream = grpc.ServerStreamingClient[eventlogv1.SubscribeResponse]

// receive gives the events up to the next CaughtUp, and its position.
func receive(t *testing.T, s stream) ([]*eventv1.Event, int64) {
	t.Helper()
	var events []*eventv1.Event
	for {
		m, err := s.Recv()
		require.NoError(t, err)
		if m.GetCaughtUp() != nil {
			return events, m.GetCaughtUp().GetPosition()
		}
		events = append(events, m.GetEvent())
	}
}

func TestRead_Subscribe(t *testing.T) {
	t.Parallel()

	t.Run("sends the log, then what is committed here or elsewhere", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{PageSize: 7})
		there := len(b.log.Records)
		s, err := b.read("projector").Subscribe(b.ctx(t), &eventlogv1.SubscribeRequest{AfterPosition: 2})
		require.NoError(t, err)
		events, position := receive(t, s)
		requireSame(t, contract(t, b.log.Records[2:]), events)
		require.Equal(t, int64(there), position)

		require.NoError(t, b.log.Write(t.Context(), b.more, b.rng)) // As another process: found by asking for the head.
		for _, want := range contract(t, b.log.Records[there:]) {
			m, err := s.Recv()
			require.NoError(t, err)
			requireSame(t, want, m.GetEvent())
		}
	})

	t.Run("own commits come at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{PollEvery: time.Hour})
		s, err := b.read("reader").Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
		require.NoError(t, err)
		_, position := receive(t, s)
		require.NoError(t, b.log.Write(t.Context(), b.more[:1], b.rng))
		b.hub.Committed(b.log.Tenant, b.log.Committed(position))
		m, err := s.Recv()
		require.NoError(t, err)
		requireSame(t, contract(t, b.log.Records[position:])[0], m.GetEvent())
	})

	t.Run("a filter lets through what it says, and how far it has looked is told", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{CaughtUpEvery: 10 * time.Millisecond})
		kinds := &eventlogv1.SubscribeRequest{StreamKinds: []string{"tenant"}, EventTypes: []string{"TENANT_CREATED"}}
		s, err := b.read("reader").Subscribe(t.Context(), kinds)
		require.NoError(t, err)
		events, position := receive(t, s)
		requireSame(t, contract(t, b.log.Records[:1]), events)
		require.Equal(t, int64(len(b.log.Records)), position)
		require.NoError(t, b.log.Write(t.Context(), b.more[:2], b.rng))
		for position < int64(len(b.log.Records)) {
			events, position = receive(t, s)
			require.Empty(t, events)
		}
		account := b.log.Subjects[1].AccountID
		s, err = b.read("reader").Subscribe(t.Context(), &eventlogv1.SubscribeRequest{AccountId: account.String()})
		require.NoError(t, err)
		events, _ = receive(t, s)
		count := 0
		for i := range b.log.Records {
			if b.log.Subjects[i].AccountID == account {
				require.Equal(t, b.log.Records[i].Position, events[count].GetPosition())
				count++
			}
		}
		require.Len(t, events, count)
	})

	t.Run("another tenant's events do not come", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		s, err := b.read("command").Subscribe(identity.WithTenant(t.Context(), uuid.New()), &eventlogv1.SubscribeRequest{})
		require.NoError(t, err)
		events, position := receive(t, s)
		require.Empty(t, events)
		require.Zero(t, position)
	})

	t.Run("a position ahead of the log is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		for _, after := range []int64{int64(len(b.log.Records)) + 1, 1<<63 - 1} {
			for _, kinds := range [][]string{nil, {"order"}} {
				s, err := b.read("reader").Subscribe(t.Context(), &eventlogv1.SubscribeRequest{AfterPosition: after, StreamKinds: kinds})
				require.NoError(t, err)
				_, err = s.Recv()
				require.True(t, fault.Is(err, fault.Refused), "%v", err)
				require.Equal(t, "POSITION_AHEAD", fault.ReasonOf(err))
			}
		}
	})

	t.Run("one too many is told to come later", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{SubscribersMax: 1})
		client := b.read("reader")
		s, err := client.Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
		require.NoError(t, err)
		receive(t, s)
		s, err = client.Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
		require.NoError(t, err)
		_, err = s.Recv()
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		require.Positive(t, fault.As(err).RetryAfter)
	})
}

// TestRead_Subscribe_too_slow fills the window of a receiver who reads nothing: he is left, which makes room for others, and is
// told why after what was under way.
func TestRead_Subscribe_too_slow(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{SendMax: 100 * time.Millisecond, SubscribersMax: 1})
	for len(b.log.Records) < 3000 { // Some 3 MB: more than a stream's window and buffers hold.
		require.NoError(t, b.log.Write(t.Context(), b.more, b.rng))
	}
	client := b.read("reader")
	s, err := client.Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
	require.NoError(t, err)
	first, err := s.Recv()
	require.NoError(t, err)
	require.EqualValues(t, 1, first.GetEvent().GetPosition())
	for { // There is room for one: another is let in once the first has been left.
		other, err := client.Subscribe(t.Context(), &eventlogv1.SubscribeRequest{})
		require.NoError(t, err)
		if _, err = other.Recv(); err == nil {
			break
		}
		require.Equal(t, "TOO_MANY_SUBSCRIBERS", fault.ReasonOf(err), "%v", err)
	}
	last := int64(1)
	for {
		m, err := s.Recv()
		if err != nil {
			require.Equal(t, "SUBSCRIBER_TOO_SLOW", fault.ReasonOf(err), "%v", err)
			require.True(t, fault.Is(err, fault.Exhausted))
			break
		}
		last++
		require.Equal(t, last, m.GetEvent().GetPosition())
	}
	require.Less(t, last, int64(len(b.log.Records)))
}
