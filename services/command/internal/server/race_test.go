package server

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// meeting is a state whose first views wait for each other, so that their readers decide on the same one.
type meeting struct {
	*worldtest.World
	mu      sync.Mutex
	missing int
	all     chan struct{}
}

func meet(world *worldtest.World, count int) *meeting {
	return &meeting{World: world, missing: count, all: make(chan struct{})}
}

func (m *meeting) GetDecisionView(ctx context.Context, in *projectorv1.GetDecisionViewRequest, opts ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error) {
	view, err := m.World.GetDecisionView(ctx, in, opts...)
	m.mu.Lock()
	if m.missing--; m.missing == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	<-m.all
	return view, err
}

// meddler is a state in which something happens after the first view was read.
type meddler struct {
	*worldtest.World
	once   sync.Once
	meddle func()
}

func (m *meddler) GetDecisionView(ctx context.Context, in *projectorv1.GetDecisionViewRequest, opts ...grpc.CallOption) (*projectorv1.GetDecisionViewResponse, error) {
	view, err := m.World.GetDecisionView(ctx, in, opts...)
	m.once.Do(m.meddle)
	return view, err
}

// both runs two calls at once.
func both[A any](first, second func() (A, error)) (answers [2]A, errs [2]error) {
	var wait sync.WaitGroup
	wait.Go(func() { answers[0], errs[0] = first() })
	wait.Go(func() { answers[1], errs[1] = second() })
	wait.Wait()
	return answers, errs
}

// S11: two openings decide on the same last of a month's budget, through two servers; exactly one passes, and the other
// is refused on what the first one left.
func TestServer_RaceForTheBudget(t *testing.T) {
	t.Parallel()
	limits := generous()
	limits.MonthlyBudgetPercent = "1.5" // 150: one S1 leaves 50.01
	b := newWorld(t, margin, limits)
	state := meet(b.World, 2)
	one, two := b.server(t, state), b.server(t, state)
	open := func(server *Server, side eventv1.PositionSide) func() (*commandv1.OpenPositionResponse, error) {
		ctx := b.call(t)
		return func() (*commandv1.OpenPositionResponse, error) { return server.OpenPosition(ctx, b.s1(side)) }
	}
	answers, errs := both(open(one, long), open(two, short))
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	winner, loser := answers[0].GetOutcome(), answers[1].GetOutcome()
	if winner.GetVerdict() == commandv1.Verdict_VERDICT_REFUSED {
		winner, loser = loser, winner
	}
	require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, winner.GetVerdict())
	require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, loser.GetVerdict())
	require.Equal(t, int32(1), winner.GetConflicts()+loser.GetConflicts(), "one decided anew")
	require.Len(t, loser.GetFailedChecks(), 1)
	require.Equal(t, "monthly_budget", loser.GetFailedChecks()[0].GetName())
	require.Equal(t, "50.01", loser.GetFailedChecks()[0].GetLimit())
	require.Equal(t, "99.99", loser.GetFailedChecks()[0].GetValue())
}

func TestServer_RaceForThePosition(t *testing.T) {
	t.Parallel()
	t.Run("opened twice", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		state := meet(b.World, 2)
		open := func() func() (*commandv1.OpenPositionResponse, error) {
			ctx, server := b.call(t), b.server(t, state)
			return func() (*commandv1.OpenPositionResponse, error) { return server.OpenPosition(ctx, b.s1(long)) }
		}
		_, errs := both(open(), open())
		requireOneRefused(t, errs, "DUPLICATE_POSITION")
	})
	t.Run("armed twice", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		state := meet(b.World, 2)
		arm := func() func() (*commandv1.ArmPositionResponse, error) {
			ctx, server := b.call(t), b.server(t, state)
			return func() (*commandv1.ArmPositionResponse, error) {
				return server.ArmPosition(ctx, &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: worldtest.Symbol, Side: long})
			}
		}
		_, errs := both(arm(), arm())
		requireOneRefused(t, errs, "DUPLICATE_POSITION")
	})
	t.Run("S9 closed twice: one exit, and both are told of it", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		id := b.active(t)
		state := meet(b.World, 2)
		closing := func() func() (*commandv1.ClosePositionResponse, error) {
			ctx, server := b.call(t), b.server(t, state)
			return func() (*commandv1.ClosePositionResponse, error) {
				return server.ClosePosition(ctx, &commandv1.ClosePositionRequest{PositionId: id})
			}
		}
		answers, errs := both(closing(), closing())
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.NotEqual(t, answers[0].GetAlreadyExiting(), answers[1].GetAlreadyExiting())
		same(t, answers[0].GetOutcome().GetEvents(), answers[1].GetOutcome().GetEvents())
		require.Equal(t, answers[0].GetOutcome().GetPosition(), answers[1].GetOutcome().GetPosition())
		require.Equal(t, 1, count(b, "EXIT_TRIGGERED"))
	})
}

func requireOneRefused(t *testing.T, errs [2]error, reason string) {
	t.Helper()
	refused := errs[0]
	if refused == nil {
		refused = errs[1]
	} else {
		require.NoError(t, errs[1])
	}
	refusal(t, refused, fault.Refused, reason)
}

func count(b *worldBundle, eventType string) int {
	found := 0
	for _, name := range b.Types() {
		if name == eventType {
			found++
		}
	}
	return found
}

// The same command a hundred times at once is in the log once, and all get the same receipt.
func TestServer_TheSameCommandAtOnce(t *testing.T) {
	t.Parallel()
	b := newWorld(t, spot, generous())
	ctx := b.call(t)
	answers, errs := make([]*commandv1.OpenPositionResponse, 100), make([]error, 100)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i], errs[i] = b.OpenPosition(ctx, b.s1(long)) })
	}
	wait.Wait()
	firsts := 0
	for i, answer := range answers {
		require.NoError(t, errs[i])
		same(t, answers[0].GetOutcome().GetEvents(), answer.GetOutcome().GetEvents())
		same(t, answers[0].GetDecision(), answer.GetDecision())
		if !answer.GetOutcome().GetDuplicate() {
			firsts++
		}
	}
	require.Equal(t, 1, firsts)
	require.Equal(t, 1, count(b, "INTENT_CREATED"))
}

// What changes between reading and appending is noticed, and decided on anew.
func TestServer_Guards(t *testing.T) {
	t.Parallel()
	t.Run("limits lowered while arming", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		server := b.server(t, &meddler{World: b.World, meddle: func() {
			lower := generous()
			lower.CapitalBase, lower.RiskPercentMax = "5000", "0.5"
			_, err := b.RegisterAccount(b.call(t), &commandv1.RegisterAccountRequest{
				AccountId: b.account, Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: "a", QuoteAsset: "USDT",
				ApiKeyFingerprint: "f", RiskLimits: lower,
			})
			require.NoError(t, err)
		}})
		answer, err := server.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{AccountId: b.account, Symbol: worldtest.Symbol, Side: long})
		require.NoError(t, err)
		require.Equal(t, int32(1), answer.GetOutcome().GetConflicts())
		require.Equal(t, "5000", b.Position(answer.GetPositionId()).GetCapital())
		require.Equal(t, "0.5", b.Position(answer.GetPositionId()).GetRiskPercent())
	})
	t.Run("strategy disabled while arming", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		strategy := b.strategy(t, true)
		server := b.server(t, &meddler{World: b.World, meddle: func() {
			_, err := b.DisableStrategy(b.call(t), &commandv1.DisableStrategyRequest{StrategyId: strategy, Reason: "x"})
			require.NoError(t, err)
		}})
		_, err := server.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
			AccountId: b.account, StrategyId: strategy, Symbol: worldtest.Symbol, Side: long,
		})
		refusal(t, err, fault.Refused, "STRATEGY_DISABLED")
		require.Zero(t, count(b, "POSITION_ARMED"))
	})
	t.Run("panic while opening: the opening is refused, and recorded", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		server := b.server(t, &meddler{World: b.World, meddle: func() {
			_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account})
			require.NoError(t, err)
		}})
		answer, err := server.OpenPosition(b.call(t), b.s1(long))
		require.NoError(t, err)
		require.Equal(t, commandv1.Verdict_VERDICT_REFUSED, answer.GetOutcome().GetVerdict())
		require.Equal(t, "account_violated", answer.GetOutcome().GetFailedChecks()[0].GetName())
		require.Equal(t, int32(1), answer.GetOutcome().GetConflicts())
		require.Equal(t, "closed", event.EnumText(b.Position(answer.GetPositionId()).GetState()))
	})
	t.Run("the stop moved while a user moves it", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		id := b.active(t)
		server := b.server(t, &meddler{World: b.World, meddle: func() {
			_, err := b.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: id, NewStop: "94200"})
			require.NoError(t, err)
		}})
		_, err := server.MoveStop(b.call(t), &commandv1.MoveStopRequest{PositionId: id, NewStop: "94100"})
		refusal(t, err, fault.Refused, "STOP_NOT_BETTER")
		require.Equal(t, "94200", fault.As(err).Metadata["stop"])
	})
	t.Run("a position that was filled while it is closed", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		id := b.entering(t)
		server := b.server(t, &meddler{World: b.World, meddle: func() { require.NoError(t, b.Fill(t.Context(), id)) }})
		answer, err := server.ClosePosition(b.call(t), &commandv1.ClosePositionRequest{PositionId: id})
		require.NoError(t, err)
		require.Equal(t, int32(1), answer.GetOutcome().GetConflicts())
		triggered := b.Events()[len(b.Events())-1].GetPayload().GetExitTriggered()
		require.Equal(t, "0.06659334", triggered.GetQuantity())
	})
	t.Run("a strategy id that is taken", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		_, err := b.RegisterStrategy(b.call(t), &commandv1.RegisterStrategyRequest{
			StrategyId: b.strategy(t, false), AccountId: b.account, StrategyName: "s", StrategyType: "manual",
			RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"},
		})
		refusal(t, err, fault.Refused, "STRATEGY_EXISTS")
	})
	t.Run("an API key that stands for another account", func(t *testing.T) {
		t.Parallel()
		b := newWorld(t, spot, generous())
		_, err := b.RegisterAccount(b.call(t), &commandv1.RegisterAccountRequest{
			AccountId: uuid.NewString(), Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: "b", QuoteAsset: "USDT",
			ApiKeyFingerprint: "f", RiskLimits: generous(),
		})
		refusal(t, err, fault.Refused, "API_KEY_TAKEN")
	})
}
