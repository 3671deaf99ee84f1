package projection_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestCheck_TenantCreated(t *testing.T) {
	t.Parallel()
	requireRefusals(t, []refusal{
		{name: "twice", at: "registered", reason: "TENANT_EXISTS", payload: func(s scene) proto.Message {
			return &eventv1.TenantCreated{TenantId: s.TenantID.String(), Name: "again"}
		}},
	})
	log := projectiontest.NewLog()
	refuseField(t, log, "tenant_id", &eventv1.TenantCreated{TenantId: uuid.NewString(), Name: "another's"})
}

func TestCheck_AccountRegistered(t *testing.T) {
	t.Parallel()
	again := func(change func(p *eventv1.AccountRegistered)) func(s scene) proto.Message {
		return func(s scene) proto.Message {
			return changed(s.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT), change)
		}
	}
	wrong := func(field string, change func(p *eventv1.AccountRegistered)) refusal {
		return refusal{name: field, at: "registered", field: field, payload: again(change)}
	}
	requireRefusals(t, []refusal{
		{name: "the same version", at: "registered", reason: "ACCOUNT_VERSION", payload: again(func(p *eventv1.AccountRegistered) { p.Version = 1 })},
		{name: "another account's key", at: "registered", reason: "API_KEY_TAKEN", payload: again(func(p *eventv1.AccountRegistered) {
			p.ApiKeyFingerprint = "key-" + projectiontest.Margin.String()
		})},
		wrong("environment", func(p *eventv1.AccountRegistered) { p.Environment = eventv1.Environment_ENVIRONMENT_PROD }),
		wrong("margin_symbol", func(p *eventv1.AccountRegistered) { p.Product = eventv1.Product_PRODUCT_ISOLATED_MARGIN }),
		wrong("margin_symbol", func(p *eventv1.AccountRegistered) { p.MarginSymbol = "BTCUSDT" }),
		wrong("margin_symbol", func(p *eventv1.AccountRegistered) {
			p.Product, p.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "ETHBTC"
		}),
		wrong("product", func(p *eventv1.AccountRegistered) {
			p.Product, p.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, "BTCUSDT"
		}),
		wrong("quote_asset", func(p *eventv1.AccountRegistered) { p.QuoteAsset = "EUR" }),
		wrong("exchange", func(p *eventv1.AccountRegistered) { p.Exchange = "kraken" }),
		wrong("permissions", func(p *eventv1.AccountRegistered) { p.Permissions = []string{"enableWithdrawals"} }),
		wrong("risk_limits.max_open_positions", func(p *eventv1.AccountRegistered) { p.RiskLimits.MaxOpenPositions = 0 }),
		wrong("risk_limits.risk_percent_max", func(p *eventv1.AccountRegistered) { p.RiskLimits.RiskPercentMax = "100.1" }),
		wrong("risk_limits.capital_base", func(p *eventv1.AccountRegistered) { p.RiskLimits.CapitalBase = "0" }),
	})
	t.Run("a new one begins at 1", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "registered")
		payload := s.AccountRegistered(uuid.New(), eventv1.Product_PRODUCT_SPOT)
		payload.Version = 2
		refuseField(t, s.Log, "version", payload)
	})
	t.Run("again with other limits keeps what is used of them", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "active")
		payload := s.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT)
		payload.RiskLimits.MaxExposure = "40000"
		add(t, s.Log, payload)
		use := s.Risk(projectiontest.Spot, nilID)
		equalNull(t, "40000", use.MaxExposure)
		equal(t, "6332.7", use.TotalExposure)
		require.EqualValues(t, 2, get[projection.Account](t, s.Log, projection.AccountKey(projectiontest.Spot)).Version)
	})
}

func TestCheck_strategies(t *testing.T) {
	t.Parallel()
	updated := func(change func(p *eventv1.StrategyUpdated)) func(s scene) proto.Message {
		return func(s scene) proto.Message {
			return changed(&eventv1.StrategyUpdated{
				StrategyId: projectiontest.StrategyID.String(), Version: 2, RiskConfig: &eventv1.RiskConfig{RiskPercent: "0.5"},
			}, change)
		}
	}
	config := func(field string, config *eventv1.RiskConfig) refusal {
		return refusal{name: field, at: "registered", field: field, payload: updated(func(p *eventv1.StrategyUpdated) { p.RiskConfig = config })}
	}
	four, none := int32(4), int32(0)
	requireRefusals(t, []refusal{
		{name: "registered twice", at: "registered", reason: "STRATEGY_EXISTS", payload: func(s scene) proto.Message { return s.StrategyRegistered() }},
		{name: "registered at 2", at: "registered", field: "version", payload: func(s scene) proto.Message {
			return changed(s.StrategyRegistered(), func(p *eventv1.StrategyRegistered) { p.StrategyId, p.Version = uuid.NewString(), 2 })
		}},
		{name: "of an unknown account", at: "registered", reason: "ACCOUNT_UNKNOWN", payload: func(s scene) proto.Message {
			return changed(s.StrategyRegistered(), func(p *eventv1.StrategyRegistered) { p.StrategyId, p.AccountId = uuid.NewString(), uuid.NewString() })
		}},
		{name: "enabled twice", at: "registered", reason: "STRATEGY_ENABLED", payload: func(s scene) proto.Message { return s.StrategyEnabled() }},
		{name: "disabled though unknown", at: "registered", reason: "STRATEGY_UNKNOWN", payload: func(scene) proto.Message {
			return &eventv1.StrategyDisabled{StrategyId: uuid.NewString(), Reason: "x"}
		}},
		{name: "updated from another version", at: "registered", reason: "STRATEGY_VERSION", payload: updated(func(p *eventv1.StrategyUpdated) { p.Version = 3 })},
		{name: "updated though unknown", at: "registered", reason: "STRATEGY_UNKNOWN", payload: updated(func(p *eventv1.StrategyUpdated) { p.StrategyId = uuid.NewString() })},
		config("risk_config.risk_percent", &eventv1.RiskConfig{RiskPercent: "1.5"}),
		config("risk_config.risk_percent", &eventv1.RiskConfig{RiskPercent: "0"}),
		config("risk_config.max_exposure", &eventv1.RiskConfig{RiskPercent: "1", MaxExposure: "30000.01"}),
		config("risk_config.daily_loss_limit", &eventv1.RiskConfig{RiskPercent: "1", DailyLossLimit: "201"}),
		config("risk_config.max_drawdown", &eventv1.RiskConfig{RiskPercent: "1", MaxDrawdown: "1001"}),
		config("risk_config.max_open_positions", &eventv1.RiskConfig{RiskPercent: "1", MaxOpenPositions: &four}),
		config("risk_config.max_open_positions", &eventv1.RiskConfig{RiskPercent: "1", MaxOpenPositions: &none}),
		config("risk_config.stop_min_pct", &eventv1.RiskConfig{RiskPercent: "1", StopMinPct: "11"}),
	})
	t.Run("settings reach the strategy and its risk row, whenever enabled", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "registered")
		add(t, s.Log, updated(func(*eventv1.StrategyUpdated) {})(s))
		equal(t, "0.5", s.Strategy(projectiontest.StrategyID).RiskPercent)
		equalNull(t, "0.5", s.Risk(projectiontest.Spot, projectiontest.StrategyID).RiskPercentMax)
		require.False(t, s.Risk(projectiontest.Spot, projectiontest.StrategyID).MaxExposure.Valid)
		add(t, s.Log, &eventv1.StrategyDisabled{StrategyId: projectiontest.StrategyID.String(), Reason: "x"})
		enabled := s.StrategyEnabled()
		enabled.Version = 1
		refuse(t, s.Log, "STRATEGY_VERSION", enabled)
		add(t, s.Log, s.StrategyEnabled())
		strategy := s.Strategy(projectiontest.StrategyID)
		equal(t, "1", strategy.RiskPercent) // Enabling refreshes the settings.
		require.Nil(t, strategy.DisabledAt)
		equal(t, "0.1", strategy.StopMinPct)
		equal(t, "10", strategy.StopMaxPct)
		require.Equal(t, "continuous", strategy.TrailingMode)
	})
}

func TestRisk_limits(t *testing.T) {
	t.Parallel()
	t.Run("set and cleared alternate", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		clear := panicked("1")
		clear.ClearedBy = "ana"
		refuse(t, s.Log, "LIMIT_NOT_SET", clear)
		add(t, s.Log, panicked("1"), panicked("2"))
		refuse(t, s.Log, "LIMIT_SET", panicked("1"))
		use := s.Risk(projectiontest.Spot, nilID)
		require.True(t, use.IsViolated)
		require.Equal(t, map[string]string{"operator|1": "fire", "operator|2": "fire"}, use.Halts)
		refuse(t, s.Log, "ENTRIES_HALTED", s.Entry(s.plan))
		add(t, s.Log, clear)
		require.True(t, s.Risk(projectiontest.Spot, nilID).IsViolated)
		clear.Period = "2"
		add(t, s.Log, clear)
		require.False(t, s.Risk(projectiontest.Spot, nilID).IsViolated)
		require.Nil(t, s.Risk(projectiontest.Spot, nilID).ViolatedAt)
		add(t, s.Log, s.Entry(s.plan))
	})
	t.Run("a panic of one symbol halts nothing but moves the row", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "active")
		panics := panicked("1")
		panics.Symbol, panics.PositionIds = "BTCUSDT", []string{s.plan.PositionID().String()}
		add(t, s.Log, panics)
		use := s.Risk(projectiontest.Spot, nilID)
		require.False(t, use.IsViolated)
		require.Equal(t, int64(len(s.Events)), use.LastPosition)
		panics.Symbol = "ETHUSDT"
		refuseField(t, s.Log, "position_ids", panics)
		panics.PositionIds = []string{uuid.NewString()}
		refuse(t, s.Log, "POSITION_UNKNOWN", panics)
	})
	t.Run("another account's position, an unknown account, an unknown strategy", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "active")
		panics := panicked("1")
		panics.AccountId, panics.PositionIds = projectiontest.Margin.String(), []string{s.plan.PositionID().String()}
		refuse(t, s.Log, "POSITION_UNKNOWN", panics)
		panics.AccountId = uuid.NewString()
		refuse(t, s.Log, "ACCOUNT_UNKNOWN", panics)
		panics = panicked("1")
		panics.StrategyId = uuid.NewString()
		refuse(t, s.Log, "STRATEGY_UNKNOWN", panics)
	})
	t.Run("an alert is shown and halts nothing", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		alert := panicked("2026-11-23")
		alert.Action, alert.LimitName = eventv1.LimitAction_LIMIT_ACTION_ALERT, eventv1.LimitName_LIMIT_NAME_DAILY_LOSS
		add(t, s.Log, alert)
		refuse(t, s.Log, "LIMIT_SET", alert)
		require.Contains(t, s.Risk(projectiontest.Spot, nilID).Alerts, "daily_loss|2026-11-23")
		add(t, s.Log, s.Entry(s.plan))
	})
	t.Run("a halt of a day ends with it", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		halt := panicked("2026-11-23")
		halt.Action, halt.LimitName = eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, eventv1.LimitName_LIMIT_NAME_DAILY_LOSS
		add(t, s.Log, halt)
		month := panicked("2026-10")
		month.Action, month.LimitName = eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, eventv1.LimitName_LIMIT_NAME_MONTHLY_BUDGET
		add(t, s.Log, month)
		refuse(t, s.Log, "ENTRIES_HALTED", s.Entry(s.plan))
		s.Now = s.Now.Add(24 * time.Hour)
		add(t, s.Log, s.Entry(s.plan))
		// The next check that passes forgets it.
		next := projectiontest.Long("b")
		next.Symbol = "ETHUSDT"
		add(t, s.Log, s.Armed(next), s.Detected(next), s.Proposed(next), s.Passed(next))
		require.False(t, s.Risk(projectiontest.Spot, nilID).IsViolated)
	})
	t.Run("a strategy's limit halts the strategy", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "approved")
		halt := panicked("x")
		halt.StrategyId, halt.Action = projectiontest.StrategyID.String(), eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES
		add(t, s.Log, halt)
		require.False(t, s.Risk(projectiontest.Spot, nilID).IsViolated)
		refuse(t, s.Log, "ENTRIES_HALTED", s.Entry(s.plan))
		other := projectiontest.Long("b")
		other.Symbol = "ETHUSDT"
		require.NoError(t, s.Opening(other))
	})
}

// A refused decision violates the account only when the account's own limits are used up, and it is cleared (domain 2.1).
func TestRisk_a_failed_check_that_breaches_the_account(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "exit claimed")
	exit := s.Intent(projectiontest.ExitID(s.plan, 1))
	add(t, s.Log, s.Fill(exit, 1, projectiontest.Trade{ID: "x1", Price: "91000", Quantity: "0.06666"}))
	add(t, s.Log, s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	use := s.Risk(projectiontest.Spot, nilID)
	equal(t, "-266.64", use.DailyPnL)
	equal(t, "266.64", use.Drawdown)
	equal(t, "0", use.PeakPnL)
	equal(t, "0", s.Strategy(projectiontest.StrategyID).WinRate)

	next := projectiontest.Long("b")
	add(t, s.Log, s.Armed(next), s.Detected(next), s.Proposed(next))
	failed := s.Failed(next)
	failed.AccountBreach = true
	add(t, s.Log, failed)
	use = s.Risk(projectiontest.Spot, nilID)
	require.True(t, use.IsViolated)
	require.Equal(t, map[string]string{"daily_loss|2026-11-23": "monthly_budget"}, use.Halts)
	cleared := panicked("2026-11-23")
	cleared.LimitName, cleared.ClearedBy = eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, "ana"
	add(t, s.Log, cleared)
	require.False(t, s.Risk(projectiontest.Spot, nilID).IsViolated)
}

func TestRisk_results_are_booked_under_their_own_day_and_month(t *testing.T) {
	t.Parallel()
	log := registered(t)
	lose := func(name, price string, closedAt time.Time) {
		plan := projectiontest.Long(name)
		entry := entered(t, log, plan)
		add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: name, Price: "95000", Quantity: "0.06666"}))
		add(t, log, log.Opened(plan, "95000", "0.06666"), log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
		add(t, log, log.Exit(plan, 1, "0.06666"))
		add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
		add(t, log, log.Fill(log.Intent(projectiontest.ExitID(plan, 1)), 1, projectiontest.Trade{ID: name + "x", Price: price, Quantity: "0.06666"}))
		closed := log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE)
		closed.ClosedAt = timestamppb.New(closedAt)
		add(t, log, closed)
	}
	lose("a", "96000", time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)) // +66.66
	lose("b", "94000", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))     // -66.66
	lose("c", "97000", time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))   // +133.32, booked late
	period := func(name string) *projection.PnLPeriod {
		return get[projection.PnLPeriod](t, log, projection.PnLPeriodKey(projectiontest.Spot, nilID, name))
	}
	equal(t, "199.98", period("2026-11-30").NetPnL)
	equal(t, "199.98", period("2026-11").NetPnL)
	equal(t, "-66.66", period("2026-12-01").NetPnL)
	require.EqualValues(t, 2, period("2026-11").WinningPositions)
	use := log.Risk(projectiontest.Spot, nilID)
	require.Equal(t, "2026-12-01", *use.PnLDay) // The newest day, whatever came last.
	equal(t, "-66.66", use.DailyPnL)
	equal(t, "-66.66", use.MonthlyPnL)
	equal(t, "133.32", use.TotalPnL)
	equal(t, "133.32", use.PeakPnL)
}

func TestBalance_adjustments_transfers_and_loans(t *testing.T) {
	t.Parallel()
	log := registered(t)
	account := projectiontest.Spot.String()
	adjusted := func(delta string) *eventv1.BalanceAdjusted {
		return &eventv1.BalanceAdjusted{
			AccountId: account, Wallet: "spot", Asset: "USDT", Delta: delta, Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT,
			ClearedAt: timestamppb.New(log.Now),
		}
	}
	add(t, log, adjusted("5")) // Nothing was sampled yet: there is nothing to move.
	require.Nil(t, log.Balance(projectiontest.Spot, "spot", "USDT"))
	old := adjusted("7")
	add(t, log, log.Sample("1", "USDT", "100"))
	add(t, log, old) // The sample has it in it.
	equal(t, "100", log.Balance(projectiontest.Spot, "spot", "USDT").Free)
	add(t, log, adjusted("-30"))
	equal(t, "70", log.Balance(projectiontest.Spot, "spot", "USDT").Total)
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, flagged(t, log, adjusted("0")).Kind)
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH, flagged(t, log, adjusted("-71")).Kind)
	equal(t, "-1", log.Balance(projectiontest.Spot, "spot", "USDT").Free) // Recorded all the same.

	odd := log.Sample("2", "ETH", "-1")
	odd.Locked, odd.Total = "-2", "9"
	require.Len(t, flagged(t, log, odd).Expected, 3)
	equal(t, "-3", log.Balance(projectiontest.Spot, "spot", "ETH").Total)

	add(t, log, log.Sample("3", "BTC", "2"))
	moved := &eventv1.MarginTransferred{
		AccountId: account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.5", TranId: "1",
		Direction: eventv1.TransferDirection_TRANSFER_DIRECTION_SPOT_TO_ISOLATED,
	}
	add(t, log, moved)
	equal(t, "1.5", log.Balance(projectiontest.Spot, "spot", "BTC").Free)
	moved.Direction = eventv1.TransferDirection_TRANSFER_DIRECTION_ISOLATED_TO_SPOT
	add(t, log, moved)
	equal(t, "2", log.Balance(projectiontest.Spot, "spot", "BTC").Free)
	moved.Amount = "-1"
	flagged(t, log, moved)

	borrowed := &eventv1.MarginBorrowed{AccountId: account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.5", TranId: "2", Via: eventv1.BorrowVia_BORROW_VIA_EXPLICIT}
	repaid := &eventv1.MarginRepaid{AccountId: account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.31", Principal: "0.3", Interest: "0.01", TranId: "3"}
	add(t, log, borrowed, repaid)
	loan := get[projection.MarginLoan](t, log, projection.MarginLoanKey(projectiontest.Spot, "BTCUSDT", "BTC"))
	equal(t, "0.2", loan.Borrowed)
	equal(t, "0.01", loan.InterestPaid)
	require.Len(t, flagged(t, log, repaid).Expected, 1)
	repaid.Amount = "9"
	require.Len(t, flagged(t, log, repaid).Expected, 2)
	borrowed.Amount = "0"
	flagged(t, log, borrowed)
}
