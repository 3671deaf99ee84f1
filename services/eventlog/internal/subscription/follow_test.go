package subscription_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

func TestHub_Follow(t *testing.T) {
	t.Parallel()

	t.Run("workers share the tenants, come and go", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 50, 7)
		one, two := s.replica(t, quick), s.replica(t, quick)
		one.work(t, "ana")
		s.shared(t, map[string][2]int{"ana": {50, 50}})
		s.delivered(t)

		bob := two.work(t, "bob") // Another process: half go over.
		s.shared(t, map[string][2]int{"ana": {25, 25}, "bob": {25, 25}})
		s.growAll(t, 4)
		s.delivered(t)

		cleo := one.work(t, "cleo")
		s.shared(t, map[string][2]int{"ana": {16, 17}, "bob": {16, 17}, "cleo": {16, 17}})
		s.growAll(t, 4)
		s.delivered(t)

		bob.vanish() // His leases lapse.
		s.growAll(t, 4)
		s.shared(t, map[string][2]int{"ana": {25, 25}, "cleo": {25, 25}})
		s.delivered(t)

		cleo.end() // She gives them back.
		require.ErrorIs(t, <-cleo.ended, context.Canceled)
		s.growAll(t, 1)
		s.shared(t, map[string][2]int{"ana": {50, 50}})
		s.delivered(t)

		s.grow(t, s.launch(), 3) // A new tenant.
		s.shared(t, map[string][2]int{"ana": {51, 51}})
		s.delivered(t)
	})

	t.Run("what a process that stops had goes to another one's at once", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 20, 5)
		slow := quick
		slow.LeaseTime = time.Hour // Nothing lapses.
		one, two := s.replica(t, slow), s.replica(t, slow)
		ana := one.work(t, "ana")
		two.work(t, "bob")
		s.shared(t, map[string][2]int{"ana": {10, 10}, "bob": {10, 10}})
		one.stop()
		err := <-ana.ended
		require.Equal(t, "STOPPING", fault.ReasonOf(err), "%v", err)
		require.True(t, fault.Is(err, fault.Unavailable))
		s.growAll(t, 3)
		s.shared(t, map[string][2]int{"bob": {20, 20}})
		s.delivered(t)
	})

	t.Run("one takes no more than he can", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 20, 2)
		one := s.replica(t, quick)
		one.work(t, "ana", func(r *subscription.FollowRequest) { r.TenantsMax = 4 })
		one.work(t, "bob")
		s.shared(t, map[string][2]int{"ana": {4, 4}, "bob": {16, 16}})
		s.delivered(t)
	})

	t.Run("crews do not share with each other", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 10, 2)
		one := s.replica(t, quick)
		one.work(t, "ana")
		one.work(t, "bob", func(r *subscription.FollowRequest) { r.Crew.Name = "monitor" })
		one.work(t, "cleo", func(r *subscription.FollowRequest) { r.Crew.Service = "connector" })
		s.until(t, "all have all", func() bool { return len(s.held["ana"])+len(s.held["bob"])+len(s.held["cleo"]) == 30 })
	})

	t.Run("many tenants, of which few move, need few reads", func(t *testing.T) {
		t.Parallel()
		cfg := quick
		cfg.HeadsNamedMax, cfg.PageSize, cfg.HeadsEvery = 10, 2, 50*time.Millisecond
		s := newSea(t, 150, 3)
		s.replica(t, cfg).work(t, "ana")
		s.shared(t, map[string][2]int{"ana": {150, 150}})
		s.delivered(t)
		for range 5 {
			s.grow(t, s.launch(), 9)
			s.growAll(t, 1)
			s.delivered(t)
		}
	})
}

func TestHub_Follow_filter(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.CaughtUpEvery = 10 * time.Millisecond
	s := newSea(t, 3, 0)
	var tenants []uuid.UUID
	for tenant, log := range s.logs {
		require.NoError(t, log.Write(t.Context(), storetest.Random(int(tenant[0]), 100), rand.New(rand.NewPCG(7, 11))))
		tenants = append(tenants, tenant)
	}
	one := s.replica(t, cfg)
	in := &picky{kind: "order:", heads: map[uuid.UUID]int64{}, all: make(chan struct{})}
	for _, tenant := range tenants {
		in.heads[tenant] = int64(len(s.logs[tenant].Records))
		for i := range s.logs[tenant].Records {
			if strings.HasPrefix(s.logs[tenant].Records[i].StreamKey, in.kind) {
				in.want++
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- one.hub.Follow(ctx, one.Store, subscription.FollowRequest{
			Crew: crew, Holder: "ana", Filter: subscription.Filter{Kinds: []event.Kind{event.KindOrder}},
		}, in)
	}()
	select {
	case <-in.all:
	case err := <-ended:
		require.NoError(t, err)
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Zero(t, in.want)
}

// picky takes events of one kind, and ends when it has been told that all logs were looked through.
type picky struct {
	kind  string
	heads map[uuid.UUID]int64
	want  int
	all   chan struct{}
}

func (p *picky) Assigned(uuid.UUID, int64) error { return nil }

func (p *picky) Event(e *subscription.Event) error {
	if !strings.HasPrefix(e.StreamKey, p.kind) {
		return fmt.Errorf("%s came", e.StreamKey)
	}
	p.want--
	return nil
}

func (p *picky) CaughtUp(tenant uuid.UUID, position int64) error {
	if position != p.heads[tenant] {
		return fmt.Errorf("told of %d, and the log goes to %d", position, p.heads[tenant])
	}
	delete(p.heads, tenant)
	if len(p.heads) == 0 {
		close(p.all)
	}
	return nil
}

func (p *picky) Revoked(_ uuid.UUID, why error) error { return fmt.Errorf("revoked: %w", why) }

func TestHub_Follow_failures(t *testing.T) {
	t.Parallel()

	t.Run("a log that cannot be followed leaves the others alone, and is tried again", func(t *testing.T) {
		t.Parallel()
		cfg := quick
		cfg.FollowRetry = 50 * time.Millisecond
		s := newSea(t, 5, 3)
		one := s.replica(t, cfg)
		bad := s.launch()
		s.grow(t, bad, 2)
		_, err := one.CheckpointSave(t.Context(), store.Worker{Tenant: bad, Service: crew.Service, Name: crew.Name}, 4)
		require.NoError(t, err)
		ana := one.work(t, "ana")
		s.until(t, "it is tried again", func() bool {
			return len(s.failed[bad]) >= 2 && s.failed[bad][0] == "POSITION_AHEAD" && s.failed[bad][1] == "POSITION_AHEAD"
		})
		s.grow(t, bad, 5) // Then there is something behind the checkpoint.
		s.until(t, "it is followed", func() bool { return s.seen[bad][7] == 1 && s.seen[bad][4] == 0 })
		require.Empty(t, ana.ended)
		delete(s.logs, bad)
		s.delivered(t)
	})

	t.Run("a month that is not here is told for each tenant", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 3, 2)
		_, err := s.owner.Exec(t.Context(), "alter table event_log detach partition event_log_2026_03")
		require.NoError(t, err)
		ana := s.replica(t, quick).work(t, "ana")
		s.until(t, "all are told", func() bool {
			for tenant := range s.logs {
				if !slices.Equal(s.failed[tenant], []string{"EVENT_MISSING"}) {
					return false
				}
			}
			return true
		})
		require.Empty(t, ana.ended)
	})

	t.Run("one who takes nothing is left, and what he had goes to others", func(t *testing.T) {
		t.Parallel()
		cfg := quick
		cfg.SendMax = 50 * time.Millisecond
		s := newSea(t, 6, 2)
		one := s.replica(t, cfg)
		ana := one.work(t, "ana")
		s.shared(t, map[string][2]int{"ana": {6, 6}})
		s.delivered(t)
		t.Cleanup(ana.block()) // As a gRPC send ends when its call has.
		s.growAll(t, 1)
		one.work(t, "bob")
		s.until(t, "bob has all", func() bool { return len(s.held["bob"]) == 6 })
	})

	t.Run("one whose leases cannot be kept up is sent away", func(t *testing.T) {
		t.Parallel()
		s := newSea(t, 2, 2)
		ana := s.replica(t, quick).work(t, "ana")
		s.shared(t, map[string][2]int{"ana": {2, 2}})
		ana.leases.sever()
		err := <-ana.ended
		require.Equal(t, "LEASES_LOST", fault.ReasonOf(err), "%v", err)
		require.ErrorIs(t, err, errBroken)
		require.True(t, fault.Is(err, fault.Unavailable))
	})

	t.Run("one too many is told to come later, and so is who comes too late", func(t *testing.T) {
		t.Parallel()
		cfg := quick
		cfg.FollowersMax = 1
		s := newSea(t, 2, 2)
		one := s.replica(t, cfg)
		one.work(t, "ana")
		s.delivered(t)
		err := one.hub.Follow(t.Context(), one.Store, subscription.FollowRequest{Crew: crew}, &worker{})
		require.Equal(t, "TOO_MANY_FOLLOWERS", fault.ReasonOf(err), "%v", err)
		require.Positive(t, fault.As(err).RetryAfter)
		one.stop()
		err = one.hub.Follow(t.Context(), one.Store, subscription.FollowRequest{Crew: crew}, &worker{})
		require.Equal(t, "STOPPING", fault.ReasonOf(err), "%v", err)
	})

	t.Run("more tenants than can be shared out are an error, not a selection", func(t *testing.T) {
		t.Parallel()
		cfg := quick
		cfg.CrewTenantsMax = 2
		s := newSea(t, 3, 1)
		one := s.replica(t, cfg)
		err := <-one.work(t, "ana").ended
		require.Equal(t, "LEASES_LOST", fault.ReasonOf(err), "%v", err)
		require.ErrorContains(t, err, "more than 2 tenants")
	})
}
