package projection_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// registered is a log with a tenant, its accounts and an enabled strategy.
func registered(t *testing.T) *projectiontest.Log {
	t.Helper()
	log := projectiontest.NewLog()
	require.NoError(t, log.Registered())
	return log
}

// add appends payloads that must be taken without an anomaly.
func add(t *testing.T, log *projectiontest.Log, payloads ...proto.Message) {
	t.Helper()
	for _, payload := range payloads {
		anomalies, err := log.Append(payload)
		require.NoError(t, err, "%T", payload)
		require.Empty(t, anomalies, "%T", payload)
	}
}

// flagged appends a fact that must raise one anomaly, and gives it.
func flagged(t *testing.T, log *projectiontest.Log, payload proto.Message) projection.Anomaly {
	t.Helper()
	anomalies, err := log.Append(payload)
	require.NoError(t, err)
	require.Len(t, anomalies, 1)
	return anomalies[0]
}

// refuse appends a decision that must be refused, with nothing changed.
func refuse(t *testing.T, log *projectiontest.Log, reason string, payload proto.Message) {
	t.Helper()
	require.NotNil(t, refusalOf(t, log, reason, payload))
}

// refusalOf is how a decision is refused.
func refusalOf(t *testing.T, log *projectiontest.Log, reason string, payload proto.Message) *fault.Error {
	t.Helper()
	before := log.State.Render()
	_, err := log.Append(payload)
	require.Error(t, err)
	require.Equal(t, reason, fault.ReasonOf(err), "%v", err)
	require.Equal(t, before, log.State.Render())
	return fault.As(err)
}

// refuseField appends a decision with a value that must be refused.
func refuseField(t *testing.T, log *projectiontest.Log, field string, payload proto.Message) {
	t.Helper()
	e := refusalOf(t, log, "INVALID_FIELD", payload)
	require.True(t, fault.Is(e, fault.Invalid))
	require.Len(t, e.Fields, 1)
	require.Equal(t, field, e.Fields[0].Path, "%v", e)
}

func equal(t *testing.T, want string, got decimal.Decimal) {
	t.Helper()
	require.Equal(t, want, got.String())
}

func equalNull(t *testing.T, want string, got decimal.NullDecimal) {
	t.Helper()
	require.True(t, got.Valid)
	require.Equal(t, want, got.Decimal.String())
}

// entered takes a plan to a claimed entry order.
func entered(t *testing.T, log *projectiontest.Log, plan projectiontest.Plan) *projection.Intent {
	t.Helper()
	require.NoError(t, log.Opening(plan))
	add(t, log, log.Claim(plan.EntryID(), 1))
	return log.Intent(plan.EntryID())
}

// s2 fills the order of domain S1 as in domain S2.
func s2(t *testing.T, log *projectiontest.Log, plan projectiontest.Plan) {
	t.Helper()
	entry := entered(t, log, plan)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.02", Fee: "0.00002", FeeAsset: "BTC"}))
	order := log.Order(event.OrderID(plan.EntryID(), 1))
	require.Equal(t, projection.OrderPartial, order.Status)
	equalNull(t, "95000", order.AverageFillPrice)
	add(t, log, log.Opened(plan, "95000", "0.02"))
	require.Equal(t, "POSITION_OPENED", fault.ReasonOf(lastError(log.Append(log.Opened(plan, "95000", "0.02")))))
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t2", Price: "95010", Quantity: "0.03", Fee: "0.00003", FeeAsset: "BTC"}))
	order = log.Order(order.OrderID)
	equal(t, "0.05", order.FilledQuantity)
	equalNull(t, "95006", order.AverageFillPrice)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t3", Price: "95025.5", Quantity: "0.01666", Fee: "0.00001666", FeeAsset: "BTC"}))
}

func lastError(_ []projection.Anomaly, err error) error { return err }

func TestScenario_S1_sizing(t *testing.T) {
	t.Parallel()
	log := registered(t)
	require.NoError(t, log.Opening(projectiontest.Long("a")))
	decision := log.Decision(projectiontest.Long("a").DecisionID())
	equal(t, "0.06666", decision.Quantity)
	equal(t, "99.99", decision.PlannedRisk)
	equal(t, "6332.7", decision.Notional)

	t.Run("a quantity rounded up", func(t *testing.T) {
		t.Parallel()
		log := registered(t)
		plan := projectiontest.Long("b")
		add(t, log, log.Armed(plan), log.Detected(plan))
		proposed := log.Proposed(plan)
		proposed.Quantity, proposed.PlannedRisk, proposed.Notional = "0.0667", "100.05", "6336.5"
		refuseField(t, log, "quantity", proposed)
	})
	t.Run("capped by capital", func(t *testing.T) {
		t.Parallel()
		log := registered(t)
		plan := projectiontest.Long("c")
		plan.Stop = "94900"
		require.NoError(t, log.Opening(plan))
		decision := log.Decision(plan.DecisionID())
		equal(t, "0.10526", decision.Quantity)
		equal(t, "9999.7", decision.Notional)
		equal(t, "10.526", decision.PlannedRisk)
		require.Equal(t, "margin", decision.QuantityLimit)
	})
}

func TestScenario_S2_partial_fills(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	s2(t, log, plan)
	order, position := log.Order(event.OrderID(plan.EntryID(), 1)), log.Position(plan.PositionID())
	require.Equal(t, projection.OrderFilled, order.Status)
	require.NotNil(t, order.FilledAt)
	equal(t, "6333.42483", order.CumQuote)
	require.Equal(t, "95010.87353735", order.AverageFillPrice.Decimal.StringFixedBank(8))
	require.Len(t, order.Fees, 1)
	equal(t, "0.00006666", order.Fees["BTC"])
	require.Equal(t, []string{"t1", "t2", "t3"}, order.ExchangeTradeIDs)
	require.Equal(t, projection.PositionActive, position.State)
	equal(t, "0.06666", position.EntryQuantity)
	equal(t, "0.06659334", position.CurrentQuantity)
	equal(t, "6.33342483", position.TotalFees)
	equalNull(t, "93500", position.TechnicalStopPrice)
	equalNull(t, "1500", position.TechnicalStopDistance)
	require.True(t, position.EntryDone)
	require.Equal(t, projection.IntentDone, log.Intent(plan.EntryID()).Status)
	replayed, err := projectiontest.Replay(log.Events)
	require.NoError(t, err)
	require.Equal(t, log.State.Render(), replayed.Render())
}

func TestScenario_S3_exit(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	plan.Strategy = projectiontest.StrategyID
	s2(t, log, plan)
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE), log.Exit(plan, 1, "0.06659"))
	add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
	equal(t, "0.06659", log.Position(plan.PositionID()).ReservedQuantity)
	refuse(t, log, "ORDERS_LIVE", log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	exit := log.Intent(projectiontest.ExitID(plan, 1))
	add(t, log, log.Fill(exit, 1, projectiontest.Trade{ID: "t4", Price: "96500", Quantity: "0.06659", Fee: "6.425935", FeeAsset: "USDT"}))

	wrong := log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE)
	wrong.NetPnl = "86.40157133"
	refuseField(t, log, "net_pnl", wrong)
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))

	position := log.Position(plan.PositionID())
	require.Equal(t, projection.PositionClosed, position.State)
	require.Equal(t, "99.16093115", position.RealizedPnL.Decimal.StringFixedBank(8))
	equal(t, "12.75935983", position.TotalFees)
	require.Equal(t, "86.40157132", position.NetPnL.Decimal.StringFixedBank(8))
	equalNull(t, "0.00000334", position.DustQuantity)
	// Cash change with the dust at cost is the net, exactly with the unrounded average: compared as products.
	cash := dec("6425.935").Sub(dec("6.425935")).Sub(dec("6333.42483"))
	equal(t, "86.084235", cash)
	gross := position.EntryQuantity.Mul(position.ExitProceeds).Sub(position.ExitQuantity.Mul(position.EntryCost))
	net := gross.Sub(position.TotalFees.Mul(position.EntryQuantity))
	baseFeeAtCost := position.EntryBaseFee.Mul(position.EntryCost)
	baseFeeAtFills := dec("6.33342483").Mul(position.EntryQuantity)
	dustAtCost := position.DustQuantity.Decimal.Mul(position.EntryCost)
	require.True(t, baseFeeAtCost.Equal(baseFeeAtFills))
	require.True(t, net.Equal(cash.Mul(position.EntryQuantity).Add(dustAtCost)))

	for _, scope := range []uuid.UUID{uuid.Nil, projectiontest.StrategyID} {
		use := log.Risk(projectiontest.Spot, scope)
		require.True(t, use.TotalExposure.IsZero())
		require.True(t, use.OpenRisk.IsZero())
		require.Zero(t, use.OpenPositions)
		require.True(t, use.DailyPnL.Equal(position.NetPnL.Decimal))
		require.True(t, use.MonthlyPnL.Equal(position.NetPnL.Decimal))
		require.Equal(t, "2026-11-23", *use.PnLDay)
		require.Equal(t, "2026-11", *use.PnLMonth)
	}
	strategy := log.Strategy(projectiontest.StrategyID)
	equal(t, "1", strategy.WinRate)
	require.Zero(t, strategy.OpenPositions)
	require.True(t, strategy.TotalPnL.Equal(position.NetPnL.Decimal))
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// The mirror of S3: what a short owes falls by what comes back, and the net is the cash change less the owed dust at cost.
func TestScenario_short_exit(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Short("a")
	entry := entered(t, log, plan)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666", Fee: "6.3327", FeeAsset: "USDT"}))
	add(t, log, log.Opened(plan, "95000", "0.06666"))
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE), log.Exit(plan, 1, "0.06666"))
	add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
	exit := log.Intent(projectiontest.ExitID(plan, 1))
	add(t, log, log.Fill(exit, 1, projectiontest.Trade{ID: "t2", Price: "94000", Quantity: "0.03", Fee: "0.00003", FeeAsset: "BTC"}))
	add(t, log, log.Fill(exit, 1, projectiontest.Trade{ID: "t3", Price: "93000", Quantity: "0.03666", Fee: "0.00003666", FeeAsset: "BTC"}))
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	position := log.Position(plan.PositionID())
	equalNull(t, "0.00006666", position.DustQuantity)
	// (0.03-0.00003)x1000 + (0.03666-0.00003666)x2000
	equalNull(t, "103.21668", position.RealizedPnL)
	equal(t, "12.56208", position.TotalFees) // 6.3327 + 0.00003x94000 + 0.00003666x93000
	equalNull(t, "90.6546", position.NetPnL)
	cash := dec("6332.7").Sub(dec("6.3327")).Sub(dec("2820")).Sub(dec("3409.38"))
	require.True(t, cash.Sub(dec("0.00006666").Mul(dec("95000"))).Equal(position.NetPnL.Decimal))
}

func TestScenario_S6_trailing_stop(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	s2(t, log, plan)
	add(t, log, log.StopMoved(plan, "93500", "94000", "95500"), log.StopMoved(plan, "94000", "94500", "96000"),
		log.StopMoved(plan, "94500", "95500", "97000"))
	position := log.Position(plan.PositionID())
	equalNull(t, "95500", position.TrailingStopPrice)
	equalNull(t, "97000", position.FavorableExtreme)
	require.True(t, position.OpenRisk.IsZero()) // The stop is above the entry: nothing is left to lose.

	refuse(t, log, "STOP_NOT_BETTER", log.StopMoved(plan, "95500", "94000", "97000"))
	refuse(t, log, "STOP_NOT_BETTER", log.StopMoved(plan, "95500", "95500", "97000"))
	refuse(t, log, "STOP_MOVED", log.StopMoved(plan, "94500", "96000", "97500"))
	refuse(t, log, "EXTREME_NOT_BETTER", log.StopMoved(plan, "95500", "95600", "95500"))
	refuse(t, log, "STOP_NOT_HIT", log.StopHit(plan, "95500.01", "95500"))
	refuse(t, log, "STOP_MOVED", log.StopHit(plan, "95500", "94500"))
	add(t, log, log.StopHit(plan, "95500", "95500"))
	require.Equal(t, projection.PositionExiting, log.Position(plan.PositionID()).State)
	refuse(t, log, "POSITION_STATE", log.StopMoved(plan, "95500", "96000", "97500"))

	t.Run("a gap exits at the price that came", func(t *testing.T) {
		t.Parallel()
		log, plan := registered(t), projectiontest.Long("a")
		s2(t, log, plan)
		add(t, log, log.StopHit(plan, "92000", "93500"))
		equalNull(t, "93500", log.Position(plan.PositionID()).TrailingStopPrice)
		equalNull(t, "92000", log.Position(plan.PositionID()).CurrentPrice)
	})
	t.Run("a short's stop falls", func(t *testing.T) {
		t.Parallel()
		log, plan := registered(t), projectiontest.Short("a")
		entry := entered(t, log, plan)
		add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666"}), log.Opened(plan, "95000", "0.06666"))
		refuse(t, log, "STOP_NOT_BETTER", log.StopMoved(plan, "96500", "96600", "95000"))
		add(t, log, log.StopMoved(plan, "96500", "95500", "94000"))
		refuse(t, log, "STOP_NOT_HIT", log.StopHit(plan, "95499.99", "95500"))
		add(t, log, log.StopHit(plan, "95500", "95500"))
	})
}

func TestScenario_S7_a_trade_counts_once(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	entry := entered(t, log, plan)
	trade := projectiontest.Trade{ID: "700001", Price: "61000", Quantity: "0.01", Fee: "0.61", FeeAsset: "USDT"}
	add(t, log, log.Fill(entry, 1, trade))
	once := log.State.Render()
	trade.Quantity = "0.01000000"
	add(t, log, log.Fill(entry, 1, trade)) // By REST, written otherwise.
	require.Equal(t, once, log.State.Render())
	order := log.Order(event.OrderID(plan.EntryID(), 1))
	equal(t, "0.01", order.FilledQuantity)
	equal(t, "0.61", order.Fees["USDT"])

	t.Run("the same trade id counts again on another symbol, account or order", func(t *testing.T) {
		t.Parallel()
		log, plan := registered(t), projectiontest.Long("a")
		first := log.Fill(entered(t, log, plan), 1, trade)
		add(t, log, first)
		other := projectiontest.Long("b")
		other.Symbol, other.Entry, other.Stop, other.Step = "ETHUSDT", "2000", "1900", "0.0001"
		second := log.Fill(entered(t, log, other), 1, projectiontest.Trade{ID: "700001", Price: "2000", Quantity: "0.01"})
		second.ExchangeOrderId = first.GetExchangeOrderId()
		add(t, log, second)
		short := projectiontest.Short("c")
		third := log.Fill(entered(t, log, short), 1, trade)
		third.ExchangeOrderId = first.GetExchangeOrderId()
		add(t, log, third)
		for _, p := range []projectiontest.Plan{plan, other, short} {
			equal(t, "0.01", log.Position(p.PositionID()).EntryQuantity)
		}
	})
	t.Run("a self-trade gives two orders one trade id", func(t *testing.T) {
		t.Parallel()
		log, plan := registered(t), projectiontest.Long("a")
		s2(t, log, plan)
		add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE), log.Exit(plan, 1, "0.06659"))
		add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
		add(t, log, log.Fill(log.Intent(projectiontest.ExitID(plan, 1)), 1, projectiontest.Trade{ID: "t3", Price: "95025.5", Quantity: "0.01"}))
		equal(t, "0.05659334", log.Position(plan.PositionID()).CurrentQuantity)
	})
}

func TestScenario_S9_closing_twice(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	s2(t, log, plan)
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE), log.Exit(plan, 1, "0.06659"))
	refuse(t, log, "ALREADY_EXITING", log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	require.EqualValues(t, 1, log.Position(plan.PositionID()).ExitTriggers)
	add(t, log, log.Exit(plan, 2, "0.06659"))
	add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
	refuse(t, log, "EXCEEDS_OPEN", log.Claim(projectiontest.ExitID(plan, 2), 1))
}

func TestScenario_S10_balance_samples(t *testing.T) {
	t.Parallel()
	log := registered(t)
	at := func(id, free string, minute int) *eventv1.BalanceSampled {
		sample := log.Sample(id, "USDT", free)
		sample.SampledAt = timestamppb.New(projectiontest.Start.Add(time.Duration(minute) * time.Minute))
		return sample
	}
	free := func() string { return log.Balance(projectiontest.Spot, "spot", "USDT").Free.String() }
	add(t, log, at("1", "100", 0), at("2", "90", 5))
	require.Equal(t, "90", free())
	add(t, log, at("3", "100.00000000", 10))
	require.Equal(t, "100", free())
	last := log.State.Render()
	add(t, log, at("4", "95", 7)) // Late: stored, and the projection stays.
	require.Equal(t, last, log.State.Render())
	add(t, log, at("5", "101", 10)) // Of one moment the later in the log holds.
	require.Equal(t, "101", free())
	require.Len(t, log.Events, 5+5)

	t.Run("a strategy ends disabled", func(t *testing.T) {
		t.Parallel()
		log := registered(t)
		off := &eventv1.StrategyDisabled{StrategyId: projectiontest.StrategyID.String(), Reason: "test"}
		add(t, log, off, log.StrategyEnabled(), off)
		require.False(t, log.Strategy(projectiontest.StrategyID).IsEnabled)
		refuse(t, log, "STRATEGY_DISABLED", off)
	})
}

func TestScenario_S11_risk_rejection(t *testing.T) {
	t.Parallel()
	log, first, second := registered(t), projectiontest.Long("a"), projectiontest.Long("b")
	entry := entered(t, log, first)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666"}), log.Opened(first, "95000", "0.06666"))
	equal(t, "99.99", log.Risk(projectiontest.Spot, uuid.Nil).OpenRisk)
	equal(t, "6332.7", log.Risk(projectiontest.Spot, uuid.Nil).TotalExposure)

	second.Symbol = "ETHUSDT"
	before := log.Risk(projectiontest.Spot, uuid.Nil)
	add(t, log, log.Armed(second), log.Detected(second), log.Proposed(second), log.Failed(second))
	require.Equal(t, projection.DecisionRejected, log.Decision(second.DecisionID()).Status)
	require.Same(t, before, log.Risk(projectiontest.Spot, uuid.Nil)) // A trade that is too big says nothing of the account.
	refuse(t, log, "RISK_NOT_PASSED", log.Entry(second))
	require.Equal(t, projection.PositionArmed, log.Position(second.PositionID()).State)
}
