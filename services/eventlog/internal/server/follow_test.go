package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func TestWorker_Follow(t *testing.T) {
	t.Parallel()

	t.Run("sends what comes after the saved checkpoint, then what is committed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{PageSize: 7})
		workers := b.workers("projector")
		_, err := workers.SaveCheckpoint(b.ctx(t), &eventlogv1.SaveCheckpointRequest{Name: "search", Value: 3})
		require.NoError(t, err)
		stream, err := workers.Follow(t.Context(), &eventlogv1.FollowRequest{Name: "search", Holder: "one"})
		require.NoError(t, err)
		receive := func() *eventlogv1.FollowResponse {
			m, err := stream.Recv()
			require.NoError(t, err)
			require.Equal(t, b.log.Tenant.String(), m.GetTenantId())
			return m
		}
		require.EqualValues(t, 3, receive().GetAssigned().GetCheckpoint())
		there := len(b.log.Records)
		for _, want := range contract(t, b.log.Records[3:]) {
			requireSame(t, want, receive().GetEvent())
		}
		require.EqualValues(t, there, receive().GetCaughtUp().GetPosition())
		require.NoError(t, b.log.Write(t.Context(), b.more, b.rng))
		for _, want := range contract(t, b.log.Records[there:]) {
			requireSame(t, want, receive().GetEvent())
		}
	})

	t.Run("a filter lets through what it says", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		stream, err := b.workers("command").Follow(t.Context(), &eventlogv1.FollowRequest{
			Name: "x", Holder: "one", EventTypes: []string{"TENANT_CREATED"}, StreamKinds: []string{"tenant"},
		})
		require.NoError(t, err)
		var events []*eventv1.Event
		for {
			m, err := stream.Recv()
			require.NoError(t, err)
			if m.GetEvent() != nil {
				events = append(events, m.GetEvent())
			}
			if m.GetCaughtUp() != nil {
				require.EqualValues(t, len(b.log.Records), m.GetCaughtUp().GetPosition())
				break
			}
		}
		requireSame(t, contract(t, b.log.Records[:1]), events)
	})

	t.Run("a tenant who cannot be followed is told with the reason", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		workers := b.workers("command")
		_, err := workers.SaveCheckpoint(b.ctx(t), &eventlogv1.SaveCheckpointRequest{Name: "x", Value: 9999})
		require.NoError(t, err)
		stream, err := workers.Follow(t.Context(), &eventlogv1.FollowRequest{Name: "x", Holder: "one"})
		require.NoError(t, err)
		m, err := stream.Recv()
		require.NoError(t, err)
		require.EqualValues(t, 9999, m.GetAssigned().GetCheckpoint())
		m, err = stream.Recv()
		require.NoError(t, err)
		require.Equal(t, "POSITION_AHEAD", m.GetRevoked().GetReason())
		require.Contains(t, m.GetRevoked().GetMessage(), "9999")
	})

	t.Run("who gives way is told without one", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{ShareEvery: 10 * time.Millisecond})
		workers := b.workers("command")
		first, err := workers.Follow(t.Context(), &eventlogv1.FollowRequest{Name: "x", Holder: "one"})
		require.NoError(t, err)
		_, err = first.Recv()
		require.NoError(t, err)
		// One tenant goes to whoever comes first by name. Whoever it is, one of the two has it.
		second, err := workers.Follow(t.Context(), &eventlogv1.FollowRequest{Name: "x", Holder: "many/../other"})
		require.NoError(t, err)
		m, err := second.Recv()
		require.NoError(t, err)
		require.NotNil(t, m.GetAssigned())
		for m.GetRevoked() == nil {
			m, err = first.Recv()
			require.NoError(t, err)
		}
		require.Empty(t, m.GetRevoked().GetReason())
	})

	t.Run("users and strange requests are refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t, subscription.Config{})
		for _, c := range []struct {
			token   string
			request *eventlogv1.FollowRequest
			kind    fault.Kind
		}{
			{"reader", &eventlogv1.FollowRequest{Name: "x", Holder: "y"}, fault.Denied},
			{"eventlog", &eventlogv1.FollowRequest{Name: "x", Holder: "y"}, fault.Denied},
			{"command", &eventlogv1.FollowRequest{Holder: "y"}, fault.Invalid},
			{"command", &eventlogv1.FollowRequest{Name: "x"}, fault.Invalid},
			{"command", &eventlogv1.FollowRequest{Name: "x", Holder: "y", EventTypes: []string{"NO_SUCH"}}, fault.Invalid},
			{"command", &eventlogv1.FollowRequest{Name: "x", Holder: "y", StreamKinds: []string{"ship"}}, fault.Invalid},
			{"command", &eventlogv1.FollowRequest{Name: "x", Holder: "y", TenantsMax: -1}, fault.Invalid},
		} {
			stream, err := b.workers(c.token).Follow(t.Context(), c.request)
			require.NoError(t, err)
			_, err = stream.Recv()
			require.True(t, fault.Is(err, c.kind), "%v: %v", c.request, err)
		}
	})
}
