package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	"github.com/robson/robson/services/eventlog/internal/store"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
	"github.com/robson/robson/services/eventlog/internal/subscription"
)

var (
	crew      = subscription.Crew{Service: "command", Name: "process-manager"}
	quick     = subscription.Config{PollEvery: 5 * time.Millisecond, ShareEvery: 20 * time.Millisecond, LeaseTime: 500 * time.Millisecond}
	errBroken = errors.New("cut off")
)

// sea is a database with tenants' logs, and those who follow them.
type sea struct {
	db    *testkit.DB
	owner *pgxpool.Pool
	logs  map[uuid.UUID]*storetest.Log

	mu      sync.Mutex
	changed chan struct{}
	// held are the tenants of each worker, and how far he is with each. Seen is how often each event came, by tenant.
	held map[string]map[uuid.UUID]int64
	seen map[uuid.UUID]map[int64]int
	// failed are the reasons for which tenants were revoked.
	failed map[uuid.UUID][]string
}

func newSea(t *testing.T, tenants, events int) *sea {
	t.Helper()
	db := testkit.Database(t)
	s := &sea{
		db: db, owner: db.Pool(t, ""), logs: map[uuid.UUID]*storetest.Log{}, changed: make(chan struct{}),
		held: map[string]map[uuid.UUID]int64{}, seen: map[uuid.UUID]map[int64]int{}, failed: map[uuid.UUID][]string{},
	}
	for range tenants {
		if tenant := s.launch(); events > 0 {
			s.grow(t, tenant, events)
		}
	}
	return s
}

// launch begins a log.
func (s *sea) launch() uuid.UUID {
	tenant := uuid.New()
	s.logs[tenant] = storetest.NewLog(s.owner, tenant, time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC))
	return tenant
}

// grow makes a log longer, as another process does.
func (s *sea) grow(t *testing.T, tenant uuid.UUID, events int) {
	t.Helper()
	sample := projectiontest.NewLog()
	command := storetest.Command{}
	for range events {
		m := sample.Sample(uuid.NewString(), "USDT", "1")
		key, err := event.ParseStreamKey(projectiontest.Stream(m))
		require.NoError(t, err)
		command.Events = append(command.Events, storetest.Event{Stream: key, Payload: m})
	}
	_, err := s.logs[tenant].Append(t.Context(), command)
	require.NoError(t, err)
}

// growAll makes all logs longer.
func (s *sea) growAll(t *testing.T, events int) {
	t.Helper()
	for tenant := range s.logs {
		s.grow(t, tenant, events)
	}
}

// until waits until something holds.
func (s *sea) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		done, changed := holds(), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			counts := map[string]int{}
			for name, held := range s.held {
				counts[name] = len(held)
			}
			require.FailNow(t, "this never was: "+what, "%v", counts)
		}
	}
}

// shared waits until the workers have so many tenants each, all of them.
func (s *sea) shared(t *testing.T, want map[string][2]int) {
	t.Helper()
	s.until(t, fmt.Sprint("shared ", want), func() bool {
		total := 0
		for name, bounds := range want {
			n := len(s.held[name])
			if n < bounds[0] || n > bounds[1] {
				return false
			}
			total += n
		}
		return total == len(s.logs)
	})
}

// delivered waits until every event of every log has come to whoever has the tenant.
func (s *sea) delivered(t *testing.T) {
	t.Helper()
	s.until(t, "all delivered", func() bool {
		for tenant, log := range s.logs {
			for i := range log.Records {
				if s.seen[tenant][int64(i)+1] == 0 {
					return false
				}
			}
		}
		return true
	})
}

// replica is a process: a store and a hub.
type replica struct {
	*store.Store

	sea *sea
	hub *subscription.Hub
	// stop ends it.
	stop func()
}

func (s *sea) replica(t *testing.T, cfg subscription.Config) *replica {
	t.Helper()
	log, err := store.New(clock.System(), s.db.Pool(t, storetest.Role), store.Config{})
	require.NoError(t, err)
	hub, err := subscription.NewHub(clock.System(), log, cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan struct{})
	go func() { defer close(ran); hub.Run(ctx) }()
	r := &replica{Store: log, sea: s, hub: hub, stop: sync.OnceFunc(func() { cancel(); <-ran })}
	t.Cleanup(r.stop)
	return r
}

// worker is one who follows. He saves his checkpoint after every third event, and when a tenant is revoked.
type worker struct {
	*replica

	name string
	// leases are his; they can be cut.
	leases *cable
	end    func()
	ended  chan error
	// door is held by one who keeps him from taking anything.
	door sync.Mutex
}

// block keeps him from taking anything, until he is let go.
func (w *worker) block() (let func()) {
	w.door.Lock()
	return w.door.Unlock
}

// cable is leases whose far side can be cut off.
type cable struct {
	subscription.Leases

	mu  sync.Mutex
	cut bool
}

func (c *cable) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
}

func (c *cable) broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errBroken
	}
	return nil
}

func (c *cable) Holders(ctx context.Context, crew subscription.Crew, holder string, renew time.Duration, most int) (map[uuid.UUID]string, error) {
	if err := c.broken(); err != nil {
		return nil, err
	}
	return c.Leases.Holders(ctx, crew, holder, renew, most)
}

func (c *cable) Release(ctx context.Context, crew subscription.Crew, holder string, tenants []uuid.UUID) error {
	if err := c.broken(); err != nil {
		return err
	}
	return c.Leases.Release(ctx, crew, holder, tenants)
}

func (c *cable) Want(ctx context.Context, crew subscription.Crew, holder string, ttl time.Duration) ([]string, error) {
	if err := c.broken(); err != nil {
		return nil, err
	}
	return c.Leases.Want(ctx, crew, holder, ttl)
}

func (r *replica) work(t *testing.T, name string, change ...func(*subscription.FollowRequest)) *worker {
	t.Helper()
	w := &worker{replica: r, name: name, leases: &cable{Leases: r.Store}, ended: make(chan error, 1)}
	request := subscription.FollowRequest{Crew: crew, Holder: name}
	for _, c := range change {
		c(&request)
	}
	r.sea.mu.Lock()
	r.sea.held[name] = map[uuid.UUID]int64{}
	r.sea.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w.end = cancel
	left := make(chan struct{})
	go func() {
		defer close(left)
		err := r.hub.Follow(ctx, w.leases, request, w)
		_ = w.note(func() error { clear(r.sea.held[name]); return nil })
		w.ended <- err
	}()
	t.Cleanup(func() { cancel(); <-left })
	return w
}

// vanish cuts him off without goodbye.
func (w *worker) vanish() {
	w.leases.sever()
	w.end()
}

func (w *worker) note(do func() error) error {
	w.door.Lock()
	defer w.door.Unlock()
	w.sea.mu.Lock()
	defer w.sea.mu.Unlock()
	err := do()
	close(w.sea.changed)
	w.sea.changed = make(chan struct{})
	return err
}

func (w *worker) Assigned(tenant uuid.UUID, checkpoint int64) error {
	return w.note(func() error {
		if at, held := w.sea.held[w.name][tenant]; held {
			return fmt.Errorf("%s has %s already, at %d", w.name, tenant, at)
		}
		w.sea.held[w.name][tenant] = checkpoint
		return nil
	})
}

func (w *worker) Event(e *subscription.Event) error {
	err := w.note(func() error {
		at, held := w.sea.held[w.name][e.TenantID]
		if !held || e.Position != at+1 {
			return fmt.Errorf("%s was at %d of %s (%v), and was sent %d", w.name, at, e.TenantID, held, e.Position)
		}
		w.sea.held[w.name][e.TenantID] = e.Position
		if w.sea.seen[e.TenantID] == nil {
			w.sea.seen[e.TenantID] = map[int64]int{}
		}
		w.sea.seen[e.TenantID][e.Position]++
		return nil
	})
	if err == nil && e.Position%3 == 0 {
		return w.save(e.TenantID, e.Position)
	}
	return err
}

func (w *worker) save(tenant uuid.UUID, position int64) error {
	_, err := w.CheckpointSave(context.Background(), store.Worker{Tenant: tenant, Service: crew.Service, Name: crew.Name}, position) // He saves what he has done, whoever has gone.
	return err
}

func (w *worker) CaughtUp(tenant uuid.UUID, position int64) error {
	return w.note(func() error {
		if at := w.sea.held[w.name][tenant]; position != at {
			return fmt.Errorf("%s is at %d of %s, and was told that all is sent to %d", w.name, at, tenant, position)
		}
		return nil
	})
}

func (w *worker) Revoked(tenant uuid.UUID, why error) error {
	var at int64
	err := w.note(func() error {
		at = w.sea.held[w.name][tenant]
		delete(w.sea.held[w.name], tenant)
		if why != nil {
			w.sea.failed[tenant] = append(w.sea.failed[tenant], fault.ReasonOf(why))
		}
		return nil
	})
	if err == nil && why == nil {
		return w.save(tenant, at)
	}
	return err
}
