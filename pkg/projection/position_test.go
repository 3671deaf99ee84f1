package projection_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestCheck_PositionOpened(t *testing.T) {
	t.Parallel()
	opened := func(change func(p *eventv1.PositionOpened)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Opened(s.plan, "95000", "0.06666"), change) }
	}
	wrong := func(field string, change func(p *eventv1.PositionOpened)) refusal {
		return refusal{name: field, at: "filled", field: field, payload: opened(change)}
	}
	requireRefusals(t, []refusal{
		{name: "twice", at: "active", reason: "POSITION_OPENED", payload: opened(func(*eventv1.PositionOpened) {})},
		{name: "before a fill", at: "claimed", reason: "NO_ENTRY_FILL", payload: opened(func(*eventv1.PositionOpened) {})},
		{name: "armed only", at: "armed", reason: "POSITION_STATE", payload: opened(func(*eventv1.PositionOpened) {})},
		{name: "unknown", at: "registered", reason: "POSITION_UNKNOWN", payload: opened(func(*eventv1.PositionOpened) {})},
		wrong("account_id", func(p *eventv1.PositionOpened) { p.AccountId = projectiontest.Margin.String() }),
		wrong("strategy_id", func(p *eventv1.PositionOpened) { p.StrategyId = "" }),
		wrong("symbol", func(p *eventv1.PositionOpened) { p.Symbol = "ETHUSDT" }),
		wrong("side", func(p *eventv1.PositionOpened) { p.Side = eventv1.PositionSide_POSITION_SIDE_SHORT }),
		wrong("entry_order_id", func(p *eventv1.PositionOpened) { p.EntryOrderId = uuid.NewString() }),
		wrong("entry_price", func(p *eventv1.PositionOpened) { p.EntryPrice = "0" }),
		wrong("entry_quantity", func(p *eventv1.PositionOpened) { p.EntryQuantity = "0.07" }),
		wrong("technical_stop_price", func(p *eventv1.PositionOpened) { p.TechnicalStopPrice = "-1" }),
		wrong("technical_stop_price", func(p *eventv1.PositionOpened) { p.TechnicalStopPrice = "96500" }),
		wrong("technical_stop_price", func(p *eventv1.PositionOpened) { p.TechnicalStopPrice = "93000" }),
		wrong("technical_stop_distance", func(p *eventv1.PositionOpened) { p.TechnicalStopDistance = "0" }),
		wrong("trailing_stop_price", func(p *eventv1.PositionOpened) { p.TrailingStopPrice = "93400" }),
	})
	t.Run("a fill beyond the stop opens all the same", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "claimed")
		add(t, s.Log, s.Fill(s.Intent(s.plan.EntryID()), 1, projectiontest.Trade{ID: "t1", Price: "93000", Quantity: "0.06666"}))
		add(t, s.Log, s.Opened(s.plan, "93000", "0.06666"))
		position := s.Position(s.plan.PositionID())
		require.Equal(t, projection.PositionActive, position.State)
		equalNull(t, "1500", position.TechnicalStopDistance)
		require.True(t, position.OpenRisk.IsZero()) // Entry below the stop: nothing more is lost there.
		add(t, s.Log, s.StopHit(s.plan, "93000", "93500"))
	})
}

func TestCheck_ExitTriggered(t *testing.T) {
	t.Parallel()
	leaving := func(reason eventv1.ExitReason, change func(p *eventv1.ExitTriggered)) func(s scene) proto.Message {
		return func(s scene) proto.Message { return changed(s.Leaving(s.plan, reason), change) }
	}
	user, stop := eventv1.ExitReason_EXIT_REASON_USER_CLOSE, eventv1.ExitReason_EXIT_REASON_TRAILING_STOP
	nothing := func(*eventv1.ExitTriggered) {}
	requireRefusals(t, []refusal{
		{name: "unknown", at: "registered", reason: "POSITION_UNKNOWN", payload: leaving(user, nothing)},
		{name: "armed", at: "armed", reason: "POSITION_STATE", payload: leaving(user, nothing)},
		{name: "closed", at: "closed", reason: "POSITION_STATE", payload: leaving(user, nothing)},
		{name: "again", at: "exiting", reason: "ALREADY_EXITING", payload: leaving(user, nothing)},
		{name: "entering, by a stop", at: "filled", reason: "POSITION_STATE", payload: leaving(stop, nothing)},
		{name: "more than is open", at: "active", reason: "EXCEEDS_OPEN", payload: leaving(user, func(p *eventv1.ExitTriggered) { p.Quantity = "0.06667" })},
		{name: "a stop without a price", at: "active", field: "trigger_price", payload: leaving(stop, func(p *eventv1.ExitTriggered) { p.StopPrice = "93500" })},
		{name: "a stop without a stop", at: "active", field: "stop_price", payload: leaving(stop, func(p *eventv1.ExitTriggered) { p.TriggerPrice = "93500" })},
	})
	t.Run("panic while entering leaves what is filled", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "filled")
		add(t, s.Log, s.Leaving(s.plan, eventv1.ExitReason_EXIT_REASON_PANIC), s.Exit(s.plan, 1, "0.06666"))
		require.Equal(t, projection.PositionExiting, s.Position(s.plan.PositionID()).State)
	})
}

func TestCheck_PositionClosed(t *testing.T) {
	t.Parallel()
	closed := func(change func(p *eventv1.PositionClosed)) func(s scene) proto.Message {
		return func(s scene) proto.Message {
			return changed(s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE), change)
		}
	}
	wrong := func(field string, change func(p *eventv1.PositionClosed)) refusal {
		return refusal{name: field, at: "exit filled", field: field, payload: closed(change)}
	}
	nothing := func(*eventv1.PositionClosed) {}
	requireRefusals(t, []refusal{
		{name: "twice", at: "closed", reason: "POSITION_STATE", payload: closed(nothing)},
		{name: "active", at: "active", reason: "POSITION_STATE", payload: closed(nothing)},
		{name: "entering", at: "claimed", reason: "POSITION_STATE", payload: closed(nothing)},
		{name: "as a failed entry that lives", at: "claimed", reason: "ORDERS_LIVE", payload: closed(func(p *eventv1.PositionClosed) {
			p.ExitReason = eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED
		})},
		{name: "as a failed entry that filled", at: "filled", reason: "ENTRY_FILLED", payload: closed(func(p *eventv1.PositionClosed) {
			p.ExitReason = eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED
		})},
		{name: "with a live exit", at: "exit claimed", reason: "ORDERS_LIVE", payload: closed(nothing)},
		wrong("exit_reason", func(p *eventv1.PositionClosed) { p.ExitReason = eventv1.ExitReason_EXIT_REASON_DISARMED }),
		wrong("exit_order_ids", func(p *eventv1.PositionClosed) { p.ExitOrderIds = nil }),
		wrong("closed_quantity", func(p *eventv1.PositionClosed) { p.ClosedQuantity = "0.06665" }),
		wrong("exit_price", func(p *eventv1.PositionClosed) { p.ExitPrice = "96000.01" }),
		wrong("dust_quantity", func(p *eventv1.PositionClosed) { p.DustQuantity = "0.00001" }),
		wrong("realized_pnl", func(p *eventv1.PositionClosed) { p.RealizedPnl = "66" }),
		wrong("total_fees", func(p *eventv1.PositionClosed) { p.TotalFees = "1" }),
		wrong("net_pnl", func(p *eventv1.PositionClosed) { p.NetPnl = "66.65" }),
	})
}

func TestPosition_a_resting_stop_and_an_exit_share_what_is_open(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "active")
	stopID := projectiontest.ProtectID(s.plan, 1)
	add(t, s.Log, s.Protect(s.plan, 1, "0.06666", "93400"))
	add(t, s.Log, s.Claim(stopID, 1))
	add(t, s.Log, s.Ack(s.Intent(stopID), 1))
	position := s.Position(s.plan.PositionID())
	equal(t, "0.06666", position.ReservedQuantity)
	require.Equal(t, event.OrderID(stopID, 1), position.StopLossOrderID.UUID)
	refuse(t, s.Log, "EXCEEDS_OPEN", s.Protect(s.plan, 2, "0.06666", "94400"))

	add(t, s.Log, s.Leaving(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	refuse(t, s.Log, "EXCEEDS_OPEN", s.Exit(s.plan, 1, "0.06666"))
	add(t, s.Log, s.Cancel(s.plan, event.OrderID(stopID, 1)))
	cancelID := projectiontest.ID("cancel " + event.OrderID(stopID, 1).String())
	require.Equal(t, projection.IntentPending, s.Intent(cancelID).Status)
	add(t, s.Log, s.Uncertain(s.Intent(stopID), 1, "cancel"))
	require.Equal(t, projection.IntentUnknown, s.Intent(cancelID).Status)
	require.Equal(t, projection.IntentUnknown, s.Intent(stopID).Status)
	add(t, s.Log, s.Fill(s.Intent(stopID), 1, projectiontest.Trade{ID: "s1", Price: "93400", Quantity: "0.02"}))
	equal(t, "0.04666", s.Position(s.plan.PositionID()).ReservedQuantity)
	add(t, s.Log, s.Canceled(s.Intent(stopID), 1, "0.02"))
	require.Equal(t, projection.IntentDone, s.Intent(cancelID).Status)
	require.Equal(t, projection.IntentDone, s.Intent(stopID).Status) // It did something before it was canceled.
	equal(t, "0", s.Position(s.plan.PositionID()).ReservedQuantity)

	add(t, s.Log, s.Exit(s.plan, 1, "0.04666"))
	add(t, s.Log, s.Claim(projectiontest.ExitID(s.plan, 1), 1))
	add(t, s.Log, s.Fill(s.Intent(projectiontest.ExitID(s.plan, 1)), 1, projectiontest.Trade{ID: "x1", Price: "93300", Quantity: "0.04666"}))
	add(t, s.Log, s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	require.Len(t, s.Position(s.plan.PositionID()).ExitOrderIDs, 2)
}

// A partial exit does not zero the position, fees are added once, and P&L is there once it is closed (domain 2.1).
func TestPosition_exits_in_parts(t *testing.T) {
	t.Parallel()
	s := sceneAt(t, "exit claimed")
	exit := s.Intent(projectiontest.ExitID(s.plan, 1))
	add(t, s.Log, s.Fill(exit, 1, projectiontest.Trade{ID: "x1", Price: "96000", Quantity: "0.03333", Fee: "3.2", FeeAsset: "USDT"}))
	position := s.Position(s.plan.PositionID())
	equal(t, "0.03333", position.CurrentQuantity)
	equal(t, "3166.35", position.Exposure)
	require.False(t, position.RealizedPnL.Valid)
	add(t, s.Log, s.Expired(exit, 1, "0.03333"))
	add(t, s.Log, s.Exit(s.plan, 2, "0.03333"))
	add(t, s.Log, s.Claim(projectiontest.ExitID(s.plan, 2), 1))
	add(t, s.Log, s.Fill(s.Intent(projectiontest.ExitID(s.plan, 2)), 1, projectiontest.Trade{ID: "x2", Price: "97000", Quantity: "0.03333", Fee: "3.2", FeeAsset: "USDT"}))
	add(t, s.Log, s.Closed(s.plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	position = s.Position(s.plan.PositionID())
	equalNull(t, "96500", position.ExitPrice)
	equal(t, "6.4", position.TotalFees)
	equalNull(t, "99.99", position.RealizedPnL)
	equalNull(t, "93.59", position.NetPnL)
	require.Equal(t, "user_close", *position.ExitReason)
	equal(t, "0", position.CurrentQuantity)
	equalNull(t, "0", position.DustQuantity)
	require.Equal(t, event.OrderID(projectiontest.ExitID(s.plan, 2), 1), position.ExitOrderID.UUID)
}

func TestPosition_in_error_may_be_stopped_left_and_closed(t *testing.T) {
	t.Parallel()
	stale := func(s scene, id string) *eventv1.DiscrepancyDetected {
		return &eventv1.DiscrepancyDetected{
			DiscrepancyId: projectiontest.ID(id).String(), AccountId: projectiontest.Spot.String(),
			Kind:   eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION,
			Entity: "position:" + s.plan.PositionID().String(), PositionId: s.plan.PositionID().String(),
			Severity: eventv1.Severity_SEVERITY_CRITICAL, Resolution: eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
		}
	}
	s := sceneAt(t, "active")
	add(t, s.Log, stale(s, "1"))
	require.Equal(t, projection.PositionError, s.Position(s.plan.PositionID()).State)
	require.EqualValues(t, 1, s.Risk(projectiontest.Spot, nilID).OpenPositions)
	before := s.State.Render()
	add(t, s.Log, stale(s, "1")) // Told again.
	require.Equal(t, before, s.State.Render())
	add(t, s.Log, s.StopMoved(s.plan, "93500", "94000", "95500"), s.Protect(s.plan, 1, "0.06666", "93400"))
	add(t, s.Log, s.Leaving(s.plan, eventv1.ExitReason_EXIT_REASON_ERROR))
	require.Equal(t, projection.PositionExiting, s.Position(s.plan.PositionID()).State)

	t.Run("an entering one is opened, and stays in error", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "filled")
		add(t, s.Log, stale(s, "1"))
		add(t, s.Log, s.Opened(s.plan, "95000", "0.06666"))
		require.Equal(t, projection.PositionError, s.Position(s.plan.PositionID()).State)
	})
	t.Run("a closed one stays closed", func(t *testing.T) {
		t.Parallel()
		s := sceneAt(t, "closed")
		add(t, s.Log, stale(s, "1"))
		require.Equal(t, projection.PositionClosed, s.Position(s.plan.PositionID()).State)
	})
}

// What a short owes grows with all that it sold, and an order that buys it back may be larger by the venue's fee.
func TestPosition_a_short_buys_back_more_than_it_owes(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Short("a")
	entry := entered(t, log, plan)
	add(t, log, log.Fill(entry, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.06666", Fee: "0.00006666", FeeAsset: "BTC"}))
	equal(t, "0.06666", log.Position(plan.PositionID()).CurrentQuantity)
	equal(t, "99.99", log.Position(plan.PositionID()).OpenRisk)
	add(t, log, log.Opened(plan, "95000", "0.06666"), log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	refuse(t, log, "EXCEEDS_OPEN", log.Exit(plan, 1, "0.06733"))
	add(t, log, log.Exit(plan, 1, "0.06672"))
	add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
	add(t, log, log.Fill(log.Intent(projectiontest.ExitID(plan, 1)), 1,
		projectiontest.Trade{ID: "t2", Price: "94000", Quantity: "0.06672", Fee: "0.00006672", FeeAsset: "BTC"}))
	equal(t, "0.00000672", log.Position(plan.PositionID()).CurrentQuantity)
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
}
