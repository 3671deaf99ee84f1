package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// Log is the event log as the monitor uses it.
type Log interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
	GetEvent(ctx context.Context, in *eventlogv1.GetEventRequest, opts ...grpc.CallOption) (*eventlogv1.GetEventResponse, error)
	GetCheckpoint(ctx context.Context, in *eventlogv1.GetCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.GetCheckpointResponse, error)
	SaveCheckpoint(ctx context.Context, in *eventlogv1.SaveCheckpointRequest, opts ...grpc.CallOption) (*eventlogv1.SaveCheckpointResponse, error)
}

// State finds a position as it now stands.
type State interface {
	GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest, opts ...grpc.CallOption) (*projectorv1.GetPositionResponse, error)
}

// Prices streams a symbol's prices.
type Prices interface {
	StreamPrices(ctx context.Context, in *connectorv1.StreamPricesRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[connectorv1.StreamPricesResponse], error)
}

// Alerts tells people of faults that are being retried.
type Alerts interface {
	Set(tenant uuid.UUID, name, text string) (news bool)
	Clear(tenant uuid.UUID, name string)
}

// Deps are what the monitor talks to.
type Deps struct {
	Log    Log
	State  State
	Prices Prices
	Alerts Alerts
}

// Config are the monitor's named choices. Its zero value works.
type Config struct {
	// TicksKept is how many of a market's last ticks are kept for positions that turn up, and how far before its
	// checkpoint a market is followed again after a restart; default 4096.
	TicksKept int
	// FeedsMax is how many markets are followed at a time; default 10000.
	FeedsMax int
	// CheckpointEvery is how often the progress of a market is saved when it has moved; default 1 s.
	CheckpointEvery time.Duration
	// RetryDelay is the first delay before what failed is tried again; it doubles up to RetryDelayMax; defaults 100 ms
	// and 10 s.
	RetryDelay    time.Duration
	RetryDelayMax time.Duration
}

func (c Config) defaulted() Config {
	c.TicksKept = cmp.Or(c.TicksKept, 4096)
	c.FeedsMax = cmp.Or(c.FeedsMax, 10_000)
	c.CheckpointEvery = cmp.Or(c.CheckpointEvery, time.Second)
	c.RetryDelay = cmp.Or(c.RetryDelay, 100*time.Millisecond)
	c.RetryDelayMax = cmp.Or(c.RetryDelayMax, 10*time.Second)
	return c
}

// market is one account's view of a symbol: two accounts may trade it at different venues.
type market struct {
	tenant    uuid.UUID
	accountID string
	symbol    string
}

// Monitor follows the markets of open positions.
type Monitor struct {
	logger *slog.Logger
	clock  clock.Clock
	deps   Deps
	config Config

	mu      sync.Mutex
	feeds   map[market]*feed
	started chan *feed
}

// ticksKeptMin leaves something when half of what is kept is forgotten.
const ticksKeptMin = 2

// New makes a monitor.
func New(logger *slog.Logger, c clock.Clock, deps Deps, config Config) (*Monitor, error) {
	config = config.defaulted()
	switch {
	case config.TicksKept < ticksKeptMin:
		return nil, fmt.Errorf("monitor config: TicksKept is %d and must be at least %d", config.TicksKept, ticksKeptMin)
	case config.FeedsMax < 1:
		return nil, fmt.Errorf("monitor config: FeedsMax is %d and must be at least 1", config.FeedsMax)
	case config.CheckpointEvery <= 0 || config.RetryDelay <= 0 || config.RetryDelayMax < config.RetryDelay:
		return nil, errors.New("monitor config: delays must be above zero, and RetryDelayMax not below RetryDelay")
	}
	return &Monitor{
		logger: logger, clock: c, deps: deps, config: config,
		feeds: map[market]*feed{}, started: make(chan *feed, config.FeedsMax),
	}, nil
}

// Run follows every market that positions turn up in, until the context ends; then it waits for all it started.
func (m *Monitor) Run(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		select {
		case made := <-m.started:
			wait.Go(func() { made.run(identity.WithTenant(ctx, made.market.tenant)) })
		case <-ctx.Done():
			return
		}
	}
}

// Look is told how a position stands, and where its market stood then. It returns when the position has been shown
// every kept tick that it was missing.
func (m *Monitor) Look(ctx context.Context, tenant uuid.UUID, position *projectorv1.Position, sequence int64, stopSet *lifecycle.Cause) {
	key := market{tenant: tenant, accountID: position.GetAccountId(), symbol: position.GetSymbol()}
	made := m.feed(key, sequence, follows(position))
	if made == nil {
		return
	}
	watched, err := newWatched(position, stopSet)
	name := "position " + position.GetPositionId() + " row"
	if err != nil {
		m.report(ctx, tenant, name, "read its stop", err)
		return
	}
	m.deps.Alerts.Clear(tenant, name)
	watched.from = sequence
	made.look(ctx, position.GetPositionId(), watched)
}

// follows says whether a position makes its market worth following: from the entry on, until it is left.
func follows(position *projectorv1.Position) bool {
	switch position.GetState() {
	case projectorv1.PositionState_POSITION_STATE_ENTERING, projectorv1.PositionState_POSITION_STATE_ACTIVE,
		projectorv1.PositionState_POSITION_STATE_ERROR:
		return true
	default:
		return false
	}
}

// feed finds the feed of a market, and begins one if that is wanted. A feed once begun goes on: the market of a
// position that was left is soon traded again.
func (m *Monitor) feed(key market, sequence int64, wanted bool) *feed {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.feeds[key]; known != nil {
		return known
	}
	if !wanted {
		return nil
	}
	if len(m.feeds) >= m.config.FeedsMax {
		m.deps.Alerts.Set(key.tenant, "monitor", "the monitor follows as many markets as it may: "+key.symbol+" is not followed")
		return nil
	}
	made := newFeed(m, key, sequence)
	m.feeds[key] = made
	m.started <- made
	return made
}

// Prices tells how far each market of a tenant has been handled, by account and symbol.
func (m *Monitor) Prices(tenant uuid.UUID) []*commandv1.PriceProgress {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*commandv1.PriceProgress
	for key, known := range m.feeds {
		if key.tenant != tenant {
			continue
		}
		last := known.last.Load()
		progress := &commandv1.PriceProgress{AccountId: key.accountID, Symbol: key.symbol, Sequence: known.resumed.Load()}
		if last != nil {
			progress.Sequence, progress.Price = last.sequence, last.Price.String()
			progress.MarketTime = timestamppb.New(last.At)
		}
		list = append(list, progress)
	}
	slices.SortFunc(list, func(a, b *commandv1.PriceProgress) int {
		return cmp.Or(cmp.Compare(a.GetAccountId(), b.GetAccountId()), cmp.Compare(a.GetSymbol(), b.GetSymbol()))
	})
	return list
}

// report alerts of a fault that is being retried, and logs it once.
func (m *Monitor) report(ctx context.Context, tenant uuid.UUID, name, doing string, err error) {
	if m.deps.Alerts.Set(tenant, name, name+": "+doing+": "+err.Error()) {
		m.logger.WarnContext(ctx, "the monitor failed and tries again", "tenant_id", tenant, "what", name, "doing", doing, "error", err)
	}
}
