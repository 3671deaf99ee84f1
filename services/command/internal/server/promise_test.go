package server

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

// rpcCase is one RPC on a world in which it succeeds. ask calls it; dry asks for a dry run, other for something else.
type rpcCase struct {
	name string
	// prepare gives the call; what it needs is in the log already.
	prepare func(t *testing.T, b *worldBundle) func(ctx context.Context, dry, other bool) (proto.Message, *commandv1.Outcome, error)
	events  []string
}

// ask adapts a method of the server to a case.
func ask[Q, A proto.Message](
	method func(context.Context, Q) (A, error), outcome func(A) *commandv1.Outcome, request func(dry, other bool) Q,
) func(context.Context, bool, bool) (proto.Message, *commandv1.Outcome, error) {
	return func(ctx context.Context, dry, other bool) (proto.Message, *commandv1.Outcome, error) {
		answer, err := method(ctx, request(dry, other))
		if err != nil {
			return nil, nil, err
		}
		return answer, outcome(answer), nil
	}
}

// alter gives one of two texts.
func alter(other bool, text, otherwise string) string {
	if other {
		return otherwise
	}
	return text
}

type asked = func(context.Context, bool, bool) (proto.Message, *commandv1.Outcome, error)

func setupCases() []rpcCase {
	return []rpcCase{
		{"CreateTenant", func(t *testing.T, b *worldBundle) asked {
			b.World = worldtest.New("95000")
			b.Server = b.server(t, b.World)
			return ask(b.CreateTenant, (*commandv1.CreateTenantResponse).GetOutcome, func(dry, other bool) *commandv1.CreateTenantRequest {
				return &commandv1.CreateTenantRequest{Name: alter(other, "acme", "other"), DryRun: dry}
			})
		}, []string{"TENANT_CREATED"}},
		{"RegisterAccount", func(_ *testing.T, b *worldBundle) asked {
			return ask(b.RegisterAccount, (*commandv1.RegisterAccountResponse).GetOutcome, func(dry, other bool) *commandv1.RegisterAccountRequest {
				return &commandv1.RegisterAccountRequest{
					Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: alter(other, "main", "other"), QuoteAsset: "USDT",
					ApiKeyFingerprint: "another", RiskLimits: generous(), DryRun: dry,
				}
			})
		}, []string{"ACCOUNT_REGISTERED"}},
		{"RotateCredentials", func(_ *testing.T, b *worldBundle) asked {
			return ask(b.RotateCredentials, (*commandv1.RotateCredentialsResponse).GetOutcome, func(dry, other bool) *commandv1.RotateCredentialsRequest {
				return &commandv1.RotateCredentialsRequest{
					AccountId: b.account, NewFingerprint: alter(other, "second", "third"), KeyType: "ED25519", Reason: "quarterly", DryRun: dry,
				}
			})
		}, []string{"CREDENTIALS_ROTATED"}},
		{"RegisterStrategy", func(_ *testing.T, b *worldBundle) asked {
			return ask(b.RegisterStrategy, (*commandv1.RegisterStrategyResponse).GetOutcome, func(dry, other bool) *commandv1.RegisterStrategyRequest {
				return &commandv1.RegisterStrategyRequest{
					AccountId: b.account, StrategyName: alter(other, "s", "other"), StrategyType: "manual",
					RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}, DetectorConfig: map[string]string{"fast": "9", "slow": "21"}, DryRun: dry,
				}
			})
		}, []string{"STRATEGY_REGISTERED"}},
		{"EnableStrategy", func(t *testing.T, b *worldBundle) asked {
			id := b.strategy(t, false)
			return ask(b.EnableStrategy, (*commandv1.EnableStrategyResponse).GetOutcome, func(dry, other bool) *commandv1.EnableStrategyRequest {
				return &commandv1.EnableStrategyRequest{StrategyId: alter(other, id, uuid.NewString()), DryRun: dry}
			})
		}, []string{"STRATEGY_ENABLED"}},
		{"DisableStrategy", func(t *testing.T, b *worldBundle) asked {
			id := b.strategy(t, true)
			return ask(b.DisableStrategy, (*commandv1.DisableStrategyResponse).GetOutcome, func(dry, other bool) *commandv1.DisableStrategyRequest {
				return &commandv1.DisableStrategyRequest{StrategyId: id, Reason: alter(other, "x", "y"), DryRun: dry}
			})
		}, []string{"STRATEGY_DISABLED"}},
		{"UpdateStrategy", func(t *testing.T, b *worldBundle) asked {
			id := b.strategy(t, true)
			return ask(b.UpdateStrategy, (*commandv1.UpdateStrategyResponse).GetOutcome, func(dry, other bool) *commandv1.UpdateStrategyRequest {
				return &commandv1.UpdateStrategyRequest{
					StrategyId: id, RiskConfig: &eventv1.RiskConfig{RiskPercent: alter(other, "0.25", "0.75")}, DryRun: dry,
				}
			})
		}, []string{"STRATEGY_UPDATED"}},
		{"ResetRiskLimit", func(t *testing.T, b *worldBundle) asked {
			_, err := b.Panic(b.call(t), &commandv1.PanicRequest{AccountId: b.account, Note: "fire"})
			require.NoError(t, err)
			limit := b.Events()[len(b.Events())-1].GetPayload().GetRiskLimitExceeded()
			return ask(b.ResetRiskLimit, (*commandv1.ResetRiskLimitResponse).GetOutcome, func(dry, other bool) *commandv1.ResetRiskLimitRequest {
				return &commandv1.ResetRiskLimitRequest{
					AccountId: b.account, LimitName: limit.GetLimitName(), Period: limit.GetPeriod(), Note: alter(other, "calm", "x"), DryRun: dry,
				}
			})
		}, []string{"RISK_LIMIT_EXCEEDED"}},
	}
}

func tradingCases() []rpcCase {
	return []rpcCase{
		{"ArmPosition", func(_ *testing.T, b *worldBundle) asked {
			return ask(b.ArmPosition, (*commandv1.ArmPositionResponse).GetOutcome, func(dry, other bool) *commandv1.ArmPositionRequest {
				return &commandv1.ArmPositionRequest{
					AccountId: b.account, Symbol: worldtest.Symbol, Side: long, Capital: alter(other, "5000", "6000"), DryRun: dry,
				}
			})
		}, []string{"POSITION_ARMED"}},
		{"SubmitSignal", func(t *testing.T, b *worldBundle) asked {
			id := b.armed(t, "")
			return ask(b.SubmitSignal, (*commandv1.SubmitSignalResponse).GetOutcome, func(dry, other bool) *commandv1.SubmitSignalRequest {
				return &commandv1.SubmitSignalRequest{
					PositionId: id, EntryPrice: "95000", TechnicalStop: alter(other, "93500", "93000"), DryRun: dry,
				}
			})
		}, []string{"SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED"}},
		{"OpenPosition", func(_ *testing.T, b *worldBundle) asked {
			return ask(b.OpenPosition, (*commandv1.OpenPositionResponse).GetOutcome, func(dry, other bool) *commandv1.OpenPositionRequest {
				request := b.s1(long)
				request.TechnicalStop, request.DryRun = alter(other, "93500", "93000"), dry
				return request
			})
		}, []string{"POSITION_ARMED", "SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED"}},
		{"ClosePosition", func(t *testing.T, b *worldBundle) asked {
			id := b.active(t)
			return ask(b.ClosePosition, (*commandv1.ClosePositionResponse).GetOutcome, func(dry, other bool) *commandv1.ClosePositionRequest {
				return &commandv1.ClosePositionRequest{PositionId: alter(other, id, uuid.NewString()), DryRun: dry}
			})
		}, []string{"EXIT_TRIGGERED"}},
		{"CancelOrder", func(t *testing.T, b *worldBundle) asked {
			id := b.resting(t)
			return ask(b.CancelOrder, (*commandv1.CancelOrderResponse).GetOutcome, func(dry, other bool) *commandv1.CancelOrderRequest {
				return &commandv1.CancelOrderRequest{OrderId: alter(other, id, uuid.NewString()), DryRun: dry}
			})
		}, []string{"INTENT_CREATED"}},
		{"MoveStop", func(t *testing.T, b *worldBundle) asked {
			id := b.active(t)
			return ask(b.MoveStop, (*commandv1.MoveStopResponse).GetOutcome, func(dry, other bool) *commandv1.MoveStopRequest {
				return &commandv1.MoveStopRequest{PositionId: id, NewStop: alter(other, "94000", "94100"), DryRun: dry}
			})
		}, []string{"TRAILING_STOP_UPDATED"}},
		{"DisarmPosition", func(t *testing.T, b *worldBundle) asked {
			id := b.armed(t, "")
			return ask(b.DisarmPosition, (*commandv1.DisarmPositionResponse).GetOutcome, func(dry, other bool) *commandv1.DisarmPositionRequest {
				return &commandv1.DisarmPositionRequest{PositionId: alter(other, id, uuid.NewString()), DryRun: dry}
			})
		}, []string{"POSITION_DISARMED"}},
		{"Panic", func(t *testing.T, b *worldBundle) asked {
			b.active(t)
			return ask(b.Panic, (*commandv1.PanicResponse).GetOutcome, func(dry, other bool) *commandv1.PanicRequest {
				return &commandv1.PanicRequest{AccountId: b.account, Note: alter(other, "fire", "flood"), DryRun: dry}
			})
		}, []string{"RISK_LIMIT_EXCEEDED"}},
	}
}

// Every RPC keeps the promises of its contract: a dry run writes nothing; the command is in the log once and tells where;
// the same again answers the first outcome, though the state has moved on; the same id for anything else is refused.
func TestServer_EveryRPC(t *testing.T) {
	t.Parallel()
	for _, c := range append(setupCases(), tradingCases()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newWorld(t, spot, generous())
			call := c.prepare(t, b)
			before := len(b.Events())

			_, dry, err := call(b.call(t), true, false)
			require.NoError(t, err)
			require.Equal(t, commandv1.Verdict_VERDICT_WOULD_ACCEPT, dry.GetVerdict())
			require.Empty(t, dry.GetEvents())
			require.Len(t, b.Events(), before, "a dry run writes nothing")

			ctx := b.call(t)
			first, outcome, err := call(ctx, false, false)
			require.NoError(t, err)
			require.Equal(t, commandv1.Verdict_VERDICT_ACCEPTED, outcome.GetVerdict())
			require.False(t, outcome.GetDuplicate())
			var types []string
			for i, ref := range outcome.GetEvents() {
				types = append(types, ref.GetEventType())
				stored := b.Events()[before+i]
				require.Equal(t, stored.GetEventId(), ref.GetEventId())
				require.Equal(t, stored.GetSeq(), ref.GetSeq())
				require.Equal(t, stored.GetStreamKey(), ref.GetStreamKey())
				require.Equal(t, outcome.GetCommandId(), stored.GetCommandId())
			}
			require.Equal(t, c.events, types)
			require.Equal(t, int64(len(b.Events())), outcome.GetPosition())

			again, repeated, err := call(ctx, false, false)
			require.NoError(t, err)
			require.True(t, repeated.GetDuplicate())
			repeated.Duplicate, repeated.TraceId = false, outcome.GetTraceId() // the world's log has its own traces
			same(t, first, again)
			_, _, err = call(ctx, false, true)
			refusal(t, err, fault.Duplicate, "COMMAND_ID_REUSED")
			require.Len(t, b.Events(), before+len(types))
		})
	}
}

// What is asked of nothing that exists is NOT_FOUND and writes nothing.
func TestServer_NotFound(t *testing.T) {
	t.Parallel()
	b := newWorld(t, spot, generous())
	nobody := uuid.NewString()
	for name, call := range map[string]func(ctx context.Context) error{
		"RegisterStrategy": func(ctx context.Context) error {
			_, err := b.RegisterStrategy(ctx, &commandv1.RegisterStrategyRequest{AccountId: nobody, RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}})
			return err
		},
		"RotateCredentials": func(ctx context.Context) error {
			_, err := b.RotateCredentials(ctx, &commandv1.RotateCredentialsRequest{AccountId: nobody, NewFingerprint: "x", KeyType: "HMAC", Reason: "x"})
			return err
		},
		"EnableStrategy": func(ctx context.Context) error {
			_, err := b.EnableStrategy(ctx, &commandv1.EnableStrategyRequest{StrategyId: nobody})
			return err
		},
		"DisableStrategy": func(ctx context.Context) error {
			_, err := b.DisableStrategy(ctx, &commandv1.DisableStrategyRequest{StrategyId: nobody, Reason: "x"})
			return err
		},
		"UpdateStrategy": func(ctx context.Context) error {
			_, err := b.UpdateStrategy(ctx, &commandv1.UpdateStrategyRequest{StrategyId: nobody, RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"}})
			return err
		},
		"ResetRiskLimit": func(ctx context.Context) error {
			_, err := b.ResetRiskLimit(ctx, &commandv1.ResetRiskLimitRequest{AccountId: nobody, LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Period: "x", Note: "x"})
			return err
		},
		"ArmPosition": func(ctx context.Context) error {
			_, err := b.ArmPosition(ctx, &commandv1.ArmPositionRequest{AccountId: nobody, Symbol: worldtest.Symbol, Side: long})
			return err
		},
		"SubmitSignal": func(ctx context.Context) error {
			_, err := b.SubmitSignal(ctx, &commandv1.SubmitSignalRequest{PositionId: nobody, TechnicalStop: "93500"})
			return err
		},
		"OpenPosition": func(ctx context.Context) error {
			request := b.s1(long)
			request.AccountId = nobody
			_, err := b.OpenPosition(ctx, request)
			return err
		},
		"ClosePosition": func(ctx context.Context) error {
			_, err := b.ClosePosition(ctx, &commandv1.ClosePositionRequest{PositionId: nobody})
			return err
		},
		"CancelOrder": func(ctx context.Context) error {
			_, err := b.CancelOrder(ctx, &commandv1.CancelOrderRequest{OrderId: nobody})
			return err
		},
		"MoveStop": func(ctx context.Context) error {
			_, err := b.MoveStop(ctx, &commandv1.MoveStopRequest{PositionId: nobody, NewStop: "94000"})
			return err
		},
		"DisarmPosition": func(ctx context.Context) error {
			_, err := b.DisarmPosition(ctx, &commandv1.DisarmPositionRequest{PositionId: nobody})
			return err
		},
		"Panic": func(ctx context.Context) error {
			_, err := b.Panic(ctx, &commandv1.PanicRequest{AccountId: nobody})
			return err
		},
	} {
		before := len(b.Events())
		err := call(b.call(t))
		require.Equal(t, fault.NotFound, fault.KindOf(err), "%s: %v", name, err)
		require.Len(t, b.Events(), before)
	}
}
