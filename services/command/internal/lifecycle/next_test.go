package lifecycle

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/engine"
)

const (
	byUser     = eventv1.ExitReason_EXIT_REASON_USER_CLOSE
	byPanic    = eventv1.ExitReason_EXIT_REASON_PANIC
	byTrailing = eventv1.ExitReason_EXIT_REASON_TRAILING_STOP
)

func TestNext_Armed(t *testing.T) {
	t.Parallel()
	s := newScene(engine.Long)
	s.Position.State, s.Intents = Armed, nil
	s.quiet(t)
	s.Disabled = &Cause{EventID: "01JDDDDDDDDDDDDDDDDDDDDDDD", OccurredAt: start}
	payload := s.take(s.only(t, "disarm/")).GetPositionDisarmed()
	require.Equal(t, eventv1.DisarmReason_DISARM_REASON_STRATEGY_DISABLED, payload.GetReason())
	s.quiet(t)
}

func TestNext_Entering(t *testing.T) {
	t.Parallel()
	t.Run("an intent that was not sent is executed, again and again until it was", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		require.Equal(t, Execute, s.only(t, "execute/").Action)
		require.Equal(t, s.Intents[0].ID, s.only(t, "execute/").IntentID)
		s.submit(s.Intents[0].OrderID, "0.06666", entryRole)
		s.quiet(t)
	})
	t.Run("an unresolved order is asked about", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.submit(s.Intents[0].OrderID, "0.06666", entryRole)
		s.Orders[0].Unresolved = true
		require.Equal(t, Resolve, s.only(t, "resolve/").Action)
	})
	t.Run("S2 the first of three fills opens, once", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		entry := s.Intents[0].OrderID
		s.submit(entry, "0.06666", entryRole)
		s.fill(entry, "0.02", "95000", "0.00002", "BTC")
		s.fill(entry, "0.03", "95010", "0.00003", "BTC")
		step := s.only(t, "position_opened")
		require.Equal(t, s.History.Orders[entry].Fills[0].EventID, step.Cause.EventID)
		opened := s.take(step).GetPositionOpened()
		require.Equal(t, "0.02", opened.GetEntryQuantity())
		require.Equal(t, "95000", opened.GetEntryPrice())
		require.Equal(t, "93500", opened.GetTechnicalStopPrice())
		require.Equal(t, "1500", opened.GetTechnicalStopDistance())
		s.quiet(t) // the entry is not done: the monitor guards, no resting stop yet
	})
	t.Run("rejected: closed as entry_failed", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.submit(s.Intents[0].OrderID, "0.06666", entryRole)
		s.reject(s.Intents[0].OrderID)
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED, closed.GetExitReason())
		require.Equal(t, "0", closed.GetNetPnl())
		s.quiet(t)
	})
	t.Run("ended locally before it was sent: closed as entry_failed", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.reject(s.Intents[0].OrderID)
		s.only(t, "position_closed")
	})
	t.Run("canceled with a part filled: opened with that part, then protected", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		entry := s.Intents[0].OrderID
		s.submit(entry, "0.06666", entryRole)
		s.fill(entry, "0.02", "95000", "0.00002", "BTC")
		s.canceled(entry)
		s.take(s.only(t, "position_opened"))
		stop := s.take(s.only(t, "insurance_stop")).GetIntentCreated()
		require.Equal(t, "0.01998", stop.GetQuantity())
	})
	t.Run("a position in error does not enter", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.Position.State = Failed
		require.Equal(t, EndUnsent, s.only(t, "end/").Action)
		s.reject(s.Intents[0].OrderID)
		require.Equal(t, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED, s.take(s.only(t, "position_closed")).GetPositionClosed().GetExitReason())
	})
	t.Run("a fill that finds the position in error opens it: only then it has a stop", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.submit(s.Intents[0].OrderID, "0.06666", entryRole)
		s.Position.State = Failed
		s.fill(s.Intents[0].OrderID, "0.06666", "95000", "0.00006666", "BTC")
		s.take(s.only(t, "position_opened"))
		require.Equal(t, Failed, s.Position.State)
		s.only(t, "insurance_stop")
	})
}

func TestNext_Protect(t *testing.T) {
	t.Parallel()
	t.Run("long: a stop behind the trailing stop by the buffer", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.take(s.only(t, "insurance_stop")).GetIntentCreated()
		require.Equal(t, "93350", stop.GetStopPrice())
		require.Equal(t, "0.06659", stop.GetQuantity())
		require.Equal(t, eventv1.Side_SIDE_SELL, stop.GetSide())
		require.Equal(t, eventv1.OrderType_ORDER_TYPE_STOP_LOSS, stop.GetOrderType())
		require.Equal(t, Execute, s.only(t, "execute/").Action)
	})
	t.Run("short: above it, grossed up for the fee in base", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Short)
		s.BaseFeeRate = d("0.001")
		s.enterFully(t)
		stop := s.take(s.only(t, "insurance_stop")).GetIntentCreated()
		require.Equal(t, "96650", stop.GetStopPrice())
		require.Equal(t, "0.06672", stop.GetQuantity())
		require.Equal(t, eventv1.Side_SIDE_BUY, stop.GetSide())
	})
	t.Run("not wanted", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.Settings.NoInsuranceStop = true
		s.enterFully(t)
		s.quiet(t)
	})
	t.Run("follows once enough was gained, one live stop at a time", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.moveStop("94249.99", "BTCUSDT/7")
		s.quiet(t)
		s.moveStop("94250", "BTCUSDT/8")
		step := s.only(t, "cancel/")
		require.Equal(t, s.History.StopSet.EventID, step.Cause.EventID)
		require.Equal(t, s.History.Intents[s.order(stop).IntentID].EventID, step.Key)
		require.Equal(t, stop, s.take(step).GetIntentCreated().GetCancelsOrderId())
		s.moveStop("94300", "BTCUSDT/9")
		require.Equal(t, Execute, s.only(t, "execute/").Action)
		s.canceled(stop)
		again := s.only(t, "insurance_stop")
		require.Equal(t, s.History.Orders[stop].Ended.EventID, again.Cause.EventID)
		require.True(t, again.NotBefore.IsZero(), "a cancel of ours is no failure")
		require.Equal(t, "94150", s.take(again).GetIntentCreated().GetStopPrice())
	})
	t.Run("a user's move is followed at once", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.placeStop(t)
		s.moveStop("93600", UserPriceEvent+uuid.NewString())
		s.only(t, "cancel/")
	})
	t.Run("a stop that covers too little is replaced", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.order(s.placeStop(t)).Quantity = d("0.05")
		s.only(t, "cancel/")
	})
	t.Run("refused for ever: ever slower, then with an alert", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		for failures, want := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second} {
			step := s.only(t, "insurance_stop")
			if failures > 0 {
				require.Equal(t, want, step.NotBefore.Sub(step.Cause.IngestedAt))
			}
			require.Equal(t, failures >= 3, step.Alert != "")
			s.take(step)
			s.reject(s.Intents[len(s.Intents)-1].OrderID)
		}
		s.Settings.RetryDelayMax = 3 * time.Second
		step := s.only(t, "insurance_stop")
		require.Equal(t, 3*time.Second, step.NotBefore.Sub(step.Cause.IngestedAt))
	})
	t.Run("dust is not protected", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		entry := s.Intents[0].OrderID
		s.submit(entry, "0.06666", entryRole)
		s.fill(entry, "0.00003", "95000", "0", "BTC")
		s.canceled(entry)
		s.take(s.only(t, "position_opened"))
		s.quiet(t)
	})
	t.Run("the stop's first fill is the exit", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.fill(stop, "0.06659", "93340", "6.2155106", "USDT")
		step := s.only(t, "exit_triggered/")
		require.Equal(t, s.History.Orders[stop].Fills[0].EventID, step.Cause.EventID)
		triggered := s.take(step).GetExitTriggered()
		require.Equal(t, eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP, triggered.GetReason())
		require.Equal(t, "93340", triggered.GetTriggerPrice())
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, []string{stop}, closed.GetExitOrderIds())
		require.Equal(t, eventv1.ExitReason_EXIT_REASON_INSURANCE_STOP, closed.GetExitReason())
		s.quiet(t)
	})
}

func TestNext_Exiting(t *testing.T) {
	t.Parallel()
	t.Run("S3 the resting stop is canceled first, then what is open is sold, then settled", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.trigger(byTrailing)
		step := s.only(t, "cancel/")
		require.Equal(t, s.History.ExitTriggered.EventID, step.Cause.EventID)
		s.take(step)
		s.only(t, "execute/")
		s.canceled(stop)
		step = s.only(t, "exit")
		require.Equal(t, s.History.ExitTriggered.EventID, step.Cause.EventID, "what came of a trigger is found from it")
		require.Equal(t, s.History.Orders[stop].Ended.EventID, step.Key)
		intent := s.take(step).GetIntentCreated()
		require.Equal(t, "0.06659", intent.GetQuantity())
		require.Equal(t, eventv1.OrderType_ORDER_TYPE_MARKET, intent.GetOrderType())
		require.Equal(t, "trailing_stop", intent.GetReason())
		s.only(t, "execute/")
		exit := s.Intents[len(s.Intents)-1].OrderID
		s.submit(exit, "0.06659", exitRole)
		s.quiet(t)
		s.fill(exit, "0.06659", "96500", "6.425935", "USDT")
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, "96500", closed.GetExitPrice())
		require.Equal(t, "0.06659", closed.GetClosedQuantity())
		require.Equal(t, "0.00000334", closed.GetDustQuantity())
		require.Equal(t, "99.16093115", d(closed.GetRealizedPnl()).RoundBank(8).String())
		require.Equal(t, "12.75935983", closed.GetTotalFees())
		require.Equal(t, "86.40157132", d(closed.GetNetPnl()).RoundBank(8).String())
		require.Equal(t, byTrailing, closed.GetExitReason())
		s.quiet(t)
	})
	t.Run("the stop fills before its cancel: that is the exit", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.trigger(byUser)
		s.take(s.only(t, "cancel/"))
		s.fill(stop, "0.06659", "93340", "6.2155106", "USDT")
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, byUser, closed.GetExitReason())
		require.Equal(t, []string{stop}, closed.GetExitOrderIds())
	})
	t.Run("a stop that was not sent is ended unsent", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.take(s.only(t, "insurance_stop"))
		s.trigger(byUser)
		require.Equal(t, EndUnsent, s.only(t, "end/").Action)
		s.reject(s.Intents[len(s.Intents)-1].OrderID)
		s.only(t, "exit")
	})
	t.Run("panic while entering: the rest of the entry is canceled, the filled part sold", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		entry := s.Intents[0].OrderID
		s.submit(entry, "0.06666", entryRole)
		s.fill(entry, "0.02", "95000", "0.00002", "BTC")
		s.take(s.only(t, "position_opened"))
		s.trigger(byPanic)
		s.take(s.only(t, "cancel/"))
		s.canceled(entry)
		require.Equal(t, "0.01998", s.take(s.only(t, "exit")).GetIntentCreated().GetQuantity())
	})
	t.Run("panic before the entry was sent: ended unsent, closed with nothing", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.trigger(byPanic)
		require.Equal(t, EndUnsent, s.only(t, "end/").Action)
		s.reject(s.Intents[0].OrderID)
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, byPanic, closed.GetExitReason())
		require.Equal(t, "0", closed.GetClosedQuantity())
		require.Empty(t, closed.GetExitOrderIds())
	})
	t.Run("partial, expired and rejected exits lead to another, for ever", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.Settings.NoInsuranceStop = true
		s.trigger(byUser)
		s.take(s.only(t, "exit"))
		first := s.Intents[len(s.Intents)-1].OrderID
		s.submit(first, "0.06659", exitRole)
		s.fill(first, "0.03", "96000", "2.88", "USDT")
		s.canceled(first)
		step := s.only(t, "exit")
		require.Equal(t, s.History.Orders[first].Ended.EventID, step.Cause.EventID)
		require.True(t, step.NotBefore.IsZero(), "a partly filled exit is no failure")
		require.Equal(t, "0.03659", s.take(step).GetIntentCreated().GetQuantity())
		s.reject(s.Intents[len(s.Intents)-1].OrderID)
		step = s.only(t, "exit")
		require.Equal(t, time.Second, step.NotBefore.Sub(step.Cause.IngestedAt))
		require.Equal(t, "0.03659", s.take(step).GetIntentCreated().GetQuantity())
	})
	t.Run("an unresolved exit is asked about, never sent again", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.trigger(byUser)
		s.take(s.only(t, "exit"))
		exit := s.Intents[len(s.Intents)-1].OrderID
		s.submit(exit, "0.06659", exitRole)
		s.order(exit).Unresolved = true
		require.Equal(t, Resolve, s.only(t, "resolve/").Action)
	})
	t.Run("without a price nothing is given up as dust", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.trigger(eventv1.ExitReason_EXIT_REASON_USER_CLOSE)
		s.Price = d("0")
		require.Equal(t, "0.06659", s.take(s.only(t, "exit")).GetIntentCreated().GetQuantity())
	})
	t.Run("in error the exit goes on", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		s.trigger(byUser)
		s.Position.State = Failed
		s.only(t, "exit")
	})
	t.Run("short is bought back, grossed up", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Short)
		s.BaseFeeRate = d("0.001")
		s.enterFully(t)
		s.trigger(byUser)
		intent := s.take(s.only(t, "exit")).GetIntentCreated()
		require.Equal(t, "0.06672", intent.GetQuantity())
		require.Equal(t, eventv1.Side_SIDE_BUY, intent.GetSide())
		exit := s.Intents[len(s.Intents)-1].OrderID
		s.submit(exit, "0.06672", exitRole)
		s.fill(exit, "0.06672", "93000", "0.00006672", "BTC")
		closed := s.take(s.only(t, "position_closed")).GetPositionClosed()
		require.Equal(t, "0.00000672", closed.GetDustQuantity())
		// cash 6332.7 - 6.3327 - 6204.96 less the owed 0.00000672 at 95000
		require.Equal(t, "120.7689", closed.GetNetPnl())
	})
}

// Fills may come after the end of their order: what the venue counted is waited for.
func TestNext_FillsAfterTheEnd(t *testing.T) {
	t.Parallel()
	t.Run("an entry that was filled in part is not closed as failed", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		entry := s.Intents[0].OrderID
		s.submit(entry, "0.06666", entryRole)
		s.canceledWith(entry, "0.02")
		require.Equal(t, Resolve, s.only(t, "resolve/"+entry).Action)
		s.fill(entry, "0.02", "95000", "0.00002", "BTC")
		s.take(s.only(t, "position_opened"))
		s.only(t, "insurance_stop")
	})
	t.Run("an exit does not sell what the stop may have sold, but does not wait for ever", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.trigger(eventv1.ExitReason_EXIT_REASON_USER_CLOSE)
		s.canceledWith(stop, "0.03")
		steps := Next(s.State)
		require.Len(t, steps, 2, "%v", names(steps))
		require.Equal(t, Resolve, steps[0].Action)
		require.Equal(t, "exit", steps[1].Name)
		require.Equal(t, s.History.Order(stop).Ended.IngestedAt.Add(10*time.Second), steps[1].NotBefore)
		s.fill(stop, "0.03", "93350", "2.8005", "USDT")
		exit := s.only(t, "exit")
		require.Zero(t, exit.NotBefore)
		require.Equal(t, "0.03659", s.take(exit).GetIntentCreated().GetQuantity())
	})
	t.Run("no new stop before it is known what the last one sold", func(t *testing.T) {
		t.Parallel()
		s := newScene(engine.Long)
		s.enterFully(t)
		stop := s.placeStop(t)
		s.canceledWith(stop, "0.06659")
		s.only(t, "resolve/"+stop)
		s.fill(stop, "0.06659", "93350", "6.2161765", "USDT")
		s.only(t, "exit_triggered/"+stop)
	})
}

func TestNext_Cancel(t *testing.T) {
	t.Parallel()
	s := newScene(engine.Long)
	entry := s.Intents[0].OrderID
	s.submit(entry, "0.06666", entryRole)
	s.Intents = append(s.Intents, Intent{ID: uuid.NewString(), Type: cancelIntent, CancelsOrderID: entry})
	require.Equal(t, Execute, s.only(t, "execute/").Action)
	s.Orders[0].Unresolved = true
	require.Len(t, Next(s.State), 2)
	s.canceled(entry)
	s.only(t, "position_closed")
}

func TestNext_Terminal(t *testing.T) {
	t.Parallel()
	s := newScene(engine.Long)
	s.Position.State = Closed
	s.quiet(t)
}

// Whoever looks, and however often, names the same steps: two replicas end in the same log.
func TestNext_Deterministic(t *testing.T) {
	t.Parallel()
	s := newScene(engine.Long)
	s.enterFully(t)
	first, second := Next(s.State), Next(s.State)
	require.Equal(t, CommandID(first[0].Key, first[0].Name), CommandID(second[0].Key, second[0].Name))
	require.Equal(t, first[0].Payload.GetIntentCreated().GetIntentId(), second[0].Payload.GetIntentCreated().GetIntentId())
	require.NotEqual(t, CommandID(first[0].Key, "exit"), CommandID(first[0].Key, "insurance_stop"))
}

func TestClientOrderID(t *testing.T) {
	t.Parallel()
	id := event.ClientOrderID(event.OrderID(uuid.MustParse("6f1d5a0e-95b4-4f7e-8c1f-3c1d0a3a9a10"), 1))
	require.Regexp(t, `^rb-[a-z2-7]{26}$`, id)
}
