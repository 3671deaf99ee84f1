package executor

import (
	"context"
	"errors"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// send places the order of a claim that is this call's own, once, and records what the venue answers. It goes on when
// the caller has gone: the claim stands.
func (e *Executor) send(ctx context.Context, t *task, order venue.NewOrder, claimed int64) (Result, error) {
	background, err := e.background(t.tenant, t.order.Origin.Trace)
	if err != nil {
		return Result{}, err
	}
	e.mark(t, true)
	position, err := e.sendOnce(background, t, order) //nolint:contextcheck // what is claimed goes on when its caller has gone
	e.mark(t, false)
	switch {
	case errors.Is(err, errAsk), errors.Is(err, line.ErrTradesMissing):
		return e.await(ctx, t, Result{Sent: true})
	case err != nil:
		// The log could not take it now. The account's stream brings it again, and the sweep asks.
		e.log.WarnContext(ctx, "outcome of an order not recorded yet", "order_id", t.order.ID, "error", err)
	}
	row, err := e.ledger.Order(ctx, t.order.ID.String(), max(position, claimed))
	return Result{Order: row, Sent: true}, err
}

// mark says whether an order's request is on its way.
func (e *Executor) mark(t *task, sending bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if sending {
		e.sending[t.key()] = true
		return
	}
	delete(e.sending, t.key())
}

// sendOnce is the one place from which an order leaves the house.
func (e *Executor) sendOnce(background context.Context, t *task, order venue.NewOrder) (int64, error) {
	sending, cancel := context.WithTimeout(background, e.config.SendTimeout)
	placed, err := t.lines.Trading.Place(sending, order)
	cancel()
	e.meters.placed(background, err)
	if err != nil {
		return e.notAccepted(background, t, err)
	}
	return e.accepted(background, t, placed)
}

// errAsk says that what became of the request has to be found out by asking.
var errAsk = errors.New("ask the venue")

func (e *Executor) accepted(ctx context.Context, t *task, placed venue.Placed) (int64, error) {
	trades, err := t.lines.Trades(ctx, placed.Order, placed.Trades)
	if err != nil {
		return 0, err
	}
	facts, err := t.lines.Facts(ctx, t.order, placed.Order, trades, fact.Answer)
	if err != nil {
		return 0, err
	}
	return e.ledger.Record(ctx, facts...)
}

// notAccepted records a definitive refusal, or that nobody knows.
func (e *Executor) notAccepted(ctx context.Context, t *task, err error) (int64, error) {
	at := e.marketTime(ctx, t)
	request := e.request(t, venue.OpPlace)
	var rejected *venue.RejectedError
	var limited *venue.RateLimitedError
	switch {
	case errors.As(err, &rejected):
		return e.ledger.Record(ctx, fact.Rejected(t.order, rejection(rejected.Code, rejected.HTTPStatus, rejected.Message), at))
	case errors.As(err, &limited):
		return e.ledger.Record(ctx, fact.RateLimited(request, limited),
			fact.Rejected(t.order, rejection(limited.Code, limited.HTTPStatus, limited.Message), at))
	case errors.Is(err, venue.ErrDuplicateOrder):
		return 0, errAsk // the venue has it: no rejection
	case !venue.IsUncertain(err):
		return e.ledger.Record(ctx, fact.Rejected(t.order, local(fact.ReasonNotSent), at))
	}
	if _, err := e.ledger.Record(ctx, fact.Uncertain(request, uncertainty(err))); err != nil {
		e.log.WarnContext(ctx, "uncertain order not recorded yet", "order_id", t.order.ID, "error", err)
	}
	return 0, errAsk
}

func rejection(code, httpStatus int, message string) fact.Rejection {
	if message == "" {
		message = "refused by the venue"
	}
	return fact.Rejection{Stage: eventv1.RejectStage_REJECT_STAGE_EXCHANGE, Code: code, Reason: message, HTTPStatus: httpStatus}
}

// uncertainty is what is known about an outcome that is not.
func uncertainty(err error) *venue.UncertainError {
	var uncertain *venue.UncertainError
	switch {
	case errors.As(err, &uncertain):
		return uncertain
	case errors.Is(err, context.DeadlineExceeded):
		return &venue.UncertainError{Cause: venue.CauseTimeout, Err: err}
	default:
		return &venue.UncertainError{Cause: venue.CauseConnReset, Err: err}
	}
}

func (e *Executor) request(t *task, operation string) fact.Request {
	return fact.Request{
		Order: t.order, Operation: operation, Stamp: t.claimedAt, Window: t.lines.Market.Timing().ReceiveWindow, At: e.clock.Now(),
	}
}
