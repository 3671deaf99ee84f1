package process

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// checkpointName names the process manager's checkpoint in the log.
const checkpointName = "process-manager"

// Lanes are keyed by what they are about.
const (
	positionLane = "position/"
	accountLane  = "account/"
	signalLane   = "signal/"
)

// demand is an exit that an event demands, or just the event for what is looked at because of it.
type demand struct {
	cause  lifecycle.Cause
	reason eventv1.ExitReason
	// sample is what the venue said of a margin account; nil for anything else.
	sample *eventv1.MarginLevelSampled
}

// worker follows one tenant's log.
type worker struct {
	*Manager
	tenant uuid.UUID
	lanes  *lanes

	mu sync.Mutex
	// memories are what is known of positions beside their rows; orders maps orders to their positions.
	memories map[string]*memory
	orders   map[string]string
	// sampled is when the newest level of a margin account was sampled, by account and symbol.
	sampled map[string]time.Time
}

func newWorker(m *Manager, tenant uuid.UUID) *worker {
	w := &worker{Manager: m, tenant: tenant, memories: map[string]*memory{}, orders: map[string]string{}, sampled: map[string]time.Time{}}
	w.lanes = newLanes(m.clock, m.config.ParallelMax, w.work)
	return w
}

// run follows the log until the context ends. What hinders it is alerted and tried again, for ever.
func (w *worker) run(ctx context.Context) {
	ctx = identity.WithTenant(ctx, w.tenant)
	defer w.lanes.drain()
	name := "tenant " + w.tenant.String()
	for failures := 0; ctx.Err() == nil; {
		before := w.lanes.reacted()
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if w.lanes.reacted() > before {
			failures = 0
		}
		if failures++; failures >= w.config.AlertAfter {
			w.report(ctx, w.tenant, name, "follow the log", err)
		}
		if clock.Sleep(ctx, w.clock, backoff(w.config.RetryDelay, w.config.RetryDelayMax, failures)) != nil {
			return
		}
	}
}

// backoff doubles a delay with each failure, up to a maximum.
func backoff(first, most time.Duration, failures int) time.Duration {
	for range failures - 1 {
		if first >= most/2 {
			return most
		}
		first *= 2
	}
	return min(first, most)
}

// follow sweeps, then reacts to each event after the checkpoint, until something fails.
func (w *worker) follow(ctx context.Context) error {
	stored, err := w.deps.Log.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: checkpointName})
	if err != nil {
		return err
	}
	w.lanes.see(stored.GetValue())
	if err := w.sweep(ctx); err != nil {
		return err
	}
	if err := w.sweepSignals(ctx); err != nil {
		return err
	}
	// What ends with the subscription; lanes go on.
	following, cancel := context.WithCancel(ctx)
	stream, err := w.deps.Log.Subscribe(following, &eventlogv1.SubscribeRequest{AfterPosition: w.lanes.seenUpTo()})
	if err != nil {
		cancel()
		return err
	}
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		w.saveCheckpoints(following, stored.GetValue())
	}()
	defer func() { cancel(); <-saved }()
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		w.deps.Alerts.Clear(w.tenant, "tenant "+w.tenant.String())
		if event := message.GetEvent(); event != nil {
			if err := w.dispatch(ctx, event); err != nil {
				return err
			}
			w.lanes.see(event.GetPosition())
		}
		w.lanes.see(message.GetCaughtUp().GetPosition())
	}
}

// sweep looks at every position that has not ended, so that what a crash left undone is done.
func (w *worker) sweep(ctx context.Context) error {
	return w.eachPosition(ctx, &projectorv1.ListPositionsRequest{States: []projectorv1.PositionState{
		projectorv1.PositionState_POSITION_STATE_ARMED, projectorv1.PositionState_POSITION_STATE_ENTERING,
		projectorv1.PositionState_POSITION_STATE_ACTIVE, projectorv1.PositionState_POSITION_STATE_EXITING,
		projectorv1.PositionState_POSITION_STATE_ERROR,
	}}, func(position *projectorv1.Position) {
		w.lanes.add(ctx, positionLane+position.GetPositionId(), item{})
	})
}

// positionPage is how many positions are listed at a time.
const positionPage = 500

func (w *worker) eachPosition(ctx context.Context, request *projectorv1.ListPositionsRequest, do func(*projectorv1.Position)) error {
	request.PageSize = positionPage
	for {
		page, err := w.deps.State.ListPositions(ctx, request)
		if err != nil {
			return err
		}
		for _, position := range page.GetPositions() {
			do(position)
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}

// dispatch gives an event to the lanes of the positions it is about.
func (w *worker) dispatch(ctx context.Context, event *eventv1.Event) error {
	at := item{position: event.GetPosition()}
	add := func(positionID string) { w.lanes.add(ctx, positionLane+positionID, at) }
	switch kind := event.GetPayload().GetKind().(type) {
	case *eventv1.Payload_OrderSubmitted:
		w.remember(kind.OrderSubmitted.GetOrderId(), kind.OrderSubmitted.GetPositionId())
		return w.dispatchOrder(ctx, event, kind.OrderSubmitted.GetOrderId())
	case *eventv1.Payload_FillReceived, *eventv1.Payload_OrderRejected, *eventv1.Payload_OrderCanceled, *eventv1.Payload_OrderExpired:
		return w.dispatchOrder(ctx, event, strings.TrimPrefix(event.GetStreamKey(), "order:"))
	case *eventv1.Payload_ExchangeStateUncertain:
		return w.dispatchOrder(ctx, event, kind.ExchangeStateUncertain.GetOrderId())
	case *eventv1.Payload_PositionArmed, *eventv1.Payload_PositionOpened, *eventv1.Payload_TrailingStopUpdated,
		*eventv1.Payload_ExitTriggered, *eventv1.Payload_IntentCreated:
		if id, ok := strings.CutPrefix(event.GetStreamKey(), "position:"); ok {
			add(id)
		}
	case *eventv1.Payload_PositionClosed:
		add(kind.PositionClosed.GetPositionId())
		return w.dispatchClosed(ctx, event, kind.PositionClosed.GetPositionId())
	case *eventv1.Payload_DiscrepancyDetected:
		if id := kind.DiscrepancyDetected.GetPositionId(); id != "" {
			add(id)
		}
	case *eventv1.Payload_RiskLimitExceeded:
		if kind.RiskLimitExceeded.GetAction() == eventv1.LimitAction_LIMIT_ACTION_PANIC_CLOSE {
			at.demand = &demand{cause: lifecycle.CauseOf(event), reason: eventv1.ExitReason_EXIT_REASON_PANIC}
			for _, id := range kind.RiskLimitExceeded.GetPositionIds() {
				add(id)
			}
		}
	case *eventv1.Payload_MarginLevelSampled:
		at.demand = &demand{cause: lifecycle.CauseOf(event), sample: kind.MarginLevelSampled}
		w.lanes.add(ctx, accountLane+kind.MarginLevelSampled.GetAccountId(), at)
	case *eventv1.Payload_SignalDetected:
		w.dispatchSignal(ctx, event)
	case *eventv1.Payload_StrategyDisabled:
		return w.eachPosition(ctx, &projectorv1.ListPositionsRequest{
			StrategyId: kind.StrategyDisabled.GetStrategyId(), MinPosition: event.GetPosition(),
			States: []projectorv1.PositionState{projectorv1.PositionState_POSITION_STATE_ARMED},
		}, func(position *projectorv1.Position) { add(position.GetPositionId()) })
	}
	return nil
}

// dispatchOrder finds the position of an order. An order of no position, of which only facts are known, is nobody's.
func (w *worker) dispatchOrder(ctx context.Context, event *eventv1.Event, orderID string) error {
	if orderID == "" {
		return nil
	}
	w.mu.Lock()
	positionID := w.orders[orderID]
	w.mu.Unlock()
	if positionID == "" {
		found, err := w.deps.State.GetOrder(ctx, &projectorv1.GetOrderRequest{OrderId: orderID, MinPosition: event.GetPosition()})
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		positionID = found.GetOrder().GetPositionId()
		w.remember(orderID, positionID)
	}
	if positionID != "" {
		w.lanes.add(ctx, positionLane+positionID, item{position: event.GetPosition()})
	}
	return nil
}

// dispatchClosed has the account's limits looked at after a result was booked.
func (w *worker) dispatchClosed(ctx context.Context, event *eventv1.Event, positionID string) error {
	found, err := w.deps.State.GetPosition(ctx, &projectorv1.GetPositionRequest{PositionId: positionID, MinPosition: event.GetPosition()})
	if err != nil {
		return err
	}
	w.lanes.add(ctx, accountLane+found.GetPosition().GetAccountId(), item{
		position: event.GetPosition(), demand: &demand{cause: lifecycle.CauseOf(event)},
	})
	return nil
}

// memoryMax bounds what is remembered of orders and positions; what is forgotten is read again.
const memoryMax = 10_000

func (w *worker) remember(orderID, positionID string) {
	if positionID == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.orders) >= memoryMax {
		clear(w.orders)
	}
	w.orders[orderID] = positionID
}

// saveCheckpoints saves the checkpoint now and then when it has moved.
func (w *worker) saveCheckpoints(ctx context.Context, saved int64) {
	ticker := w.clock.NewTicker(w.config.CheckpointEvery)
	defer ticker.Stop()
	const name = "checkpoint"
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
		reacted := w.lanes.reacted()
		if reacted <= saved {
			continue
		}
		_, err := w.deps.Log.SaveCheckpoint(ctx, &eventlogv1.SaveCheckpointRequest{Name: checkpointName, Value: reacted})
		if err != nil {
			if ctx.Err() == nil {
				w.report(ctx, w.tenant, name, "save checkpoint", err)
			}
			continue
		}
		saved = reacted
		w.deps.Alerts.Clear(w.tenant, name)
	}
}
