package projection_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// sell carries out an exit intent of a quantity by trades, which must not raise anything.
func sell(t *testing.T, log *projectiontest.Log, plan projectiontest.Plan, n int, quantity string, trades ...projectiontest.Trade) {
	t.Helper()
	add(t, log, log.Exit(plan, n, quantity))
	add(t, log, log.Claim(projectiontest.ExitID(plan, n), 1))
	for _, trade := range trades {
		add(t, log, log.Fill(log.Intent(projectiontest.ExitID(plan, n)), 1, trade))
	}
}

// ETHUSDT, a fee in a third asset that could be valued once and once not, two exit orders at three prices.
func TestScenario_third_asset_fees_and_several_exits(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("eth")
	plan.Symbol, plan.Entry, plan.Stop, plan.Step = "ETHUSDT", "2000.5", "1950.25", "0.0001"
	plan.Strategy = projectiontest.StrategyID
	entry := entered(t, log, plan)
	// 100 / 50.25 = 1.99004975..., cut to 1.99; 1.9901 would risk 100.002525.
	equal(t, "1.99", entry.Quantity)
	decision := log.Decision(plan.DecisionID())
	equal(t, "99.9975", decision.PlannedRisk)                                // 1.99 x 50.25
	equal(t, "3980.995", log.Risk(projectiontest.Spot, nilID).TotalExposure) // 1.99 x 2000.5, as planned

	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "1", Price: "2000.4", Quantity: "1.2", Fee: "0.0018", FeeAsset: "BNB", FeeQuote: "1.08"}))
	add(t, log, log.Opened(plan, "2000.4", "1.2"))
	equal(t, "3980.995", log.Risk(projectiontest.Spot, nilID).TotalExposure) // Still as planned: the order lives.
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "2", Price: "2001", Quantity: "0.79", Fee: "0.0012", FeeAsset: "BNB"}))

	position := log.Position(plan.PositionID())
	equal(t, "3981.27", position.EntryCost)                      // 2400.48 + 1580.79
	equalNull(t, "2000.638190954773869347", position.EntryPrice) // 3981.27 / 1.99 = 2000.63819095477386934673...
	equal(t, "1.99", position.CurrentQuantity)                   // The third asset's fee takes nothing of it.
	equal(t, "1.08", position.TotalFees)
	require.EqualValues(t, 1, position.UnvaluedFees)
	order := log.Order(event.OrderID(plan.EntryID(), 1))
	equal(t, "0.003", order.Fees["BNB"])
	equal(t, "3981.27", position.Exposure)
	equal(t, "100.2725", position.OpenRisk) // 3981.27 - 1.99 x 1950.25: slippage cost more than was planned

	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	sell(t, log, plan, 1, "1",
		projectiontest.Trade{ID: "3", Price: "2050", Quantity: "0.4", Fee: "0.82", FeeAsset: "USDT"},
		projectiontest.Trade{ID: "4", Price: "2040", Quantity: "0.6", Fee: "1.224", FeeAsset: "USDT"})
	position = log.Position(plan.PositionID())
	equal(t, "0.99", position.CurrentQuantity)
	equal(t, "1980.631809045226130653", position.Exposure) // 0.99 x 3981.27 / 1.99 = ...130653266...
	equal(t, "49.884309045226130653", position.OpenRisk)   // that less 0.99 x 1950.25
	refuse(t, log, "EXCEEDS_OPEN", log.Exit(plan, 9, "0.9901"))
	sell(t, log, plan, 2, "0.99", projectiontest.Trade{ID: "5", Price: "1990", Quantity: "0.99", Fee: "1.9701", FeeAsset: "USDT"})
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))

	position = log.Position(plan.PositionID())
	equal(t, "4014.1", position.ExitProceeds)                   // 820 + 1224 + 1970.1
	equalNull(t, "2017.135678391959798995", position.ExitPrice) // 4014.1 / 1.99
	equalNull(t, "32.83", position.RealizedPnL)                 // 4014.1 - 3981.27
	equal(t, "5.0941", position.TotalFees)                      // 1.08 + 0.82 + 1.224 + 1.9701, what could not be valued apart
	equalNull(t, "27.7359", position.NetPnL)
	equalNull(t, "0", position.DustQuantity)
	require.Len(t, position.ExitOrderIDs, 2)
	require.Equal(t, event.OrderID(projectiontest.ExitID(plan, 2), 1), position.ExitOrderID.UUID)
	for _, scope := range []uuid.UUID{nilID, projectiontest.StrategyID} {
		equal(t, "27.7359", log.Risk(projectiontest.Spot, scope).TotalPnL)
		equal(t, "0", log.Risk(projectiontest.Spot, scope).TotalExposure)
	}
}

// A short that is bought back in two orders with fees in the base asset: what was taken as a fee is owed again, and the net
// is the cash change less the owed dust at cost.
func TestScenario_short_bought_back_twice(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Short("s")
	plan.Entry, plan.Stop, plan.Capital = "60000", "61200", "5000"
	entry := entered(t, log, plan)
	equal(t, "0.04166", entry.Quantity) // 50 / 1200 = 0.0416666...
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "1", Price: "59990", Quantity: "0.02166", Fee: "1.2993834", FeeAsset: "USDT"}))
	add(t, log, log.Opened(plan, "59990", "0.02166"))
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "2", Price: "60010", Quantity: "0.02", Fee: "1.2002", FeeAsset: "USDT"}))
	position := log.Position(plan.PositionID())
	equal(t, "2499.5834", position.EntryCost)                     // 1299.3834 + 1200.2
	equalNull(t, "59999.601536245799327892", position.EntryPrice) // / 0.04166
	equal(t, "0.04166", position.CurrentQuantity)
	equal(t, "50.0086", position.OpenRisk) // 0.04166 x 61200 - 2499.5834

	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	sell(t, log, plan, 1, "0.04", projectiontest.Trade{ID: "3", Price: "58000", Quantity: "0.04", Fee: "0.00004", FeeAsset: "BTC"})
	equal(t, "0.0017", log.Position(plan.PositionID()).CurrentQuantity) // 0.04166 - 0.04 + 0.00004
	sell(t, log, plan, 2, "0.0017", projectiontest.Trade{ID: "4", Price: "58100", Quantity: "0.0017", Fee: "0.0000017", FeeAsset: "BTC"})
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))

	position = log.Position(plan.PositionID())
	equalNull(t, "0.0000017", position.DustQuantity)
	equal(t, "2418.77", position.ExitProceeds)                   // 2320 + 98.77
	equalNull(t, "58004.076738609112709832", position.ExitPrice) // / 0.0417
	// Returned 0.0417 - 0.0000417 = 0.0416583; at cost 2499.5834 x 0.0416583 / 0.04166 = 2499.481400677388382141; bought for
	// 2418.77 less the fees' 0.00004 x 58000 + 0.0000017 x 58100 = 2.41877.
	equalNull(t, "83.130170677388382141", position.RealizedPnL)
	equal(t, "4.9183534", position.TotalFees) // 1.2993834 + 1.2002 + 2.41877
	equalNull(t, "78.211817277388382141", position.NetPnL)
	// Cash: 2499.5834 - 2.4995834 - 2418.77 = 78.3138166; the owed 0.0000017 at cost is 0.101999322611617859.
	equalNull(t, dec("78.3138166").Sub(dec("0.101999322611617859")).String(), position.NetPnL)
	equal(t, "78.211817277388382141", log.Risk(projectiontest.Margin, nilID).DailyPnL)
}

// A fill before the ack, a cancel of the rest, and a fill that was under way when it was canceled.
func TestScenario_fill_before_ack_and_after_cancel(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	entry := entered(t, log, plan)
	id := event.OrderID(plan.EntryID(), 1)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.02", Fee: "1.9", FeeAsset: "USDT"}))
	add(t, log, log.Opened(plan, "95000", "0.02"), log.Ack(entry, 1))
	require.Equal(t, projection.OrderPartial, log.Order(id).Status)
	require.NotNil(t, log.Order(id).AckedAt)
	equal(t, "6332.7", log.Risk(projectiontest.Spot, nilID).TotalExposure)

	add(t, log, log.Cancel(plan, id), log.Canceled(entry, 1, "0.02"))
	require.Equal(t, projection.IntentDone, log.Intent(plan.EntryID()).Status)
	equal(t, "1900", log.Risk(projectiontest.Spot, nilID).TotalExposure) // 0.02 x 95000: only what was filled
	equal(t, "30", log.Risk(projectiontest.Spot, nilID).OpenRisk)        // 0.02 x 1500

	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "2", Price: "95100", Quantity: "0.01", Fee: "0.951", FeeAsset: "USDT"}))
	require.Equal(t, projection.OrderCanceled, log.Order(id).Status)
	position := log.Position(plan.PositionID())
	equal(t, "0.03", position.CurrentQuantity)
	equal(t, "2851", position.EntryCost) // 1900 + 951
	equal(t, "2851", log.Risk(projectiontest.Spot, nilID).TotalExposure)
	equal(t, "46", log.Risk(projectiontest.Spot, nilID).OpenRisk) // 2851 - 0.03 x 93500
	equal(t, "2.851", position.TotalFees)
}

// A panic while the entry is under way: the rest is canceled, what was filled is sold, and the position never was active.
func TestScenario_panic_while_entering(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	entry := entered(t, log, plan)
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_PANIC))
	refuse(t, log, "ORDERS_LIVE", log.Closed(plan, eventv1.ExitReason_EXIT_REASON_PANIC))
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "1", Price: "94000", Quantity: "0.015", Fee: "0.000015", FeeAsset: "BTC"}))
	require.Equal(t, projection.PositionExiting, log.Position(plan.PositionID()).State)
	add(t, log, log.Canceled(entry, 1, "0.015"))
	refuse(t, log, "POSITION_STATE", log.Opened(plan, "94000", "0.015"))
	sell(t, log, plan, 1, "0.01498", projectiontest.Trade{ID: "2", Price: "93000", Quantity: "0.01498", Fee: "1.39314", FeeAsset: "USDT"})
	refuse(t, log, "ENTRY_FILLED", log.Closed(plan, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED))
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_PANIC))
	position := log.Position(plan.PositionID())
	equalNull(t, "-14.98", position.RealizedPnL)    // 0.01498 x (93000 - 94000)
	equal(t, "2.80314", position.TotalFees)         // 0.000015 x 94000 + 1.39314
	equalNull(t, "-17.78314", position.NetPnL)      // Cash -1410 + 1393.14 - 1.39314 = -18.25314, and dust worth 0.47.
	equalNull(t, "0.000005", position.DustQuantity) // 0.014985 - 0.01498
	require.Nil(t, position.OpenedAt)
	require.Zero(t, log.Risk(projectiontest.Spot, nilID).OpenPositions)
	equal(t, "17.78314", log.Risk(projectiontest.Spot, nilID).Drawdown)
}

// The resting stop fills before we do anything: the first fill tells, the position is left for it, and a loss is booked.
func TestScenario_resting_stop_fills_first(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	plan.Strategy = projectiontest.StrategyID
	entry := entered(t, log, plan)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.06666", Fee: "6.3327", FeeAsset: "USDT"}))
	add(t, log, log.Opened(plan, "95000", "0.06666"), log.Protect(plan, 1, "0.06666", "93500"))
	stop := projectiontest.ProtectID(plan, 1)
	add(t, log, log.Claim(stop, 1))
	add(t, log, log.Ack(log.Intent(stop), 1))
	equal(t, "0.06666", log.Position(plan.PositionID()).ReservedQuantity)
	add(t, log, log.Fill(log.Intent(stop), 1, projectiontest.Trade{ID: "2", Price: "93480", Quantity: "0.06", Fee: "5.6088", FeeAsset: "USDT"}))
	equal(t, "0.00666", log.Position(plan.PositionID()).ReservedQuantity)
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP))
	refuse(t, log, "EXCEEDS_OPEN", log.Exit(plan, 1, "0.00666")) // The stop still has it.
	add(t, log, log.Fill(log.Intent(stop), 1, projectiontest.Trade{ID: "3", Price: "93400", Quantity: "0.00666", Fee: "0.622044", FeeAsset: "USDT"}))
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP))
	position := log.Position(plan.PositionID())
	equalNull(t, "-101.856", position.RealizedPnL) // 0.06 x -1520 + 0.00666 x -1600
	equal(t, "12.563544", position.TotalFees)      // 6.3327 + 5.6088 + 0.622044
	equalNull(t, "-114.419544", position.NetPnL)
	strategy := log.Strategy(projectiontest.StrategyID)
	equal(t, "0", strategy.WinRate)
	equal(t, "-114.419544", strategy.TotalPnL)
	require.EqualValues(t, 1, strategy.ClosedPositions)
	require.EqualValues(t, 1, strategy.TotalSignals)
	equal(t, "114.419544", log.Risk(projectiontest.Spot, projectiontest.StrategyID).Drawdown)
}

// An intent that was ended unsent stays ended, even if its order turns out to be at the venue.
func TestOrder_an_unsent_intent_stays_ended(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "intended")
	intent := s.Intent(s.plan.EntryID())
	add(t, s.Log, s.EndedUnsent(intent))
	flagged(t, s.Log, s.Ack(intent, 1))
	claim := s.Claim(s.plan.EntryID(), 1)
	claim.Recovered = true
	add(t, s.Log, claim)
	require.True(t, s.Intent(s.plan.EntryID()).Ended)
	require.True(t, s.Order(event.OrderID(s.plan.EntryID(), 1)).Known)
	refuse(t, s.Log, "INTENT_ENDED", s.Claim(s.plan.EntryID(), 2))
}

// An older attempt that is taken in later does not take its intent back from the newer one.
func TestOrder_the_newest_attempt_speaks_for_its_intent(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "claimed")
	intent := s.Intent(s.plan.EntryID())
	add(t, s.Log, s.Rejected(intent, 1))
	for _, attempt := range []int32{3, 2} {
		flagged(t, s.Log, s.Ack(intent, attempt)) // Nobody claimed it.
		claim := s.Claim(s.plan.EntryID(), attempt)
		claim.Recovered = true
		add(t, s.Log, claim)
	}
	intent = s.Intent(s.plan.EntryID())
	require.EqualValues(t, 3, intent.Attempts)
	require.Equal(t, event.OrderID(s.plan.EntryID(), 3), intent.OrderID.UUID)
	require.Equal(t, event.OrderID(s.plan.EntryID(), 3), s.Position(s.plan.PositionID()).EntryOrderID.UUID)
}

// A sample that tells nothing of loans leaves them as they were told.
func TestBalance_what_a_sample_does_not_tell_stays(t *testing.T) {
	t.Parallel()
	log := registered(t)
	margin := log.Sample("1", "BTC", "0.5")
	margin.Borrowed, margin.Interest = "0.25", "0.0001"
	add(t, log, margin, log.Sample("2", "BTC", "0.6"))
	row := log.Balance(projectiontest.Spot, "spot", "BTC")
	equal(t, "0.6", row.Free)
	equal(t, "0.25", row.Borrowed)
	equal(t, "0.0001", row.Interest)
	none := log.Sample("3", "BTC", "0.6")
	none.Borrowed = "0"
	add(t, log, none)
	equal(t, "0", log.Balance(projectiontest.Spot, "spot", "BTC").Borrowed)
}

// All the positions of a panic are asked for at once, or a large one would ask as often as it has positions.
func TestTouches_all_positions_of_a_panic(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "registered")
	panics := panicked("1")
	for _, name := range []string{"a", "b", "c"} {
		panics.PositionIds = append(panics.PositionIds, projectiontest.ID(name).String())
	}
	cache := &projection.Cache{}
	for _, key := range projection.Touches(s.Next(panics)) {
		row, err := s.State.Get(key)
		require.NoError(t, err)
		cache.Load(key, row)
	}
	require.Len(t, projection.Wants(cache, s.Next(panics)), 3)
}
