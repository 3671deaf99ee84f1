package reconcile

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/connector/internal/fact"
	"github.com/robson/robson/services/connector/internal/venue"
)

// intended takes a plan up to its entry intent, which nobody claims, and gives the order of its first attempt.
func (b *bench) intended(p projectiontest.Plan) uuid.UUID {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error { return l.Opening(p) })
	return event.OrderID(p.EntryID(), 1)
}

// position is a plan's row.
func (b *bench) position(p projectiontest.Plan) (row projection.Position) {
	b.t.Helper()
	b.books.Do(b.t, func(l *projectiontest.Log) error {
		row = *l.Position(p.PositionID())
		return nil
	})
	return row
}

// names are the types of the log's events about an order, in order.
func (b *bench) names(order uuid.UUID) (out []string) {
	for _, e := range b.books.Events() {
		if e.GetStreamKey() == "order:"+order.String() {
			out = append(out, e.GetEventType())
		}
	}
	return out
}

// An order of ours is at the venue, and its claim is not in the log: it is taken in from its intent, and its fill reaches the position.
func TestReconcile_ClaimFromItsIntent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	order := b.intended(p)
	b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	report := b.run()
	require.Equal(t, []string{"ORDER_ACKED", "ORDER_SUBMITTED", "FILL_RECEIVED"}, b.names(order))
	require.Equal(t, []string{
		"missed_ack auto_repaired", "unknown_order needs_operator", "unknown_order auto_repaired", "missed_fill auto_repaired",
	}, b.kinds(), "the log tells of the fact without a claim")
	claim := b.books.Events("ORDER_SUBMITTED")[0]
	require.True(t, claim.GetPayload().GetOrderSubmitted().GetRecovered())
	require.Equal(t, b.books.Events("DISCREPANCY_DETECTED")[2].GetEventId(), claim.GetCausationId())
	require.Equal(t, b.books.Events("INTENT_CREATED")[0].GetTraceId(), claim.GetTraceId())
	row := b.books.Row(order)
	require.True(t, row.Known && row.Recovered)
	require.Equal(t, projection.OrderFilled, row.Status)
	require.Equal(t, "0.06659334", b.position(p).CurrentQuantity.String())
	require.Len(t, report.Completed.GetResolvedIds(), 1, "what the log told is explained")
	require.Zero(t, report.Completed.GetUnresolved())
	require.Equal(t, eventv1.ReconciliationStatus_RECONCILIATION_STATUS_REPAIRED, report.Completed.GetStatus())
	b.settled()
}

// The stream was quicker than the run: the claim alone is missing.
func TestReconcile_ClaimOfAKnownFill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	order := b.intended(p)
	placed := b.place(event.ClientOrderID(order), venue.Market, "0.06666", "0")
	stub := fact.Order{ID: order, Account: projectiontest.Spot, Symbol: "BTCUSDT", ClientOrderID: placed.Order.ClientOrderID}
	filled, err := fact.Filled(stub, placed.Trades[0], fact.Pricing{}, fact.Stream)
	require.NoError(t, err)
	_, err = b.books.Ledger().Record(b.ctx, fact.Acked(stub, placed.Order, fact.Stream), filled)
	require.NoError(t, err)
	require.True(t, b.position(p).CurrentQuantity.IsZero())
	require.Len(t, b.run().Completed.GetResolvedIds(), 1)
	require.Equal(t, []string{"ORDER_ACKED", "FILL_RECEIVED", "ORDER_SUBMITTED"}, b.names(order))
	require.Equal(t, "0.06659334", b.position(p).CurrentQuantity.String())
	require.Zero(t, b.settled().Completed.GetUnresolved())
}

// The claim of a second attempt is taken in as such.
func TestReconcile_ClaimOfASecondAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	b.claimed(p)
	b.books.Do(t, func(l *projectiontest.Log) error {
		_, err := l.Append(l.Rejected(l.Intent(p.EntryID()), 1))
		return err
	})
	second := event.OrderID(p.EntryID(), 2)
	b.place(event.ClientOrderID(second), venue.Market, "0.06666", "0")
	b.run()
	require.EqualValues(t, 2, b.books.Row(second).Attempt)
	require.Equal(t, "0.06659334", b.position(p).CurrentQuantity.String())
	b.settled()
}

// An order under the name of ours that is not what its intent wanted is nobody's, and told.
func TestReconcile_ClaimOfAnotherOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projectiontest.Long("p")
	order := b.intended(p)
	b.place(event.ClientOrderID(order), venue.Limit, "0.05", "90000")
	report := b.run()
	require.Contains(t, b.kinds(), "unknown_order needs_operator")
	require.Empty(t, b.books.Events("ORDER_SUBMITTED"))
	require.False(t, b.books.Row(order).Known)
	var told *eventv1.DiscrepancyDetected
	for _, e := range report.Found {
		if d := e.GetPayload().GetDiscrepancyDetected(); d.GetRunId() != "" && d.GetKind() == eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER {
			told = d
		}
	}
	require.Equal(t, map[string]string{"quantity": "0.06666", "type": "MARKET", "price": "0"}, told.GetExpected())
	require.Equal(t, map[string]string{"quantity": "0.05", "type": "LIMIT", "price": "90000"}, told.GetActual())
	require.EqualValues(t, 2, b.settled().Completed.GetUnresolved(), "the log's, that it has no claim, and the run's, why it gets none")
}

// An order under a name of our form that no intent leads to is told of; its facts are in the log, and no position has them.
func TestReconcile_ClaimWithoutIntent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := uuid.New()
	b.place(event.ClientOrderID(order), venue.Market, "0.01", "0")
	require.EqualValues(t, 1, b.run().Completed.GetUnresolved())
	require.Equal(t, []string{"ORDER_ACKED", "FILL_RECEIVED"}, b.names(order))
	require.Equal(t, "unknown_order needs_operator", b.kinds()[1])
	require.False(t, b.books.Row(order).PositionID.Valid)
	require.EqualValues(t, 1, b.settled().Completed.GetUnresolved())
}
