package server

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/command/internal/worldtest"
)

func TestServer_CreateTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.CreateTenant(b.call(t), &commandv1.CreateTenantRequest{Name: "acme"})
	refusal(t, err, fault.Refused, "TENANT_EXISTS")
	b.state.tenant = false
	_, err = b.CreateTenant(b.call(t), &commandv1.CreateTenantRequest{Name: "acme", TenantId: uuid.NewString()})
	field(t, err, "tenant_id")
	answer, err := b.CreateTenant(b.call(t), &commandv1.CreateTenantRequest{Name: "acme"})
	require.NoError(t, err)
	require.Equal(t, b.tenant.String(), answer.GetTenantId())
	require.Equal(t, "tenant:"+answer.GetTenantId(), b.log.appends[0].GetStreams()[0].GetStreamKey())
}

func (b *testBundle) registration() *commandv1.RegisterAccountRequest {
	return &commandv1.RegisterAccountRequest{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: "main", QuoteAsset: "USDT",
		ApiKeyFingerprint: "abc", RiskLimits: &eventv1.RiskLimits{
			RiskPercentMax: "1", MaxExposure: "30000", DailyLossLimit: "1000", MaxDrawdown: "2000", MonthlyBudgetPercent: "4",
			CapitalBase: "10000", MaxOpenPositions: 3,
		},
	}
}

// TestServer_RegisterAccount_exchange registers what a connector can be told to serve, and nothing else.
func TestServer_RegisterAccount_exchange(t *testing.T) {
	t.Parallel()
	sim, prod := eventv1.Environment_ENVIRONMENT_SIM, eventv1.Environment_ENVIRONMENT_PROD
	real := "sha256:" + strings.Repeat("0a", 32)
	for name, c := range map[string]struct {
		exchange    string
		environment eventv1.Environment
		fingerprint string
		want, field string
	}{
		"nothing said":            {"", sim, "abc", "binance", ""},
		"paper":                   {"paper", sim, "abc", "paper", ""},
		"simulated":               {"binance", sim, real, "binance", ""},
		"real":                    {"binance", prod, real, "binance", ""},
		"paper for real":          {"paper", prod, real, "", "exchange"},
		"a key that cannot exist": {"", prod, "abc", "", "api_key_fingerprint"},
		"capital digits":          {"", prod, strings.ToUpper(real), "", "api_key_fingerprint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.state.account = false
			request := b.registration()
			request.Exchange, request.Environment, request.ApiKeyFingerprint = c.exchange, c.environment, c.fingerprint
			_, err := b.RegisterAccount(b.call(t), request)
			if c.field != "" {
				field(t, err, c.field)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, b.log.appends[0].GetStreams()[0].GetEvents()[0].GetPayload().GetAccountRegistered().GetExchange())
		})
	}
}

func TestServer_RegisterAccount(t *testing.T) {
	t.Parallel()
	t.Run("new, then again with other limits", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.state.account = false
		answer, err := b.RegisterAccount(b.call(t), b.registration())
		require.NoError(t, err)
		require.Equal(t, int32(1), answer.GetVersion())
		require.True(t, b.log.appends[0].GetStreams()[0].GetExpected().GetNoStream())

		b.state.account = true
		again := b.registration()
		again.AccountId = b.accountID()
		answer, err = b.RegisterAccount(b.call(t), again)
		require.NoError(t, err)
		require.Equal(t, int32(2), answer.GetVersion())
		require.True(t, b.log.appends[1].GetStreams()[0].GetExpected().GetExists())

		again.Exchange = "paper"
		_, err = b.RegisterAccount(b.call(t), again)
		refusal(t, err, fault.Refused, "ACCOUNT_DIFFERS")

		again.Exchange, again.QuoteAsset = "", "EUR"
		_, err = b.RegisterAccount(b.call(t), again)
		refusal(t, err, fault.Refused, "ACCOUNT_DIFFERS")
	})
	tests := []struct {
		name   string
		change func(*commandv1.RegisterAccountRequest)
		field  string
	}{
		{"margin without a pair", func(r *commandv1.RegisterAccountRequest) { r.Product = eventv1.Product_PRODUCT_ISOLATED_MARGIN }, "margin_symbol"},
		{"spot with a pair", func(r *commandv1.RegisterAccountRequest) { r.MarginSymbol = "BTCUSDT" }, "margin_symbol"},
		{"pair of another quote", func(r *commandv1.RegisterAccountRequest) {
			r.Product, r.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "ETHBTC"
		}, "margin_symbol"},
		{"withdrawal", func(r *commandv1.RegisterAccountRequest) { r.Permissions = []string{"SPOT", "ENABLE_WITHDRAWALS"} }, "permissions"},
		{"no positions", func(r *commandv1.RegisterAccountRequest) { r.RiskLimits.MaxOpenPositions = 0 }, "risk_limits.max_open_positions"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			request := b.registration()
			test.change(request)
			_, err := b.RegisterAccount(b.call(t), request)
			field(t, err, test.field)
		})
	}
}

func TestServer_Strategies(t *testing.T) {
	t.Parallel()
	t.Run("registered with settings no weaker than the account's", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		request := &commandv1.RegisterStrategyRequest{
			AccountId: b.accountID(), StrategyName: "s", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"},
		}
		answer, err := b.RegisterStrategy(b.call(t), request)
		require.NoError(t, err)
		require.Equal(t, answer.GetStrategyId(), b.payloads()[0].GetStrategyRegistered().GetStrategyId())
		most := int32(4)
		for path, config := range map[string]*eventv1.RiskConfig{
			"risk_config.risk_percent":       {RiskPercent: "1.5"},
			"risk_config.max_exposure":       {RiskPercent: "1", MaxExposure: "30001"},
			"risk_config.daily_loss_limit":   {RiskPercent: "1", DailyLossLimit: "1000.01"},
			"risk_config.max_drawdown":       {RiskPercent: "1", MaxDrawdown: "3000"},
			"risk_config.max_open_positions": {RiskPercent: "1", MaxOpenPositions: &most},
			"risk_config.stop_min_pct":       {RiskPercent: "1", StopMinPct: "5", StopMaxPct: "4"},
		} {
			request.RiskConfig = config
			_, err := b.RegisterStrategy(b.call(t), request)
			field(t, err, path)
		}
	})
	t.Run("enabled, disabled, updated", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		row := &projectorv1.Strategy{StrategyId: uuid.NewString(), AccountId: b.accountID(), StrategyName: "s", StrategyType: "manual", RiskPercent: "1", Version: 4}
		b.state.view.Strategy = row
		_, err := b.DisableStrategy(b.call(t), &commandv1.DisableStrategyRequest{StrategyId: row.GetStrategyId(), Reason: "x"})
		refusal(t, err, fault.Refused, "STRATEGY_DISABLED")
		_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: row.GetStrategyId()})
		require.NoError(t, err)
		require.Equal(t, int32(4), b.payloads()[0].GetStrategyEnabled().GetVersion())
		row.IsEnabled = true
		_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: row.GetStrategyId()})
		refusal(t, err, fault.Refused, "STRATEGY_ENABLED")
		_, err = b.DisableStrategy(b.call(t), &commandv1.DisableStrategyRequest{StrategyId: row.GetStrategyId(), Reason: "x"})
		require.NoError(t, err)

		update := &commandv1.UpdateStrategyRequest{StrategyId: row.GetStrategyId(), RiskConfig: riskConfig(row)}
		_, err = b.UpdateStrategy(b.call(t), update)
		refusal(t, err, fault.Refused, "NOTHING_CHANGED")
		update.RiskConfig.RiskPercent, update.DetectorConfig = "0.5", map[string]string{"fast": "9"}
		answer, err := b.UpdateStrategy(b.call(t), update)
		require.NoError(t, err)
		require.Equal(t, int32(5), answer.GetVersion())
		require.Equal(t, []string{"detector_config", "risk_config"}, b.payloads()[2].GetStrategyUpdated().GetChangedFields())
	})
}

func TestServer_ResetRiskLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	request := &commandv1.ResetRiskLimitRequest{
		AccountId: b.accountID(), LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Period: "abc", Note: "calm again",
	}
	_, err := b.ResetRiskLimit(b.call(t), request)
	refusal(t, err, fault.Refused, "LIMIT_NOT_SET")
	b.state.view.AccountRisk.Halts = map[string]string{"operator|abc": "fire"}
	_, err = b.ResetRiskLimit(b.call(t), request)
	require.NoError(t, err)
	require.Equal(t, "ana", b.payloads()[0].GetRiskLimitExceeded().GetClearedBy())

	_, err = b.OpenPosition(b.call(t), b.s1())
	require.NoError(t, err)
	require.Equal(t, "account_violated", b.payloads()[4].GetRiskCheckFailed().GetFailedChecks()[0].GetName())
}

func TestServer_RotateCredentials(t *testing.T) {
	t.Parallel()
	b := newWorld(t, spot, generous())
	request := &commandv1.RotateCredentialsRequest{
		AccountId: b.account, OldFingerprint: "f", NewFingerprint: "second", KeyType: "HMAC", Reason: "leaked",
	}
	answer, err := b.RotateCredentials(b.call(t), request)
	require.NoError(t, err)
	require.Equal(t, "f", answer.GetOldFingerprint())
	account, err := b.GetAccount(t.Context(), &projectorv1.GetAccountRequest{AccountId: b.account})
	require.NoError(t, err)
	require.Equal(t, "second", account.GetAccount().GetApiKeyFingerprint())

	_, err = b.RotateCredentials(b.call(t), request)
	refusal(t, err, fault.Refused, "API_KEY_REPLACED")
	request.OldFingerprint = ""
	_, err = b.RotateCredentials(b.call(t), request)
	refusal(t, err, fault.Refused, "NOTHING_CHANGED")

	other := &commandv1.RegisterAccountRequest{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: spot, Label: "other", QuoteAsset: "USDT", ApiKeyFingerprint: "third", RiskLimits: generous(),
	}
	_, err = b.RegisterAccount(b.call(t), other)
	require.NoError(t, err)
	request.NewFingerprint = "third"
	_, err = b.RotateCredentials(b.call(t), request)
	refusal(t, err, fault.Refused, "API_KEY_TAKEN")
	request.NewFingerprint = "-----BEGIN PRIVATE KEY-----"
	_, err = b.RotateCredentials(b.call(t), request)
	field(t, err, "new_fingerprint")
	require.NotContains(t, err.Error(), "BEGIN", "the refusal does not repeat it")
}

// The settings of the built-in detector are checked by name; those of others are theirs.
func TestServer_DetectorSettings(t *testing.T) {
	t.Parallel()
	b := newWorld(t, spot, generous())
	request := &commandv1.RegisterStrategyRequest{
		AccountId: b.account, StrategyName: "s", StrategyType: "ma_cross", RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.5"},
		DetectorConfig: map[string]string{"interval": "1h", "fast": "50", "slow": "20"},
	}
	_, err := b.RegisterStrategy(b.call(t), request)
	field(t, err, "detector_config.fast")
	request.DetectorConfig = map[string]string{"interval": "1h", "fast": "20", "slow": "50", "symbol": "ETHUSDT"}
	answer, err := b.RegisterStrategy(b.call(t), request)
	require.NoError(t, err)
	_, err = b.UpdateStrategy(b.call(t), &commandv1.UpdateStrategyRequest{
		StrategyId: answer.GetStrategyId(), RiskConfig: request.GetRiskConfig(), DetectorConfig: map[string]string{"interval": "2m", "fast": "20", "slow": "50"},
	})
	field(t, err, "detector_config.interval")

	_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: answer.GetStrategyId()})
	require.NoError(t, err)
	_, err = b.ArmPosition(b.call(t), &commandv1.ArmPositionRequest{
		AccountId: b.account, StrategyId: answer.GetStrategyId(), Symbol: worldtest.Symbol, Side: long,
	})
	field(t, err, "symbol")

	// Registered before a detector of this type was built in.
	id := uuid.NewString()
	require.NoError(t, b.Record("strategy:"+id, b.Now(), event.Wrap(&eventv1.StrategyRegistered{
		StrategyId: id, AccountId: b.account, StrategyName: "old", StrategyType: "ma_cross", Version: 1,
		DetectorConfig: map[string]string{"speed": "high"}, RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.5"},
	})))
	_, err = b.EnableStrategy(b.call(t), &commandv1.EnableStrategyRequest{StrategyId: id})
	refusal(t, err, fault.Refused, "DETECTOR_SETTINGS")
}
