package engine

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestDecide_StopBounds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		signal Signal
		failed []string
	}{
		{"S1 accepted", long("95000", "93500"), []string{}},
		{"S1c too tight", long("95000", "94910"), []string{GateStopDistance}},
		{"S1c too wide", long("95000", "85000"), []string{GateStopDistance}},
		{"S1c exactly 0.1 %", long("95000", "94905"), []string{}},
		{"S1c exactly 10 %", long("95000", "85500"), []string{}},
		{"S1d wrong side", long("95000", "96000"), []string{GateStopWrongSide}},
		{"S1d equal to entry", long("95000", "95000"), []string{GateStopWrongSide, GateStopDistance, GateQuantityBelowMin, GateMinNotional}},
		{"S1d missing", long("95000", "0"), []string{GateStopMissing, GateStopDistance}},
		{"short with stop above", short("95000", "96500"), []string{}},
		{"short on the wrong side", short("95000", "93500"), []string{GateStopWrongSide}},
		{"entry missing", long("0", "0"), []string{GateStopMissing, GateStopWrongSide, GateStopDistance, GateQuantityBelowMin, GateMinNotional}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			in.Signal = test.signal
			decision, err := Decide(in)
			require.NoError(t, err)
			require.Equal(t, test.failed, failedNames(decision))
			require.Equal(t, len(test.failed) == 0, decision.Approved())
		})
	}
}

func TestDecide_EveryGateInOrder(t *testing.T) {
	t.Parallel()
	in := input()
	in.Account.Limits.MaxPositionNotional = d("7000")
	limits := Limits{MaxExposure: d("20000"), DailyLossLimit: d("500"), MaxDrawdown: d("900"), MaxOpenPositions: 2}
	in.Strategy = &StrategyState{Enabled: true, Limits: limits}
	decision, err := Decide(in)
	require.NoError(t, err)
	names := []string{}
	for _, check := range decision.Checks {
		names = append(names, check.Name)
		require.True(t, check.Passed, check.Name)
		require.Empty(t, check.Message)
	}
	require.Equal(t, []string{
		"stop_missing", "stop_wrong_side", "stop_distance_bounds", "quantity_below_min", "min_notional",
		"duplicate_position", "max_open_positions", "strategy_max_open_positions", "total_exposure",
		"strategy_total_exposure", "single_position_concentration", "insufficient_balance", "per_trade_risk",
		"daily_loss_limit", "strategy_daily_loss_limit", "max_drawdown", "strategy_max_drawdown", "monthly_budget",
		"account_violated", "strategy_disabled",
	}, names)
	equal(t, "0", decision.ExposureBefore)
	equal(t, "6332.7", decision.ExposureAfter)
	equal(t, "400", decision.BudgetRemaining)
}

func TestDecide_Gates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		change       func(*Input)
		gate         string
		limit, value string
	}{
		{"S1e notional below the venue's minimum", func(in *Input) { in.Policy = policy("5") }, GateMinNotional, "5", "2.85"},
		{"quantity below the venue's minimum", func(in *Input) { in.Instrument.MinQuantity = d("0.1") }, GateQuantityBelowMin, "0.1", "0.06666"},
		{"not even one step", func(in *Input) { in.Policy = policy("1") }, GateQuantityBelowMin, "0.00001", "0"},
		{"duplicate", func(in *Input) { in.Account.Duplicates = 1 }, GateDuplicatePosition, "0", "1"},
		{"S11 three open of three", func(in *Input) { in.Account.Usage.OpenPositions = 3 }, GateMaxOpenPositions, "3", "4"},
		{"exposure", func(in *Input) { in.Account.Usage.Exposure = d("23667.31") }, GateTotalExposure, "30000", "30000.01"},
		{"one position too big", func(in *Input) { in.Account.Limits.MaxPositionNotional = d("6332.69") }, GateSinglePosition, "6332.69", "6332.7"},
		{"balance", func(in *Input) { in.Account.FreeQuote = d("6332.69") }, GateBalance, "6332.69", "6332.7"},
		{"account's cap lowered after arming", func(in *Input) { in.Account.Limits.RiskPercentMax = d("0.5") }, GatePerTradeRisk, "50", "99.99"},
		{"S11 daily loss looks ahead", func(in *Input) {
			in.Account.Limits.DailyLossLimit = d("200")
			in.Account.Usage.DailyPnL = d("-150")
		}, GateDailyLoss, "-200", "-249.99"},
		{"drawdown looks ahead", func(in *Input) {
			in.Account.Usage.Drawdown = d("1900")
			in.Account.Usage.LatentRisk = d("0.02")
		}, GateMaxDrawdown, "2000", "2000.01"},
		{"S11 monthly budget", func(in *Input) {
			in.Account.Usage.MonthlyPnL = d("-250")
			in.Account.Usage.LatentRisk = d("99.99")
			in.Account.Usage.OpenPositions = 1
		}, GateMonthlyBudget, "50.01", "99.99"},
		{"operator's halt", func(in *Input) {
			in.Account.Halts = []Halt{{Limit: "operator", Period: "panic-1", Reason: "panic"}}
		}, GateAccountViolated, "0", "1"},
		{"strategy disabled", func(in *Input) { in.Strategy = &StrategyState{} }, GateStrategyDisabled, "0", "1"},
		{"strategy's own exposure", func(in *Input) {
			in.Strategy = &StrategyState{Enabled: true, Limits: Limits{MaxExposure: d("6000")}}
		}, "strategy_total_exposure", "6000", "6332.7"},
		{"strategy's own daily loss", func(in *Input) {
			in.Strategy = &StrategyState{Enabled: true, Limits: Limits{DailyLossLimit: d("99")}}
		}, "strategy_daily_loss_limit", "-99", "-99.99"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			test.change(&in)
			decision, err := Decide(in)
			require.NoError(t, err)
			require.Contains(t, failedNames(decision), test.gate)
			check := find(t, decision, test.gate)
			equal(t, test.limit, check.Limit)
			equal(t, test.value, check.Value)
			require.NotEmpty(t, check.Message)
		})
	}
}

func TestDecide_AtTheLimit(t *testing.T) {
	t.Parallel()
	t.Run("S11 planned 50.00 lands exactly on the daily limit and passes", func(t *testing.T) {
		t.Parallel()
		in := input()
		// 5000 at 1 % over a distance of 1000 is 0.05 for 50.00.
		in.Signal, in.Policy = long("95000", "94000"), policy("5000")
		in.Account.Limits.DailyLossLimit, in.Account.Usage.DailyPnL = d("200"), d("-150")
		decision, err := Decide(in)
		require.NoError(t, err)
		require.True(t, decision.Approved(), failedNames(decision))
		equal(t, "50", decision.PlannedRisk)
		equal(t, "-200", find(t, decision, GateDailyLoss).Value)
	})
	t.Run("S11 planned 49.50 fits the last of the budget", func(t *testing.T) {
		t.Parallel()
		in := input()
		in.Signal, in.Policy = long("95000", "93500"), policy("4950")
		in.Account.Usage = Usage{MonthlyPnL: d("-250"), LatentRisk: d("99.99"), OpenPositions: 1}
		decision, err := Decide(in)
		require.NoError(t, err)
		require.True(t, decision.Approved(), failedNames(decision))
		equal(t, "49.5", decision.PlannedRisk)
		equal(t, "0.51", decision.BudgetRemaining.Sub(decision.PlannedRisk))
	})
	t.Run("S11 both failures are listed when both apply", func(t *testing.T) {
		t.Parallel()
		in := input()
		in.Account.Limits.DailyLossLimit = d("200")
		in.Account.Usage = Usage{DailyPnL: d("-150"), MonthlyPnL: d("-150"), OpenPositions: 3}
		decision, err := Decide(in)
		require.NoError(t, err)
		require.Equal(t, []string{GateMaxOpenPositions, GateDailyLoss}, failedNames(decision))
		require.False(t, decision.AccountBreach)
	})
	t.Run("a gain does not add to the month's budget", func(t *testing.T) {
		t.Parallel()
		in := input()
		in.Account.Usage.MonthlyPnL = d("500")
		decision, err := Decide(in)
		require.NoError(t, err)
		equal(t, "400", decision.BudgetRemaining)
	})
	t.Run("an exhausted budget refuses even a trade of no risk", func(t *testing.T) {
		t.Parallel()
		in := input()
		in.Policy = policy("0.01")
		in.Account.Usage.MonthlyPnL = d("-400")
		decision, err := Decide(in)
		require.NoError(t, err)
		require.Contains(t, failedNames(decision), GateMonthlyBudget)
		require.True(t, decision.AccountBreach)
	})
}

// What is recorded of a decision fits the contract: 18 places, messages of at most 512 characters.
func TestDecide_FitsTheContract(t *testing.T) {
	t.Parallel()
	in := input()
	in.Policy.Capital, in.Policy.RiskPercent = d("10000.000000000000000001"), d("0.333333333333333333")
	in.Account.Limits.CapitalBase, in.Account.Limits.MonthlyBudgetPercent = d("10000.000000000000000001"), d("3.333333333333333333")
	in.Account.Halts = []Halt{{Limit: "operator", Period: "panic", Reason: strings.Repeat("é", 512)}}
	decision, err := Decide(in)
	require.NoError(t, err)
	require.Equal(t, []string{GateAccountViolated}, failedNames(decision))
	require.Equal(t, 512, utf8.RuneCountInString(find(t, decision, GateAccountViolated).Message))
	equal(t, "33.3333333333333333", decision.MaxRisk)
	for _, amount := range []decimal.Decimal{decision.MaxRisk, decision.PlannedRisk, decision.Notional, decision.RawQuantity, decision.BudgetRemaining} {
		require.True(t, amount.Equal(amount.Truncate(18)), amount)
	}
	for _, check := range decision.Checks {
		require.True(t, check.Limit.Equal(check.Limit.Truncate(18)), "%s %s", check.Name, check.Limit)
		require.True(t, check.Value.Equal(check.Value.Truncate(18)), "%s %s", check.Name, check.Value)
	}
}

func TestActiveHalts(t *testing.T) {
	t.Parallel()
	halts := []Halt{
		{Limit: "daily_loss", Period: "2026-11-22"},
		{Limit: "daily_loss", Period: "2026-11-23"},
		{Limit: "monthly_budget", Period: "2026-10"},
		{Limit: "monthly_budget", Period: "2026-11"},
		{Limit: "operator", Period: "panic"},
	}
	require.Equal(t, []Halt{halts[1], halts[3], halts[4]}, ActiveHalts(halts, at))
	require.Equal(t, []Halt{halts[4]}, ActiveHalts(halts, at.AddDate(0, 1, 0)))
	require.Empty(t, ActiveHalts(nil, time.Time{}))
}

func TestBreaches(t *testing.T) {
	t.Parallel()
	limits := Limits{DailyLossLimit: d("200"), MaxDrawdown: d("300"), CapitalBase: d("10000"), MonthlyBudgetPercent: d("4")}
	require.Empty(t, Breaches(limits, Usage{DailyPnL: d("-199.99"), Drawdown: d("299.99"), MonthlyPnL: d("-399.99")}, at))
	got := Breaches(limits, Usage{DailyPnL: d("-200"), Drawdown: d("300"), MonthlyPnL: d("-400")}, at)
	require.Equal(t, []Breach{
		{Limit: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Period: "2026-11-23", Most: d("200"), Value: d("200")},
		{Limit: eventv1.LimitName_LIMIT_NAME_MAX_DRAWDOWN, Period: "2026-11-23", Most: d("300"), Value: d("300")},
		{Limit: eventv1.LimitName_LIMIT_NAME_MONTHLY_BUDGET, Period: "2026-11", Most: limits.budget(), Value: d("400")},
	}, got)
}
