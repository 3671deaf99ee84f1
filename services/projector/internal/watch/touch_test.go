package watch

import (
	"maps"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestTouched_names_all_that_the_fold_changes: of every history, each position and order that an event changes is among those
// that the event names, or those that named orders and intents belong to. Watching stands on it.
func TestTouched_names_all_that_the_fold_changes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log, err := projectiontest.Random(t, 60)
		require.NoError(t, err)
		state := &projection.Memory{}
		for _, e := range log.Events {
			before := state.Render()
			_, err := projection.Fold(state, e)
			require.NoError(t, err)
			names := newTouched()
			names.event(&eventv1.Event{StreamKey: e.StreamKey, Payload: event.Wrap(e.Payload)})
			positions := reached(state, names)
			for key, now := range state.Render() {
				if before[key] == now {
					continue
				}
				row, err := state.Get(key)
				require.NoError(t, err)
				switch r := row.(type) {
				case *projection.Position:
					require.True(t, positions[r.PositionID], "%s changes %s", e.Type, key)
				case *projection.Order:
					require.True(t, names.orders[r.OrderID], "%s changes %s", e.Type, key)
				}
			}
		}
	})
}

// reached are the positions that are named, and those of named orders and intents, as the store finds them.
func reached(state *projection.Memory, names *touched) map[uuid.UUID]bool {
	out := maps.Clone(names.positions)
	for _, row := range state.Rows() {
		switch r := row.(type) {
		case *projection.Order:
			if names.orders[r.OrderID] && r.PositionID.Valid {
				out[r.PositionID.UUID] = true
			}
		case *projection.Intent:
			if names.intents[r.IntentID] && r.PositionID.Valid {
				out[r.PositionID.UUID] = true
			}
		}
	}
	return out
}

// TestTouched_takes_ids_by_the_names_of_fields, in lists too, and leaves the venue's.
func TestTouched_takes_ids_by_the_names_of_fields(t *testing.T) {
	t.Parallel()
	id := func() string { return uuid.NewString() }
	closed := &eventv1.PositionClosed{PositionId: id(), ExitOrderIds: []string{id(), id()}}
	acked := &eventv1.OrderAcked{OrderId: id(), ClientOrderId: "rb-x", ExchangeOrderId: "77"}
	intent := &eventv1.IntentCreated{IntentId: id(), CancelsOrderId: id(), PositionId: id()}
	names := newTouched()
	names.event(&eventv1.Event{StreamKey: "position:" + closed.GetPositionId(), Payload: event.Wrap(closed)})
	names.event(&eventv1.Event{StreamKey: "order:" + acked.GetOrderId(), Payload: event.Wrap(acked)})
	names.event(&eventv1.Event{StreamKey: "account:" + id(), Payload: event.Wrap(intent)})
	names.event(&eventv1.Event{StreamKey: "tenant:" + id()})
	lists := names.lists()
	require.Len(t, lists.Positions, 2)
	require.Len(t, lists.Orders, 4)
	require.Len(t, lists.Intents, 1)
	require.Equal(t, 7, names.size())
}
