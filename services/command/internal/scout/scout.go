package scout

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

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/detector"
	"github.com/robson/robson/services/command/internal/lifecycle"
)

// Log takes what is detected.
type Log interface {
	Append(ctx context.Context, in *eventlogv1.AppendRequest, opts ...grpc.CallOption) (*eventlogv1.AppendResponse, error)
}

// State tells what a position is armed for, and what became of its signals.
type State interface {
	GetStrategy(ctx context.Context, in *projectorv1.GetStrategyRequest, opts ...grpc.CallOption) (*projectorv1.GetStrategyResponse, error)
	GetPosition(ctx context.Context, in *projectorv1.GetPositionRequest, opts ...grpc.CallOption) (*projectorv1.GetPositionResponse, error)
	ListSignals(ctx context.Context, in *projectorv1.ListSignalsRequest, opts ...grpc.CallOption) (*projectorv1.ListSignalsResponse, error)
}

// Market tells a symbol's rules and streams its prices.
type Market interface {
	GetInstrument(ctx context.Context, in *connectorv1.GetInstrumentRequest, opts ...grpc.CallOption) (*connectorv1.GetInstrumentResponse, error)
	StreamPrices(ctx context.Context, in *connectorv1.StreamPricesRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[connectorv1.StreamPricesResponse], error)
}

// Alerts tells people of faults that are being retried.
type Alerts interface {
	Set(tenant uuid.UUID, name, text string) (news bool)
	Clear(tenant uuid.UUID, name string)
}

// Deps are what the scout talks to.
type Deps struct {
	Log    Log
	State  State
	Market Market
	Alerts Alerts
}

// Config are the scout's named choices. Its zero value works.
type Config struct {
	// TicksBack is how many ticks a feed goes back for when it begins, so that averages and levels are there at once;
	// default 8192.
	TicksBack int64
	// FeedsMax is how many markets are followed at a time; default 10000.
	FeedsMax int
	// RetryDelay is the first delay before what failed is tried again; it doubles up to RetryDelayMax; defaults 100 ms
	// and 10 s.
	RetryDelay    time.Duration
	RetryDelayMax time.Duration
}

func (c Config) defaulted() Config {
	c.TicksBack = cmp.Or(c.TicksBack, 8192)
	c.FeedsMax = cmp.Or(c.FeedsMax, 10_000)
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

func marketOf(tenant uuid.UUID, position *projectorv1.Position) market {
	return market{tenant: tenant, accountID: position.GetAccountId(), symbol: position.GetSymbol()}
}

// sighting is an armed position of which it is not known yet whether a detector watches for it.
type sighting struct {
	market   market
	position *projectorv1.Position
}

// Scout watches for armed positions.
type Scout struct {
	logger *slog.Logger
	clock  clock.Clock
	deps   Deps
	config Config

	mu      sync.Mutex
	feeds   map[market]*feed
	seen    map[string]sighting // by position
	wake    chan struct{}
	started chan *feed
}

// New makes a scout.
func New(logger *slog.Logger, c clock.Clock, deps Deps, config Config) (*Scout, error) {
	config = config.defaulted()
	switch {
	case config.TicksBack < 0 || config.FeedsMax < 1:
		return nil, fmt.Errorf("scout config: TicksBack is %d and must not be below 0, FeedsMax is %d and must be at least 1", config.TicksBack, config.FeedsMax)
	case config.RetryDelay <= 0 || config.RetryDelayMax < config.RetryDelay:
		return nil, errors.New("scout config: delays must be above zero, and RetryDelayMax not below RetryDelay")
	}
	return &Scout{
		logger: logger, clock: c, deps: deps, config: config, feeds: map[market]*feed{}, seen: map[string]sighting{},
		wake: make(chan struct{}, 1), started: make(chan *feed, config.FeedsMax),
	}, nil
}

// Run watches for every position that turns up armed, until the context ends; then it waits for all it started.
func (s *Scout) Run(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { s.consider(ctx) })
	for {
		select {
		case made := <-s.started:
			wait.Go(func() { made.run(identity.WithTenant(ctx, made.market.tenant)) })
		case <-ctx.Done():
			return
		}
	}
}

// Look is told how a position stands. It only takes note: reading more is not its caller's time.
func (s *Scout) Look(_ context.Context, tenant uuid.UUID, position *projectorv1.Position, _ int64, _ *lifecycle.Cause) {
	id := position.GetPositionId()
	armed := position.GetState() == projectorv1.PositionState_POSITION_STATE_ARMED && position.GetStrategyId() != ""
	s.mu.Lock()
	defer s.mu.Unlock()
	if !armed {
		delete(s.seen, id)
		for _, hindered := range []string{settingsOf, signalOf, expiryOf} {
			s.deps.Alerts.Clear(tenant, alertName(id, hindered)) // Nothing is wanted of it any more.
		}
		if known := s.feeds[marketOf(tenant, position)]; known != nil {
			known.forget(id)
		}
		return
	}
	s.seen[id] = sighting{market: marketOf(tenant, position), position: position}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// consider finds out for which positions to watch, until the context ends. What cannot be read is read again.
func (s *Scout) consider(ctx context.Context) {
	for failures := 0; ; {
		failed := false
		for id, found := range s.sightings() {
			failed = !s.watch(ctx, id, found) || failed
		}
		if failed {
			failures++
			if s.pause(ctx, failures) != nil {
				return
			}
			continue
		}
		failures = 0
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Scout) sightings() map[string]sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[string]sighting, len(s.seen))
	for id, found := range s.seen {
		list[id] = found
	}
	return list
}

// watch has a position watched for, if its strategy is of the built-in detector. It says whether that is settled.
func (s *Scout) watch(ctx context.Context, id string, found sighting) bool {
	name := alertName(id, settingsOf)
	strategy, err := s.deps.State.GetStrategy(identity.WithTenant(ctx, found.market.tenant), &projectorv1.GetStrategyRequest{
		StrategyId: found.position.GetStrategyId(),
	})
	if err != nil {
		s.report(ctx, found.market.tenant, name, "read its strategy", err)
		return false
	}
	if strategy.GetStrategy().GetStrategyType() != detector.MACross {
		s.settle(id, found, nil)
		return true
	}
	// What a position was armed with holds for it, whatever the strategy has become.
	settings, err := detector.Parse(found.position.GetDetectorConfig())
	if err != nil {
		s.report(ctx, found.market.tenant, name, "read what it was armed with", err)
		s.settle(id, found, nil)
		return true
	}
	s.deps.Alerts.Clear(found.market.tenant, name)
	s.settle(id, found, &watched{
		positionID: id, side: found.position.GetSide(), settings: settings, armedAt: found.position.GetArmedAt().AsTime(),
	})
	return true
}

// settle forgets a sighting, unless there is a newer one, and has the position watched for; nil for not at all.
func (s *Scout) settle(id string, found sighting, w *watched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[id].position != found.position {
		return
	}
	delete(s.seen, id)
	if w == nil {
		return
	}
	known := s.feeds[found.market]
	if known == nil {
		if len(s.feeds) >= s.config.FeedsMax {
			s.deps.Alerts.Set(found.market.tenant, "scout", "the detector follows as many markets as it may: "+found.market.symbol+" is not followed")
			return
		}
		known = newFeed(s, found.market)
		s.feeds[found.market] = known
		s.started <- known
	}
	known.add(w)
}

// Prices tells how far the detector has come with each market of a tenant, by account and symbol.
func (s *Scout) Prices(tenant uuid.UUID) []*commandv1.PriceProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*commandv1.PriceProgress
	for key, known := range s.feeds {
		if key.tenant == tenant && known.watching() {
			list = append(list, known.progress.Load())
		}
	}
	slices.SortFunc(list, func(a, b *commandv1.PriceProgress) int {
		return cmp.Or(cmp.Compare(a.GetAccountId(), b.GetAccountId()), cmp.Compare(a.GetSymbol(), b.GetSymbol()))
	})
	return list
}

// pause waits before another try, longer after more failures.
func (s *Scout) pause(ctx context.Context, failures int) error {
	delay := s.config.RetryDelay
	for range min(failures, 20) {
		delay = min(delay*2, s.config.RetryDelayMax)
	}
	return clock.Sleep(ctx, s.clock, delay)
}

// What of a position a fault can hinder.
const (
	settingsOf = "detector"
	signalOf   = "signal"
	expiryOf   = "expiry"
)

func alertName(positionID, hindered string) string { return "position " + positionID + " " + hindered }

// report alerts of a fault that is being retried, and logs it once.
func (s *Scout) report(ctx context.Context, tenant uuid.UUID, name, doing string, err error) {
	if ctx.Err() == nil && s.deps.Alerts.Set(tenant, name, name+": "+doing+": "+err.Error()) {
		s.logger.WarnContext(ctx, "the detector failed and tries again", "tenant_id", tenant, "what", name, "doing", doing, "error", err)
	}
}
