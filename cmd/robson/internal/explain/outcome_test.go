package explain_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/robson/robson/cmd/robson/internal/explain"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestOutcome_of_orders goes by the rule of the books: filled wins, and what is not known is said.
func TestOutcome_of_orders(t *testing.T) {
	t.Parallel()
	plan := projectiontest.Long("a")
	half := projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.03"}
	for want, facts := range map[string]func(l *projectiontest.Log, i *projection.Intent) []proto.Message{
		"submitted: the venue has not answered; of 0.06666 nothing filled": func(*projectiontest.Log, *projection.Intent) []proto.Message { return nil },
		"rests at the venue; of 0.06666 nothing filled": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Ack(i, 1)}
		},
		"rests at the venue; of 0.06666 0.03 filled at 95000": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Uncertain(i, 1, "place"), l.Fill(i, 1, half)}
		},
		"filled: 0.06666 filled at 95001.24658299": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			rest := projectiontest.Trade{ID: "2", Price: "95002.2667", Quantity: "0.03666"}
			return []proto.Message{l.Canceled(i, 1, "0.03"), l.Fill(i, 1, half), l.Fill(i, 1, rest)}
		},
		"canceled by us; of 0.06666 0.03 filled at 95000": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Fill(i, 1, half), l.Canceled(i, 1, "0.03")}
		},
		"expired: INSUFFICIENT_LIQUIDITY; of 0.06666 nothing filled": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Expired(i, 1, "0")}
		},
		"rejected (exchange): insufficient balance; of 0.06666 nothing filled": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Rejected(i, 1)}
		},
		"UNKNOWN: the venue gave no clear answer (timeout); it is being asked; of 0.06666 nothing filled": func(l *projectiontest.Log, i *projection.Intent) []proto.Message {
			return []proto.Message{l.Uncertain(i, 1, "place")}
		},
	} {
		w := newWorld(t)
		require.NoError(t, w.log.Opening(plan))
		w.keep("", "open", eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
		claim := w.step(int64(len(w.events)), w.log.Claim(plan.EntryID(), 1))
		for _, fact := range facts(w.log, w.log.Intent(plan.EntryID())) {
			w.fact(claim, fact)
		}
		x, err := explain.Order(t.Context(), w, event.OrderID(plan.EntryID(), 1).String(), 50)
		require.NoError(t, err)
		require.Equal(t, want, x.Outcome)
	}
}

// TestOutcome_of_positions follows a life by its last word.
func TestOutcome_of_positions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plan := projectiontest.Long("a")
	outcome := func() string {
		x, err := explain.Position(t.Context(), w, plan.PositionID().String(), 50)
		require.NoError(t, err)
		return x.Outcome
	}
	last := w.user("open", w.log.Armed(plan))
	require.Equal(t, "armed: waits for a signal", outcome())
	last = w.step(last, w.log.Detected(plan))
	last = w.step(last, w.log.Proposed(plan))
	last = w.step(last, w.log.Passed(plan))
	last = w.step(last, w.log.Entry(plan))
	require.Equal(t, "entering: the venue has not filled the entry", outcome())
	last = w.step(last, w.log.Claim(plan.EntryID(), 1))
	last = w.fact(last, w.log.Fill(w.log.Intent(plan.EntryID()), 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.05"}))
	last = w.step(last, w.log.Opened(plan, "95000", "0.05"))
	require.Equal(t, "open: entered at 95000", outcome())
	w.step(last, w.log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
	require.Equal(t, "being left: user_close", outcome())

	plan = projectiontest.Long("b")
	plan.Symbol = "ETHUSDT"
	w.user("arm", w.log.Armed(plan), &eventv1.PositionDisarmed{PositionId: plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_USER, DisarmedAt: timestamppb.New(w.log.Now)})
	require.Equal(t, "disarmed: user", outcome())
}

// TestMoney_is_what_the_books_have for every position of any history, whatever came late, twice or out of order; and every
// event stands in the tree after its cause.
func TestMoney_is_what_the_books_have(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		log, err := projectiontest.Random(rt, 60)
		require.NoError(rt, err)
		w := &world{t: t, log: log, lost: map[string]bool{}}
		w.keep("", "all", eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
		for _, row := range log.State.Rows() {
			position, is := row.(*projection.Position)
			if !is || position.PositionID == uuid.Nil {
				continue
			}
			x, err := explain.Position(t.Context(), w, position.PositionID.String(), 1000)
			require.NoError(rt, err)
			require.True(rt, position.EntryCost.Equal(x.Money.EntryCost), "entry cost %s, told %s", position.EntryCost, x.Money.EntryCost)
			require.True(rt, position.ExitProceeds.Equal(x.Money.ExitProceeds), "exit proceeds %s, told %s", position.ExitProceeds, x.Money.ExitProceeds)
			require.True(rt, position.TotalFees.Equal(x.Money.FeesQuote), "fees %s, told %s", position.TotalFees, x.Money.FeesQuote)
			seen := map[int64]bool{0: true}
			for _, line := range x.Chain.Lines {
				require.True(rt, seen[line.Cause], "%d before its cause %d", line.Position, line.Cause)
				seen[line.Position], seen[line.Through] = true, true
			}
		}
	})
}
