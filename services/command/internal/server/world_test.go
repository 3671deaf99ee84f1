package server

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/correlation"
	"github.com/robson/robson/pkg/identity"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

const (
	long   = eventv1.PositionSide_POSITION_SIDE_LONG
	short  = eventv1.PositionSide_POSITION_SIDE_SHORT
	spot   = eventv1.Product_PRODUCT_SPOT
	margin = eventv1.Product_PRODUCT_ISOLATED_MARGIN
)

// worldBundle is a server on a world whose log checks and folds by the real rules.
type worldBundle struct {
	*Server
	*worldtest.World
	account string
}

func generous() *eventv1.RiskLimits {
	return &eventv1.RiskLimits{
		RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
		CapitalBase: "10000", MaxOpenPositions: 3,
	}
}

func newWorld(t *testing.T, product eventv1.Product, limits *eventv1.RiskLimits) *worldBundle {
	t.Helper()
	b := &worldBundle{World: worldtest.New("95000")}
	account, err := b.Begin(product, "10000", limits)
	require.NoError(t, err)
	b.account, b.Server = account, b.server(t, b.World)
	return b
}

// server makes a server on the world that reads a state of its own.
func (b *worldBundle) server(t *testing.T, state State) *Server {
	t.Helper()
	made, err := New(clock.System(), Deps{Appender: b.World, Commands: b.World, State: state, Market: b.World}, Config{ConflictRetryDelay: 1})
	require.NoError(t, err)
	return made
}

// call is a context as the interceptors make it, for a command of its own.
func (b *worldBundle) call(t *testing.T) context.Context {
	t.Helper()
	ctx := identity.WithTenant(identity.With(t.Context(), identity.Identity{Subject: "ana"}), b.Tenant)
	return correlation.With(ctx, correlation.IDs{Command: uuid.New(), Trace: uuid.New()})
}

// s1 asks for S1 or, short, for its mirror.
func (b *worldBundle) s1(side eventv1.PositionSide) *commandv1.OpenPositionRequest {
	request := &commandv1.OpenPositionRequest{
		AccountId: b.account, Symbol: worldtest.Symbol, Side: side, EntryPrice: "95000", TechnicalStop: "93500",
	}
	if side == short {
		request.TechnicalStop = "96500"
	}
	return request
}

// entering opens S1 and gives the position, its entry not sent.
func (b *worldBundle) entering(t *testing.T) string {
	t.Helper()
	answer, err := b.OpenPosition(b.call(t), b.s1(long))
	require.NoError(t, err)
	require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, answer.GetOutcome().GetVerdict(), answer.GetOutcome().GetFailedChecks())
	return answer.GetPositionId()
}

// active opens S1 and has it filled and opened.
func (b *worldBundle) active(t *testing.T) string {
	t.Helper()
	id := b.entering(t)
	require.NoError(t, b.Fill(t.Context(), id))
	require.NoError(t, b.Open(id))
	return id
}

// armed arms a long position.
func (b *worldBundle) armed(t *testing.T, strategy string) string {
	t.Helper()
	answer, err := b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
		AccountId: b.account, StrategyId: strategy, Symbol: worldtest.Symbol, Side: long,
	})
	require.NoError(t, err)
	return answer.GetPositionId()
}

// strategy registers a strategy and enables it if that is wanted.
func (b *worldBundle) strategy(t *testing.T, enabled bool) string {
	t.Helper()
	answer, err := b.RegisterStrategy(b.call(t), &commandv1.RegisterStrategyRequest{
		AccountId: b.account, StrategyName: "s", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.5"},
	})
	require.NoError(t, err)
	if enabled {
		_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: answer.GetStrategyId()})
		require.NoError(t, err)
	}
	return answer.GetStrategyId()
}

// resting opens S1 with an entry that rests at the venue, and gives its order.
func (b *worldBundle) resting(t *testing.T) string {
	t.Helper()
	b.Behave(worldtest.Rest)
	id := b.entering(t)
	require.NoError(t, b.Fill(t.Context(), id))
	return b.Position(id).GetEntryOrderId()
}
