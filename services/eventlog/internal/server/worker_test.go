package server

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func TestWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, subscription.Config{})
	client, other := b.workers("command"), b.workers("connector")

	t.Run("checkpoints move forward, for each service and tenant alone", func(t *testing.T) {
		t.Parallel()
		none, err := client.GetCheckpoint(b.ctx(t), &eventlogv1.GetCheckpointRequest{Name: "process-manager"})
		require.NoError(t, err)
		requireSame(t, &eventlogv1.GetCheckpointResponse{}, none)
		for _, value := range []int64{5, 3, 7} {
			saved, err := client.SaveCheckpoint(b.ctx(t), &eventlogv1.SaveCheckpointRequest{Name: "process-manager", Value: value})
			require.NoError(t, err)
			require.Equal(t, max(value, 5), saved.GetValue())
		}
		got, err := client.GetCheckpoint(b.ctx(t), &eventlogv1.GetCheckpointRequest{Name: "process-manager"})
		require.NoError(t, err)
		require.EqualValues(t, 7, got.GetValue())
		require.NotNil(t, got.GetSavedAt())
		for _, ask := range []func() (*eventlogv1.GetCheckpointResponse, error){
			func() (*eventlogv1.GetCheckpointResponse, error) {
				return other.GetCheckpoint(b.ctx(t), &eventlogv1.GetCheckpointRequest{Name: "process-manager"})
			},
			func() (*eventlogv1.GetCheckpointResponse, error) {
				return client.GetCheckpoint(identity.WithTenant(t.Context(), uuid.New()), &eventlogv1.GetCheckpointRequest{Name: "process-manager"})
			},
		} {
			got, err := ask()
			require.NoError(t, err)
			require.Zero(t, got.GetValue())
		}
	})

	t.Run("a lease has one holder", func(t *testing.T) {
		t.Parallel()
		ask := func(holder string) *eventlogv1.AcquireLeaseResponse {
			got, err := client.AcquireLease(b.ctx(t), &eventlogv1.AcquireLeaseRequest{Name: "sweep", Holder: holder, TimeToLive: durationpb.New(time.Minute)})
			require.NoError(t, err)
			return got
		}
		one := ask("one")
		require.True(t, one.GetAcquired())
		two := ask("two")
		require.False(t, two.GetAcquired())
		require.Equal(t, "one", two.GetHolder())
		require.Equal(t, one.GetExpiresAt().AsTime(), two.GetExpiresAt().AsTime())
		_, err := client.ReleaseLease(b.ctx(t), &eventlogv1.ReleaseLeaseRequest{Name: "sweep", Holder: "one"})
		require.NoError(t, err)
		require.True(t, ask("two").GetAcquired())
	})

	t.Run("users and strange requests are refused", func(t *testing.T) {
		t.Parallel()
		_, err := b.workers("reader").GetCheckpoint(t.Context(), &eventlogv1.GetCheckpointRequest{Name: "x"})
		require.True(t, fault.Is(err, fault.Denied), "%v", err)
		_, err = NewWorker(b.store, b.hub).GetCheckpoint(t.Context(), &eventlogv1.GetCheckpointRequest{Name: "x"})
		require.True(t, fault.Is(err, fault.Denied), "%v", err)
		_, err = client.GetCheckpoint(b.ctx(t), &eventlogv1.GetCheckpointRequest{})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		_, err = client.AcquireLease(b.ctx(t), &eventlogv1.AcquireLeaseRequest{Name: "x", Holder: "y", TimeToLive: durationpb.New(time.Millisecond)})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, "time_to_live", fault.As(err).Fields[0].Path)
		_, err = client.SaveCheckpoint(t.Context(), &eventlogv1.SaveCheckpointRequest{Name: "x"})
		require.True(t, fault.Is(err, fault.Invalid), "a service must say for which tenant: %v", err)
	})
}
