package server

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/projector/internal/store"
	"github.com/robson/robson/services/projector/internal/watch"
)

// Watcher is what WatchService needs of the hub.
type Watcher interface {
	// Watch tells rows and their changes until the context or the receiver ends it.
	Watch(ctx context.Context, tenant uuid.UUID, q watch.Query, to watch.Receiver) error
}

// Watch serves WatchService.
type Watch struct {
	projectorv1.UnimplementedWatchServiceServer

	state *State
	hub   Watcher
}

// NewWatch makes the server; rows become messages as the state's do.
func NewWatch(state *State, hub Watcher) *Watch { return &Watch{state: state, hub: hub} }

// response is what all responses of one watch are made by.
type response[M, R proto.Message] struct {
	row    func(position int64, row M) R
	left   func(position int64, row M) R
	reset  func(position int64, reset *projectorv1.WatchReset) R
	synced func(position int64, synced *projectorv1.WatchSynced) R
}

// sender sends what a watcher is told.
type sender[M, R proto.Message] struct {
	state *State
	send  func(R) error
	make  response[M, R]
}

// Reset implements watch.Receiver.
func (s sender[M, R]) Reset(position int64) error {
	return s.send(s.make.reset(position, &projectorv1.WatchReset{}))
}

// Row implements watch.Receiver.
func (s sender[M, R]) Row(position int64, row projection.Row) error {
	m, err := message[M](s.state, row)
	if err != nil {
		return err
	}
	return s.send(s.make.row(position, m))
}

// Left implements watch.Receiver.
func (s sender[M, R]) Left(position int64, row projection.Row) error {
	m, err := message[M](s.state, row)
	if err != nil {
		return err
	}
	return s.send(s.make.left(position, m))
}

// Synced implements watch.Receiver.
func (s sender[M, R]) Synced(position, generation int64) error {
	return s.send(s.make.synced(position, &projectorv1.WatchSynced{Point: &projectorv1.WatchPoint{Position: position, Generation: generation}}))
}

// watchRequest is what every watch request has.
type watchRequest interface {
	GetInitialSize() int32
	GetAfter() *projectorv1.WatchPoint
}

// watchOf is a watch's query by its conditions.
func watchOf(l store.Listing, r watchRequest, lasting, passing *filter) (watch.Query, error) {
	q := watch.Query{Listing: l, Lasting: lasting.conditions, Passing: passing.conditions, InitialSize: int(r.GetInitialSize())}
	if after := r.GetAfter(); after != nil {
		q.After = &watch.After{Position: after.GetPosition(), Generation: after.GetGeneration()}
	}
	if lasting.err != nil {
		return q, lasting.err
	}
	return q, passing.err
}

// WatchPositions implements projectorv1.WatchServiceServer.
func (w *Watch) WatchPositions(r *projectorv1.WatchPositionsRequest, stream grpc.ServerStreamingServer[projectorv1.WatchPositionsResponse]) error {
	lasting := filters().id("account_id", r.GetAccountId()).id("strategy_id", r.GetStrategyId()).id("position_id", r.GetPositionId()).text("symbol", r.GetSymbol())
	passing := filters().among("state", enumTexts(r.GetStates()))
	if states := r.GetStates(); len(states) > 0 && !slices.Contains(states, projectorv1.PositionState_POSITION_STATE_CLOSED) {
		passing.conditions = append(passing.conditions, store.NotClosed)
	}
	q, err := watchOf(store.WatchedPositions, r, lasting, passing)
	if err != nil {
		return err
	}
	type message = projectorv1.WatchPositionsResponse
	return w.watch(stream.Context(), q, sender[*projectorv1.Position, *message]{state: w.state, send: stream.Send, make: response[*projectorv1.Position, *message]{
		row: func(at int64, row *projectorv1.Position) *message {
			return &message{Position: at, Message: &projectorv1.WatchPositionsResponse_Row{Row: row}}
		},
		left: func(at int64, row *projectorv1.Position) *message {
			return &message{Position: at, Message: &projectorv1.WatchPositionsResponse_Left{Left: row.GetPositionId()}}
		},
		reset: func(at int64, reset *projectorv1.WatchReset) *message {
			return &message{Position: at, Message: &projectorv1.WatchPositionsResponse_Reset_{Reset_: reset}}
		},
		synced: func(at int64, synced *projectorv1.WatchSynced) *message {
			return &message{Position: at, Message: &projectorv1.WatchPositionsResponse_Synced{Synced: synced}}
		},
	}})
}

// WatchOrders implements projectorv1.WatchServiceServer.
func (w *Watch) WatchOrders(r *projectorv1.WatchOrdersRequest, stream grpc.ServerStreamingServer[projectorv1.WatchOrdersResponse]) error {
	lasting := filters().id("account_id", r.GetAccountId()).id("position_id", r.GetPositionId()).id("order_id", r.GetOrderId()).text("symbol", r.GetSymbol())
	passing := filters().among("status", enumTexts(r.GetStatuses())).flag("needs_resolution", r.NeedsResolution)
	q, err := watchOf(store.WatchedOrders, r, lasting, passing)
	if err != nil {
		return err
	}
	type message = projectorv1.WatchOrdersResponse
	return w.watch(stream.Context(), q, sender[*projectorv1.Order, *message]{state: w.state, send: stream.Send, make: response[*projectorv1.Order, *message]{
		row: func(at int64, row *projectorv1.Order) *message {
			return &message{Position: at, Message: &projectorv1.WatchOrdersResponse_Row{Row: row}}
		},
		left: func(at int64, row *projectorv1.Order) *message {
			return &message{Position: at, Message: &projectorv1.WatchOrdersResponse_Left{Left: row.GetOrderId()}}
		},
		reset: func(at int64, reset *projectorv1.WatchReset) *message {
			return &message{Position: at, Message: &projectorv1.WatchOrdersResponse_Reset_{Reset_: reset}}
		},
		synced: func(at int64, synced *projectorv1.WatchSynced) *message {
			return &message{Position: at, Message: &projectorv1.WatchOrdersResponse_Synced{Synced: synced}}
		},
	}})
}

// WatchBalances implements projectorv1.WatchServiceServer.
func (w *Watch) WatchBalances(r *projectorv1.WatchBalancesRequest, stream grpc.ServerStreamingServer[projectorv1.WatchBalancesResponse]) error {
	lasting := filters().id("account_id", r.GetAccountId()).text("wallet", r.GetWallet()).text("asset", r.GetAsset())
	q, err := watchOf(store.WatchedBalances, r, lasting, filters())
	if err != nil {
		return err
	}
	type message = projectorv1.WatchBalancesResponse
	return w.watch(stream.Context(), q, sender[*projectorv1.Balance, *message]{state: w.state, send: stream.Send, make: response[*projectorv1.Balance, *message]{
		row: func(at int64, row *projectorv1.Balance) *message {
			return &message{Position: at, Message: &projectorv1.WatchBalancesResponse_Row{Row: row}}
		},
		reset: func(at int64, reset *projectorv1.WatchReset) *message {
			return &message{Position: at, Message: &projectorv1.WatchBalancesResponse_Reset_{Reset_: reset}}
		},
		synced: func(at int64, synced *projectorv1.WatchSynced) *message {
			return &message{Position: at, Message: &projectorv1.WatchBalancesResponse_Synced{Synced: synced}}
		},
	}})
}

// WatchRiskStates implements projectorv1.WatchServiceServer.
func (w *Watch) WatchRiskStates(r *projectorv1.WatchRiskStatesRequest, stream grpc.ServerStreamingServer[projectorv1.WatchRiskStatesResponse]) error {
	lasting := filters().id("account_id", r.GetAccountId()).id("strategy_id", r.GetStrategyId())
	q, err := watchOf(store.WatchedRisk, r, lasting, filters())
	if err != nil {
		return err
	}
	type message = projectorv1.WatchRiskStatesResponse
	return w.watch(stream.Context(), q, sender[*projectorv1.Risk, *message]{state: w.state, send: stream.Send, make: response[*projectorv1.Risk, *message]{
		row: func(at int64, row *projectorv1.Risk) *message {
			return &message{Position: at, Message: &projectorv1.WatchRiskStatesResponse_Row{Row: row}}
		},
		reset: func(at int64, reset *projectorv1.WatchReset) *message {
			return &message{Position: at, Message: &projectorv1.WatchRiskStatesResponse_Reset_{Reset_: reset}}
		},
		synced: func(at int64, synced *projectorv1.WatchSynced) *message {
			return &message{Position: at, Message: &projectorv1.WatchRiskStatesResponse_Synced{Synced: synced}}
		},
	}})
}

// watch watches for the tenant of the call.
func (w *Watch) watch(ctx context.Context, q watch.Query, to watch.Receiver) error {
	return w.hub.Watch(ctx, identity.Tenant(ctx), q, to) //nolint:wrapcheck // The hub says what it was doing.
}
