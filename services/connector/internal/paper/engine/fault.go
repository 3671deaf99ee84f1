package engine

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/robson/robson/services/connector/internal/venue"
)

// FaultKind is what goes wrong.
type FaultKind string

// The faults. They are not remembered over a restart: a rehearsal ends with the process it runs in.
const (
	FaultDropBefore         FaultKind = "drop_before"
	FaultAcceptThenTimeout  FaultKind = "accept_then_timeout"
	FaultAcceptThen5xx      FaultKind = "accept_then_5xx"
	FaultReject             FaultKind = "reject"
	FaultRateLimit          FaultKind = "rate_limit"
	FaultSlow               FaultKind = "slow"
	FaultQueryLag           FaultKind = "query_lag"
	FaultCancelAfterPartial FaultKind = "cancel_after_partial"
)

// Fault meets the next Count requests of one kind: place, cancel or query.
type Fault struct {
	Kind      FaultKind     `json:"kind"`
	Operation string        `json:"operation"`
	Count     int           `json:"count"`
	Code      int           `json:"code,omitempty"`
	Delay     time.Duration `json:"delay,omitempty"`
	// ClientOrderID limits the fault to one order; empty: any.
	ClientOrderID venue.ClientOrderID `json:"client_order_id,omitempty"`
}

// faultDelayMax bounds how long a slow answer takes.
const faultDelayMax = time.Minute

// Validate refuses a fault that could not happen.
func (f Fault) Validate() error {
	ofPlace := f.Operation == venue.OpPlace
	ofChange := ofPlace || f.Operation == venue.OpCancel
	ok := false
	switch f.Kind {
	case FaultDropBefore, FaultReject, FaultRateLimit, FaultSlow:
		ok = ofChange || f.Operation == venue.OpQuery
	case FaultAcceptThenTimeout, FaultAcceptThen5xx:
		ok = ofChange
	case FaultQueryLag:
		ok = f.Operation == venue.OpQuery
	case FaultCancelAfterPartial:
		ok = ofPlace
	}
	switch {
	case !ok:
		return fmt.Errorf("fault %q cannot meet %q requests", f.Kind, f.Operation)
	case f.Count < 1:
		return fmt.Errorf("fault %s: count %d: at least 1", f.Kind, f.Count)
	case f.Kind == FaultReject && f.Code >= 0:
		return fmt.Errorf("fault reject: code %d: the venue's codes are below zero", f.Code)
	case f.Delay < 0 || f.Delay > faultDelayMax:
		return fmt.Errorf("fault %s: delay %s: at most %s", f.Kind, f.Delay, faultDelayMax)
	default:
		return nil
	}
}

// SetFaults replaces the faults that meet an account's requests.
func (e *Engine) SetFaults(key venue.AccountKey, faults []Fault) error {
	for _, f := range faults {
		if err := f.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults[key] = append([]Fault(nil), faults...)
	return nil
}

// nextFault takes the first fault that meets a request.
func (e *Engine) nextFault(key venue.AccountKey, operation string, id venue.ClientOrderID) (Fault, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	faults := e.faults[key]
	for n := range faults {
		f := &faults[n]
		if f.Count > 0 && f.Operation == operation && (f.ClientOrderID == "" || f.ClientOrderID == id) {
			f.Count--
			return *f, true
		}
	}
	return Fault{}, false
}

// before is what a fault does instead of the request; nil lets it happen.
func (e *Engine) before(ctx context.Context, f Fault) error {
	switch f.Kind {
	case FaultDropBefore:
		return &venue.UncertainError{Operation: f.Operation, Cause: venue.CauseConnReset}
	case FaultReject:
		return refuse(f.Operation, f.Code, "rehearsed refusal")
	case FaultRateLimit:
		return &venue.RateLimitedError{
			Operation: f.Operation, HTTPStatus: http.StatusTooManyRequests, Code: -1003,
			Message: "Too many requests.", RetryAfter: f.Delay,
		}
	case FaultQueryLag:
		return errNotFound()
	case FaultSlow:
		return e.delay(ctx, f)
	default:
		return nil
	}
}

func (e *Engine) delay(ctx context.Context, f Fault) error {
	timer := e.clock.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return &venue.UncertainError{Operation: f.Operation, Cause: venue.CauseTimeout, Err: context.Cause(ctx)}
	}
}

// after is what a fault makes of the answer to a request that was done.
func after(f Fault) error {
	switch f.Kind {
	case FaultAcceptThenTimeout:
		return &venue.UncertainError{Operation: f.Operation, Cause: venue.CauseTimeout}
	case FaultAcceptThen5xx:
		return &venue.UncertainError{Operation: f.Operation, Cause: venue.Cause5xx, HTTPStatus: http.StatusBadGateway}
	default:
		return nil
	}
}

// PlaceFaulty is Place with the account's faults.
func (e *Engine) PlaceFaulty(ctx context.Context, ref venue.AccountRef, in venue.NewOrder) (venue.Placed, error) {
	f, met := e.nextFault(ref.Key, venue.OpPlace, in.ClientOrderID)
	if met {
		if err := e.before(ctx, f); err != nil {
			return venue.Placed{}, err
		}
	}
	place := e.Place
	if f.Kind == FaultCancelAfterPartial {
		place = e.placePartly
	}
	placed, err := place(ref, in)
	if lost := after(f); lost != nil {
		return venue.Placed{}, lost
	}
	return placed, err
}

// CancelFaulty is Cancel with the account's faults.
func (e *Engine) CancelFaulty(ctx context.Context, ref venue.AccountRef, in venue.CancelOrder) (venue.Order, error) {
	f, met := e.nextFault(ref.Key, venue.OpCancel, in.ClientOrderID)
	if met {
		if err := e.before(ctx, f); err != nil {
			return venue.Order{}, err
		}
	}
	order, err := e.Cancel(ref, in)
	if lost := after(f); lost != nil {
		return venue.Order{}, lost
	}
	return order, err
}

// OrderFaulty is Order with the account's faults.
func (e *Engine) OrderFaulty(ctx context.Context, ref venue.AccountRef, symbol string, id venue.ClientOrderID) (venue.Order, error) {
	if f, met := e.nextFault(ref.Key, venue.OpQuery, id); met {
		if err := e.before(ctx, f); err != nil {
			return venue.Order{}, err
		}
	}
	return e.Order(ref, symbol, id)
}
