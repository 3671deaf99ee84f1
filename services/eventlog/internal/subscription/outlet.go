package subscription

import (
	"context"
	"sync/atomic"

	"github.com/robson/robson/pkg/fault"
)

const (
	reasonTooSlow  = "SUBSCRIBER_TOO_SLOW"
	reasonStopping = "STOPPING"
)

// Receiver takes what a subscription sends. An error ends the subscription. Calls may block for as long as the far side
// takes nothing, and return once the subscription's context has ended.
type Receiver interface {
	// Event takes the next event.
	Event(e *Event) error
	// CaughtUp tells that every event up to the position has been sent that the filter lets through.
	CaughtUp(position int64) error
}

// parcel is what is sent at once: events, then something else, if it is not nil.
type parcel struct {
	events []*Event
	then   func() error
}

// outlet sends parcels by a goroutine of its own.
type outlet struct {
	hub     *Hub
	event   func(*Event) error
	parcels chan parcel
	// sent counts messages: a receiver is slow if he takes not one.
	sent atomic.Int64
	// done is closed when no more is sent; err is why, if something went wrong.
	done chan struct{}
	err  error
}

func (h *Hub) newOutlet(event func(*Event) error) *outlet {
	o := &outlet{hub: h, event: event, parcels: make(chan parcel), done: make(chan struct{})}
	h.senders.Go(o.run)
	return o
}

// run sends until there are no more parcels, or something goes wrong.
func (o *outlet) run() {
	defer close(o.done)
	for p := range o.parcels {
		if o.err = o.send(p); o.err != nil {
			return
		}
	}
}

func (o *outlet) send(p parcel) error {
	for _, e := range p.events {
		if err := o.event(e); err != nil {
			return err
		}
		o.sent.Add(1)
	}
	if p.then == nil {
		return nil
	}
	err := p.then()
	o.sent.Add(1)
	return err
}

// finish ends the sending, and gives what went wrong first.
func (o *outlet) finish(ctx context.Context, err error) error {
	close(o.parcels)
	switch fault.ReasonOf(err) {
	case reasonTooSlow:
		o.hub.metrics.leftSlow(ctx)
		return err
	case reasonStopping:
		return err
	}
	if late := o.ended(ctx); late != nil && ctx.Err() == nil {
		return late // What went wrong while sending came first.
	}
	return err
}

// hand gives the sender the next parcel, once he has sent the one before.
func (o *outlet) hand(ctx context.Context, p parcel) error {
	for {
		sent := o.sent.Load()
		timer := o.hub.clock.NewTimer(o.hub.cfg.SendMax)
		select {
		case o.parcels <- p:
			timer.Stop()
			return nil
		case <-timer.C():
			if o.sent.Load() == sent {
				return o.tooSlow()
			}
		case <-o.done:
			timer.Stop()
			return o.err
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-o.hub.closed:
			timer.Stop()
			return stopping()
		}
	}
}

// ended waits for the sender, who gets no more parcels, and gives what went wrong with him.
func (o *outlet) ended(ctx context.Context) error {
	for {
		sent := o.sent.Load()
		timer := o.hub.clock.NewTimer(o.hub.cfg.SendMax)
		select {
		case <-o.done:
			timer.Stop()
			return o.err
		case <-timer.C():
			if o.sent.Load() == sent {
				return o.tooSlow()
			}
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (o *outlet) tooSlow() error {
	return fault.New(fault.Exhausted, reasonTooSlow, "not one message was taken within %s; subscribe again after the last one that was handled", o.hub.cfg.SendMax).
		WithRetryAfter(retryAfter)
}
