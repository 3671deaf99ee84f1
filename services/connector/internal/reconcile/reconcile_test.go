package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/ledgertest"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var num = decimal.RequireFromString

// bench is a log and a paper venue that nobody follows: what happens at the venue reaches the log by reconciliation alone.
type bench struct {
	*Manager
	t       *testing.T
	books   *ledgertest.Books
	paper   *paper.Venue
	ctx     context.Context
	account string
	ref     venue.AccountRef
}

func setup(t *testing.T) *bench {
	t.Helper()
	timing := venue.Timing{ReceiveWindow: time.Minute}
	return setupWith(t, timing)
}

func setupWith(t *testing.T, timing venue.Timing) *bench {
	t.Helper()
	node, err := paper.New(slog.New(slog.DiscardHandler), clock.System(), paper.Config{Dir: t.TempDir(), Timing: timing})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(node.Stop)
	b := &bench{t: t, books: ledgertest.New(t), paper: paper.NewVenue(node), account: projectiontest.Spot.String()}
	b.ctx = identity.WithTenant(t.Context(), b.books.Tenant())
	row, err := b.books.Ledger().Account(b.ctx, b.account)
	require.NoError(t, err)
	b.ref = line.Ref(b.books.Tenant(), row)
	b.Manager, err = New(slog.New(slog.DiscardHandler), clock.System(), b.books.Ledger(), line.NewDesk(b.paper), Config{Young: time.Millisecond})
	require.NoError(t, err)
	script := feed.Source{Script: []feed.ScriptTick{{Time: projectiontest.Start, Price: num("95000")}}}
	_, err = b.paper.LoadMarket(t.Context(), "BTCUSDT", engine.BookConfig{}, script, "script")
	require.NoError(t, err)
	_, err = b.paper.Deposit(b.ctx, b.ref, "start", "spot", "USDT", num("90000"))
	require.NoError(t, err)
	return b
}

// claimed takes a plan up to the claim of its entry.
func (b *bench) claimed(p projectiontest.Plan) uuid.UUID {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		if err := l.Opening(p); err != nil {
			return err
		}
		_, err := l.Append(l.Claim(p.EntryID(), 1))
		return err
	})
	return event.OrderID(p.EntryID(), 1)
}

func (b *bench) place(name string, kind venue.OrderType, quantity, price string) venue.Placed {
	b.t.Helper()
	order := venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Buy, Type: kind, Quantity: num(quantity), ClientOrderID: venue.ClientOrderID(name), Stamp: clock.System().Now(),
	}
	if kind == venue.Limit {
		order.Price, order.TimeInForce = num(price), venue.GTC
	}
	placed, err := b.paper.Account(b.ref).Trading.Place(b.ctx, order)
	require.NoError(b.t, err)
	return placed
}

// unread is a log that cannot be read now.
type unread struct {
	ledger.Reader
	err error
}

func (u unread) QueryEvents(context.Context, *eventlogv1.QueryEventsRequest, ...grpc.CallOption) (*eventlogv1.QueryEventsResponse, error) {
	return nil, u.err
}

// booksWithout is the bench's ledger, whose log cannot be read.
func (b *bench) booksWithout(err error) *ledger.Ledger {
	b.t.Helper()
	books, failed := ledger.New(clock.System(), ledger.Deps{Appender: b.books, Reader: unread{b.books, err}, State: b.books, Workers: b.books}, ledger.Config{})
	require.NoError(b.t, failed)
	return books
}

func (b *bench) run(resolve ...string) *Report {
	b.t.Helper()
	report, err := b.Reconcile(b.ctx, b.account, resolve)
	require.NoError(b.t, err)
	return report
}

// kinds names what the log's discrepancies are, in order, and what was done.
func (b *bench) kinds() []string {
	var out []string
	for _, e := range b.books.Events("DISCREPANCY_DETECTED") {
		d := e.GetPayload().GetDiscrepancyDetected()
		out = append(out, lower(d.GetKind().String(), "DISCREPANCY_KIND_")+" "+lower(d.GetResolution().String(), "RESOLUTION_"))
	}
	return out
}

// settled requires that a run with nothing new adds its own end and nothing else.
func (b *bench) settled() *Report {
	b.t.Helper()
	before := len(b.books.Events())
	report := b.run()
	added := b.books.Events()[before:]
	require.Len(b.t, added, 1)
	require.Equal(b.t, "RECONCILIATION_COMPLETED", added[0].GetEventType())
	return report
}

// A fill that the stream never delivered is found and booked once, with the event that explains it.
func TestReconcile_MissedFill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	report := b.run()
	require.Equal(t, []string{"missed_ack auto_repaired", "missed_fill auto_repaired"}, b.kinds())
	require.Equal(t, projection.OrderFilled, b.books.Row(order).Status)
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED, report.Completed.GetStatus())
	require.EqualValues(t, 1, report.Completed.GetMissingFills())
	require.EqualValues(t, 1, report.Completed.GetMissingAcks())
	fill, missed := b.books.Events("FILL_RECEIVED")[0], b.books.Events("DISCREPANCY_DETECTED")[1]
	require.Equal(t, eventv1.Source_SOURCE_RECONCILE, fill.GetPayload().GetFillReceived().GetSource())
	require.Equal(t, missed.GetEventId(), fill.GetCausationId(), "what explains it is its cause")
	claim := b.books.Events("ORDER_SUBMITTED")[0]
	require.Equal(t, claim.GetEventId(), missed.GetCausationId())
	for _, e := range []*eventv1.Event{fill, missed, b.books.Events("RECONCILIATION_COMPLETED")[0]} {
		require.Equal(t, report.Completed.GetRunId(), e.GetWorkflowId())
	}
	require.Equal(t, claim.GetTraceId(), fill.GetTraceId())
	require.Equal(t, []string{"FILL_RECEIVED"}, report.Facts[missed.GetEventId()])
	require.Equal(t, "BTCUSDT", report.Symbols[0].Symbol)
	require.EqualValues(t, 1, report.Symbols[0].ToTrade)
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_CLEAN, b.settled().Completed.GetStatus())
}

func TestReconcile_MissedEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	placed := b.place(event.ClientOrderID(order), venue.Limit, "0.06666", "90000")
	_, err := b.paper.CancelByExchange(b.ctx, b.ref, "BTCUSDT", placed.Order.ClientOrderID)
	require.NoError(t, err)
	b.run()
	require.Equal(t, []string{"missed_ack auto_repaired", "status_mismatch auto_repaired"}, b.kinds())
	require.Equal(t, projection.OrderCanceled, b.books.Row(order).Status)
	b.settled()
}

// The end of an order counts a fill that has not come: the fold tells so, and the run that takes the fill in closes it.
func TestReconcile_EndBeforeItsFill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	require.NoError(t, b.paper.SetFaults(b.ctx, b.ref.Key, []engine.Fault{{Kind: engine.FaultCancelAfterPartial, Operation: venue.OpPlace, Count: 1}}))
	placed := b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	require.Equal(t, venue.StatusCanceled, placed.Order.Status)
	books := b.books.Ledger()
	row, err := books.Order(b.ctx, order.String(), 0)
	require.NoError(t, err)
	claimed, _, err := books.Claimed(b.ctx, ledger.OrderOf(row))
	require.NoError(t, err)
	ended, over := fact.Ended(claimed, placed.Order, fact.Stream)
	require.True(t, over)
	_, err = books.Record(b.ctx, fact.Acked(claimed, placed.Order, fact.Stream), ended)
	require.NoError(t, err)
	require.Equal(t, []string{"missed_fill needs_operator"}, b.kinds())
	told := b.books.Events("DISCREPANCY_DETECTED")[0].GetPayload().GetDiscrepancyDetected()

	_, err = b.Reconcile(b.ctx, b.account, nil)
	require.NoError(t, err)
	require.Len(t, b.books.Events("FILL_RECEIVED"), 1)
	closed := b.books.Events("RECONCILIATION_COMPLETED")[0].GetPayload().GetReconciliationCompleted()
	require.Equal(t, []string{told.GetDiscrepancyId()}, closed.GetResolvedIds())
	require.Zero(t, b.settled().Completed.GetUnresolved())
}

// What was made by hand is reported once, never adopted and never canceled, and stays open until somebody judges it.
func TestReconcile_ByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place("by-hand", venue.Market, "0.01", "0")
	resting := b.place("by-hand-2", venue.Limit, "0.01", "90000")
	report := b.run()
	require.Equal(t, []string{"unknown_order needs_operator", "unknown_trade needs_operator", "unknown_order needs_operator"}, b.kinds())
	require.EqualValues(t, 2, report.Completed.GetUnknownOrders())
	require.EqualValues(t, 3, report.Completed.GetUnresolved())
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, report.Completed.GetStatus())
	open := b.settled().Open
	require.Len(t, open, 3)
	var ids []string
	for _, d := range open {
		ids = append(ids, d.GetDiscrepancyId())
	}
	require.ElementsMatch(t, ids, b.run(ids...).Completed.GetResolvedIds())
	report = b.settled()
	require.Zero(t, report.Completed.GetUnresolved())
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_CLEAN, report.Completed.GetStatus())
	left, err := b.paper.Account(b.ref).Trading.OpenOrders(b.ctx, "")
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, resting.Order.OrderID, left[0].OrderID)
}

// What is not open cannot be closed: it is refused before anything of a run is done.
func TestReconcile_ResolvesWhatIsOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place("by-hand", venue.Limit, "0.01", "90000")
	open := b.run().Found[0].GetPayload().GetDiscrepancyDetected().GetDiscrepancyId()
	before, stray := len(b.books.Events()), uuid.NewString()
	_, err := b.Reconcile(b.ctx, b.account, []string{open, stray})
	require.True(t, fault.Is(err, fault.Invalid), err)
	require.Equal(t, "resolve[1]", fault.As(err).Fields[0].Path)
	require.Contains(t, fault.As(err).Fields[0].Description, stray)
	require.Len(t, b.books.Events(), before)
	begun, err := b.books.Ledger().Checkpoint(b.ctx, begunName(projectiontest.Spot))
	require.NoError(t, err)
	ended, err := b.books.Ledger().Checkpoint(b.ctx, endedName(projectiontest.Spot))
	require.NoError(t, err)
	require.Equal(t, ended, begun, "no run was begun")

	require.Equal(t, []string{open}, b.run(strings.ToUpper(open)).Completed.GetResolvedIds())
	_, err = b.Reconcile(b.ctx, b.account, []string{open})
	require.True(t, fault.Is(err, fault.Invalid), "it is closed: %v", err)
	away := fault.New(fault.Unavailable, "TEST", "away")
	manager, err := New(slog.New(slog.DiscardHandler), clock.System(), b.booksWithout(away), line.NewDesk(b.paper), Config{})
	require.NoError(t, err)
	_, err = manager.Reconcile(b.ctx, b.account, []string{open})
	require.ErrorIs(t, err, away)
}

// A claim that never reached the venue ends, once nothing that placed it can arrive any more.
func TestReconcile_NeverArrived(t *testing.T) {
	t.Parallel()
	b := setupWith(t, venue.Timing{ReceiveWindow: time.Millisecond, Processing: time.Millisecond, Margin: time.Millisecond})
	b.claimed(projectiontest.Long("p"))
	require.Eventually(t, func() bool { return b.run() != nil && len(b.books.Events("ORDER_REJECTED")) == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{"missing_on_exchange auto_repaired"}, b.kinds())
	b.settled()
}

// An order that the venue acknowledged and does not know is for an operator, until it is known what became of it.
func TestReconcile_Phantom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("q"))
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Ack(l.Intent(projectiontest.Long("q").EntryID()), 1))
		return err
	})
	report := b.run()
	require.Equal(t, "missing_on_exchange needs_operator", b.kinds()[0])
	require.EqualValues(t, 1, report.Completed.GetUnresolved())
	require.EqualValues(t, 1, b.settled().Completed.GetUnresolved())
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Canceled(l.Intent(projectiontest.Long("q").EntryID()), 1, "0"))
		return err
	})
	require.Equal(t, projection.OrderCanceled, b.books.Row(order).Status)
	require.Len(t, b.run().Completed.GetResolvedIds(), 1, "it holds no longer")
	b.settled()
}

func TestReconcile_TooEarlyToTell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.claimed(projectiontest.Long("p"))
	require.Equal(t, 1, b.run().Skipped, "it may still arrive")
	require.Empty(t, b.kinds())
}

// What the first report of a trade said stands; that the venue says otherwise is for an operator.
func TestReconcile_Values(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	placed := b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	b.books.Do(t, func(l *projectiontest.Log) error {
		intent := l.Intent(projectiontest.Long("p").EntryID())
		ack := l.Ack(intent, 1)
		ack.ExchangeOrderId = fmt.Sprint(placed.Order.OrderID)
		if _, err := l.Append(ack); err != nil {
			return err
		}
		fill := l.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "94000", Quantity: "0.06666", Fee: "1", FeeAsset: "USDT"})
		fill.ExchangeOrderId = fmt.Sprint(placed.Order.OrderID)
		_, err := l.Append(fill)
		return err
	})
	report := b.run()
	require.Contains(t, b.kinds(), "price_or_fee_mismatch needs_operator")
	require.Contains(t, b.kinds(), "quantity_mismatch needs_operator", "what it was paid in all")
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_BLOCKED, report.Completed.GetStatus())
	b.settled()
}

// Broken off between the reason and the fact, it is gone on with under its own id and ends as it would have.
func TestReconcile_BrokenOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := b.claimed(projectiontest.Long("p"))
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	var away atomic.Bool
	away.Store(true)
	b.books.BeforeAppend = func(in *eventlogv1.AppendRequest) error {
		if away.Load() && in.GetStreams()[0].GetEvents()[0].GetPayload().GetFillReceived() != nil {
			return fault.New(fault.Invalid, "TEST", "not now")
		}
		return nil
	}
	_, err := b.Reconcile(b.ctx, b.account, nil)
	require.ErrorContains(t, err, "not now")
	require.Empty(t, b.books.Events("FILL_RECEIVED", "RECONCILIATION_COMPLETED"))
	first := b.books.Events("DISCREPANCY_DETECTED")[0].GetWorkflowId()
	away.Store(false)
	report := b.run()
	require.Equal(t, first, report.Completed.GetRunId())
	require.Equal(t, []string{"missed_ack auto_repaired", "missed_fill auto_repaired"}, b.kinds())
	require.Len(t, b.books.Events("FILL_RECEIVED"), 1)
	require.EqualValues(t, 1, report.Completed.GetMissingAcks(), "what it told before it was broken off counts")
	b.settled()
}

func TestManager_Lease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.books.Steal(LeaseName(projectiontest.Spot))
	_, err := b.Reconcile(b.ctx, b.account, nil)
	require.True(t, fault.Is(err, fault.Unavailable), err)
	require.ErrorContains(t, err, "another connector reconciles account "+b.account)
	b.books.Free(LeaseName(projectiontest.Spot))
	b.run()
}

func TestManager_Start(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Reconnected(b.ctx, b.account), "before the start nothing is begun")
	require.NoError(t, b.Start(t.Context()))
	require.NoError(t, b.Start(t.Context()))
	t.Cleanup(b.Stop)
	require.Eventually(t, func() bool { return len(b.books.Events("RECONCILIATION_COMPLETED")) == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, b.Reconnected(b.ctx, b.account))
	require.Eventually(t, func() bool { return len(b.books.Events("RECONCILIATION_COMPLETED")) == 3 }, 10*time.Second, time.Millisecond)
	last := b.books.Events("RECONCILIATION_COMPLETED")[2].GetPayload().GetReconciliationCompleted()
	require.Equal(t, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_RECONNECT, last.GetTrigger())
}

// A connector that starts where another has just died waits for what that one held, and then reconciles.
func TestManager_StartsAfterADeath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, account := range []uuid.UUID{projectiontest.Spot, projectiontest.Margin} {
		b.books.Steal(LeaseName(account))
	}
	b.config.LeaseTTL = 3 * time.Millisecond
	require.NoError(t, b.Start(t.Context()))
	t.Cleanup(b.Stop)
	require.Eventually(t, func() bool { return b.books.Denied() > 5 }, 10*time.Second, time.Millisecond)
	require.Empty(t, b.books.Events("RECONCILIATION_COMPLETED"))
	for _, account := range []uuid.UUID{projectiontest.Spot, projectiontest.Margin} {
		b.books.Free(LeaseName(account))
	}
	require.Eventually(t, func() bool { return len(b.books.Events("RECONCILIATION_COMPLETED")) == 2 }, 10*time.Second, time.Millisecond)
}

// What stands open, and for how long an account has waited, is there for a metric.
func TestManager_Standing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	longest, open := b.standing()
	require.Zero(t, longest)
	require.Zero(t, open)
	b.place("by-hand", venue.Market, "0.01", "0")
	b.run()
	longest, open = b.standing()
	require.Positive(t, longest)
	require.Equal(t, 2, open, "the order and its trade")
	b.came(b.books.Tenant().String()+"/"+b.account, nil)
	_, open = b.standing()
	require.Equal(t, 2, open, "another connector's run does not tell")
}

func TestStamp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 8, 0, 30, 0, time.UTC)
	first := newStamp(at, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_MANUAL, 0)
	second := newStamp(at, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY, first)
	require.Equal(t, first, newStamp(at.Add(20*time.Second), eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_MANUAL, 0))
	require.Equal(t, at.Truncate(time.Minute), second.at())
	require.EqualValues(t, 1, second.ordinal())
	require.Equal(t, eventv1.ReconciliationTrigger_RECONCILIATION_TRIGGER_HOURLY, second.trigger())
	require.Greater(t, second, first)
	require.Greater(t, newStamp(at.Add(time.Minute), 1, second), second)
	require.NotEqual(t, first.runID(projectiontest.Spot), second.runID(projectiontest.Spot))
}

func TestListed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		count, overlap, from := rapid.IntRange(0, 2500).Draw(rt, "count"), rapid.IntRange(0, 120).Draw(rt, "overlap"), rapid.Int64Range(0, 30).Draw(rt, "from")
		all, next, err := listed(from, overlap, func(id int64) int64 { return id }, func(at int64) ([]int64, error) {
			var page []int64
			for id := max(at, 1); id <= int64(count) && len(page) < venue.PageMax; id++ {
				page = append(page, id)
			}
			return page, nil
		})
		require.NoError(rt, err)
		require.Len(rt, all, max(0, count-int(max(from, 1))+1))
		require.GreaterOrEqual(rt, next, from)
		require.LessOrEqual(rt, next, max(from, int64(count-overlap)))
	})
}

// Whatever the stream hides, after a run the book is the venue's.
func TestReconcile_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		orders := map[uuid.UUID]bool{}
		for n := range rapid.IntRange(1, 3).Draw(rt, "orders") {
			p := projectiontest.Long(fmt.Sprint("p", n))
			if n > 0 { // one position of a symbol at a time: the others are made by hand
				b.place(fmt.Sprint("hand", n), venue.Market, "0.01", "0")
				continue
			}
			order := b.claimed(p)
			orders[order] = true
			if rapid.Bool().Draw(rt, "limit") {
				placed := b.place(event.ClientOrderID(order), venue.Limit, "0.06666", "90000")
				if rapid.Bool().Draw(rt, "canceled") {
					_, err := b.paper.CancelByExchange(b.ctx, b.ref, "BTCUSDT", placed.Order.ClientOrderID)
					require.NoError(rt, err)
				}
				continue
			}
			b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
		}
		b.run()
		for order := range orders {
			at, err := b.paper.Account(b.ref).Trading.QueryOrder(b.ctx, "BTCUSDT", venue.ClientOrderID(event.ClientOrderID(order)))
			require.NoError(rt, err)
			row := b.books.Row(order)
			require.True(rt, at.Executed.Equal(row.FilledQuantity))
			require.True(rt, at.CumQuote.Equal(row.CumQuote))
		}
		b.settled()
	})
}
