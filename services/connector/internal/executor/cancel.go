package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Cancel asks the venue to cancel an order and records what it answers. An order that has ended is no error.
func (e *Executor) Cancel(ctx context.Context, orderID string) (*projectorv1.Order, error) {
	row, err := e.ledger.Order(ctx, orderID, 0)
	if err != nil {
		return nil, err
	}
	if hasEnded(row) {
		return row, nil
	}
	t, err := e.taskOf(ctx, row)
	if err != nil {
		return nil, err
	}
	return e.cancelTask(ctx, t)
}

func (e *Executor) cancelTask(ctx context.Context, t *task) (*projectorv1.Order, error) {
	background, err := e.background(t.tenant, t.order.Origin.Trace)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		position, err := e.cancelUntilEnded(background, t) //nolint:contextcheck // what is claimed goes on when its caller has gone
		if err == nil {
			return e.ledger.Order(ctx, t.order.ID.String(), position)
		}
		if !errors.Is(err, errAsk) {
			return nil, err
		}
		result, err := e.await(ctx, t, Result{})
		if err != nil || !isOpen(result.Order) || try == e.config.CancelTries {
			return result.Order, err
		}
		// It was not open when the cancel came, and now it is: the cancel overtook the placing.
	}
}

// isOpen says whether an order is known to be open at the venue, with nothing about it unresolved.
func isOpen(row *projectorv1.Order) bool { return !hasEnded(row) && !isUnresolved(row) }

// cancelUntilEnded sends cancels until one is answered. Sending a cancel again can do no harm: it names one order, by
// an id that no other order of ours will ever have.
func (e *Executor) cancelUntilEnded(ctx context.Context, t *task) (int64, error) {
	pause := e.config.AskFirst
	for try := 1; ; try++ {
		position, again, err := e.cancelOnce(ctx, t)
		if !again {
			return position, err
		}
		if try == e.config.CancelTries {
			return 0, fault.Wrap(err, fault.Unavailable, "CANCEL_UNCERTAIN", "cancel order %s", t.order.ID)
		}
		if err := clock.Sleep(ctx, e.clock, pause); err != nil {
			return 0, err
		}
		pause = min(2*pause, e.config.AskMax)
	}
}

func (e *Executor) cancelOnce(ctx context.Context, t *task) (position int64, again bool, err error) {
	sending, stop := context.WithTimeout(ctx, e.config.SendTimeout)
	defer stop()
	request := e.request(t, venue.OpCancel)
	request.Stamp = request.At
	at, err := t.lines.Trading.Cancel(sending, venue.CancelOrder{
		Symbol: t.order.Symbol, ClientOrderID: t.order.ClientOrderID, CancelID: fact.CancelID(t.order.ID),
	})
	var limited *venue.RateLimitedError
	switch {
	case err == nil:
		position, known, err := e.found(ctx, t, at)
		if !known && !ended(ctx, err) {
			return 0, false, errAsk
		}
		return position, false, err
	case errors.Is(err, venue.ErrUnknownOrder):
		return 0, false, errAsk // it is not open; asking tells whether it was filled, canceled, or is not there yet
	case errors.As(err, &limited):
		_, recordErr := e.ledger.Record(ctx, fact.RateLimited(request, limited))
		return 0, false, errors.Join(line.Fault("cancel order", err), recordErr)
	case errors.Is(err, venue.ErrNotSent):
		return 0, true, err
	case !venue.IsUncertain(err):
		return 0, false, e.cancelRefused(ctx, request, err)
	}
	if _, recordErr := e.ledger.Record(ctx, fact.Uncertain(request, uncertainty(err))); recordErr != nil {
		return 0, true, recordErr
	}
	return e.afterUncertainCancel(ctx, t, err)
}

// afterUncertainCancel asks: if the order is over, so is the cancel; if it is open, the cancel was lost.
func (e *Executor) afterUncertainCancel(ctx context.Context, t *task, uncertain error) (int64, bool, error) {
	at, err := t.lines.Trading.QueryOrder(ctx, t.order.Symbol, t.order.ClientOrderID)
	if err != nil || at.Status.IsOpen() {
		return 0, true, errors.Join(uncertain, err)
	}
	position, known, err := e.found(ctx, t, at)
	if !known {
		return 0, false, errAsk
	}
	return position, false, err
}

func (e *Executor) cancelRefused(ctx context.Context, request fact.Request, err error) error {
	code, status := 0, 0
	var rejected *venue.RejectedError
	if errors.As(err, &rejected) {
		code, status = rejected.Code, rejected.HTTPStatus
	}
	_, recordErr := e.ledger.Record(ctx, fact.Failed(request, code, status, err.Error()))
	if recordErr != nil {
		recordErr = fmt.Errorf("record refused cancel: %w", recordErr)
	}
	return errors.Join(line.Fault("cancel order", err), recordErr)
}
