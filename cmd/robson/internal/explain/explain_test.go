package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/explain"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// life is a position that was opened, trailed and closed by its stop.
type life struct {
	*world
	plan               projectiontest.Plan
	claim, exit        int64
	entry, stop, leave uuid.UUID
	fill               string
}

// trailed is how often the stop moves.
const trailed = 6

func live(t *testing.T) *life {
	t.Helper()
	w := newWorld(t)
	plan := projectiontest.Long("a")
	plan.Strategy = projectiontest.StrategyID
	l := &life{world: w, plan: plan, entry: event.OrderID(plan.EntryID(), 1), stop: event.OrderID(projectiontest.ProtectID(plan, 1), 1), leave: event.OrderID(projectiontest.ExitID(plan, 1), 1)}
	// The order matters: the log builds each payload on what it has.
	w.user("open", w.log.Armed(plan))
	last := int64(len(w.events))
	for _, next := range []func() proto.Message{
		func() proto.Message { return w.log.Detected(plan) }, func() proto.Message { return w.log.Proposed(plan) },
		func() proto.Message { return w.log.Passed(plan) }, func() proto.Message { return w.log.Entry(plan) },
	} {
		last = w.because(last, next(), eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
	}
	l.claim = w.step(last, w.log.Claim(plan.EntryID(), 1))
	intent := w.log.Intent(plan.EntryID())
	w.fact(l.claim, w.log.Ack(intent, 1))
	filled := w.log.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.05", Fee: "0.00005", FeeAsset: "BTC"})
	l.fill = filled.GetFillId()
	first := w.fact(l.claim, filled)
	rest := intent.Quantity.Sub(w.log.Order(l.entry).FilledQuantity).String()
	w.fact(l.claim, w.log.Fill(intent, 1, projectiontest.Trade{ID: "2", Price: "95100", Quantity: rest, Fee: "0.01", FeeAsset: "BNB"}))
	opened := w.step(first, w.log.Opened(plan, "95000", "0.05"))
	held := w.log.Position(plan.PositionID()).CurrentQuantity.Truncate(5).String()
	protect := w.step(opened, w.log.Protect(plan, 1, held, "93400"))
	resting := w.step(protect, w.log.Claim(projectiontest.ProtectID(plan, 1), 1))
	w.fact(resting, w.log.Ack(w.log.Intent(projectiontest.ProtectID(plan, 1)), 1))
	moved := opened
	for i := range trailed {
		from, to := 93500+100*i, 93600+100*i
		moved = w.step(moved, w.log.StopMoved(plan, strconv.Itoa(from), strconv.Itoa(to), strconv.Itoa(to+1500)))
	}
	l.exit = w.step(moved, w.log.StopHit(plan, "94000", "94100"))
	w.step(l.exit, w.log.Cancel(plan, l.stop))
	canceled := w.fact(resting, w.log.Canceled(w.log.Intent(projectiontest.ProtectID(plan, 1)), 1, "0"))
	leaving := w.step(canceled, w.log.Exit(plan, 1, held))
	out := w.step(leaving, w.log.Claim(projectiontest.ExitID(plan, 1), 1))
	w.fact(out, w.log.Ack(w.log.Intent(projectiontest.ExitID(plan, 1)), 1))
	sold := w.fact(out, w.log.Fill(w.log.Intent(projectiontest.ExitID(plan, 1)), 1, projectiontest.Trade{ID: "3", Price: "94000", Quantity: held, Fee: "9", FeeAsset: "USDT"}))
	w.step(sold, w.log.Closed(plan, eventv1.ExitReason_EXIT_REASON_TRAILING_STOP))
	// Limits of today, which are not those of then.
	raised := w.log.AccountRegistered(projectiontest.Spot, eventv1.Product_PRODUCT_SPOT)
	raised.RiskLimits.MaxExposure = "99999"
	w.user("raise", raised)
	return l
}

// requireGolden holds an explanation's text and JSON to files.
func requireGolden(t *testing.T, name string, x *explain.Explanation) {
	t.Helper()
	var text bytes.Buffer
	explain.Write(&text, x)
	for line := range strings.Lines(text.String()) {
		require.Equal(t, strings.TrimRight(line, " \n"), strings.TrimSuffix(line, "\n"), "no blanks at the end of a line")
	}
	golden(t, name+".golden", text.String())
	data, err := json.Marshal(x)
	require.NoError(t, err)
	// The contract's JSON varies its blanks from build to build.
	var document any
	require.NoError(t, json.Unmarshal(data, &document))
	data, err = json.MarshalIndent(document, "", "  ")
	require.NoError(t, err)
	golden(t, name+".json", string(data)+"\n")
	for _, e := range x.Events {
		require.NotNil(t, x.Events.At(e.GetPosition()))
	}
	for _, line := range x.Chain.Lines {
		require.NotNil(t, x.Events.At(line.Position), "the tree tells of events that are here")
	}
}

// TestPosition tells all of a life: acks and cancels too, which name no position.
func TestPosition(t *testing.T) {
	t.Parallel()
	l := live(t)
	x, err := explain.Position(t.Context(), l, l.plan.PositionID().String(), explain.LinesDefault)
	require.NoError(t, err)
	requireGolden(t, "position", x)
	require.Empty(t, x.Notes)
	types := map[string]int{}
	for _, position := range x.Venue {
		types[x.Events.At(position).GetEventType()]++
	}
	require.Equal(t, map[string]int{"ORDER_ACKED": 3, "ORDER_CANCELED": 1, "FILL_RECEIVED": 3}, types)
	require.Equal(t, "30000", x.Decisions[0].Limits.Account.Message.(*eventv1.RiskLimits).GetMaxExposure(), "the limits then, not today's")
	row := l.log.Position(l.plan.PositionID())
	require.True(t, row.EntryCost.Equal(x.Money.EntryCost), "the fills add up to what the books have")
	require.True(t, row.ExitProceeds.Equal(x.Money.ExitProceeds))
	require.True(t, row.TotalFees.Equal(x.Money.FeesQuote))
	require.Equal(t, 1, x.Money.FeesUnvalued)
}

// TestOrder tells where an order comes from and what it led to, and nothing of the position's other orders.
func TestOrder(t *testing.T) {
	t.Parallel()
	l := live(t)
	x, err := explain.Order(t.Context(), l, l.stop.String(), explain.LinesDefault)
	require.NoError(t, err)
	requireGolden(t, "order", x)
	require.Equal(t, projectiontest.ID("open").String(), x.Commands[0].CommandID)
	require.Len(t, x.Decisions, 1, "it goes back to the decision to enter")
	x, err = explain.Order(t.Context(), l, l.leave.String(), 3)
	require.NoError(t, err)
	require.Len(t, x.Chain.Lines, 3)
	require.Positive(t, x.Chain.LeftOut)
	var text bytes.Buffer
	explain.Write(&text, x)
	require.Contains(t, text.String(), "… "+strconv.Itoa(x.Chain.LeftOut)+" more: raise --lines")
}

// TestTrade tells of one trade, beside what else the venue said of its order.
func TestTrade(t *testing.T) {
	t.Parallel()
	l := live(t)
	x, err := explain.Trade(t.Context(), l, l.fill, explain.LinesDefault)
	require.NoError(t, err)
	requireGolden(t, "fill", x)
	require.Len(t, x.Money.Fills, 1)
	require.Len(t, x.Venue, 3, "the ack and both trades of its order, not those of the orders that followed")
}

// TestPosition_refused says which gates refused it, and by which limits.
func TestPosition_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("halt", &eventv1.RiskLimitExceeded{
		AccountId: projectiontest.Spot.String(), LimitName: eventv1.LimitName_LIMIT_NAME_OPERATOR, Limit: "0", Value: "0",
		Action: eventv1.LimitAction_LIMIT_ACTION_ALERT, Period: "a",
	})
	for _, period := range []string{"2026-11-22", "2026-11-23"} {
		w.user("halt "+period, &eventv1.RiskLimitExceeded{
			AccountId: projectiontest.Spot.String(), LimitName: eventv1.LimitName_LIMIT_NAME_DAILY_LOSS, Limit: "200", Value: "201",
			Action: eventv1.LimitAction_LIMIT_ACTION_HALT_ENTRIES, Period: period,
		})
	}
	plan := projectiontest.Long("a")
	last := w.user("open", w.log.Armed(plan))
	last = w.step(last, w.log.Detected(plan))
	last = w.step(last, w.log.Proposed(plan))
	last = w.step(last, w.log.Failed(plan))
	w.step(last, &eventv1.PositionDisarmed{PositionId: plan.PositionID().String(), Reason: eventv1.DisarmReason_DISARM_REASON_RISK_REFUSED, DisarmedAt: timestamppb.New(w.log.Now)})
	x, err := explain.Position(t.Context(), w, plan.PositionID().String(), explain.LinesDefault)
	require.NoError(t, err)
	requireGolden(t, "refused", x)
	require.Len(t, x.Decisions[0].Limits.Halts, 1, "yesterday is over, and an alert halts nothing")
}

// TestOrder_that_is_not_known is somebody's by hand: the venue tells of it, and no claim does.
func TestOrder_that_is_not_known(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	w.fact(0, &eventv1.FillReceived{
		FillId: uuid.NewString(), AccountId: projectiontest.Spot.String(), OrderId: id, ClientOrderId: "by hand", ExchangeOrderId: "77", ExchangeTradeId: "9",
		Symbol: "BTCUSDT", Side: eventv1.Side_SIDE_BUY, FillPrice: "100", FillQuantity: "2", QuoteQuantity: "200", Fee: "0", FeeAsset: "USDT", FeeQuote: "0",
		FilledAt: timestamppb.New(w.log.Now), Source: eventv1.Source_SOURCE_WS,
	})
	x, err := explain.Order(t.Context(), w, id, explain.LinesDefault)
	require.NoError(t, err)
	require.Contains(t, x.Outcome, "not known here")
	require.Contains(t, x.Outcome, "2 filled at 100")
	require.Empty(t, x.Decisions)
	require.Contains(t, x.Venue, w.events[len(w.events)-1].GetPosition(), "the discrepancy that the fold raised")
	require.Empty(t, x.Money.Fills[0].Leg)
}

// TestBalance tells what lies between samples, and what nobody explains.
func TestBalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sample := func(id, free string) { w.fact(0, w.log.Sample(id, "USDT", free)) }
	w.fact(0, &eventv1.BalanceAdjusted{
		AccountId: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", Delta: "20000", Kind: eventv1.AdjustmentKind_ADJUSTMENT_KIND_DEPOSIT, ClearedAt: timestamppb.New(w.log.Now),
	})
	sample("1", "20000")
	w.fact(0, w.log.Sample("other", "BTC", "1"))
	plan := projectiontest.Long("a")
	require.NoError(t, w.log.Opening(plan))
	w.keep("", "open", eventv1.ActorType_ACTOR_TYPE_CLI, "owner")
	claim := w.step(int64(len(w.events)), w.log.Claim(plan.EntryID(), 1))
	w.fact(claim, w.log.Fill(w.log.Intent(plan.EntryID()), 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.05", Fee: "4.75", FeeAsset: "USDT"}))
	sample("2", "15245.25")
	sample("3", "15200")
	w.fact(claim, w.log.Fill(w.log.Intent(plan.EntryID()), 1, projectiontest.Trade{ID: "2", Price: "95000", Quantity: "0.01", Fee: "0.00001", FeeAsset: "BTC"}))
	params := explain.BalanceParams{AccountID: projectiontest.Spot.String(), Wallet: "spot", Asset: "USDT", SamplesMax: 20}
	x, err := explain.BalanceOf(t.Context(), w, params)
	require.NoError(t, err)
	requireGolden(t, "balance", x)
	require.Equal(t, "0", x.Balance.Spans[1].Unexplained)
	require.Equal(t, "-45.25", x.Balance.Spans[2].Unexplained)
	require.Len(t, x.Balance.After, 1)

	params.SamplesMax = 1
	x, err = explain.BalanceOf(t.Context(), w, params)
	require.NoError(t, err)
	require.Len(t, x.Balance.Spans, 1)
	require.Equal(t, "15245.25", x.Balance.Spans[0].Before, "the sample before is known")
	require.Len(t, x.Notes, 1)

	params.Asset = "BTC"
	x, err = explain.BalanceOf(t.Context(), w, params)
	require.NoError(t, err)
	require.Equal(t, []string{"0.05", "0.00999"}, []string{x.Balance.After[0].Delta.String(), x.Balance.After[1].Delta.String()}, "less the fee in base")
}

// TestNothing names what was looked for.
func TestNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	balance := func(ctx context.Context, r explain.Reader, id string, _ int) (*explain.Explanation, error) {
		return explain.BalanceOf(ctx, r, explain.BalanceParams{AccountID: id, Wallet: "spot", Asset: "USDT", SamplesMax: 1})
	}
	for kind, ask := range map[string]func(context.Context, explain.Reader, string, int) (*explain.Explanation, error){
		"order": explain.Order, "position": explain.Position, "fill": explain.Trade, "balance": balance,
	} {
		_, err := ask(t.Context(), w, id, 1)
		require.True(t, fault.Is(err, fault.NotFound), "%s: %v", kind, err)
		require.ErrorContains(t, err, "there is no "+kind)
		require.ErrorContains(t, err, id)
		for _, text := range []string{"", "x", uuid.Nil.String()} {
			_, err = ask(t.Context(), w, text, 1)
			require.True(t, fault.Is(err, fault.Invalid), "%s: %v", kind, err)
		}
		w.asked = 0
	}
}

// TestFailure is told, whatever was asked, and never half an answer.
func TestFailure(t *testing.T) {
	t.Parallel()
	l := live(t)
	l.fails = fault.New(fault.Unavailable, "DATABASE_AWAY", "the database is away")
	for _, ask := range []func() (*explain.Explanation, error){
		func() (*explain.Explanation, error) { return explain.Order(t.Context(), l, l.entry.String(), 1) },
		func() (*explain.Explanation, error) {
			return explain.Position(t.Context(), l, l.plan.PositionID().String(), 1)
		},
		func() (*explain.Explanation, error) { return explain.Trade(t.Context(), l, l.fill, 1) },
	} {
		x, err := ask()
		require.Nil(t, x)
		require.ErrorIs(t, err, l.fails)
	}
}

// TestCauses_that_are_not_there are noted, and what hangs on them is told all the same.
func TestCauses_that_are_not_there(t *testing.T) {
	t.Parallel()
	l := live(t)
	stray := l.fact(0, &eventv1.MarginBorrowed{
		AccountId: projectiontest.Margin.String(), Symbol: "BTCUSDT", Asset: "BTC", Amount: "1", TranId: "1", OrderId: l.entry.String(),
		Via: eventv1.BorrowVia_BORROW_VIA_EXPLICIT,
	})
	lost := l.user("other", l.log.Sample("x", "USDT", "1"))
	l.at(stray).CausationId, l.lost[l.at(lost).GetEventId()] = l.at(lost).GetEventId(), true
	x, err := explain.Order(t.Context(), l, l.entry.String(), explain.LinesDefault)
	require.NoError(t, err)
	require.Len(t, x.Notes, 1)
	require.Contains(t, x.Notes[0], l.at(lost).GetEventId())
	last := x.Chain.Lines[len(x.Chain.Lines)-1]
	require.Equal(t, stray, last.Position)
	require.True(t, last.Outside)
	var text bytes.Buffer
	explain.Write(&text, x)
	require.Contains(t, text.String(), "<- an event that is not here")
	require.Contains(t, text.String(), "note: ")
}

var errNoCommand = errors.New("no command")

// undigested is a log that knows no commands.
type undigested struct {
	*life
	err error
}

func (u undigested) Digest(context.Context, string) ([]byte, error) { return nil, u.err }

// TestDigest_that_is_not_there leaves it out; one that cannot be read is an error.
func TestDigest_that_is_not_there(t *testing.T) {
	t.Parallel()
	l := live(t)
	x, err := explain.Order(t.Context(), undigested{l, fault.New(fault.NotFound, "NOT_FOUND", "none")}, l.entry.String(), 9)
	require.NoError(t, err)
	require.Empty(t, x.Commands[0].RequestDigest)
	_, err = explain.Order(t.Context(), undigested{l, errNoCommand}, l.entry.String(), 9)
	require.ErrorIs(t, err, errNoCommand)
}
