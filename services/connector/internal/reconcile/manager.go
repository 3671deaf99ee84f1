package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
)

// Config bounds reconciliation. Its zero value works.
type Config struct {
	// Every is how often each account is reconciled, staggered over the accounts. Default 1 h.
	Every time.Duration
	// DiscoverEvery is how often it is looked for accounts whose turn it is. Default 10 s; never longer than Every.
	DiscoverEvery time.Duration
	// Young is how long the stream may take to bring what the venue shows already. Default 5 s.
	Young time.Duration
	// RunTimeout bounds one run. Default 10 min.
	RunTimeout time.Duration
	// LeaseTTL is how long an account stays with a connector that has died. Default 5 s.
	LeaseTTL time.Duration
	// ConcurrencyMax is how many accounts are reconciled at a time. Default 2.
	ConcurrencyMax int
	// WaitingMax is how many runs wait for their turn. Default 1000.
	WaitingMax int
	// Overlap is how many trades and orders of a symbol, dealt with before, a run looks at again. Default 100.
	Overlap int
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Every, time.Hour},
		{&c.DiscoverEvery, 10 * time.Second},
		{&c.Young, 5 * time.Second},
		{&c.RunTimeout, 10 * time.Minute},
		{&c.LeaseTTL, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	c.DiscoverEvery = min(c.DiscoverEvery, c.Every)
	for _, n := range []struct {
		field *int
		value int
	}{{&c.ConcurrencyMax, 2}, {&c.WaitingMax, 1000}, {&c.Overlap, 100}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	return c
}

// Manager reconciles every account of every tenant that this connector's venues serve.
type Manager struct {
	log    *slog.Logger
	clock  clock.Clock
	ledger *ledger.Ledger
	desk   *line.Desk
	config Config
	holder string
	meters *metrics
	slots  chan struct{}

	mu      sync.Mutex
	root    context.Context //nolint:containedctx // the life of the runs, ended by Stop
	stop    context.CancelFunc
	running sync.WaitGroup
	due     map[string]time.Time
	busy    map[string]chan struct{} // held by the run of an account
	queued  map[string]bool          // automatic runs that wait
	waiting int
	last    map[string]outcome
}

// outcome is how an account's last reconciliation came out, and when it ended: when the account was found, before the first.
type outcome struct {
	at   time.Time
	open int
}

// New makes a manager.
func New(log *slog.Logger, clk clock.Clock, books *ledger.Ledger, desk *line.Desk, config Config) (*Manager, error) {
	config = config.withDefaults()
	m := &Manager{
		log: log, clock: clk, ledger: books, desk: desk, config: config, holder: uuid.NewString(), slots: make(chan struct{}, config.ConcurrencyMax),
		due: map[string]time.Time{}, busy: map[string]chan struct{}{}, queued: map[string]bool{}, last: map[string]outcome{},
	}
	var err error
	m.meters, err = newMetrics(m.standing)
	return m, err
}

// standing says how long ago the account that waits longest was reconciled, and how much is open of all.
func (m *Manager) standing() (longest time.Duration, open int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.last {
		longest, open = max(longest, m.clock.Now().Sub(o.at)), open+o.open
	}
	return longest, open
}

// came notes that an account was reconciled, by this connector or by another; that one knows how much is open.
func (m *Manager) came(key string, report *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := outcome{at: m.clock.Now(), open: m.last[key].open}
	if report != nil {
		o.open = int(report.Completed.GetUnresolved())
	}
	m.last[key] = o
}

// Start reconciles the accounts that there are, and from then on each when its hour has come.
func (m *Manager) Start(ctx context.Context) error { //nolint:contextcheck // its work ends by Stop, not with the one who starts it
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != nil {
		return nil
	}
	m.root, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	root, started := m.root, m.clock.Now()
	m.running.Go(func() {
		for {
			if err := m.discover(root, started); err != nil && root.Err() == nil {
				m.log.WarnContext(root, "look for accounts to reconcile", "error", err)
			}
			if clock.Sleep(root, m.clock, m.config.DiscoverEvery) != nil {
				return
			}
		}
	})
	return nil
}

// Stop breaks off what runs and waits for it. The next run of each account goes on with what was broken off.
func (m *Manager) Stop() {
	m.mu.Lock()
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	m.running.Wait()
	m.meters.close()
}

// discover begins the runs that are due.
func (m *Manager) discover(ctx context.Context, started time.Time) error {
	tenants, err := m.ledger.Tenants(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, tenant := range tenants {
		accounts, err := m.ledger.Accounts(identity.WithTenant(ctx, tenant))
		failed = errors.Join(failed, err)
		for _, account := range accounts {
			if _, err := m.desk.For(tenant, account); err != nil {
				continue // another connector's
			}
			if trigger, due := m.isDue(tenant, account, started); due {
				m.begin(tenant, account, trigger) //nolint:contextcheck // a run lives as long as the manager
			}
		}
	}
	return failed
}

// isDue says whether it is an account's turn: when the process starts, for one that was there before, and each hour, at a
// minute of its own.
func (m *Manager) isDue(tenant uuid.UUID, account *projectorv1.Account, started time.Time) (eventv1.ReconciliationTrigger, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, now := tenant.String()+"/"+account.GetAccountId(), m.clock.Now()
	due, known := m.due[key]
	if known && now.Before(due) {
		return 0, false
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key))
	next := now.Truncate(m.config.Every).Add(time.Duration(hash.Sum64() % uint64(m.config.Every)))
	if !next.After(now) {
		next = next.Add(m.config.Every)
	}
	m.due[key] = next
	if !known {
		m.last[key] = outcome{at: now}
		return eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_STARTUP, account.GetCreatedAt().AsTime().Before(started)
	}
	return eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY, true
}

// Reconnected reconciles an account whose stream has left something out, in its turn.
func (m *Manager) Reconnected(ctx context.Context, accountID string) error {
	account, err := m.ledger.Account(ctx, accountID)
	if err != nil {
		return err
	}
	m.begin(identity.Tenant(ctx), account, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_RECONNECT) //nolint:contextcheck // a run lives as long as the manager
	return nil
}

// begin queues an automatic run, unless one of the account waits already.
func (m *Manager) begin(tenant uuid.UUID, account *projectorv1.Account, trigger eventv1.ReconciliationTrigger) {
	key := tenant.String() + "/" + account.GetAccountId()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root == nil || m.root.Err() != nil || m.queued[key] {
		return
	}
	m.queued[key] = true
	ctx := identity.WithTenant(m.root, tenant)
	m.running.Go(func() {
		_, err := m.turn(ctx, tenant, account, trigger, nil, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.queued, key)
		})
		if isElsewhere(err) {
			m.came(key, nil)
			if trigger != eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY && clock.Sleep(ctx, m.clock, m.config.LeaseTTL/3) == nil {
				// The other may have died, and what this run is for have come after that.
				m.begin(tenant, account, trigger) //nolint:contextcheck // a run lives as long as the manager
			}
			return
		}
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Refused) {
			m.log.ErrorContext(ctx, "reconciliation", "account_id", account.GetAccountId(), "error", err)
		}
	})
}

// Reconcile runs one now, for an operator, and closes what the operator has judged. What is not open is refused before the run begins;
// what another run has closed by the time that this one ends is closed.
func (m *Manager) Reconcile(ctx context.Context, accountID string, resolve []string) (*Report, error) {
	account, err := m.ledger.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if err := m.checkResolve(ctx, account.GetAccountId(), resolve); err != nil {
		return nil, err
	}
	return m.turn(ctx, identity.Tenant(ctx), account, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_MANUAL, resolve, func() {})
}

// turn waits for the account and for a slot, and runs.
func (m *Manager) turn(ctx context.Context, tenant uuid.UUID, account *projectorv1.Account, trigger eventv1.ReconciliationTrigger, resolve []string, began func()) (*Report, error) {
	defer began()
	lines, err := m.desk.For(tenant, account)
	if err != nil {
		return nil, err
	}
	free, err := m.queue(ctx, tenant.String()+"/"+account.GetAccountId())
	if err != nil {
		return nil, err
	}
	defer free()
	began()
	ctx, cancel := context.WithTimeout(ctx, m.config.RunTimeout)
	defer cancel()
	report, err := m.leased(ctx, account, lines, trigger, resolve)
	if err != nil {
		return nil, fmt.Errorf("reconcile account %s: %w", account.GetAccountId(), err)
	}
	m.came(tenant.String()+"/"+account.GetAccountId(), report)
	m.meters.ended(ctx, report)
	return report, nil
}

// queue waits until no other run of the account goes on and a slot is free.
func (m *Manager) queue(ctx context.Context, key string) (free func(), err error) {
	m.mu.Lock()
	if m.waiting >= m.config.WaitingMax {
		m.mu.Unlock()
		return nil, fault.New(fault.Exhausted, "RECONCILIATIONS_MAX", "%d reconciliations wait already, which is the most", m.config.WaitingMax).WithRetryAfter(time.Minute)
	}
	m.waiting++
	busy, ok := m.busy[key]
	if !ok {
		busy = make(chan struct{}, 1)
		m.busy[key] = busy
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.waiting--
	}()
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case m.slots <- struct{}{}:
		return func() { <-m.slots; <-busy }, nil
	case <-ctx.Done():
		<-busy
		return nil, context.Cause(ctx)
	}
}

// reasonElsewhere is the reason of a run that another connector's keeps from beginning.
const reasonElsewhere = "RECONCILED_ELSEWHERE"

func isElsewhere(err error) bool {
	failed := fault.As(err)
	return failed != nil && failed.Reason == reasonElsewhere
}

// leased runs while no other connector does.
func (m *Manager) leased(ctx context.Context, account *projectorv1.Account, lines line.Lines, trigger eventv1.ReconciliationTrigger, resolve []string) (*Report, error) {
	id, err := uuid.Parse(account.GetAccountId())
	if err != nil {
		return nil, fault.InvalidField("account_id", "must be a UUID, found %q", account.GetAccountId())
	}
	held, err := m.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, fault.New(fault.Unavailable, reasonElsewhere, "another connector reconciles account %s just now, or did and died less than %s ago", id, m.config.LeaseTTL).
			WithRetryAfter(m.config.LeaseTTL / 3)
	}
	defer m.release(ctx, id)
	renewing, done := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		for clock.Sleep(renewing, m.clock, m.config.LeaseTTL/3) == nil {
			_, _ = m.acquire(renewing, id) // one that is lost saves no work any more, and harms nobody
		}
	})
	defer keeper.Wait()
	defer done()
	lines = patience{m.clock, m.config.Young}.of(lines)
	r := &run{ledger: m.ledger, clock: m.clock, config: m.config, account: id, row: account, lines: lines, started: m.clock.Now(), raised: map[string]bool{}, replaced: map[string]bool{}, weighed: map[string]bool{}}
	r.stamp, r.before, err = begin(ctx, m.ledger, id, trigger, r.started)
	if err != nil {
		return nil, err
	}
	r.id = r.stamp.runID(id)
	if err := r.do(ctx, resolve); err != nil {
		return nil, line.Fault("run "+r.id.String(), err)
	}
	return &r.report, nil
}

func (m *Manager) acquire(ctx context.Context, account uuid.UUID) (bool, error) {
	response, err := m.ledger.Workers.AcquireLease(ctx, &eventlogv1.AcquireLeaseRequest{
		Name: LeaseName(account), Holder: m.holder, TimeToLive: durationpb.New(m.config.LeaseTTL),
	})
	if err != nil {
		return false, fmt.Errorf("acquire lease: %w", err)
	}
	return response.GetAcquired(), nil
}

// cleanupTimeout bounds giving a lease back.
const cleanupTimeout = 2 * time.Second

func (m *Manager) release(ctx context.Context, account uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	// Best effort: it lapses by itself.
	_, _ = m.ledger.Workers.ReleaseLease(ctx, &eventlogv1.ReleaseLeaseRequest{Name: LeaseName(account), Holder: m.holder})
}
