package subscription

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
)

// FollowRequest is what one who follows all tenants wants.
type FollowRequest struct {
	Crew Crew
	// Holder is who he is, for people to read.
	Holder string
	Filter Filter
	// TenantsMax is how many he takes at most; 0: as many as FollowTenantsMax.
	TenantsMax int
}

// Follower takes what the following of all tenants sends. An error ends it. Calls may block as those of a Receiver.
type Follower interface {
	// Assigned tells that a tenant's events come from here on, those after the checkpoint.
	Assigned(tenant uuid.UUID, checkpoint int64) error
	// Event takes the next event of an assigned tenant.
	Event(e *Event) error
	// CaughtUp tells that every event of a tenant up to the position has been sent that the filter lets through.
	CaughtUp(tenant uuid.UUID, position int64) error
	// Revoked tells that nothing more comes of a tenant: another holder takes him, or, with an error, his log cannot be followed.
	Revoked(tenant uuid.UUID, why error) error
}

// fleet is the following of all tenants by one holder:
//
//	shares   every ShareEvery: which tenants are mine, which are to go    a goroutine of its own
//	   │ orders
//	   ▼
//	sail     assigns and revokes; a page of each tenant that has news, from memory; then one read for one who is behind
//	   │ parcels
//	   ▼
//	outlet   sends
type fleet struct {
	hub    *Hub
	clock  clock.Clock
	cfg    Config
	filter Filter
	to     Follower
	out    *outlet
	signal chan struct{}

	// ships are the tenants that are assigned; behind are those that wait for a read. Only sail uses them.
	ships  map[uuid.UUID]*ship
	behind []*ship

	mu sync.Mutex
	// ready are the ships that may have more.
	ready []*ship
	// taken and leaving are the orders: tenants to be assigned, and to be revoked.
	taken   []Taken
	leaving []uuid.UUID
	// left are those that were revoked as ordered, failed those whose log could not be followed, since when.
	left   []uuid.UUID
	failed map[uuid.UUID]time.Time
}

// ship is an assigned tenant.
type ship struct {
	*cursor

	at progress
	// moved: something has been sent; before, a position ahead of the log is the checkpoint's fault.
	moved bool
	// waits: it is in ready; the fleet's lock guards it. queued: it is in behind. gone: it is no longer assigned.
	waits, queued, gone bool
}

// Follow sends the events of all tenants, those of each after his checkpoint, until the context ends or something fails; it never
// returns nil. Those of one crew share the tenants by leases. What cannot be read of one tenant ends his assignment and
// leaves the others alone.
func (h *Hub) Follow(ctx context.Context, leases Leases, r FollowRequest, to Follower) error {
	if err := h.enlist(ctx); err != nil {
		return err
	}
	defer h.discharge(ctx)
	if r.TenantsMax == 0 || r.TenantsMax > h.cfg.FollowTenantsMax {
		r.TenantsMax = h.cfg.FollowTenantsMax
	}
	f := &fleet{
		hub: h, clock: h.clock, cfg: h.cfg, filter: r.Filter, to: to, out: h.newOutlet(to.Event), signal: make(chan struct{}, 1),
		ships: map[uuid.UUID]*ship{}, failed: map[uuid.UUID]time.Time{},
	}
	sharing, cancel := context.WithCancelCause(ctx)
	shared := make(chan struct{})
	go func() {
		defer close(shared)
		if err := newShares(f, leases, r).run(sharing); err != nil {
			cancel(err)
		}
	}()
	err := f.sail(sharing)
	if cause := context.Cause(sharing); cause != nil && ctx.Err() == nil {
		err = cause
	}
	cancel(err)
	<-shared
	for _, s := range f.ships {
		f.sink(s)
	}
	return f.out.finish(ctx, err)
}

// enlist takes a follower in, if there is room for him.
func (h *Hub) enlist(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return stopping()
	case h.followers >= h.cfg.FollowersMax:
		return fault.New(fault.Exhausted, "TOO_MANY_FOLLOWERS", "%d follow all tenants here already", h.cfg.FollowersMax).WithRetryAfter(retryAfter)
	}
	h.followers++
	h.metrics.followers.Add(ctx, 1)
	return nil
}

func (h *Hub) discharge(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers--
	h.metrics.followers.Add(ctx, -1)
}

// sail carries out orders and sends what there is, until something fails.
func (f *fleet) sail(ctx context.Context) error {
	ticker := f.clock.NewTicker(f.cfg.CaughtUpEvery)
	defer ticker.Stop()
	for {
		if err := f.work(ctx); err != nil {
			return err
		}
		if err := f.out.hand(ctx, parcel{}); err != nil { // It is taken once all before it has been.
			return err
		}
		select {
		case <-f.signal:
		case <-ticker.C():
			if err := f.tell(ctx); err != nil {
				return err
			}
		case <-f.out.done:
			return f.out.err
		case <-ctx.Done():
			return ctx.Err()
		case <-f.hub.closed:
			return stopping()
		}
	}
}

// work goes on until nothing is ordered, ready or behind. Those who are at the ends of their logs do not wait for those who are
// behind, except for one read.
func (f *fleet) work(ctx context.Context) error {
	for {
		taken, leaving, ready := f.orders()
		if len(taken)+len(leaving)+len(ready)+len(f.behind) == 0 {
			return nil
		}
		for _, tenant := range leaving {
			if err := f.revoke(ctx, tenant, nil); err != nil {
				return err
			}
		}
		for _, t := range taken {
			if err := f.assign(ctx, t); err != nil {
				return err
			}
		}
		for _, s := range ready {
			if err := f.turn(ctx, s); err != nil {
				return err
			}
		}
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
}

// orders takes what there is to do.
func (f *fleet) orders() (taken []Taken, leaving []uuid.UUID, ready []*ship) {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken, leaving, ready = f.taken, f.leaving, f.ready
	f.taken, f.leaving, f.ready = nil, nil, nil
	for _, s := range ready {
		s.waits = false
	}
	return taken, leaving, ready
}

// order has tenants assigned and revoked.
func (f *fleet) order(taken []Taken, leaving []uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken, f.leaving = append(f.taken, taken...), append(f.leaving, leaving...)
	f.wake()
}

// wake tells sail that there is something to do.
func (f *fleet) wake() {
	select {
	case f.signal <- struct{}{}:
	default:
	}
}

// hail notes that a ship may have more.
func (f *fleet) hail(s *ship) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !s.waits {
		s.waits = true
		f.ready = append(f.ready, s)
	}
	f.wake()
}

// assign begins with a tenant.
func (f *fleet) assign(ctx context.Context, t Taken) error {
	if old := f.ships[t.Tenant]; old != nil { // The lease was lost and won again before it was told.
		f.sink(old)
	}
	s := &ship{at: progress{looked: t.Checkpoint, told: t.Checkpoint, since: f.clock.Now()}}
	f.hub.mu.Lock()
	s.cursor = f.hub.join(t.Tenant, f.filter, func() { f.hail(s) })
	f.hub.mu.Unlock()
	f.ships[t.Tenant] = s
	if t.Checkpoint <= t.Head && s.know(t.Head) { // Otherwise it looks for itself, and finds that the log is too short.
		f.hub.news.want(s.topic)
	}
	f.hail(s)
	return f.out.hand(ctx, parcel{then: func() error { return f.to.Assigned(t.Tenant, t.Checkpoint) }})
}

// revoke ends with a tenant.
func (f *fleet) revoke(ctx context.Context, tenant uuid.UUID, why error) error {
	s := f.ships[tenant]
	if s == nil {
		return nil // It failed meanwhile.
	}
	f.sink(s)
	if err := f.out.hand(ctx, parcel{then: func() error { return f.to.Revoked(tenant, why) }}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if why != nil {
		f.failed[tenant] = f.clock.Now()
	} else {
		f.left = append(f.left, tenant)
	}
	return nil
}

// sink takes a ship out of service.
func (f *fleet) sink(s *ship) {
	s.gone = true
	delete(f.ships, s.topic.tenant)
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.hub.leave(s.cursor)
}

// turn sends a page of a tenant's from memory, or notes that he is behind.
func (f *fleet) turn(ctx context.Context, s *ship) error {
	if s.gone || s.queued { // What comes before the read is not known yet.
		return nil
	}
	stretch, where := s.next(s.at.looked, f.cfg.PageSize)
	switch where {
	case inDatabase:
		s.queued = true
		f.behind = append(f.behind, s)
		return nil
	case inRing:
		f.hail(s)
	case nowhere:
	}
	return f.send(ctx, s, stretch)
}

// catchUp reads for the one who waits longest.
func (f *fleet) catchUp(ctx context.Context) error {
	if len(f.behind) == 0 {
		return nil
	}
	s := f.behind[0]
	f.behind[0] = nil
	f.behind = f.behind[1:]
	s.queued = false
	if s.gone {
		return nil
	}
	stretch, err := f.hub.read(ctx, s.cursor, s.at.looked)
	if err != nil {
		return f.fail(ctx, s, err)
	}
	f.hail(s)
	return f.send(ctx, s, stretch)
}

// send goes on by a stretch.
func (f *fleet) send(ctx context.Context, s *ship, stretch Stretch) error {
	if stretch.Head < s.at.looked {
		return f.fail(ctx, s, ahead(s.at.looked, stretch.Head, !s.moved))
	}
	s.moved = true
	var unreadable error
	for i, e := range stretch.Events {
		if _, err := e.Message(); err != nil {
			unreadable, stretch.Events = err, stretch.Events[:i]
			stretch.Looked = e.Position - 1
			break
		}
	}
	p := s.at.take(stretch, f.clock.Now(), f.cfg.CaughtUpEvery)
	if err := f.hand(ctx, s, p); err != nil || unreadable == nil {
		return err
	}
	return f.fail(ctx, s, unreadable)
}

func (f *fleet) hand(ctx context.Context, s *ship, p progression) error {
	if len(p.events) == 0 && !p.caughtUp {
		return nil
	}
	out := parcel{events: p.events}
	if tenant := s.topic.tenant; p.caughtUp {
		out.then = func() error { return f.to.CaughtUp(tenant, p.position) }
	}
	return f.out.hand(ctx, out)
}

// tell tells those that have not heard for a while how far their logs were looked through.
func (f *fleet) tell(ctx context.Context) error {
	now := f.clock.Now()
	for _, s := range f.ships {
		if !s.at.live || s.at.looked == s.at.told || now.Sub(s.at.since) < f.cfg.CaughtUpEvery {
			continue
		}
		s.at.told, s.at.since = s.at.looked, now
		if err := f.hand(ctx, s, progression{caughtUp: true, position: s.at.looked}); err != nil {
			return err
		}
	}
	return nil
}

// fail ends with a tenant whose log cannot be followed, or with all, where it is not the log's fault.
func (f *fleet) fail(ctx context.Context, s *ship, err error) error {
	var known *fault.Error
	if ctx.Err() != nil || !errors.As(err, &known) || known.Kind == fault.Unavailable || known.Kind == fault.Exhausted {
		return err
	}
	f.hub.metrics.followFailed(ctx)
	return f.revoke(ctx, s.topic.tenant, err)
}
