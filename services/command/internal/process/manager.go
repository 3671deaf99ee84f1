package process

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/fault"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// Log is the event log as the process manager uses it.
type Log interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
	ReadStream(ctx context.Context, in *eventlogv1.ReadStreamRequest, opts ...grpc.CallOption) (*eventlogv1.ReadStreamResponse, error)
	Subscribe(ctx context.Context, in *eventlogv1.SubscribeRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[eventlogv1.SubscribeResponse], error)
	ListTenants(ctx context.Context, in *eventlogv1.ListTenantsRequest, opts ...grpc.CallOption) (*eventlogv1.ListTenantsResponse, error)
	GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.GetCheckpointResponse, error)
	SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error)
}

// State is the current state as the process manager reads it.
type State interface {
	GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest, opts ...grpc.CallOption) (*projectorv1.GetPositionResponse, error)
	GetOrder(ctx context.Context, in *projectorv1.GetOrderRequest, opts ...grpc.CallOption) (*projectorv1.GetOrderResponse, error)
	ListSignals(ctx context.Context, in *projectorv1.ListSignalsRequest, opts ...grpc.CallOption) (*projectorv1.ListSignalsResponse, error)
	ListPositions(ctx context.Context, in *projectorv1.ListPositionsRequest, opts ...grpc.CallOption) (*projectorv1.ListPositionsResponse, error)
	GetDecisionView(ctx context.Context, in *projectorv1.GetDecisionViewRequest, opts ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error)
}

// Connector carries intents out and knows the market.
type Connector interface {
	Execute(ctx context.Context, in *connectorv1.ExecuteRequest, opts ...grpc.CallOption) (*connectorv1.ExecuteResponse, error)
	EndIntent(ctx context.Context, in *connectorv1.EndIntentRequest, opts ...grpc.CallOption) (*connectorv1.EndIntentResponse, error)
	ResolveOrder(ctx context.Context, in *connectorv1.ResolveOrderRequest, opts ...grpc.CallOption) (*connectorv1.ResolveOrderResponse, error)
	GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest, opts ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error)
}

// Watch is told of every position that was looked at, so that the stop monitor sees it before the event that led to it
// counts as reacted to.
type Watch interface {
	// Look tells how a position stands, where the market then stood, and which event last set its stop; nil for none.
	Look(ctx context.Context, tenant uuid.UUID, position *projectorv1.Position, sequence int64, stopSet *lifecycle.Cause)
}

// Watchers are told of each position one after the other.
type Watchers []Watch

// Look implements Watch.
func (all Watchers) Look(ctx context.Context, tenant uuid.UUID, position *projectorv1.Position, sequence int64, stopSet *lifecycle.Cause) {
	for _, watch := range all {
		watch.Look(ctx, tenant, position, sequence, stopSet)
	}
}

// Signals answers the signals that wait in the log.
type Signals interface {
	// Answer has a signal accepted, rejected or expired, once however often it is called, and tells whether it goes on
	// waiting and for how long, by the venue's time, it is still good.
	Answer(ctx context.Context, detected lifecycle.Cause, signalID string) (waits bool, left time.Duration, err error)
}

// Deps are what the process manager talks to.
type Deps struct {
	Log       Log
	State     State
	Connector Connector
	Watch     Watch
	Signals   Signals
	Alerts    *Alerts
}

// Config are the process manager's named choices. Its zero value works.
type Config struct {
	// Lifecycle are the settings of the steps; see Config.defaulted for the defaults.
	Lifecycle lifecycle.Settings
	// ParallelMax is how many positions of a tenant are worked on at a time; default 16.
	ParallelMax int
	// TenantPoll is how often new tenants are looked for; default 500 ms.
	TenantPoll time.Duration
	// CheckpointEvery is how often the checkpoint is saved when it has moved; default 1 s.
	CheckpointEvery time.Duration
	// ExecuteTimeout is how long one call to the connector may take; default 10 s.
	ExecuteTimeout time.Duration
	// SignalLook is how often a signal that waits is looked at, besides when it expires: the venue's clock need not go as
	// ours does; default 1 s.
	SignalLook time.Duration
	// RetryDelay is the first delay before a step that failed, or is still due, is taken again; it doubles up to
	// RetryDelayMax; defaults 100 ms and 30 s.
	RetryDelay    time.Duration
	RetryDelayMax time.Duration
	// AlertAfter is how many failures in a row make an alert; default 3.
	AlertAfter int
}

func (c Config) defaulted() Config {
	setDefault(&c.ParallelMax, 16)
	setDefault(&c.TenantPoll, 500*time.Millisecond)
	setDefault(&c.CheckpointEvery, time.Second)
	setDefault(&c.ExecuteTimeout, 10*time.Second)
	setDefault(&c.SignalLook, time.Second)
	setDefault(&c.RetryDelay, 100*time.Millisecond)
	setDefault(&c.RetryDelayMax, 30*time.Second)
	setDefault(&c.AlertAfter, 3)
	c.Lifecycle = c.Lifecycle.Defaulted()
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Manager runs one worker per tenant.
type Manager struct {
	logger *slog.Logger
	clock  clock.Clock
	deps   Deps
	config Config

	mu      sync.Mutex
	workers map[uuid.UUID]*worker
}

// validate refuses what cannot be meant, after the defaults.
func (c Config) validate() error {
	for _, setting := range []struct {
		name string
		ok   bool
	}{
		{"ParallelMax", c.ParallelMax > 0},
		{"TenantPoll", c.TenantPoll > 0},
		{"CheckpointEvery", c.CheckpointEvery > 0},
		{"ExecuteTimeout", c.ExecuteTimeout > 0},
		{"SignalLook", c.SignalLook > 0},
		{"RetryDelay", c.RetryDelay > 0},
		{"RetryDelayMax", c.RetryDelayMax >= c.RetryDelay},
		{"AlertAfter", c.AlertAfter > 0},
		{"Lifecycle.StopBufferFraction", !c.Lifecycle.StopBufferFraction.IsNegative()},
		{"Lifecycle.StopReplaceFraction", !c.Lifecycle.StopReplaceFraction.IsNegative()},
		{"Lifecycle.RetryDelay", c.Lifecycle.RetryDelay > 0},
		{"Lifecycle.RetryDelayMax", c.Lifecycle.RetryDelayMax >= c.Lifecycle.RetryDelay},
		{"Lifecycle.AlertAfter", c.Lifecycle.AlertAfter > 0},
		{"Lifecycle.FillsWait", c.Lifecycle.FillsWait > 0},
	} {
		if !setting.ok {
			return fmt.Errorf("process config: %s is out of its bounds", setting.name)
		}
	}
	return nil
}

// New makes a manager.
func New(logger *slog.Logger, c clock.Clock, deps Deps, config Config) (*Manager, error) {
	config = config.defaulted()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Manager{logger: logger, clock: c, deps: deps, config: config, workers: map[uuid.UUID]*worker{}}, nil
}

// Run works for every tenant there is and comes to be, until the context ends; then it waits for all it started. What
// fails meanwhile is alerted and tried again.
func (m *Manager) Run(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	ticker := m.clock.NewTicker(m.config.TenantPoll)
	defer ticker.Stop()
	for {
		tenants, err := m.tenants(ctx)
		if err != nil && ctx.Err() == nil {
			m.report(ctx, uuid.Nil, "tenants", "list tenants", err)
		} else {
			m.deps.Alerts.Clear(uuid.Nil, "tenants")
		}
		for _, tenant := range tenants {
			if started := m.worker(tenant); started != nil {
				wait.Go(func() { started.run(ctx) })
			}
		}
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
	}
}

// tenantPage is how many tenants are listed at a time.
const tenantPage = 1000

func (m *Manager) tenants(ctx context.Context) ([]uuid.UUID, error) {
	var tenants []uuid.UUID
	for token := ""; ; {
		page, err := m.deps.Log.ListTenants(ctx, &eventlogv1.ListTenantsRequest{PageSize: tenantPage, PageToken: token})
		if err != nil {
			return tenants, err
		}
		for _, text := range page.GetTenantIds() {
			tenant, err := uuid.Parse(text)
			if err != nil {
				return tenants, fault.Wrap(err, fault.Corrupt, "ROW_ID", "read tenant id %q", text)
			}
			tenants = append(tenants, tenant)
		}
		if token = page.GetNextPageToken(); token == "" {
			return tenants, nil
		}
	}
}

// worker makes a tenant's worker; nil if it has one.
func (m *Manager) worker(tenant uuid.UUID) *worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.workers[tenant] != nil {
		return nil
	}
	made := newWorker(m, tenant)
	m.workers[tenant] = made
	return made
}

// Progress tells how far a tenant's worker has come: the position up to which every event has been reacted to, and how
// many positions have a step under way or waiting for another try.
func (m *Manager) Progress(tenant uuid.UUID) (reacted int64, busy int) {
	m.mu.Lock()
	known := m.workers[tenant]
	m.mu.Unlock()
	if known == nil {
		return 0, 0
	}
	return known.lanes.reacted(), known.lanes.busy()
}

// report alerts of a fault that is being retried, and logs it once.
func (m *Manager) report(ctx context.Context, tenant uuid.UUID, name, doing string, err error) {
	if m.deps.Alerts.Set(tenant, name, name+": "+doing+": "+err.Error()) {
		m.logger.WarnContext(ctx, "a step failed and is retried", "tenant_id", tenant, "step", name, "doing", doing, "error", err)
	}
}
