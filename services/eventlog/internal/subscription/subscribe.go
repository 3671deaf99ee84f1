package subscription

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/fault"
)

// Request is what a subscriber wants.
type Request struct {
	Tenant uuid.UUID
	// After is the last position that he has handled; 0: none.
	After  int64
	Filter Filter
}

// Subscribe sends a tenant's events after a position, until the context ends or something fails; it never returns nil. A
// position behind the log's end is Refused: what he has handled is not in this log. An event that is not to be had, or that
// the receiver cannot take, ends it: none is skipped.
//
// The receiver is called by one goroutine. Only after SUBSCRIBER_TOO_SLOW and STOPPING may a call of his still be running; it
// must return once its call has ended.
func (h *Hub) Subscribe(ctx context.Context, r Request, to Receiver) error {
	wake := make(chan struct{}, 1)
	c, err := h.admit(ctx, r, func() {
		select {
		case wake <- struct{}{}:
		default: // He will wake anyhow.
		}
	})
	if err != nil {
		return err
	}
	defer h.dismiss(ctx, c)
	o := h.newOutlet(to.Event)
	return o.finish(ctx, h.follow(ctx, &subscriber{cursor: c, after: r.After, wake: wake, to: to}, o))
}

// subscriber is one who follows a single log.
type subscriber struct {
	*cursor

	// after is where he begins.
	after int64
	wake  chan struct{}
	to    Receiver
}

// hand gives the sender a stretch.
func (s *subscriber) hand(ctx context.Context, o *outlet, p progression) error {
	if len(p.events) == 0 && !p.caughtUp {
		return nil
	}
	return o.hand(ctx, parcel{events: p.events, then: s.caughtUp(p)})
}

func (s *subscriber) caughtUp(p progression) func() error {
	if !p.caughtUp {
		return nil
	}
	return func() error { return s.to.CaughtUp(p.position) }
}

// progression is what a stretch has for the receiver: events, then that they were all.
type progression struct {
	events   []*Event
	caughtUp bool
	position int64
}

// progress is how far a subscription is.
type progress struct {
	// looked is the position up to which the log was looked through; told is what the receiver knows of that, since when.
	looked, told int64
	since        time.Time
	// live: the log's end was reached once.
	live bool
}

// follow takes stretch after stretch, sleeping where the log ends.
func (h *Hub) follow(ctx context.Context, s *subscriber, o *outlet) error {
	at := progress{looked: s.after, told: s.after, since: h.clock.Now()}
	for first := true; ; first = false {
		stretch, more, err := h.next(ctx, s.cursor, at.looked)
		if err != nil {
			return err
		}
		if stretch.Head < at.looked {
			return ahead(at.looked, stretch.Head, first)
		}
		if err := s.hand(ctx, o, at.take(stretch, h.clock.Now(), h.cfg.CaughtUpEvery)); err != nil {
			return err
		}
		if more {
			continue
		}
		if err := o.hand(ctx, parcel{}); err != nil { // It is taken once all before it has been.
			return err
		}
		if err := h.sleep(ctx, s, o, &at); err != nil {
			return err
		}
	}
}

// next gives the stretch after a position, from memory or from the database, and whether to ask for the one after it: otherwise
// the cursor is woken when there may be one.
func (h *Hub) next(ctx context.Context, c *cursor, after int64) (stretch Stretch, more bool, err error) {
	stretch, where := c.next(after, h.cfg.PageSize)
	switch where {
	case nowhere:
		return stretch, false, nil
	case inRing:
		return stretch, true, nil
	case inDatabase:
	}
	stretch, err = h.read(ctx, c, after)
	return stretch, true, err
}

// take goes on by a stretch.
func (at *progress) take(stretch Stretch, now time.Time, every time.Duration) progression {
	p := progression{events: stretch.Events}
	at.looked = stretch.Looked
	if n := len(p.events); n > 0 {
		at.told, at.since = p.events[n-1].Position, now
	}
	switch {
	case !at.live && at.looked >= stretch.Head:
		at.live = true
	case !at.live || at.looked == at.told || now.Sub(at.since) < every:
		return p
	}
	p.caughtUp, p.position = true, at.looked
	at.told, at.since = at.looked, now
	return p
}

// sleep returns when there may be more. What the filter held back is told in time.
func (h *Hub) sleep(ctx context.Context, s *subscriber, o *outlet, at *progress) error {
	for {
		due, stop := h.due(at)
		select {
		case <-s.wake:
			stop()
			return nil
		case <-due:
			at.told, at.since = at.looked, h.clock.Now()
			if err := s.hand(ctx, o, progression{caughtUp: true, position: at.looked}); err != nil {
				return err
			}
		case <-o.done:
			stop()
			return o.err
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case <-h.closed:
			stop()
			return stopping()
		}
	}
}

// due fires when the receiver is to be told how far the log was looked through; never, if he knows, or while he waits for what is
// known to be there: he would take it for the end.
func (h *Hub) due(at *progress) (<-chan time.Time, func()) {
	if !at.live || at.looked == at.told {
		return nil, func() {}
	}
	timer := h.clock.NewTimer(h.cfg.CaughtUpEvery - h.clock.Now().Sub(at.since))
	return timer.C(), func() { timer.Stop() }
}

// read looks through the next stretch in the database; few do at a time.
func (h *Hub) read(ctx context.Context, c *cursor, after int64) (Stretch, error) {
	h.metrics.read(ctx)
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return Stretch{}, ctx.Err()
	case <-h.closed:
		return Stretch{}, stopping()
	}
	reading, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	stretch, err := h.log.Follow(reading, c.topic.tenant, after, c.filter, h.cfg.PageSize)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fault.Wrap(err, fault.Unavailable, "READ_TIMEOUT", "the log could not be read within %s", h.cfg.ReadTimeout).WithRetryAfter(retryAfter)
	}
	if err == nil && c.topic.read(&stretch) {
		h.news.want(c.topic)
	}
	return stretch, err
}

// ahead refuses a position that the log does not reach: at first it is the subscriber's own, later the log has become
// shorter.
func ahead(after, head int64, first bool) error {
	kind, reason := fault.Corrupt, "LOG_SHORTENED"
	if first {
		kind, reason = fault.Refused, "POSITION_AHEAD"
	}
	return fault.New(kind, reason, "the log ends at position %d, and events up to %d were handled already: they are not of this log", head, after).
		With("after_position", strconv.FormatInt(after, 10)).With("position", strconv.FormatInt(head, 10))
}
