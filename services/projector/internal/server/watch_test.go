package server

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/watch"
)

// oneGroup is a hub that tells all its rows of a table once: a reset, each row that meets the conditions or has left, and the
// point 40 of generation 1. Then it fails.
type oneGroup struct{ rows []projection.Row }

var errTold = fault.New(fault.Exhausted, "WATCHER_TOO_SLOW", "too slow").With("position", "40").With("generation", "1")

func (h oneGroup) Watch(ctx context.Context, tenant uuid.UUID, q watch.Query, to watch.Receiver) error {
	if q.After == nil {
		if err := to.Reset(head); err != nil {
			return err
		}
	}
	for _, row := range h.rows {
		if projection.TableOf(row) != q.Listing.Table() || row.Tenant() != tenant || !all(q.Lasting, row) {
			continue
		}
		tell := to.Row
		if !all(q.Passing, row) {
			tell = to.Left
		}
		if err := tell(head, row); err != nil {
			return err
		}
	}
	if err := to.Synced(head, 1); err != nil {
		return err
	}
	return errTold
}

func all(conditions []store.Condition, row projection.Row) bool {
	for _, c := range conditions {
		if !c.Holds(projection.TableOf(row), row) {
			return false
		}
	}
	return true
}

// watched is a response of any watch.
type watched interface {
	GetPosition() int64
	GetReset_() *projectorv1.WatchReset
	GetSynced() *projectorv1.WatchSynced
	ProtoReflect() protoreflect.Message
}

// receiveAll takes a stream to its end; it gives how many messages of each kind came.
func receiveAll[R watched](t *testing.T, recv func() (R, error)) (map[string]int, []R, error) {
	t.Helper()
	kinds := map[string]int{}
	var got []R
	for {
		m, err := recv()
		if err != nil {
			return kinds, got, err
		}
		require.EqualValues(t, head, m.GetPosition())
		kinds[string(m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().ByName("message")).Name())]++
		got = append(got, m)
	}
}

// TestWatch tells rows as the lists do, and points, in the contract's messages.
func TestWatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var rows []projection.Row
	for _, list := range b.rows {
		rows = append(rows, list...)
	}
	b.hub = oneGroup{rows: rows}
	client := projectorv1.NewWatchServiceClient(b.dial(t)("reader"))
	order, position := b.rows["Order"][0].(*projection.Order), b.rows["Position"][0].(*projection.Position)
	balance, risk := b.rows["Balance"][0].(*projection.Balance), b.rows["Risk"][0].(*projection.Risk)

	t.Run("orders", func(t *testing.T) {
		t.Parallel()
		stream, err := client.WatchOrders(t.Context(), &projectorv1.WatchOrdersRequest{})
		require.NoError(t, err)
		kinds, _, err := receiveAll(t, stream.Recv)
		require.Equal(t, map[string]int{"reset": 1, "row": 3, "synced": 1}, kinds)
		require.True(t, fault.Is(err, fault.Exhausted), "%v", err)
		require.Equal(t, map[string]string{"position": "40", "generation": "1"}, fault.As(err).Metadata, "the point to go on from")

		stream, err = client.WatchOrders(t.Context(), &projectorv1.WatchOrdersRequest{OrderId: order.OrderID.String(), After: &projectorv1.WatchPoint{Position: 3, Generation: 1}})
		require.NoError(t, err)
		kinds, got, _ := receiveAll(t, stream.Recv)
		require.Equal(t, map[string]int{"row": 1, "synced": 1}, kinds)
		want, err := message[*projectorv1.Order](b.State, order)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got[0].GetRow(), protocmp.Transform()))
		require.EqualValues(t, 1, got[1].GetSynced().GetPoint().GetGeneration())
	})

	t.Run("positions that are in other states have left", func(t *testing.T) {
		t.Parallel()
		other := projectorv1.PositionState_POSITION_STATE_ARMED
		if position.State == projection.PositionArmed {
			other = projectorv1.PositionState_POSITION_STATE_ACTIVE
		}
		stream, err := client.WatchPositions(t.Context(), &projectorv1.WatchPositionsRequest{PositionId: position.PositionID.String(), States: []projectorv1.PositionState{other}})
		require.NoError(t, err)
		kinds, got, _ := receiveAll(t, stream.Recv)
		require.Equal(t, map[string]int{"reset": 1, "left": 1, "synced": 1}, kinds)
		require.Equal(t, position.PositionID.String(), got[1].GetLeft())
	})

	t.Run("balances and risk states", func(t *testing.T) {
		t.Parallel()
		balances, err := client.WatchBalances(t.Context(), &projectorv1.WatchBalancesRequest{AccountId: balance.AccountID.String()})
		require.NoError(t, err)
		kinds, _, _ := receiveAll(t, balances.Recv)
		require.Equal(t, map[string]int{"reset": 1, "row": 1, "synced": 1}, kinds)
		risks, err := client.WatchRiskStates(t.Context(), &projectorv1.WatchRiskStatesRequest{AccountId: risk.AccountID.String(), StrategyId: risk.StrategyID.String()})
		require.NoError(t, err)
		kinds, _, _ = receiveAll(t, risks.Recv)
		require.Equal(t, map[string]int{"reset": 1, "row": 1, "synced": 1}, kinds)
	})

	t.Run("a wrong request names its field", func(t *testing.T) {
		t.Parallel()
		for field, request := range map[string]*projectorv1.WatchOrdersRequest{
			"order_id": {OrderId: "x"}, "initial_size": {InitialSize: 1001}, "after.position": {After: &projectorv1.WatchPoint{Position: -1}}, "symbol": {Symbol: "x y"},
		} {
			stream, err := client.WatchOrders(t.Context(), request)
			require.NoError(t, err)
			_, _, err = receiveAll(t, stream.Recv)
			require.True(t, fault.Is(err, fault.Invalid), "%s: %v", field, err)
			require.Equal(t, field, fault.As(err).Fields[0].Path)
		}
	})

	t.Run("who may not read watches nothing", func(t *testing.T) {
		t.Parallel()
		for token, kind := range map[string]fault.Kind{"": fault.Unauthenticated, "auditor": fault.Denied, "eventlog": fault.Denied} {
			ctx := t.Context()
			if token == "eventlog" {
				ctx = identity.WithTenant(ctx, b.tenant)
			}
			stream, err := projectorv1.NewWatchServiceClient(b.dial(t)(token)).WatchBalances(ctx, &projectorv1.WatchBalancesRequest{})
			require.NoError(t, err)
			_, _, err = receiveAll(t, stream.Recv)
			require.True(t, fault.Is(err, kind), "%q: %v", token, err)
		}
		stream, err := projectorv1.NewWatchServiceClient(b.dial(t)("stranger")).WatchBalances(t.Context(), &projectorv1.WatchBalancesRequest{})
		require.NoError(t, err)
		kinds, _, _ := receiveAll(t, stream.Recv)
		require.Equal(t, map[string]int{"reset": 1, "synced": 1}, kinds, "another tenant's reader sees no row")
	})
}
