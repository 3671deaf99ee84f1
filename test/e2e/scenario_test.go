package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// margin makes an account one for shorts of a symbol.
func margin(symbol string) func(*commandv1.RegisterAccountRequest) {
	return func(r *commandv1.RegisterAccountRequest) {
		r.Product, r.MarginSymbol = eventv1.Product_PRODUCT_ISOLATED_MARGIN, symbol
	}
}

// TestScenarioS1SizesByTheGoldenRule: quantity = capital x risk% / |entry - stop|, at most capital / entry, rounded down.
func TestScenarioS1SizesByTheGoldenRule(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	spot, isolated := u.account(), u.account(margin(btc))
	before := u.head()
	for name, c := range map[string]struct {
		side                                     eventv1.PositionSide
		capital, stop                            string
		quantity, notional, risk, limit, refuses string
	}{
		// 10000 x 1 % = 100; / 1500 = 0.0666666...; x 95000 = 6332.70; x 1500 = 99.99
		"1 by risk": {long, "10000", "93500", "0.06666", "6332.7", "99.99", "risk", ""},
		// 10000 / 95000 = 0.1052631...; x 95000 = 9999.70; x 100 = 10.526
		"1b capped by the capital":    {long, "10000", "94900", "0.10526", "9999.7", "10.526", "margin", ""},
		"1c 0.0947 % is too tight":    {long, "10000", "94910", "0.10526", "9999.7", "9.4734", "margin", "stop_distance_bounds"},
		"1c 10.526 % is too wide":     {long, "10000", "85000", "0.01", "950", "100", "risk", "stop_distance_bounds"},
		"1c 0.1 % is taken":           {long, "10000", "94905", "0.10526", "9999.7", "9.9997", "margin", ""},
		"1c 10 % is taken":            {long, "10000", "85500", "0.01052", "999.4", "99.94", "risk", ""},
		"1e is not rounded up":        {long, "5", "93500", "0.00003", "2.85", "0.045", "risk", "min_notional"},
		"a short is sized alike":      {short, "10000", "96500", "0.06666", "6332.7", "99.99", "risk", ""},
		"a short of 10 % is taken":    {short, "10000", "104500", "0.01052", "999.4", "99.94", "risk", ""},
		"a short too wide is not":     {short, "10000", "104500.01", "0.01052", "999.4", "99.9401052", "risk", "stop_distance_bounds"},
		"less than a step is nothing": {long, "1", "85500", "0", "0", "0", "risk", "min_notional quantity_below_min"},
	} {
		t.Run(name, func(t *testing.T) {
			account := spot
			if c.side == short {
				account = isolated
			}
			response, err := u.trading().OpenPosition(u.ctx(), &commandv1.OpenPositionRequest{
				AccountId: account, Symbol: btc, Side: c.side, Capital: c.capital, RiskPercent: "1", TechnicalStop: c.stop, DryRun: true,
			})
			require.NoError(t, err)
			d := response.GetDecision()
			require.Equal(t, []string{c.quantity, c.notional, c.risk, c.limit}, []string{d.GetQuantity(), d.GetNotional(), d.GetPlannedRisk(), d.GetQuantityLimit()})
			require.Equal(t, c.refuses, failed(response.GetOutcome().GetFailedChecks()))
			verdict := commandv1.Verdict_VERDICT_WOULD_ACCEPT
			if c.refuses != "" {
				verdict = commandv1.Verdict_VERDICT_WOULD_REFUSE
			}
			require.Equal(t, verdict, response.GetOutcome().GetVerdict())
			require.Empty(t, response.GetOutcome().GetEvents())
		})
	}
	t.Run("1d a short's stop below its entry is a mistake", func(t *testing.T) {
		_, err := u.trading().OpenPosition(u.ctx(), &commandv1.OpenPositionRequest{AccountId: isolated, Symbol: btc, Side: short, TechnicalStop: "94000"})
		requireField(t, err, "technical_stop")
	})
	require.Empty(t, u.newsSince(before), "a dry run writes nothing")

	t.Run("1e refused for real it is recorded, and nothing is intended", func(t *testing.T) {
		request := longBTC(spot)
		request.Capital = "5"
		response, err := u.trading().OpenPosition(u.ctx(), request)
		require.NoError(t, err)
		require.Equal(t, refused, response.GetOutcome().GetVerdict())
		u.settle()
		require.Equal(t, []string{"POSITION_ARMED", "SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_FAILED", "SIGNAL_REJECTED", "POSITION_DISARMED"}, u.newsSince(before))
		position := u.position(response.GetPositionId())
		require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, position.GetState())
		require.Equal(t, "risk_refused", position.GetDisarmReason())
		require.Empty(t, u.requireOneSend(spot), "the venue heard of nothing")
	})
}

// ladder is a depth of which a buyer of S1's quantity at 95 000 takes 0.02 at 95 000, 0.03 at 95 010, 0.01666 at 95 025.50;
// a seller finds the same below the market.
var ladder = &connectorv1.MarketHeader{Symbol: btc, Depth: []*connectorv1.DepthLevel{
	{Quantity: "0.02", OffsetTicks: 0}, {Quantity: "0.03", OffsetTicks: 1000}, {Quantity: "100", OffsetTicks: 2550},
}}

// TestScenariosS2AndS3FillInPartsAndSettleToTheLastDecimal enters as S2 does and leaves, when the price has been at 98 000
// and is at 96 500, in three parts too.
func TestScenariosS2AndS3FillInPartsAndSettleToTheLastDecimal(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(ladder, "95000", "98000", "96500")
	account := u.account()
	opened := u.open(longBTC(account))
	require.Equal(t, "0.06666", opened.GetDecision().GetQuantity())

	fills := u.fills(opened.GetPositionId())
	require.Len(t, fills, 3)
	for i, want := range [][]string{ // 0.1 % of what is bought
		{"0.02", "95000", "0.00002", "1.9"}, {"0.03", "95010", "0.00003", "2.8503"}, {"0.01666", "95025.5", "0.00001666", "1.58312483"},
	} {
		f := fills[i]
		require.Equal(t, want, []string{f.GetFillQuantity(), f.GetFillPrice(), f.GetFee(), f.GetFeeQuote()})
		require.Equal(t, "BTC", f.GetFeeAsset())
	}
	events := u.query(&eventlogv1.EventFilter{PositionId: opened.GetPositionId()})
	openedEvents := only(events, "POSITION_OPENED")
	require.Len(t, openedEvents, 1, "once, on the first fill")
	require.Equal(t, "95000", openedEvents[0].GetPayload().GetPositionOpened().GetEntryPrice())
	require.Equal(t, only(events, "FILL_RECEIVED")[0].GetEventId(), openedEvents[0].GetCausationId())

	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ACTIVE, p.GetState())
	// 0.02 x 95000 + 0.03 x 95010 + 0.01666 x 95025.50 = 1900 + 2850.30 + 1583.12483
	require.Equal(t, "6333.42483", p.GetEntryCost())
	require.True(t, strings.HasPrefix(p.GetEntryPrice(), "95010.8735373"), p.GetEntryPrice()) // 6333.42483 / 0.06666
	require.Equal(t, "0.06666", p.GetEntryQuantity())
	require.Equal(t, "0.06659334", p.GetCurrentQuantity()) // less 0.00006666
	require.Equal(t, "93500", p.GetTechnicalStopPrice())
	require.Equal(t, "1500", p.GetTechnicalStopDistance(), "slippage does not rewrite it")
	order, err := u.state().GetOrder(u.ctx(), &projectorv1.GetOrderRequest{OrderId: p.GetEntryOrderId()})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"BTC": "0.00006666"}, order.GetOrder().GetFees())
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, order.GetOrder().GetStatus())

	market.to(u, 1)
	require.Equal(t, "96500", u.position(opened.GetPositionId()).GetTrailingStopPrice()) // 98000 - 1500
	market.to(u, 2)                                                                      // touched: it leaves
	p = u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	require.Equal(t, "trailing_stop", p.GetExitReason())
	// 0.06659334 rounded down to the step; 0.02 x 96500 + 0.03 x 96490 + 0.01659 x 96474.50 = 1930 + 2894.70 + 1600.511955
	require.Equal(t, []string{"0.06659", "6425.211955"}, []string{p.GetExitQuantity(), p.GetExitProceeds()})
	require.Equal(t, "0.00000334", p.GetDustQuantity())
	// Entry 1.9 + 2.8503 + 1.58312483; exit 1.93 + 2.8947 + 1.60051195, each truncated to 8 places as the venue does.
	require.Equal(t, "12.75863678", p.GetTotalFees())
	// 6425.211955 - 0.06659 x 6333.42483 / 0.06666 = 98.437886147614761476147...; to 18 places, half to even
	require.Equal(t, "98.437886147614761476", p.GetRealizedPnl())
	require.Equal(t, "85.679249367614761476", p.GetNetPnl())
	// What is in the wallet: 50000 - 6333.42483 + 6425.211955 - 6.42521195
	require.Equal(t, "50085.36191305", u.free(account, "spot", "USDT"))
	require.Equal(t, "0.00000334", u.free(account, "spot", "BTC"))
	u.requireOneSend(account)
}

// free is what is free of an asset, as the log knows it.
func (u *user) free(account, wallet, asset string) string {
	u.t.Helper()
	response, err := u.state().ListBalances(u.ctx(), &projectorv1.ListBalancesRequest{AccountId: account, Wallet: wallet, Asset: asset, MinPosition: u.head()})
	require.NoError(u.t, err)
	require.Len(u.t, response.GetBalances(), 1)
	return response.GetBalances()[0].GetFree()
}

// TestScenarioS6TheStopTrails: three moves, one exit at the touch.
func TestScenarioS6TheStopTrails(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), rideUp...)
	account := u.account()
	opened := u.open(longBTC(account))
	for bar, stop := range []string{"93500", "94000", "94500", "94500", "95500", "95500", "95500"} {
		market.to(u, bar)
		require.Equal(t, stop, u.position(opened.GetPositionId()).GetTrailingStopPrice(), "at %s", rideUp[bar])
	}
	events := u.query(&eventlogv1.EventFilter{PositionId: opened.GetPositionId()})
	moves := only(events, "TRAILING_STOP_UPDATED")
	require.Len(t, moves, 3)
	for i, want := range [][]string{{"93500", "94000", "95500"}, {"94000", "94500", "96000"}, {"94500", "95500", "97000"}} {
		m := moves[i].GetPayload().GetTrailingStopUpdated()
		require.Equal(t, want, []string{m.GetPreviousStop(), m.GetNewStop(), m.GetTriggerPrice()})
	}
	exits := only(events, "EXIT_TRIGGERED")
	require.Len(t, exits, 1)
	exit := exits[0].GetPayload().GetExitTriggered()
	require.Equal(t, []string{"95500", "95500"}, []string{exit.GetTriggerPrice(), exit.GetStopPrice()})
	require.Equal(t, eventv1.ExitReason_EXIT_REASON_TRAILING_STOP, exit.GetReason())

	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	require.Equal(t, "33.295", p.GetRealizedPnl())                    // 0.06659 x (95500 - 95000)
	require.Equal(t, "12.692045", p.GetTotalFees())                   // 0.00006666 x 95000 + 0.06659 x 95500 x 0.1 % = 6.3327 + 6.359345
	require.Equal(t, "20.602955", p.GetNetPnl())                      // the difference
	require.Equal(t, "50020.285655", u.free(account, "spot", "USDT")) // 50000 - 6332.70 + 6359.345 - 6.359345
	// At most one resting stop at a time: each was canceled before the next was placed.
	resting := ""
	for _, e := range u.readLog(0) {
		switch {
		case e.GetPayload().GetOrderSubmitted().GetReduceIntent() == eventv1.ReduceIntent_REDUCE_INTENT_INSURANCE:
			require.Empty(t, resting, "two stops rest")
			resting = e.GetStreamKey()
		case e.GetEventType() == "ORDER_CANCELED" && e.GetStreamKey() == resting:
			resting = ""
		}
	}
	require.Empty(t, resting)
}

// TestScenarioS6AGapLeavesByTheRestingStop: the price falls through the stop and the resting stop behind it in one tick.
func TestScenarioS6AGapLeavesByTheRestingStop(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), "95000", "92000")
	account := u.account()
	opened := u.open(longBTC(account))
	market.to(u, 1)
	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	require.Contains(t, []string{"trailing_stop", "insurance_stop"}, p.GetExitReason(), "whoever saw it first")
	require.Equal(t, "93500", p.GetTrailingStopPrice())
	require.Equal(t, "92000", p.GetExitPrice())
	// 0.06659 x (92000 - 95000); fees 0.00006666 x 95000 + 0.06659 x 92000 x 0.1 %
	require.Equal(t, []string{"-199.77", "12.45898", "-212.22898"}, []string{p.GetRealizedPnl(), p.GetTotalFees(), p.GetNetPnl()})
	sold := 0
	for _, o := range u.requireOneSend(account) {
		if o.GetSide() == eventv1.Side_SIDE_SELL && o.GetStatus() == "FILLED" {
			sold++
		}
	}
	require.Equal(t, 1, sold, "it left once")
}

// TestAShortBorrowsSellsAndBuysBack mirrors S6 on an isolated margin account.
func TestAShortBorrowsSellsAndBuysBack(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), "95000", "94000", "93000", "94500")
	account := u.account(margin(btc))
	opened := u.open(&commandv1.OpenPositionRequest{AccountId: account, Symbol: btc, Side: short, Capital: "10000", RiskPercent: "1", TechnicalStop: "96500"})
	for bar, stop := range []string{"96500", "95500", "94500", "94500"} {
		market.to(u, bar)
		require.Equal(t, stop, u.position(opened.GetPositionId()).GetTrailingStopPrice())
	}
	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	require.Equal(t, "trailing_stop", p.GetExitReason())
	require.Equal(t, []string{"0.06666", "95000"}, []string{p.GetEntryQuantity(), p.GetEntryPrice()})
	// 0.06666 / 0.999, since 0.1 % is taken of what is bought, rounded down: 0.06665328 come back, 0.00000672 stay owed.
	require.Equal(t, []string{"0.06672", "94500", "0.00000672"}, []string{p.GetExitQuantity(), p.GetExitPrice(), p.GetDustQuantity()})
	// 0.06665328 x (95000 - 94500)
	require.Equal(t, "33.32664", p.GetRealizedPnl())
	// 0.06666 x 95000 x 0.1 % + 0.00006672 x 94500 = 6.3327 + 6.30504
	require.Equal(t, "12.63774", p.GetTotalFees())
	// And so is the money: 6332.70 - 6.3327 - 0.06672 x 94500 = 21.3273, less what is owed at its cost, 0.6384.
	require.Equal(t, "20.6889", p.GetNetPnl())
	require.Equal(t, "50021.3273", u.free(account, "isolated:BTCUSDT", "USDT"))
	loans, err := u.state().ListMarginLoans(u.ctx(), &projectorv1.ListMarginLoansRequest{AccountId: account})
	require.NoError(t, err)
	require.Len(t, loans.GetMarginLoans(), 1)
	require.Equal(t, "0.00000672", loans.GetMarginLoans()[0].GetBorrowed())
	counts := count(u.readLog(0))
	require.NotZero(t, counts["MARGIN_BORROWED"])
	require.NotZero(t, counts["MARGIN_REPAID"])
	u.requireOneSend(account)
}

// TestScenarioS10TheSameBalanceAgainIsAnEventOfItsOwn: 100 free, 90 while 10 are locked, 100 again.
func TestScenarioS10TheSameBalanceAgainIsAnEventOfItsOwn(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(eth)
	registered, err := u.setup().RegisterAccount(u.ctx(), &commandv1.RegisterAccountRequest{
		Environment: eventv1.Environment_ENVIRONMENT_SIM, Product: eventv1.Product_PRODUCT_SPOT, Label: "S10", QuoteAsset: "USDT", ApiKeyFingerprint: "S10", RiskLimits: limits(),
	})
	require.NoError(t, err)
	account := registered.GetAccountId()
	u.deposit(account, "spot", "100")
	u.settle()
	sample := func() {
		_, err := u.venue().SampleBalances(u.ctx(), &connectorv1.SampleBalancesRequest{AccountId: account})
		require.NoError(t, err)
	}
	before := u.head()
	sample()
	// 10 x 1 % / 10 = 0.01 = 10 / 1000: 10 USDT are locked at the venue.
	opened := u.open(&commandv1.OpenPositionRequest{
		AccountId: account, Symbol: eth, Side: long, Capital: "10", RiskPercent: "1", EntryPrice: "1000", TechnicalStop: "990", OrderType: limit,
	})
	sample()
	_, err = u.trading().CancelOrder(u.ctx(), &commandv1.CancelOrderRequest{OrderId: u.position(opened.GetPositionId()).GetEntryOrderId()})
	require.NoError(t, err)
	u.settle()
	sample()
	sample()

	var course []string
	seen := map[string]bool{}
	for _, e := range u.readLog(before) {
		s := e.GetPayload().GetBalanceSampled()
		if s.GetAsset() != "USDT" {
			continue
		}
		require.False(t, seen[s.GetSampleId()], "a sample is told once")
		seen[s.GetSampleId()] = true
		require.Equal(t, "100", s.GetTotal())
		if n := len(course); n == 0 || course[n-1] != s.GetFree() {
			course = append(course, s.GetFree())
		}
	}
	require.Equal(t, []string{"100", "90", "100"}, course)
	require.Equal(t, "100", u.free(account, "spot", "USDT"))
	p := u.position(opened.GetPositionId())
	require.Equal(t, "entry_failed", p.GetExitReason())
	require.Equal(t, "0", p.GetNetPnl())

	t.Run("a strategy that is switched on and off is off", func(t *testing.T) {
		before := u.head()
		strategy, err := u.setup().RegisterStrategy(u.ctx(), &commandv1.RegisterStrategyRequest{
			AccountId: account, StrategyName: "S10", StrategyType: "manual", RiskConfig: &eventv1.RiskConfig{RiskPercent: "1"},
		})
		require.NoError(t, err)
		enable := func() {
			_, err := u.setup().EnableStrategy(u.ctx(), &commandv1.EnableStrategyRequest{StrategyId: strategy.GetStrategyId()})
			require.NoError(t, err)
		}
		disable := func() {
			_, err := u.setup().DisableStrategy(u.ctx(), &commandv1.DisableStrategyRequest{StrategyId: strategy.GetStrategyId(), Reason: "S10"})
			require.NoError(t, err)
		}
		enable()
		disable()
		enable()
		disable()
		require.Equal(t, []string{"STRATEGY_REGISTERED", "STRATEGY_ENABLED", "STRATEGY_DISABLED", "STRATEGY_ENABLED", "STRATEGY_DISABLED"}, u.newsSince(before))
		row, err := u.state().GetStrategy(u.ctx(), &projectorv1.GetStrategyRequest{StrategyId: strategy.GetStrategyId(), MinPosition: u.head()})
		require.NoError(t, err)
		require.False(t, row.GetStrategy().GetIsEnabled())
	})
}

// TestScenarioS11TheMonthsBudget: of 150 a resting entry takes 99.99, so 50.01 are left.
func TestScenarioS11TheMonthsBudget(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	u.stillMarket(eth)
	account := u.account(func(r *commandv1.RegisterAccountRequest) { r.RiskLimits.MonthlyBudgetPercent = "1.5" })
	// 10000 x 1 % / 1500 = 0.06666, x 1500 = 99.99; 0.06666 x 90000 rests below the market.
	u.open(&commandv1.OpenPositionRequest{AccountId: account, Symbol: btc, Side: long, Capital: "10000", EntryPrice: "90000", TechnicalStop: "88500", OrderType: limit})

	// 9999 x 1 % / 30 = 3.333; x 30 = 99.99
	armed, err := u.trading().ArmPosition(u.ctx(), &commandv1.ArmPositionRequest{AccountId: account, Symbol: eth, Side: long, Capital: "9999"})
	require.NoError(t, err)
	signaled, err := u.trading().SubmitSignal(u.ctx(), &commandv1.SubmitSignalRequest{PositionId: armed.GetPositionId(), TechnicalStop: "1970"})
	require.NoError(t, err)
	requireBudget(t, signaled.GetOutcome())
	u.settle()
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ARMED, u.position(armed.GetPositionId()).GetState(), "refused, it stays armed")
	_, err = u.trading().DisarmPosition(u.ctx(), &commandv1.DisarmPositionRequest{PositionId: armed.GetPositionId()})
	require.NoError(t, err)

	// The short cut is refused in the same way, and gives up what it armed.
	request := &commandv1.OpenPositionRequest{AccountId: account, Symbol: eth, Side: long, Capital: "9999", TechnicalStop: "1970"}
	opened, err := u.trading().OpenPosition(u.ctx(), request)
	require.NoError(t, err)
	requireBudget(t, opened.GetOutcome())
	u.settle()
	require.Equal(t, "risk_refused", u.position(opened.GetPositionId()).GetDisarmReason())
	require.Len(t, u.requireOneSend(account), 1, "only the resting entry is at the venue")

	// 4950 x 1 % / 30 = 1.65; x 30 = 49.50 fits, and would leave 0.51.
	request.Capital = "4950"
	passed := u.open(request)
	require.Equal(t, "49.5", passed.GetDecision().GetPlannedRisk())
	check := only(u.query(&eventlogv1.EventFilter{CommandId: passed.GetOutcome().GetCommandId()}), "RISK_CHECK_PASSED")[0].GetPayload().GetRiskCheckPassed()
	require.Equal(t, "50.01", check.GetBudgetRemaining(), "before the decision")
	// Once it is filled what is held is at risk: (1.65 - 0.00165) x 30 = 49.4505 of 50.01.
	rest, err := u.state().ListRiskStates(u.ctx(), &projectorv1.ListRiskStatesRequest{AccountId: account, MinPosition: u.head()})
	require.NoError(t, err)
	require.Equal(t, "149.4405", rest.GetRiskStates()[0].GetOpenRisk()) // 99.99 + 49.4505
}

// requireBudget holds that the month's budget alone refused, with S11's numbers.
func requireBudget(t *testing.T, outcome *commandv1.Outcome) {
	t.Helper()
	require.Equal(t, refused, outcome.GetVerdict())
	require.Equal(t, "monthly_budget", failed(outcome.GetFailedChecks()))
	require.Equal(t, []string{"50.01", "99.99"}, []string{outcome.GetFailedChecks()[0].GetLimit(), outcome.GetFailedChecks()[0].GetValue()})
}

// TestScenarioS11TheDaysLossAndTheOpenPositions: exactly at the limit passes; all that refuses is told.
func TestScenarioS11TheDaysLossAndTheOpenPositions(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	u.stillMarket(eth)
	account := u.account()
	lost := u.close(u.open(longBTC(account)).GetPositionId())
	// Bought and sold at 95000 it has cost the fees: 0.00006666 x 95000 + 0.06659 x 95000 x 0.1 % = 6.3327 + 6.32605
	require.Equal(t, []string{"0", "12.65875", "-12.65875"}, []string{lost.GetRealizedPnl(), lost.GetTotalFees(), lost.GetNetPnl()})
	limitTo := func(loss string, open int32) {
		l := limits()
		l.DailyLossLimit, l.MaxOpenPositions = loss, open
		row, err := u.state().GetAccount(u.ctx(), &projectorv1.GetAccountRequest{AccountId: account, MinPosition: u.head()})
		require.NoError(t, err)
		_, err = u.setup().RegisterAccount(u.ctx(), &commandv1.RegisterAccountRequest{
			AccountId: account, Environment: row.GetAccount().GetEnvironment(), Product: row.GetAccount().GetProduct(), Label: row.GetAccount().GetLabel(),
			QuoteAsset: "USDT", ApiKeyFingerprint: row.GetAccount().GetApiKeyFingerprint(), Permissions: row.GetAccount().GetPermissions(), RiskLimits: l,
		})
		require.NoError(t, err)
	}
	// 5000 x 1 % / 25 = 2; x 25 = 50: the day could end at -62.65875.
	request := &commandv1.OpenPositionRequest{AccountId: account, Symbol: eth, Side: long, Capital: "5000", TechnicalStop: "1975", DryRun: true}
	limitTo("62.65874", 3)
	response, err := u.trading().OpenPosition(u.ctx(), request)
	require.NoError(t, err)
	require.Equal(t, "daily_loss_limit", failed(response.GetOutcome().GetFailedChecks()))
	require.Equal(t, []string{"-62.65874", "-62.65875"}, []string{response.GetOutcome().GetFailedChecks()[0].GetLimit(), response.GetOutcome().GetFailedChecks()[0].GetValue()})

	limitTo("62.65875", 1)
	request.DryRun = false
	u.open(request)

	// One is open and one may be; its stop and another's together are more than the day may lose.
	both, err := u.trading().OpenPosition(u.ctx(), longBTC(account))
	require.NoError(t, err)
	require.Equal(t, refused, both.GetOutcome().GetVerdict())
	require.Equal(t, "daily_loss_limit max_open_positions", failed(both.GetOutcome().GetFailedChecks()))
}

// TestPanicClosesAllAndHaltsEntriesUntilItIsReset, and a strategy that is disabled does not open.
func TestPanicClosesAllAndHaltsEntriesUntilItIsReset(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	u.stillMarket(eth)
	account := u.account()
	first := u.open(longBTC(account))
	second := u.open(&commandv1.OpenPositionRequest{AccountId: account, Symbol: eth, Side: long, Capital: "1000", TechnicalStop: "1970"})
	command := uuid.New()
	panicked, err := u.trading().Panic(u.named(command), &commandv1.PanicRequest{AccountId: account, Note: "exchange outage"})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first.GetPositionId(), second.GetPositionId()}, panicked.GetPositionIds())
	u.settle()
	for _, id := range panicked.GetPositionIds() {
		p := u.position(id)
		require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
		require.Equal(t, "panic", p.GetExitReason())
	}
	require.Equal(t, 2, count(u.query(&eventlogv1.EventFilter{CommandId: command.String(), Descendants: true}))["EXIT_TRIGGERED"])

	halted, err := u.trading().OpenPosition(u.ctx(), longBTC(account))
	require.NoError(t, err)
	require.Equal(t, refused, halted.GetOutcome().GetVerdict())
	require.Equal(t, "account_violated", failed(halted.GetOutcome().GetFailedChecks()))
	risk, err := u.state().ListRiskStates(u.ctx(), &projectorv1.ListRiskStatesRequest{AccountId: account})
	require.NoError(t, err)
	require.Len(t, risk.GetRiskStates()[0].GetHalts(), 1)
	for halt := range risk.GetRiskStates()[0].GetHalts() {
		name, period, _ := strings.Cut(halt, "|")
		require.Equal(t, "operator", name)
		_, err = u.setup().ResetRiskLimit(u.ctx(), &commandv1.ResetRiskLimitRequest{
			AccountId: account, LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Period: period, Note: "it is over",
		})
		require.NoError(t, err)
	}
	again := u.open(longBTC(account))

	_, err = u.trading().OpenPosition(u.ctx(), longBTC(account))
	requireFault(t, err, codes.FailedPrecondition, "DUPLICATE_POSITION")
	u.close(again.GetPositionId())
}
