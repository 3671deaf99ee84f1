package subscription

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
)

// Crew are those of a service who follow all tenants under one name and share them.
type Crew struct {
	Service string
	Name    string
}

// Taken is a tenant whose lease was taken: the checkpoint that is saved for him, and the head of his log afterwards.
type Taken struct {
	Tenant     uuid.UUID
	Checkpoint int64
	Head       int64
}

// Leases say who of a crew follows which tenants. Time is the database's. They save work; correctness never rests on them.
type Leases interface {
	// Holders gives the holder of every tenant that has a log; empty for a tenant that is free. Where a time is given, those of
	// the holder are renewed first. More tenants than most are Exhausted: none is left out.
	Holders(ctx context.Context, c Crew, holder string, renew time.Duration, most int) (map[uuid.UUID]string, error)
	// Take takes those of the tenants that are free, or the holder's own, and gives those that he then has.
	Take(ctx context.Context, c Crew, holder string, tenants []uuid.UUID, ttl time.Duration) ([]Taken, error)
	// Release gives leases back.
	Release(ctx context.Context, c Crew, holder string, tenants []uuid.UUID) error
	// Want says for a while that a holder lacks tenants, or with no time that he does not, and gives the others who do.
	Want(ctx context.Context, c Crew, holder string, ttl time.Duration) ([]string, error)
}

// releaseTimeout bounds the giving back at the end; what is not given back lapses.
const releaseTimeout = 5 * time.Second

// shares keeps a fleet's part of the tenants right.
type shares struct {
	*fleet

	leases Leases
	crew   Crew
	// holder is distinct for each following, whoever the holder says he is.
	holder string
	most   int

	// mine are the tenants whose leases we have; true: one that is leaving.
	mine map[uuid.UUID]bool
	// free are those that nobody has, since when.
	free    map[uuid.UUID]time.Time
	wants   bool
	renewed time.Time
}

func newShares(f *fleet, leases Leases, r FollowRequest) *shares {
	return &shares{
		fleet: f, leases: leases, crew: r.Crew, holder: r.Holder + "/" + uuid.NewString()[:8], most: r.TenantsMax,
		mine: map[uuid.UUID]bool{}, free: map[uuid.UUID]time.Time{}, wants: true,
	}
}

// run goes round after round until the context ends, and then gives everything back. Rounds may fail for as long as leases live.
func (s *shares) run(ctx context.Context) error {
	defer s.giveBack(ctx)
	good := s.clock.Now()
	for {
		begun := s.clock.Now()
		err := s.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // Whoever ended it knows why.
		case err == nil:
			good = begun
		default:
			s.hub.metrics.roundFailed(ctx)
			if s.clock.Now().Sub(good) >= s.cfg.LeaseTime {
				return fault.Wrap(err, fault.Unavailable, "LEASES_LOST", "the tenants could not be shared out for %s", s.cfg.LeaseTime).WithRetryAfter(retryAfter)
			}
		}
		if clock.Sleep(ctx, s.clock, s.cfg.ShareEvery) != nil {
			return nil // Whoever ended it knows why.
		}
	}
}

// round looks how the tenants are shared out, and moves towards what each should have.
func (s *shares) round(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, s.cfg.LeaseTime)
	defer cancel()
	if err := s.release(asking); err != nil {
		return err
	}
	wanting, err := s.want(asking)
	if err != nil {
		return err
	}
	renew, now := time.Duration(0), s.clock.Now()
	if now.Sub(s.renewed) >= s.cfg.LeaseTime/3 {
		renew = s.cfg.LeaseTime
	}
	holders, err := s.leases.Holders(asking, s.crew, s.holder, renew, s.cfg.CrewTenantsMax)
	if err != nil {
		return err
	}
	if renew > 0 {
		s.renewed = now
	}
	s.compare(holders, now)
	due := s.retries(now)
	p := plan{
		me: s.holder, holders: holders, leaving: s.leavingOf(), wanting: wanting, most: s.most,
		longFree: func(tenant uuid.UUID) bool { return now.Sub(s.free[tenant]) >= s.cfg.LeaseTime },
	}
	take, leave := p.make()
	leave = slices.DeleteFunc(leave, func(tenant uuid.UUID) bool { return slices.Contains(due, tenant) })
	taken, err := s.leases.Take(asking, s.crew, s.holder, slices.Concat(take, due), s.cfg.LeaseTime)
	if err != nil {
		s.undo(due)
		return err
	}
	count := p.count()
	for _, t := range taken {
		if _, ours := s.mine[t.Tenant]; !ours {
			count++
		}
		s.mine[t.Tenant] = false
	}
	for _, tenant := range leave {
		s.mine[tenant] = true
	}
	s.order(taken, leave)
	if wants := p.target() > count-len(leave); wants != s.wants {
		s.wants = wants
		_, err = s.want(asking)
	}
	return err
}

// want says whether we lack tenants, and gives the others who do.
func (s *shares) want(ctx context.Context) ([]string, error) {
	ttl := time.Duration(0)
	if s.wants {
		ttl = s.cfg.LeaseTime
	}
	return s.leases.Want(ctx, s.crew, s.holder, ttl)
}

// compare holds what we think is ours against the leases, and notes who is free.
func (s *shares) compare(holders map[uuid.UUID]string, now time.Time) {
	var lost []uuid.UUID
	for tenant := range s.mine {
		if holders[tenant] != s.holder { // It has lapsed, or another has it.
			lost = append(lost, tenant)
			delete(s.mine, tenant)
		}
	}
	if len(lost) > 0 {
		s.order(nil, lost)
	}
	for tenant, holder := range holders {
		if _, known := s.free[tenant]; holder != "" {
			delete(s.free, tenant)
		} else if !known {
			s.free[tenant] = now
		}
	}
}

// release gives back those that were revoked since the last round: until then who had them could save how far he was.
func (s *shares) release(ctx context.Context) error {
	s.mu.Lock()
	left := s.left
	s.left = nil
	s.mu.Unlock()
	left = slices.DeleteFunc(left, func(tenant uuid.UUID) bool { return !s.mine[tenant] })
	if len(left) == 0 {
		return nil
	}
	if err := s.leases.Release(ctx, s.crew, s.holder, left); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left = append(s.left, left...)
		return err
	}
	for _, tenant := range left {
		delete(s.mine, tenant)
	}
	return nil
}

// leavingOf are those of ours that are on their way out.
func (s *shares) leavingOf() map[uuid.UUID]bool {
	leaving := map[uuid.UUID]bool{}
	for tenant, leaves := range s.mine {
		if leaves {
			leaving[tenant] = true
		}
	}
	return leaving
}

// retries are those of ours whose logs could not be followed a while ago.
func (s *shares) retries(now time.Time) []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []uuid.UUID
	for tenant, since := range s.failed {
		leaving, ours := s.mine[tenant]
		switch {
		case !ours:
			delete(s.failed, tenant)
		case leaving: // There is nothing to revoke.
			s.left = append(s.left, tenant)
			delete(s.failed, tenant)
		case now.Sub(since) >= s.cfg.FollowRetry:
			due = append(due, tenant)
			delete(s.failed, tenant)
		}
	}
	return due
}

// undo has those tried again in the next round that could not be in this one.
func (s *shares) undo(due []uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tenant := range due {
		s.failed[tenant] = time.Time{}
	}
}

// giveBack releases all at the end, so that the others need not wait for the leases to lapse.
func (s *shares) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	tenants := make([]uuid.UUID, 0, len(s.mine))
	for tenant := range s.mine {
		tenants = append(tenants, tenant)
	}
	s.wants = false
	_, err := s.want(ctx)
	if err == nil {
		err = s.leases.Release(ctx, s.crew, s.holder, tenants)
	}
	if err != nil {
		s.hub.metrics.roundFailed(ctx)
	}
}
