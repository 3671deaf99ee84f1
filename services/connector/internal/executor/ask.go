package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robson/robson/pkg/clock"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// asking is the one asking about an order that goes on in this process.
type asking struct {
	done     chan struct{}
	position int64 // of what was found out; set before done is closed
}

// await finds out what became of an order, or gives its state when the caller's time is over; the asking goes on.
func (e *Executor) await(ctx context.Context, t *task, result Result) (Result, error) {
	a, err := e.ask(t) //nolint:contextcheck // the asking goes on when its caller has gone
	if err != nil {
		return result, err
	}
	almostOver, stop := e.almostOver(ctx)
	defer stop()
	select {
	case <-a.done:
	case <-ctx.Done():
		return result, context.Cause(ctx)
	case <-almostOver:
	}
	var position int64
	select {
	case <-a.done:
		position = a.position
	default:
	}
	result.Order, err = e.ledger.Order(ctx, t.order.ID.String(), position)
	return result, err
}

// answerReserve is what is left of a caller's deadline for answering.
const answerReserve = 500 * time.Millisecond

// almostOver fires when the caller's deadline is near; never, if it has none.
func (e *Executor) almostOver(ctx context.Context) (fires <-chan time.Time, stop func()) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return nil, func() {}
	}
	timer := e.clock.NewTimer(max(0, deadline.Sub(e.clock.Now())-answerReserve))
	return timer.C(), func() { timer.Stop() }
}

// ask begins to ask about an order, unless this process is at it already.
func (e *Executor) ask(t *task) (*asking, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, err := e.backgroundLocked(t.tenant, t.order.Origin.Trace)
	if err != nil {
		return nil, err
	}
	key := t.key()
	if a, ok := e.asking[key]; ok {
		return a, nil
	}
	a := &asking{done: make(chan struct{})}
	e.asking[key] = a
	e.running.Go(func() {
		defer close(a.done)
		position, err := e.askUntilKnown(ctx, t)
		if err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "order still unresolved", "order_id", t.order.ID, "error", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		a.position = position
		delete(e.asking, key)
	})
	return a, nil
}

// errPast says that the venue does not show an order that it is known to have.
var errPast = errors.New("the venue's answer is of the past")

// askUntilKnown asks at growing intervals until the outcome is recorded. It gives up after AskFor: the order stays
// unresolved in the log, and the sweep begins again. An order that the venue is known to have is not unresolved: where it is
// not shown for as long as any answer may lag, the stream and reconciliation are left to tell.
func (e *Executor) askUntilKnown(ctx context.Context, t *task) (int64, error) {
	limit := e.clock.Now().Add(e.config.AskFor)
	lagMax := e.clock.Now().Add(t.lines.Market.Timing().Lifetime())
	pause := e.config.AskFirst
	for {
		position, known, err := e.askOnce(ctx, t)
		if known || ctx.Err() != nil {
			return position, err
		}
		if now := e.clock.Now(); now.After(limit) || errors.Is(err, errPast) && now.After(lagMax) {
			return 0, fmt.Errorf("asked until %s: %w", now, err)
		}
		if err := clock.Sleep(ctx, e.clock, pause); err != nil {
			return 0, err
		}
		pause = min(2*pause, e.config.AskMax)
	}
}

// askOnce asks the venue for an order and records what it says.
func (e *Executor) askOnce(ctx context.Context, t *task) (position int64, known bool, err error) {
	// The time is read before the question: an answer is worth what was true when it was asked.
	now, err := t.lines.Market.Time(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("time of the venue: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, e.config.SendTimeout)
	defer cancel()
	at, err := t.lines.Trading.QueryOrder(asking, t.order.Symbol, t.order.ClientOrderID)
	switch {
	case errors.Is(err, venue.ErrOrderNotFound):
		return e.notFound(ctx, t, now)
	case errors.Is(err, venue.ErrOrderArchived):
		// It ended long ago and without trades.
		at = venue.Order{Symbol: t.order.Symbol, ClientOrderID: t.order.ClientOrderID, Status: venue.StatusExpired, UpdatedAt: e.marketTime(ctx, t)}
		ended, _ := fact.Ended(t.order, at, fact.Reconcile)
		position, err = e.ledger.Record(ctx, ended)
		return position, err == nil, err
	case err != nil:
		return 0, false, fmt.Errorf("ask for order %s: %w", t.order.ClientOrderID, err)
	}
	return e.found(ctx, t, at)
}

// found records the venue's picture of an order, whole or not at all: its end is told after its last trade.
func (e *Executor) found(ctx context.Context, t *task, at venue.Order) (int64, bool, error) {
	if !at.Status.IsKnown() {
		return 0, false, fmt.Errorf("order %s has a status that is not known here: %q", at.ClientOrderID, at.Status)
	}
	trades, err := t.lines.Trades(ctx, at, nil)
	if err != nil {
		return 0, false, err
	}
	facts, err := t.lines.Facts(ctx, t.order, at, trades, fact.Reconcile)
	if err != nil {
		return 0, false, err
	}
	position, err := e.ledger.Record(ctx, facts...)
	return position, err == nil, err
}

// notFound gives an order up once no request that carries its claim's stamp can be done any more. One that the venue has
// acknowledged, or that traded, cannot have gone.
func (e *Executor) notFound(ctx context.Context, t *task, asked time.Time) (int64, bool, error) {
	deadline := t.claimedAt.Add(t.lines.Market.Timing().Lifetime())
	if !asked.After(deadline) {
		return 0, false, fmt.Errorf("the venue does not know the order yet; it may until %s", deadline)
	}
	row, err := e.ledger.Order(ctx, t.order.ID.String(), 0)
	if err != nil {
		return 0, false, err
	}
	if row.GetExchangeOrderId() != "" {
		return 0, false, fmt.Errorf("ask for order %s: %w", t.order.ClientOrderID, errPast)
	}
	r := fact.Rejection{
		Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, Code: venue.CodeNoSuchOrder, Reason: fact.ReasonNotFound,
	}
	position, err := e.ledger.Record(ctx, fact.Rejected(t.order, r, e.marketTime(ctx, t)))
	return position, err == nil, err
}

// Resolve asks the venue what became of an order and records it, whatever is known already.
func (e *Executor) Resolve(ctx context.Context, orderID string) (*projectorv1.Order, error) {
	row, err := e.ledger.Order(ctx, orderID, 0)
	if err != nil {
		return nil, err
	}
	if !row.GetKnown() && hasEnded(row) {
		return row, nil // an intent that ended unsent: the venue never heard of it
	}
	t, err := e.taskOf(ctx, row)
	if err != nil {
		return nil, err
	}
	result, err := e.await(ctx, t, Result{})
	return result.Order, err
}
