package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// sweepForever looks for orders whose sender has died or gave up, at once and then again and again.
func (e *Executor) sweepForever(ctx context.Context) {
	for {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "sweep for unresolved orders", "error", err)
		}
		if clock.Sleep(ctx, e.clock, e.config.SweepEvery) != nil {
			return
		}
	}
}

// tally is how many orders a sweep found unresolved, and since when the oldest of them has been.
type tally struct {
	count int
	since time.Time
}

func (t *tally) add(row *projectorv1.Order) {
	at := row.GetUpdatedAt().AsTime()
	if t.count == 0 || at.Before(t.since) {
		t.since = at
	}
	t.count++
}

// unresolved is what the last sweep found.
func (e *Executor) unresolved() (count int, oldest time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.swept.count == 0 {
		return 0, 0
	}
	return e.swept.count, e.clock.Now().Sub(e.swept.since)
}

// sweep goes on where it can: one tenant or order that cannot be dealt with now does not hold up the others.
func (e *Executor) sweep(ctx context.Context) error {
	tenants, err := e.ledger.Tenants(ctx)
	if err != nil {
		return err
	}
	var failed error
	var found tally
	for _, tenant := range tenants {
		if err := e.sweepTenant(identity.WithTenant(ctx, tenant), tenant, &found); err != nil {
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", tenant, err))
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.swept = found
	return failed
}

func (e *Executor) sweepTenant(ctx context.Context, tenant uuid.UUID, found *tally) error {
	rows, err := e.ledger.LiveOrders(ctx, "")
	if err != nil {
		return err
	}
	var failed error
	for _, row := range rows {
		if !isUnresolved(row) || e.clock.Now().Sub(row.GetUpdatedAt().AsTime()) < e.config.Young {
			continue
		}
		found.add(row)
		if !isAbandoned(row) || e.isBusyWith(tenant, row.GetOrderId()) {
			continue
		}
		if err := e.pickUp(ctx, row); err != nil {
			failed = errors.Join(failed, fmt.Errorf("order %s: %w", row.GetOrderId(), err))
		}
	}
	return failed
}

// pickUp begins to ask about an order that nobody else asks about.
func (e *Executor) pickUp(ctx context.Context, row *projectorv1.Order) error {
	t, err := e.taskOf(ctx, row)
	if err != nil {
		return err
	}
	e.flagCrash(ctx, t, row)
	_, err = e.ask(t) //nolint:contextcheck // the asking lives as long as the executor
	return err
}

// isAbandoned says whether nobody knows whether the venue took a claimed order in. What it knows, its stream tells.
func isAbandoned(row *projectorv1.Order) bool {
	return row.GetKnown() && isUnresolved(row) && row.GetExchangeOrderId() == ""
}

// flagCrash records that a claim's outcome is unknown because its sender did not live to tell.
func (e *Executor) flagCrash(ctx context.Context, t *task, row *projectorv1.Order) {
	if row.GetNeedsResolution() {
		return
	}
	uncertain := fact.Uncertain(e.request(t, venue.OpPlace), &venue.UncertainError{Cause: venue.CauseCrash})
	if _, err := e.ledger.Record(ctx, uncertain); err != nil && ctx.Err() == nil {
		e.log.WarnContext(ctx, "uncertain order not recorded yet", "order_id", t.order.ID, "error", err)
	}
}

// CatchUp asks about every live order of an account, after its stream may have left something out.
func (e *Executor) CatchUp(ctx context.Context, account string) error {
	rows, err := e.ledger.LiveOrders(ctx, account)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !row.GetKnown() {
			continue
		}
		t, err := e.taskOf(ctx, row)
		if err != nil {
			return err
		}
		if _, err := e.await(ctx, t, Result{}); err != nil {
			return err
		}
	}
	return nil
}

// isBusyWith says whether this process is sending an order or asking about it.
func (e *Executor) isBusyWith(tenant uuid.UUID, orderID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := orderKey(tenant, orderID)
	_, asking := e.asking[key]
	return asking || e.sending[key]
}
