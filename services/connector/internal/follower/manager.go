package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// Config bounds the followers' waits. Its zero value works.
type Config struct {
	// DiscoverEvery is how often new accounts are looked for. Default 2 s.
	DiscoverEvery time.Duration
	// RetryDelay is the pause before an interrupted stream, or a lease that another holds, is tried again. Default 500 ms.
	// It doubles while nothing gets through, up to RetryDelayMax, default 30 s.
	RetryDelay, RetryDelayMax time.Duration
	// LeaseTTL is how long an account stays with a connector that has died. Default 5 s.
	LeaseTTL time.Duration
	// SampleEvery is how often balances are sampled besides what the stream tells. Default 1 min.
	SampleEvery time.Duration
	// SampleAfter is how long after a fill they are sampled; what fills meanwhile shares the sample. Default 1 s.
	SampleAfter time.Duration
	// AccountsMax bounds the accounts that one process follows. Default 10 000.
	AccountsMax int
}

func (c Config) withDefaults() (Config, error) {
	if min(c.DiscoverEvery, c.RetryDelay, c.RetryDelayMax, c.LeaseTTL, c.SampleEvery, c.SampleAfter) < 0 || c.AccountsMax < 0 {
		return c, fmt.Errorf("follower config: %+v: nothing may be negative", c)
	}
	set := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.DiscoverEvery, 2*time.Second)
	set(&c.RetryDelay, 500*time.Millisecond)
	set(&c.RetryDelayMax, 30*time.Second)
	set(&c.LeaseTTL, 5*time.Second)
	set(&c.SampleEvery, time.Minute)
	set(&c.SampleAfter, time.Second)
	if c.AccountsMax == 0 {
		c.AccountsMax = 10_000
	}
	return c, nil
}

// Manager follows every account of every tenant that this connector's venues serve.
type Manager struct {
	log     *slog.Logger
	clock   clock.Clock
	ledger  *ledger.Ledger
	desk    *line.Desk
	catchUp func(ctx context.Context, account string) error
	config  Config
	holder  string
	meters  *metrics

	mu        sync.Mutex
	root      context.Context //nolint:containedctx // the life of the followers, ended by Stop
	stop      context.CancelFunc
	running   sync.WaitGroup
	following map[string]*follower
}

// New makes a manager. CatchUp asks about every live order of an account.
func New(log *slog.Logger, clk clock.Clock, books *ledger.Ledger, desk *line.Desk, catchUp func(ctx context.Context, account string) error, config Config) (*Manager, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	meters, err := newMetrics()
	if err != nil {
		return nil, err
	}
	return &Manager{
		log: log, clock: clk, ledger: books, desk: desk, catchUp: catchUp, config: config,
		holder: uuid.NewString(), meters: meters, following: map[string]*follower{},
	}, nil
}

// Start begins to look for accounts and to follow them.
func (m *Manager) Start(ctx context.Context) error { //nolint:contextcheck // its work ends by Stop, not with the one who starts it
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != nil {
		return nil
	}
	m.root, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	root := m.root
	m.running.Go(func() { m.discoverForever(root) })
	return nil
}

// Started says whether Start was called.
func (m *Manager) Started() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.root != nil
}

// Stop ends all following and waits for it.
func (m *Manager) Stop() {
	m.mu.Lock()
	stop := m.stop
	if stop != nil {
		stop() // under the lock: Ensure begins nothing after this, and what it began before is waited for
	}
	m.mu.Unlock()
	if stop != nil {
		m.running.Wait()
	}
}

func (m *Manager) discoverForever(ctx context.Context) {
	for {
		if err := m.discover(ctx); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "look for accounts", "error", err)
		}
		if clock.Sleep(ctx, m.clock, m.config.DiscoverEvery) != nil {
			return
		}
	}
}

func (m *Manager) discover(ctx context.Context) error {
	tenants, err := m.ledger.Tenants(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, tenant := range tenants {
		accounts, err := m.ledger.Accounts(identity.WithTenant(ctx, tenant))
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", tenant, err))
			continue // the others do not wait for it
		}
		for _, account := range accounts {
			m.Ensure(tenant, account) //nolint:contextcheck // following lives as long as the manager
		}
	}
	return failed
}

// Ensure follows an account, if it is not followed yet and one of our venues serves it.
func (m *Manager) Ensure(tenant uuid.UUID, account *projectorv1.Account) {
	lines, err := m.desk.For(tenant, account)
	if err != nil {
		return // another connector's
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(lines.Ref.Key)
	if m.root == nil || m.root.Err() != nil || m.following[key] != nil {
		return
	}
	if len(m.following) >= m.config.AccountsMax {
		m.log.ErrorContext(m.root, "too many accounts to follow", "limit", m.config.AccountsMax)
		return
	}
	id, err := uuid.Parse(account.GetAccountId())
	if err != nil {
		return
	}
	f := &follower{
		translator: newTranslator(id, lines, m.ledger), log: m.log, clock: m.clock, config: m.config, catchUp: m.catchUp,
		environment: account.GetEnvironment(), holder: m.holder, meters: m.meters, filled: make(chan struct{}, 1),
	}
	m.following[key] = f
	ctx := identity.WithTenant(m.root, tenant)
	m.running.Go(func() { f.run(ctx) })
}

// Filled has the balances of an account of the context's tenant sampled soon.
func (m *Manager) Filled(ctx context.Context, account string) {
	m.mu.Lock()
	f := m.following[line.KeyPrefix(identity.Tenant(ctx))+account]
	m.mu.Unlock()
	if f == nil {
		return // not followed yet: that begins with a sample
	}
	select {
	case f.filled <- struct{}{}:
	default: // a sample is due already
	}
}

// Unreported is how many of an account's reports up to a cursor are not known to be in the log yet.
func (m *Manager) Unreported(ctx context.Context, account uuid.UUID, newest venue.Cursor) (int64, error) {
	checkpoint, err := m.ledger.Workers.GetCheckpoint(ctx, &eventlogv1.GetCheckpointRequest{Name: CheckpointName(account)})
	if err != nil {
		return 0, fault.Wrap(err, fault.KindOf(err), "CHECKPOINT", "read checkpoint of account %s", account)
	}
	return max(0, int64(newest)-checkpoint.GetValue()), nil
}
