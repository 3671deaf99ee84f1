package executor

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/identity"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
	"github.com/robson/robson/services/connector/internal/ledger"
	"github.com/robson/robson/services/connector/internal/ledgertest"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/paper"
	"github.com/robson/robson/services/connector/internal/paper/engine"
	"github.com/robson/robson/services/connector/internal/paper/feed"
	"github.com/robson/robson/services/connector/internal/venue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a whole connector without its RPCs: real rules, a real paper venue.
type bench struct {
	*Executor
	t     *testing.T
	books *ledgertest.Books
	paper *paper.Venue
	desk  *line.Desk
	ctx   context.Context
}

// quick makes uncertain orders end soon: the venue refuses requests that are older than this.
var quick = venue.Timing{ReceiveWindow: 300 * time.Millisecond, Margin: 100 * time.Millisecond}

func setup(t *testing.T) *bench {
	t.Helper()
	node, err := paper.New(slog.New(slog.DiscardHandler), clock.System(), paper.Config{Dir: t.TempDir(), Timing: quick})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(node.Stop)
	b := &bench{t: t, books: ledgertest.New(t), paper: paper.NewVenue(node)}
	b.desk = line.NewDesk(b.paper)
	b.ctx = identity.WithTenant(t.Context(), b.books.Tenant())
	b.Executor = b.replica()

	b.market(engine.BookConfig{}, "95000", "94000", "93000", "96500")
	for _, ref := range []venue.AccountRef{b.ref(projectiontest.Spot), b.ref(projectiontest.Margin)} {
		wallet := "spot"
		if ref.MarginSymbol != "" {
			wallet = "isolated:" + ref.MarginSymbol
		}
		_, err := b.paper.Deposit(t.Context(), ref, "start", wallet, "USDT", decimal.NewFromInt(20000))
		require.NoError(t, err)
	}
	return b
}

// replica is another executor on the same log and venue.
func (b *bench) replica() *Executor {
	b.t.Helper()
	e, err := New(slog.New(slog.DiscardHandler), clock.System(), b.books.Ledger(), b.desk, Config{
		AskFirst: 10 * time.Millisecond, AskMax: 50 * time.Millisecond, SweepEvery: 20 * time.Millisecond, Young: 100 * time.Millisecond,
	})
	require.NoError(b.t, err)
	require.NoError(b.t, e.Start(b.t.Context()))
	require.NoError(b.t, e.Start(b.t.Context()))
	require.True(b.t, e.Started())
	b.t.Cleanup(e.Stop)
	return e
}

func (b *bench) ref(account uuid.UUID) venue.AccountRef {
	row, err := b.books.Ledger().Account(b.t.Context(), account.String())
	require.NoError(b.t, err)
	return line.Ref(b.books.Tenant(), row)
}

func (b *bench) market(book engine.BookConfig, prices ...string) {
	b.t.Helper()
	var script []feed.ScriptTick
	for n, price := range prices {
		script = append(script, feed.ScriptTick{Time: projectiontest.Start.Add(time.Duration(n) * time.Minute), Price: decimal.RequireFromString(price)})
	}
	_, err := b.paper.LoadMarket(b.t.Context(), "BTCUSDT", book, feed.Source{Script: script}, "script")
	require.NoError(b.t, err)
}

func (b *bench) faults(account uuid.UUID, faults ...engine.Fault) {
	b.t.Helper()
	require.NoError(b.t, b.paper.SetFaults(b.t.Context(), b.ref(account).Key, faults))
}

// entry takes a plan up to its entry intent and gives the intent's and the order's id.
func (b *bench) entry(p projectiontest.Plan) (intent, order uuid.UUID) {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error { return l.Opening(p) })
	return p.EntryID(), event.OrderID(p.EntryID(), 1)
}

// placed is how often the venue was asked to place an order.
func (b *bench) placed(account, order uuid.UUID) int32 {
	b.t.Helper()
	listed, err := b.paper.ListOrders(b.t.Context(), b.ref(account), "", 0, 100)
	require.NoError(b.t, err)
	for _, l := range listed {
		if string(l.Order.ClientOrderID) == event.ClientOrderID(order) {
			return l.Placed
		}
	}
	return 0
}

// about names the events of an order and of its account, in order, but for what began the test.
func (b *bench) about(order uuid.UUID) []string {
	var out []string
	for _, e := range b.books.Events() {
		stream := e.GetStreamKey()
		uncertain := e.GetPayload().GetExchangeStateUncertain().GetOrderId() == order.String()
		if stream == "order:"+order.String() || uncertain {
			out = append(out, e.GetEventType())
		}
	}
	return out
}

func TestExecute_Market(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Long("p"))
	result, err := b.Execute(b.ctx, intent, 1)
	require.NoError(t, err)
	require.True(t, result.Sent)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, result.Order.GetStatus())
	require.Equal(t, []string{"ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED"}, b.about(order))

	events := b.books.Events("ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED")
	for _, e := range events[1:] {
		require.Equal(t, events[0].GetTraceId(), e.GetTraceId(), "a fact keeps the trace of its order")
		require.Equal(t, events[0].GetEventId(), e.GetCausationId(), "a fact is caused by the claim")
	}
	created := b.books.Events("INTENT_CREATED")[0]
	require.Equal(t, created.GetTraceId(), events[0].GetTraceId())
	require.Equal(t, created.GetEventId(), events[0].GetCausationId())
	fill := events[2].GetPayload().GetFillReceived()
	require.Equal(t, "0.06666", fill.GetFillQuantity())
	require.Equal(t, "0.00006666", fill.GetFee())
	require.Equal(t, "6.3327", fill.GetFeeQuote(), "a fee in base is valued at the fill's price")
	require.Equal(t, projectiontest.Start, fill.GetFilledAt().AsTime(), "by the market's clock")

	for range 3 {
		again, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.False(t, again.Sent)
		require.Equal(t, result.Order.GetStatus(), again.Order.GetStatus())
	}
	require.EqualValues(t, 1, b.placed(projectiontest.Spot, order))
}

// Law 8: many callers on several replicas, one send.
func TestExecute_OneSend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Long("p"))
	replicas := []*Executor{b.Executor, b.replica(), b.replica()}
	var group sync.WaitGroup
	sent := make(chan bool, 60)
	for n := range cap(sent) {
		group.Go(func() {
			result, err := replicas[n%len(replicas)].Execute(b.ctx, intent, 1)
			if err != nil {
				t.Error(err)
			}
			sent <- result.Sent
		})
	}
	group.Wait()
	close(sent)
	senders := 0
	for s := range sent {
		if s {
			senders++
		}
	}
	require.Equal(t, 1, senders)
	require.EqualValues(t, 1, b.placed(projectiontest.Spot, order))
	require.Len(t, b.books.Events("ORDER_SUBMITTED"), 1)
}

func TestExecute_Refused(t *testing.T) {
	t.Parallel()
	t.Run("by the venue", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultReject, Operation: venue.OpPlace, Count: 1, Code: -2010})
		intent, order := b.entry(projectiontest.Long("p"))
		result, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus())
		rejected := b.books.Events("ORDER_REJECTED")[0].GetPayload().GetOrderRejected()
		require.Equal(t, eventv1.RejectStage_REJECT_STAGE_EXCHANGE, rejected.GetStage())
		require.EqualValues(t, -2010, rejected.GetErrorCode())
		require.EqualValues(t, 400, rejected.GetHttpStatus())
		// Policy may try again, as a new order.
		result, err = b.Execute(b.ctx, intent, 2)
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, result.Order.GetStatus())
		require.NotEqual(t, order.String(), result.Order.GetOrderId())
	})
	t.Run("for too many requests", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultRateLimit, Operation: venue.OpPlace, Count: 1, Delay: time.Second})
		intent, _ := b.entry(projectiontest.Long("p"))
		result, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus())
		limited := b.books.Events("EXCHANGE_RATE_LIMITED")[0].GetPayload().GetExchangeRateLimited()
		require.EqualValues(t, 1000, limited.GetRetryAfterMs())
	})
	t.Run("by the log's own check, which ends the intent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, order := b.entry(projectiontest.Long("p"))
		b.books.BeforeAppend = func(in *eventlogv1.AppendRequest) error {
			if in.GetStreams()[0].GetEvents()[0].GetPayload().GetOrderSubmitted() != nil {
				return fault.New(fault.Refused, "POSITION_STATE", "position is closed")
			}
			return nil
		}
		result, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.False(t, result.Sent)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus())
		require.Contains(t, result.Order.GetRejectReason(), "claim_refused: position is closed")
		require.Equal(t, []string{"ORDER_REJECTED"}, b.about(order))
		require.Zero(t, b.placed(projectiontest.Spot, order))
	})
	t.Run("of an intent that nobody has", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.Execute(b.ctx, uuid.New(), 1)
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

// S8: the venue accepted it and no answer came.
func TestExecute_AcceptedThenNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []engine.FaultKind{engine.FaultAcceptThenTimeout, engine.FaultAcceptThen5xx} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.faults(projectiontest.Spot, engine.Fault{Kind: kind, Operation: venue.OpPlace, Count: 1},
				engine.Fault{Kind: engine.FaultQueryLag, Operation: venue.OpQuery, Count: 3})
			intent, order := b.entry(projectiontest.Long("p"))
			result, err := b.Execute(b.ctx, intent, 1)
			require.NoError(t, err)
			require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, result.Order.GetStatus())
			require.False(t, result.Order.GetNeedsResolution())
			require.Equal(t, []string{"ORDER_SUBMITTED", "EXCHANGE_STATE_UNCERTAIN", "ORDER_ACKED", "FILL_RECEIVED"}, b.about(order))
			require.EqualValues(t, 1, b.placed(projectiontest.Spot, order))
		})
	}
}

// S8b: it never reached the venue.
func TestExecute_LostOnTheWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultDropBefore, Operation: venue.OpPlace, Count: 1})
	intent, order := b.entry(projectiontest.Long("p"))
	began := clock.System().Now()
	result, err := b.Execute(b.ctx, intent, 1)
	require.NoError(t, err)
	require.GreaterOrEqual(t, clock.System().Now().Sub(began), quick.Lifetime(), "not before no request can arrive any more")
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus())
	require.Equal(t, "not_found", result.Order.GetRejectReason())
	require.Equal(t, []string{"ORDER_SUBMITTED", "EXCHANGE_STATE_UNCERTAIN", "ORDER_REJECTED"}, b.about(order))
	require.Zero(t, b.placed(projectiontest.Spot, order))
}

// S8d: the process that had claimed the order died before it sent, or before it told. The sweep finds out.
func TestSweep_DeadSender(t *testing.T) {
	t.Parallel()
	claim := func(b *bench, intent uuid.UUID) {
		b.books.Do(t, func(l *projectiontest.Log) error {
			_, err := l.Append(l.Claim(intent, 1))
			return err
		})
	}
	t.Run("before it sent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, order := b.entry(projectiontest.Long("p"))
		claim(b, intent)
		result, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.False(t, result.Sent, "a claim that is not its own is never sent")
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus(), "it answers when the outcome is known")
		require.Equal(t, []string{"ORDER_SUBMITTED", "EXCHANGE_STATE_UNCERTAIN", "ORDER_REJECTED"}, b.about(order))
		crash := b.books.Events("EXCHANGE_STATE_UNCERTAIN")[0].GetPayload().GetExchangeStateUncertain()
		require.Equal(t, eventv1.VenueRequest_VENUE_REQUEST_PLACE, crash.GetRequest())
		require.Equal(t, eventv1.UncertainCause_UNCERTAIN_CAUSE_CRASH, crash.GetCause())
	})
	t.Run("before it told", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, order := b.entry(projectiontest.Long("p"))
		claim(b, intent)
		_, err := b.paper.Account(b.ref(projectiontest.Spot)).Trading.Place(t.Context(), venue.NewOrder{
			Symbol: "BTCUSDT", Side: venue.Buy, Type: venue.Market, Quantity: decimal.RequireFromString("0.06666"),
			ClientOrderID: venue.ClientOrderID(event.ClientOrderID(order)), Stamp: clock.System().Now(),
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return b.books.Row(order).Status == projection.OrderFilled }, 5*time.Second, 5*time.Millisecond)
		require.EqualValues(t, 1, b.placed(projectiontest.Spot, order))
	})
}

// Whoever was held up between claim and send comes too late: the request carries the claim's time.
func TestExecute_HeldUpSender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Long("p"))
	b.books.AfterAppend = func(in *eventlogv1.AppendRequest) error {
		if in.GetStreams()[0].GetEvents()[0].GetPayload().GetOrderSubmitted() != nil {
			require.Eventually(t, func() bool { return b.books.Row(order).Status == projection.OrderRejected }, 5*time.Second, 5*time.Millisecond)
		}
		return nil
	}
	b.replica() // its sweep gives the order up meanwhile
	result, err := b.Execute(b.ctx, intent, 1)
	require.NoError(t, err)
	require.True(t, result.Sent)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, result.Order.GetStatus())
	open, err := b.paper.Account(b.ref(projectiontest.Spot)).Wallets.Balances(t.Context())
	require.NoError(t, err)
	require.Len(t, open.Balances, 1, "nothing was bought")
}

// The commit of the claim is uncertain: it stands, and whoever wrote it must not send.
func TestExecute_UncertainClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Long("p"))
	b.books.AfterAppend = func(in *eventlogv1.AppendRequest) error {
		if in.GetStreams()[0].GetEvents()[0].GetPayload().GetOrderSubmitted() != nil {
			return fault.New(fault.Unavailable, "COMMIT_UNCERTAIN", "connection lost")
		}
		return nil
	}
	_, err := b.Execute(b.ctx, intent, 1)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Eventually(t, func() bool { return b.books.Row(order).Status == projection.OrderRejected }, 5*time.Second, 5*time.Millisecond)
	require.Zero(t, b.placed(projectiontest.Spot, order))
}

func TestExecute_PartialThenCanceledByExchange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultCancelAfterPartial, Operation: venue.OpPlace, Count: 1})
	intent, order := b.entry(projectiontest.Long("p"))
	result, err := b.Execute(b.ctx, intent, 1)
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, result.Order.GetStatus())
	require.Equal(t, "0.03333", result.Order.GetFilledQuantity())
	require.Equal(t, []string{"ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED", "ORDER_CANCELED"}, b.about(order))
	canceled := b.books.Events("ORDER_CANCELED")[0].GetPayload().GetOrderCanceled()
	require.Equal(t, eventv1.CanceledBy_CANCELED_BY_EXCHANGE, canceled.GetCanceledBy())
	require.Empty(t, b.books.Events("DISCREPANCY_DETECTED"))
}

func TestExecute_ShortOnMargin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Short("p"))
	result, err := b.Execute(b.ctx, intent, 1)
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, result.Order.GetStatus())
	claim := b.books.Events("ORDER_SUBMITTED")[0].GetPayload().GetOrderSubmitted()
	require.Equal(t, "MARGIN_BUY", claim.GetSideEffect())
	require.Equal(t, eventv1.Product_PRODUCT_ISOLATED_MARGIN, claim.GetProduct())
	require.EqualValues(t, 1, b.placed(projectiontest.Margin, order))
}

func TestEndIntent(t *testing.T) {
	t.Parallel()
	t.Run("either sent or ended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, order := b.entry(projectiontest.Long("p"))
		row, err := b.EndIntent(b.ctx, intent, "panic")
		require.NoError(t, err)
		require.Equal(t, "panic", row.GetRejectReason())
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, row.GetStatus())
		result, err := b.Execute(b.ctx, intent, 1)
		require.NoError(t, err)
		require.False(t, result.Sent)
		require.Zero(t, b.placed(projectiontest.Spot, order))
		_, err = b.EndIntent(b.ctx, intent, "panic")
		require.NoError(t, err, "ending twice is ending once")
		require.Len(t, b.books.Events("ORDER_REJECTED"), 1)
	})
	t.Run("refused for what was sent and lives", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		p := projectiontest.Long("p")
		stop := b.openWithStop(p)
		_, err := b.EndIntent(b.ctx, projectiontest.ProtectID(p, 1), "panic")
		require.True(t, fault.Is(err, fault.Refused))
		require.Equal(t, "INTENT_CLAIMED", fault.ReasonOf(err))
		require.Equal(t, projection.OrderAcknowledged, b.books.Row(stop).Status)
	})
	t.Run("a race with the claim has one winner", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		intent, order := b.entry(projectiontest.Long("p"))
		var group sync.WaitGroup
		group.Go(func() { _, _ = b.Execute(b.ctx, intent, 1) })
		group.Go(func() { _, _ = b.EndIntent(b.ctx, intent, "panic") })
		group.Wait()
		claimed := len(b.books.Events("ORDER_SUBMITTED"))
		require.Equal(t, 1, claimed+len(b.books.Events("ORDER_REJECTED")))
		require.EqualValues(t, claimed, b.placed(projectiontest.Spot, order))
	})
}

// openWithStop opens a position and rests a stop order for it.
func (b *bench) openWithStop(p projectiontest.Plan) (stop uuid.UUID) {
	b.t.Helper()
	intent, _ := b.entry(p)
	_, err := b.Execute(b.ctx, intent, 1)
	require.NoError(b.t, err)
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		if _, err := l.Append(l.Opened(p, "95000", "0.06666")); err != nil {
			return err
		}
		_, err := l.Append(l.Protect(p, 1, "0.06659", "93500"))
		return err
	})
	result, err := b.Execute(b.ctx, projectiontest.ProtectID(p, 1), 1)
	require.NoError(b.t, err)
	require.Equal(b.t, projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, result.Order.GetStatus())
	return event.OrderID(projectiontest.ProtectID(p, 1), 1)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("by intent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		p := projectiontest.Long("p")
		stop := b.openWithStop(p)
		var intent *eventv1.IntentCreated
		b.books.Do(t, func(l *projectiontest.Log) error {
			intent = l.Cancel(p, stop)
			_, err := l.Append(intent)
			return err
		})
		result, err := b.Execute(b.ctx, uuid.MustParse(intent.GetIntentId()), 1)
		require.NoError(t, err)
		require.Equal(t, stop.String(), result.Order.GetOrderId())
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, result.Order.GetStatus())
		canceled := b.books.Events("ORDER_CANCELED")[0].GetPayload().GetOrderCanceled()
		require.Equal(t, eventv1.CanceledBy_CANCELED_BY_US, canceled.GetCanceledBy())
		row, err := b.Cancel(b.ctx, stop.String())
		require.NoError(t, err, "canceling what has ended is no error")
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, row.GetStatus())
	})
	t.Run("the stop filled first", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		_, err := b.paper.Advance(t.Context(), "BTCUSDT", 3)
		require.NoError(t, err)
		row, err := b.Cancel(b.ctx, stop.String())
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, row.GetStatus())
	})
	t.Run("uncertain, and done", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultAcceptThenTimeout, Operation: venue.OpCancel, Count: 1})
		row, err := b.Cancel(b.ctx, stop.String())
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, row.GetStatus())
		require.Equal(t, []string{"ORDER_SUBMITTED", "ORDER_ACKED", "EXCHANGE_STATE_UNCERTAIN", "ORDER_CANCELED"}, b.about(stop))
	})
	t.Run("uncertain, and lost: sent again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultDropBefore, Operation: venue.OpCancel, Count: 1})
		row, err := b.Cancel(b.ctx, stop.String())
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, row.GetStatus())
	})
	t.Run("lost again and again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultDropBefore, Operation: venue.OpCancel, Count: 100})
		_, err := b.Cancel(b.ctx, stop.String())
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.Equal(t, projection.OrderAcknowledged, b.books.Row(stop).Status)
	})
	t.Run("refused or limited", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultReject, Operation: venue.OpCancel, Count: 1, Code: -2015},
			engine.Fault{Kind: engine.FaultRateLimit, Operation: venue.OpCancel, Count: 1, Delay: time.Second})
		_, err := b.Cancel(b.ctx, stop.String())
		require.True(t, fault.Is(err, fault.Refused))
		require.Len(t, b.books.Events("EXCHANGE_REQUEST_FAILED"), 1)
		_, err = b.Cancel(b.ctx, stop.String())
		require.True(t, fault.Is(err, fault.Exhausted))
		require.Equal(t, time.Second, fault.As(err).RetryAfter)
	})
	t.Run("overtakes the placing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.openWithStop(projectiontest.Long("p"))
		limit := projectiontest.Short("q")
		b.entry(limit)
		b.books.Do(t, func(l *projectiontest.Log) error {
			_, err := l.Append(l.Claim(limit.EntryID(), 1))
			return err
		})
		order := event.OrderID(limit.EntryID(), 1)
		client := venue.ClientOrderID(event.ClientOrderID(order))
		late := &lateOrder{Trading: b.paper.Account(b.ref(projectiontest.Margin)).Trading, place: venue.NewOrder{
			Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Limit, TimeInForce: venue.GTC, Price: decimal.NewFromInt(99000),
			Quantity: decimal.RequireFromString("0.06666"), ClientOrderID: client, SideEffect: venue.MarginBuy,
		}}
		row, err := b.Executor.ledger.Order(b.ctx, order.String(), 0)
		require.NoError(t, err)
		task, err := b.taskOf(b.ctx, row)
		require.NoError(t, err)
		task.lines.Trading = late
		row, err = b.cancelTask(b.ctx, task)
		require.NoError(t, err)
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, row.GetStatus())
		require.Equal(t, 2, late.cancels)
		require.Equal(t, projection.OrderAcknowledged, b.books.Row(stop).Status)
	})
	t.Run("of an order that nobody has", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.Cancel(b.ctx, uuid.NewString())
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

// lateOrder is a venue at which an order arrives after the first request to cancel it.
type lateOrder struct {
	venue.Trading
	place   venue.NewOrder
	cancels int
}

func (v *lateOrder) Cancel(ctx context.Context, in venue.CancelOrder) (venue.Order, error) {
	v.cancels++
	order, err := v.Trading.Cancel(ctx, in)
	if v.cancels == 1 {
		v.place.Stamp = clock.System().Now()
		if _, placeErr := v.Place(ctx, v.place); placeErr != nil {
			return venue.Order{}, placeErr
		}
	}
	return order, err
}

// One order that cannot be dealt with holds up no other.
func TestSweep_GoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Stop()
	var orders []uuid.UUID
	for _, p := range []projectiontest.Plan{projectiontest.Long("p"), projectiontest.Short("q")} { // of the spot and the margin account
		b.entry(p)
		b.books.Do(t, func(l *projectiontest.Log) error {
			_, err := l.Append(l.Claim(p.EntryID(), 1))
			return err
		})
		orders = append(orders, event.OrderID(p.EntryID(), 1))
	}
	books, err := ledger.New(clock.System(), ledger.Deps{Appender: b.books, Reader: b.books, Workers: b.books, State: noSpot{b.books}}, ledger.Config{})
	require.NoError(t, err)
	e, err := New(slog.New(slog.DiscardHandler), clock.System(), books, b.desk, Config{AskFirst: 10 * time.Millisecond, SweepEvery: 20 * time.Millisecond, Young: 100 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context()))
	t.Cleanup(e.Stop)
	require.Eventually(t, func() bool { return b.books.Row(orders[1]).Status == projection.OrderRejected }, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, projection.OrderSubmitted, b.books.Row(orders[0]).Status, "nobody can be asked about it")
	require.ErrorContains(t, e.sweep(b.ctx), orders[0].String())
	count, oldest := e.unresolved()
	require.Equal(t, 1, count, "what its metric shows")
	require.GreaterOrEqual(t, oldest, 100*time.Millisecond)
}

// noSpot cannot give the spot account's row.
type noSpot struct{ *ledgertest.Books }

func (n noSpot) GetAccount(ctx context.Context, in *projectorv1.GetAccountRequest, opts ...grpc.CallOption) (*projectorv1.GetAccountResponse, error) {
	if in.GetAccountId() == projectiontest.Spot.String() {
		return nil, fault.New(fault.Corrupt, "TEST", "unreadable")
	}
	return n.Books.GetAccount(ctx, in, opts...)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.openWithStop(projectiontest.Long("p"))
	row, err := b.Resolve(b.ctx, stop.String())
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, row.GetStatus())
	_, err = b.paper.CancelByExchange(t.Context(), b.ref(projectiontest.Spot), "BTCUSDT", venue.ClientOrderID(event.ClientOrderID(stop)))
	require.NoError(t, err)
	row, err = b.Resolve(b.ctx, stop.String())
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, row.GetStatus())
	require.NoError(t, b.CatchUp(b.ctx, projectiontest.Spot.String()))
	ended, _ := b.entry(projectiontest.Short("q"))
	_, err = b.EndIntent(b.ctx, ended, "expired")
	require.NoError(t, err)
	row, err = b.Resolve(b.ctx, event.OrderID(ended, 1).String())
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_REJECTED, row.GetStatus())
}

// A venue whose answers lag does not show an order that it has acknowledged, long after the order could have been given up: it is no
// rejection, and the asking ends.
func TestResolve_KnownOrderNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.openWithStop(projectiontest.Long("p"))
	b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultQueryLag, Operation: venue.OpQuery, Count: 1000})
	row, err := b.Resolve(b.ctx, stop.String())
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, row.GetStatus())
	require.Empty(t, b.books.Events("ORDER_REJECTED"))
	b.faults(projectiontest.Spot)
	row, err = b.Resolve(b.ctx, stop.String())
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_ACKNOWLEDGED, row.GetStatus())
}

// The caller's time is over before the outcome is known: it gets the order as it stands, and the asking goes on.
func TestExecute_AnswersInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultDropBefore, Operation: venue.OpPlace, Count: 1})
	intent, order := b.entry(projectiontest.Long("p"))
	ctx, cancel := context.WithTimeout(b.ctx, answerReserve+50*time.Millisecond)
	defer cancel()
	result, err := b.Execute(ctx, intent, 1)
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED, result.Order.GetStatus())
	require.True(t, result.Order.GetNeedsResolution())
	require.Eventually(t, func() bool { return b.books.Row(order).Status == projection.OrderRejected }, 5*time.Second, 5*time.Millisecond)
}

// Whoever asks for an order that another is still sending gets the outcome too, or the state when its time is over.
func TestExecute_WaitsForTheSender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.faults(projectiontest.Spot, engine.Fault{Kind: engine.FaultSlow, Operation: venue.OpPlace, Count: 1, Delay: 60 * time.Millisecond})
	intent, _ := b.entry(projectiontest.Long("p"))
	results := make(chan Result, 2)
	var group sync.WaitGroup
	for _, e := range []*Executor{b.Executor, b.replica()} {
		group.Go(func() {
			result, err := e.Execute(b.ctx, intent, 1)
			if err != nil {
				t.Error(err)
			}
			results <- result
		})
	}
	group.Wait()
	close(results)
	for result := range results {
		require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, result.Order.GetStatus())
	}

	q, _ := b.entry(projectiontest.Short("q"))
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Claim(q, 1))
		return err
	})
	ctx, cancel := context.WithTimeout(b.ctx, answerReserve+20*time.Millisecond)
	defer cancel()
	result, err := b.Execute(ctx, q, 1)
	require.NoError(t, err)
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_SUBMITTED, result.Order.GetStatus())
	gone, leave := context.WithCancel(b.ctx)
	leave()
	_, err = b.Execute(gone, q, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestExecutor_Stopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	intent, order := b.entry(projectiontest.Long("p"))
	b.Stop()
	_, err := b.Execute(b.ctx, intent, 1)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Zero(t, b.placed(projectiontest.Spot, order), "it claims, and does not send what nobody could follow up")
	never, err := New(nil, clock.System(), b.books.Ledger(), b.desk, Config{})
	require.NoError(t, err)
	never.Stop()
	require.False(t, never.Started())
	_, err = never.Cancel(b.ctx, order.String())
	require.Error(t, err)
}
