package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/line"
)

// Config bounds the executor's waits. Its zero value works.
type Config struct {
	// SendTimeout bounds one request to a venue. Default 10 s: the venue's own limit.
	SendTimeout time.Duration
	// AskFirst is the first pause between two questions; it doubles up to AskMax. Defaults 200 ms and 8 s.
	AskFirst, AskMax time.Duration
	// AskFor is how long one asking goes on at most; the sweep begins another. Default 10 min.
	AskFor time.Duration
	// SweepEvery is how often unresolved orders are looked for. Default 2 s.
	SweepEvery time.Duration
	// Young is the age under which the sweep leaves an order to its sender. Default 3 s.
	Young time.Duration
	// CancelTries is how often an uncertain cancel is sent again. Default 5.
	CancelTries int
}

func (c Config) withDefaults() (Config, error) {
	if min(c.SendTimeout, c.AskFirst, c.AskMax, c.AskFor, c.SweepEvery, c.Young) < 0 || c.CancelTries < 0 {
		return c, fmt.Errorf("executor config: %+v: nothing may be negative", c)
	}
	set := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.SendTimeout, 10*time.Second)
	set(&c.AskFirst, 200*time.Millisecond)
	set(&c.AskMax, 8*time.Second)
	set(&c.AskFor, 10*time.Minute)
	set(&c.SweepEvery, 2*time.Second)
	set(&c.Young, 3*time.Second)
	if c.CancelTries == 0 {
		c.CancelTries = 5
	}
	if c.AskFirst > c.AskMax {
		return c, fmt.Errorf("executor config: AskFirst %s is more than AskMax %s", c.AskFirst, c.AskMax)
	}
	return c, nil
}

// Executor executes, cancels and finds out. It is safe for concurrent use, by several replicas too.
type Executor struct {
	log    *slog.Logger
	clock  clock.Clock
	ledger *ledger.Ledger
	desk   *line.Desk
	config Config
	meters *metrics

	mu      sync.Mutex
	stop    context.CancelFunc
	root    context.Context //nolint:containedctx // the life of the background work, ended by Stop
	running sync.WaitGroup
	asking  map[string]*asking
	sending map[string]bool // what this process is about to send or hear of: the sweep leaves it alone
	swept   tally
}

// New makes an executor. Execute and the others work once it is started.
func New(log *slog.Logger, clk clock.Clock, books *ledger.Ledger, desk *line.Desk, config Config) (*Executor, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Executor{log: log, clock: clk, ledger: books, desk: desk, config: config, asking: map[string]*asking{}, sending: map[string]bool{}}
	e.meters, err = newMetrics(e.unresolved)
	return e, err
}

// Start begins the sweep for unresolved orders.
func (e *Executor) Start(ctx context.Context) error { //nolint:contextcheck // its work ends by Stop, not with the one who starts it
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.root != nil {
		return nil
	}
	e.root, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	root := e.root
	e.running.Go(func() { e.sweepForever(root) })
	return nil
}

// Started says whether Start was called.
func (e *Executor) Started() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.root != nil
}

// Stop ends the asking and waits for it. What is unresolved stays so in the log, and is found by the next sweep.
func (e *Executor) Stop() {
	e.mu.Lock()
	stop := e.stop
	if stop != nil {
		stop() // under the lock: whoever begins work after this sees it, whoever did before is waited for
	}
	e.mu.Unlock()
	if stop != nil {
		e.running.Wait()
		e.meters.close()
	}
}

// task is one order with all that is needed to deal with it.
type task struct {
	tenant uuid.UUID
	order  fact.Order
	lines  line.Lines
	// claimedAt is when the claim was committed, by the database's clock: the stamp of the request.
	claimedAt time.Time
}

// key names the order among those of all tenants.
func (t *task) key() string { return orderKey(t.tenant, t.order.ID.String()) }

func orderKey(tenant uuid.UUID, orderID string) string { return tenant.String() + "/" + orderID }

// errStopped says that the executor is not running.
var errStopped = fault.New(fault.Unavailable, "EXECUTOR_STOPPED", "the connector is not running")

// background gives a context for work that outlives its call: it ends with Stop.
func (e *Executor) background(tenant, trace uuid.UUID) (context.Context, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.backgroundLocked(tenant, trace)
}

func (e *Executor) backgroundLocked(tenant, trace uuid.UUID) (context.Context, error) {
	if e.root == nil || e.root.Err() != nil {
		return nil, errStopped
	}
	return correlation.With(identity.WithTenant(e.root, tenant), correlation.IDs{Trace: trace}), nil
}

// taskOf makes a task of an order's row.
func (e *Executor) taskOf(ctx context.Context, row *projectorv1.Order) (*task, error) {
	account, err := e.ledger.Account(ctx, row.GetAccountId())
	if err != nil {
		return nil, err
	}
	lines, err := e.desk.For(identity.Tenant(ctx), account)
	if err != nil {
		return nil, err
	}
	order, _, err := e.ledger.Claimed(ctx, ledger.OrderOf(row))
	if err != nil {
		return nil, err
	}
	return &task{tenant: identity.Tenant(ctx), order: order, lines: lines, claimedAt: row.GetCreatedAt().AsTime()}, nil
}

// marketTime is the time that facts of ours about a symbol carry.
func (e *Executor) marketTime(ctx context.Context, t *task) time.Time {
	at, err := t.lines.Market.MarketTime(ctx, t.order.Symbol)
	if err != nil {
		return e.clock.Now()
	}
	return at
}

// hasEnded says whether nothing can happen to an order any more, but a late fill.
func hasEnded(row *projectorv1.Order) bool {
	switch row.GetStatus() {
	case projectorv1.OrderStatus_ORDER_STATUS_FILLED, projectorv1.OrderStatus_ORDER_STATUS_CANCELED,
		projectorv1.OrderStatus_ORDER_STATUS_REJECTED, projectorv1.OrderStatus_ORDER_STATUS_EXPIRED:
		return true
	default:
		return false
	}
}

// isUnresolved says whether nobody knows yet what became of a claimed order, or of its cancel.
func isUnresolved(row *projectorv1.Order) bool {
	return row.GetNeedsResolution() || row.GetStatus() == projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED
}

// isMissing says whether an error means that there is no such row.
func isMissing(err error) bool { return fault.Is(err, fault.NotFound) }

func local(reason string) fact.Rejection {
	return fact.Rejection{Stage: eventv1.RejectStage_REJECT_STAGE_LOCAL, Reason: reason}
}

func orderStream(id uuid.UUID) string {
	return event.StreamKey{Kind: event.KindOrder, ID: id}.String()
}

// ended says whether a context has ended, whatever the error looks like.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.Canceled)
}
