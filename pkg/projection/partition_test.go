package projection_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// byAccount deals the events of a log out to their accounts.
func byAccount(t require.TestingT, events []projection.Event) map[uuid.UUID][]projection.Event {
	parts, dealt := projection.Partitions{}, map[uuid.UUID][]projection.Event{}
	for i := range events {
		account, ok := parts.Of(&events[i])
		require.True(t, ok, "%s at position %d", events[i].Type, events[i].Position)
		dealt[account] = append(dealt[account], events[i])
	}
	return dealt
}

// Accounts do not meet: folded apart they come to the rows of the whole, each to its own; and folded together in any
// interleaving they come to the same.
func TestProperty_accounts_fold_apart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := random(t)
		dealt := byAccount(t, log.Events)
		whole := log.State.Render()

		union := map[projection.Key]string{}
		for account, events := range dealt {
			part, err := projectiontest.Replay(events)
			require.NoError(t, err)
			for key, row := range part.Render() {
				require.NotContains(t, union, key, "%s belongs to %s and to another", key, account)
				union[key] = row
			}
		}
		if diff := cmp.Diff(whole, union); diff != "" {
			t.Fatal(diff)
		}

		var left [][]projection.Event
		for _, account := range []uuid.UUID{uuid.Nil, projectiontest.Spot, projectiontest.Margin} {
			left = append(left, dealt[account])
			delete(dealt, account)
		}
		require.Empty(t, dealt)
		together := &projection.Memory{}
		for range log.Events {
			next := rapid.IntRange(0, len(left)-1).Draw(t, "next")
			for len(left[next]) == 0 {
				next = (next + 1) % len(left)
			}
			_, err := projection.Fold(together, left[next][0])
			require.NoError(t, err)
			left[next] = left[next][1:]
		}
		if diff := cmp.Diff(whole, together.Render()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPartitions_deal_many_accounts_out(t *testing.T) {
	t.Parallel()
	log, err := projectiontest.Lives(7, 20)
	require.NoError(t, err)
	dealt := byAccount(t, log.Events)
	require.Len(t, dealt, 8)
	require.Len(t, dealt[uuid.Nil], 1)
}

// A report may contradict what is known of its order. It must then not be folded apart: it would make rows in the wrong
// place.
func TestPartitions_know_what_crosses(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	parts := projection.Partitions{}
	for i := range s.Events {
		_, ok := parts.Of(&s.Events[i])
		require.True(t, ok)
	}
	intent := s.Intent(s.plan.EntryID())
	fill := s.Fill(intent, 1, projectiontest.Trade{ID: "t", Price: "95000", Quantity: "0.01"})
	own := s.Next(fill)
	account, ok := parts.Of(&own)
	require.True(t, ok)
	require.Equal(t, s.plan.Account, account)

	fill.AccountId = projectiontest.Margin.String()
	crossing := s.Next(fill)
	_, ok = parts.Of(&crossing)
	require.False(t, ok, "a trade of one account for an order of another")

	own = s.Next(s.RunFound("run", "balance:spot/USDT", eventv1.Resolution_RESOLUTION_OBSERVED))
	_, ok = parts.Of(&own)
	require.True(t, ok)
	run := s.Reconciled("run")
	run.AccountId = projectiontest.Margin.String()
	crossing = s.Next(run)
	_, ok = parts.Of(&crossing)
	require.False(t, ok, "one account's end of a run, and another's discrepancy")

	nobody := s.Next(&eventv1.TrailingStopUpdated{PositionId: projectiontest.ID("nobody's").String()})
	_, ok = parts.Of(&nobody)
	require.False(t, ok, "a position that nobody armed")

	nowhere := own
	nowhere.StreamKey = "moon:1"
	_, ok = parts.Of(&nowhere)
	require.False(t, ok, "a stream of no kind")
}
