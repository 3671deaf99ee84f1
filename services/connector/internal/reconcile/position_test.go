package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/line"
	"github.com/robson/robson/services/connector/internal/venue"
)

// later is a clock that is an hour ahead.
type later struct{ clock.Clock }

func (l later) Now() time.Time { return l.Clock.Now().Add(time.Hour) }

// active takes a plan up to its active position, at the venue and in the log.
func (b *bench) active(p projectiontest.Plan) {
	b.t.Helper()
	b.clock = later{b.clock} // what the test does has come to rest
	b.place(event.ClientOrderID(b.claimed(p)), venue.Market, "0.06666", "0")
	b.run()
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Opened(p, "95000", "0.06666"))
		return err
	})
}

// protect rests the n-th stop of a plan, at the venue and as a claim in the log.
func (b *bench) protect(p projectiontest.Plan, n int, quantity string) venue.NewOrder {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		if _, err := l.Append(l.Protect(p, n, quantity, "93500")); err != nil {
			return err
		}
		_, err := l.Append(l.Claim(projectiontest.ProtectID(p, n), 1))
		return err
	})
	order := venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.StopLoss, Quantity: num(quantity), StopPrice: num("93500"), Stamp: clock.System().Now(),
		ClientOrderID: venue.ClientOrderID(event.ClientOrderID(event.OrderID(projectiontest.ProtectID(p, n), 1))),
	}
	_, err := b.paper.Account(b.ref).Trading.Place(b.ctx, order)
	require.NoError(b.t, err)
	return order
}

// evidence is what the newest discrepancy says.
func (b *bench) evidence() *eventv1.DiscrepancyDetected {
	b.t.Helper()
	told := b.books.Events("DISCREPANCY_DETECTED")
	require.NotEmpty(b.t, told)
	return told[len(told)-1].GetPayload().GetDiscrepancyDetected()
}

// An active position without a live stop for all of it is told of, and told to be over when it is.
func TestReconcile_Unprotected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	b.active(p)
	b.run()
	bare := b.evidence()
	require.Equal(t, "position:"+p.PositionID().String(), bare.GetEntity())
	require.Equal(t, p.PositionID().String(), bare.GetPositionId())
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, bare.GetKind())
	require.Equal(t, map[string]string{"live_stops": "0"}, bare.GetActual())
	require.EqualValues(t, 1, b.settled().Completed.GetUnresolved())

	short := b.protect(p, 1, "0.05")
	require.Equal(t, []string{bare.GetDiscrepancyId()}, b.run().Completed.GetResolvedIds())
	b.run()
	part := b.evidence()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH, part.GetKind())
	require.Equal(t, map[string]string{"stop_quantity": "0.05"}, part.GetActual())
	require.Equal(t, map[string]string{"stop_quantity": "0.06659334"}, part.GetExpected())

	_, err := b.paper.CancelByExchange(b.ctx, b.ref, "BTCUSDT", short.ClientOrderID)
	require.NoError(t, err)
	b.run()
	require.Equal(t, "status_mismatch auto_repaired", b.kinds()[len(b.kinds())-1], "that the stop is gone has just been told: it is being seen to")
	b.protect(p, 2, "0.06659")
	b.run()
	require.Zero(t, b.settled().Completed.GetUnresolved(), "less than a lot cannot be stopped")
}

// What a position lacked is of no interest once it is closed.
func TestReconcile_UnprotectedUntilClosed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	b.active(p)
	b.run()
	bare := b.evidence()
	b.books.Do(t, func(l *projectiontest.Log) error {
		for _, payload := range []func() error{
			func() error { _, err := l.Append(l.Leaving(p, eventv1.ExitReason_EXIT_REASON_USER_CLOSE)); return err },
			func() error { _, err := l.Append(l.Exit(p, 1, "0.06659")); return err },
			func() error { _, err := l.Append(l.Claim(projectiontest.ExitID(p, 1), 1)); return err },
		} {
			if err := payload(); err != nil {
				return err
			}
		}
		return nil
	})
	_, err := b.paper.Account(b.ref).Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: num("0.06659"), Stamp: clock.System().Now(),
		ClientOrderID: venue.ClientOrderID(event.ClientOrderID(event.OrderID(projectiontest.ExitID(p, 1), 1))),
	})
	require.NoError(t, err)
	b.run()
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Closed(p, eventv1.ExitReason_EXIT_REASON_USER_CLOSE))
		return err
	})
	report := b.run()
	require.Zero(t, report.Completed.GetUnresolved())
	closed := false
	for _, e := range b.books.Events("RECONCILIATION_COMPLETED") {
		for _, id := range e.GetPayload().GetReconciliationCompleted().GetResolvedIds() {
			closed = closed || id == bare.GetDiscrepancyId()
		}
	}
	require.True(t, closed)
}

// The owner sells by hand what a position holds: the position cannot be left any more, and is told of by two looks.
func TestReconcile_StalePosition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	b.active(p)
	b.protect(p, 1, "0.01")
	b.run()
	b.sellByHand("0.02")
	b.run()
	stale := b.evidence()
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION, stale.GetKind())
	require.Equal(t, "position:"+p.PositionID().String(), stale.GetEntity())
	require.Equal(t, map[string]string{"asset": "BTC", "held_by_positions": "0.06659334"}, stale.GetExpected())
	require.Equal(t, map[string]string{"held_at_venue": "0.04659334"}, stale.GetActual())
	require.NotContains(t, b.kinds(), "balance_mismatch needs_operator", "the trade by hand explains the balance")
	b.settled()

	b.sellByHand("0.01")
	require.Equal(t, []string{stale.GetDiscrepancyId()}, b.run().Completed.GetResolvedIds(), "it is told anew")
	staler := b.evidence()
	require.Equal(t, map[string]string{"held_at_venue": "0.03659334"}, staler.GetActual())
	b.settled()
	b.place("by-hand", venue.Market, "0.04", "0")
	require.Equal(t, []string{staler.GetDiscrepancyId()}, b.run().Completed.GetResolvedIds(), "there is enough again")
	b.settled()
}

// sellByHand sells what the account holds without a word of ours.
func (b *bench) sellByHand(quantity string) {
	b.t.Helper()
	_, err := b.paper.Account(b.ref).Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: num(quantity), Stamp: clock.System().Now(), ClientOrderID: "by-hand",
	})
	require.NoError(b.t, err)
}

// One exit at a time leaves a position.
func TestReconcile_TwoExits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	b.active(p)
	b.books.Do(t, func(l *projectiontest.Log) error {
		if _, err := l.Append(l.Leaving(p, eventv1.ExitReason_EXIT_REASON_USER_CLOSE)); err != nil {
			return err
		}
		for n := range 2 {
			if _, err := l.Append(l.Exit(p, n, "0.03")); err != nil {
				return err
			}
			if _, err := l.Append(l.Claim(projectiontest.ExitID(p, n), 1)); err != nil {
				return err
			}
		}
		return nil
	})
	b.run()
	twice := b.evidence()
	require.Equal(t, "position:"+p.PositionID().String(), twice.GetEntity())
	require.Equal(t, map[string]string{"live_exits": "2"}, twice.GetActual())
	b.settled()
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Rejected(l.Intent(projectiontest.ExitID(p, 1)), 1))
		return err
	})
	require.Equal(t, []string{twice.GetDiscrepancyId()}, b.run().Completed.GetResolvedIds())
}

// A loan that the log does not know is told of until it does.
func TestReconcile_Loans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account = projectiontest.Margin.String()
	row, err := b.books.Ledger().Account(b.ctx, b.account)
	require.NoError(t, err)
	b.ref = line.Ref(b.books.Tenant(), row)
	_, err = b.paper.Deposit(b.ctx, b.ref, "margin", "isolated:BTCUSDT", "USDT", num("20000"))
	require.NoError(t, err)
	require.Empty(t, b.run().Found)
	p := projectiontest.Short("q")
	_, err = b.paper.Account(b.ref).Trading.Place(b.ctx, venue.NewOrder{
		Symbol: "BTCUSDT", Side: venue.Sell, Type: venue.Market, Quantity: num("0.06666"), SideEffect: venue.MarginBuy, Stamp: clock.System().Now(),
		ClientOrderID: venue.ClientOrderID(event.ClientOrderID(b.claimed(p))),
	})
	require.NoError(t, err)
	b.run()
	require.Contains(t, b.kinds(), "balance_mismatch needs_operator")
	var owed *eventv1.DiscrepancyDetected
	for _, e := range b.books.Events("DISCREPANCY_DETECTED") {
		if d := e.GetPayload().GetDiscrepancyDetected(); d.GetEntity() == "loan:isolated:BTCUSDT/BTC" {
			owed = d
		}
	}
	require.NotNil(t, owed, "%v", b.kinds())
	require.Equal(t, map[string]string{"borrowed": "0"}, owed.GetExpected())
	require.Equal(t, map[string]string{"borrowed": "0.06666"}, owed.GetActual())
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(&eventv1.MarginBorrowed{
			AccountId: b.account, Symbol: "BTCUSDT", Asset: "BTC", Amount: "0.06666", OrderId: event.OrderID(p.EntryID(), 1).String(), Via: eventv1.BorrowVia_BORROW_VIA_ORDER_SIDE_EFFECT,
		})
		return err
	})
	require.Contains(t, b.run().Completed.GetResolvedIds(), owed.GetDiscrepancyId())
}
