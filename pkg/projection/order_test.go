package projection_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The facts of the table in domain 1.2, as letters: a ack, f fill of a half, F fill of all, G fill of the second half,
// c canceled, e expired, r rejected, p uncertain placing, q uncertain cancel.
func fact(log *projectiontest.Log, intent *projection.Intent, letter rune) proto.Message {
	quantity, half := intent.Quantity.String(), intent.Quantity.Shift(-1).Mul(dec("5")).String()
	switch letter {
	case 'a':
		return log.Ack(intent, 1)
	case 'f':
		return log.Fill(intent, 1, projectiontest.Trade{ID: "f", Price: "95000", Quantity: half})
	case 'G':
		return log.Fill(intent, 1, projectiontest.Trade{ID: "G", Price: "95100", Quantity: half})
	case 'F':
		return log.Fill(intent, 1, projectiontest.Trade{ID: "F", Price: "95000", Quantity: quantity})
	case 'c':
		return log.Canceled(intent, 1, "0")
	case 'e':
		return log.Expired(intent, 1, "0")
	case 'r':
		return log.Rejected(intent, 1)
	case 'p':
		return log.Uncertain(intent, 1, "place")
	default:
		return log.Uncertain(intent, 1, "cancel")
	}
}

// Status is a function of the set of facts, with the claim first or, taken in later, last; whatever the order.
func TestOrder_status_follows_from_the_set_of_facts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		facts      string
		want       projection.OrderStatus
		unresolved bool
		anomalies  bool
	}{
		{facts: "", want: projection.OrderSubmitted},
		{facts: "a", want: projection.OrderAcknowledged},
		{facts: "f", want: projection.OrderPartial},
		{facts: "F", want: projection.OrderFilled},
		{facts: "fG", want: projection.OrderFilled},
		{facts: "c", want: projection.OrderCanceled},
		{facts: "e", want: projection.OrderExpired},
		{facts: "r", want: projection.OrderRejected},
		{facts: "fa", want: projection.OrderPartial},
		{facts: "Fa", want: projection.OrderFilled},
		{facts: "ca", want: projection.OrderCanceled},
		{facts: "cf", want: projection.OrderCanceled, anomalies: true}, // The cancel told of no fill.
		{facts: "cF", want: projection.OrderFilled, anomalies: true},
		{facts: "ef", want: projection.OrderExpired, anomalies: true},
		{facts: "eF", want: projection.OrderFilled, anomalies: true},
		{facts: "ce", want: projection.OrderCanceled, anomalies: true},
		{facts: "ra", want: projection.OrderRejected, anomalies: true},
		{facts: "rf", want: projection.OrderPartial, anomalies: true},
		{facts: "rF", want: projection.OrderFilled, anomalies: true},
		{facts: "rc", want: projection.OrderCanceled, anomalies: true},
		{facts: "re", want: projection.OrderExpired, anomalies: true},
		{facts: "p", want: projection.OrderSubmitted, unresolved: true},
		{facts: "pa", want: projection.OrderAcknowledged},
		{facts: "pf", want: projection.OrderPartial},
		{facts: "pr", want: projection.OrderRejected},
		{facts: "aq", want: projection.OrderAcknowledged, unresolved: true},
		{facts: "qc", want: projection.OrderCanceled},
		{facts: "qF", want: projection.OrderFilled},
		{facts: "fq", want: projection.OrderPartial, unresolved: true},
	}
	for _, test := range tests {
		t.Run("facts "+test.facts, func(t *testing.T) {
			t.Parallel()
			for _, facts := range permutations([]rune(test.facts)) {
				log, plan := registered(t), projectiontest.Long("a")
				intent := entered(t, log, plan)
				raised := appendFacts(t, log, intent, facts)
				order := log.Order(event.OrderID(plan.EntryID(), 1))
				require.Equal(t, test.want, order.Status, string(facts))
				require.Equal(t, test.unresolved, order.NeedsResolution, string(facts))
				if !test.anomalies {
					require.Empty(t, raised, string(facts))
				}
				requireRecoveredLater(t, facts, order, log.Position(plan.PositionID()))
			}
		})
	}
}

func appendFacts(t *testing.T, log *projectiontest.Log, intent *projection.Intent, facts []rune) []projection.Anomaly {
	t.Helper()
	var raised []projection.Anomaly
	for _, letter := range facts {
		anomalies, err := log.Append(fact(log, intent, letter))
		require.NoError(t, err)
		raised = append(raised, anomalies...)
	}
	return raised
}

// requireRecoveredLater takes the claim in after the facts, and wants the same order and the same position.
func requireRecoveredLater(t *testing.T, facts []rune, want *projection.Order, wantPosition *projection.Position) {
	t.Helper()
	if len(facts) == 0 {
		return
	}
	log, plan := registered(t), projectiontest.Long("a")
	require.NoError(t, log.Opening(plan))
	intent := log.Intent(plan.EntryID())
	require.NotEmpty(t, appendFacts(t, log, intent, facts))
	require.False(t, log.Order(want.OrderID).Known)
	require.True(t, log.Position(plan.PositionID()).EntryQuantity.IsZero())
	claim := log.Claim(plan.EntryID(), 1)
	refuse(t, log, "ORDER_EXISTS", claim)
	claim.Recovered = true
	_, err := log.Append(claim)
	require.NoError(t, err)
	order, position := log.Order(want.OrderID), log.Position(plan.PositionID())
	require.Equal(t, want.Status, order.Status, string(facts))
	require.Equal(t, want.NeedsResolution, order.NeedsResolution, string(facts))
	require.True(t, want.FilledQuantity.Equal(order.FilledQuantity))
	require.True(t, want.CumQuote.Equal(order.CumQuote))
	require.True(t, order.Recovered)
	require.True(t, wantPosition.EntryQuantity.Equal(position.EntryQuantity))
	require.True(t, wantPosition.EntryCost.Equal(position.EntryCost))
	require.True(t, wantPosition.CurrentQuantity.Equal(position.CurrentQuantity))
	require.Equal(t, wantPosition.EntryDone, position.EntryDone)
	require.True(t, wantPosition.Exposure.Equal(position.Exposure))
	refuse(t, log, "ORDER_NOT_RECOVERABLE", claim)
}

func permutations(letters []rune) [][]rune {
	if len(letters) < 2 {
		return [][]rune{letters}
	}
	var all [][]rune
	for i := range letters {
		rest := append(append([]rune{}, letters[:i]...), letters[i+1:]...)
		for _, tail := range permutations(rest) {
			all = append(all, append([]rune{letters[i]}, tail...))
		}
	}
	return all
}

func TestOrder_facts_that_do_not_fit_are_recorded_and_flagged(t *testing.T) {
	t.Parallel()
	type setup struct {
		log    *projectiontest.Log
		plan   projectiontest.Plan
		intent *projection.Intent
	}
	tests := []struct {
		name     string
		before   string
		fact     func(s setup) proto.Message
		kind     eventv1.DiscrepancyKind
		severity eventv1.Severity
	}{
		{"overfill", "F", func(s setup) proto.Message {
			return s.log.Fill(s.intent, 1, projectiontest.Trade{ID: "x", Price: "95000", Quantity: "0.01"})
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL, eventv1.Severity_SEVERITY_CRITICAL},
		{"another exchange id", "a", func(s setup) proto.Message {
			ack := s.log.Ack(s.intent, 1)
			ack.ExchangeOrderId = "another"
			return ack
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL},
		{"another account", "", func(s setup) proto.Message {
			ack := s.log.Ack(s.intent, 1)
			ack.AccountId = projectiontest.Margin.String()
			return ack
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL},
		{
			"rejected after an ack", "a", func(s setup) proto.Message { return s.log.Rejected(s.intent, 1) },
			eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL,
		},
		{"a price below zero", "", func(s setup) proto.Message {
			return s.log.Fill(s.intent, 1, projectiontest.Trade{ID: "x", Price: "-1", Quantity: "0.01"})
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL},
		{"a quote that is not price x quantity", "", func(s setup) proto.Message {
			fill := s.log.Fill(s.intent, 1, projectiontest.Trade{ID: "x", Price: "95000", Quantity: "0.01"})
			fill.QuoteQuantity = "950.00000002"
			return fill
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH, eventv1.Severity_SEVERITY_CRITICAL},
		{"a trade on the other side", "", func(s setup) proto.Message {
			fill := s.log.Fill(s.intent, 1, projectiontest.Trade{ID: "x", Price: "95000", Quantity: "0.01"})
			fill.Side = eventv1.Side_SIDE_SELL
			return fill
		}, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_TRADE, eventv1.Severity_SEVERITY_CRITICAL},
		{
			"an end that counts more than has come", "f", func(s setup) proto.Message { return s.log.Canceled(s.intent, 1, "0.05") },
			eventv1.DiscrepancyKind_DISCREPANCY_KIND_MISSED_FILL, eventv1.Severity_SEVERITY_WARNING,
		},
		{
			"an end that counts less than has come", "f", func(s setup) proto.Message { return s.log.Expired(s.intent, 1, "0") },
			eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH, eventv1.Severity_SEVERITY_WARNING,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			log, plan := registered(t), projectiontest.Long("a")
			s := setup{log, plan, entered(t, log, plan)}
			require.Empty(t, appendFacts(t, log, s.intent, []rune(test.before)))
			events := len(log.Events)
			anomaly := flagged(t, log, test.fact(s))
			require.Equal(t, test.kind, anomaly.Kind)
			require.Equal(t, test.severity, anomaly.Severity)
			require.Len(t, log.Events, events+2) // The fact, and its discrepancy.
			payload, ok := log.Events[events+1].Payload.(*eventv1.DiscrepancyDetected)
			require.True(t, ok)
			row := get[projection.Discrepancy](t, log, projection.DiscrepancyKey(uuidOf(t, payload.GetDiscrepancyId())))
			require.True(t, row.IsOpen)
			require.Equal(t, event.OrderID(plan.EntryID(), 1), row.OrderID.UUID)
			if test.kind == eventv1.DiscrepancyKind_DISCREPANCY_KIND_OVERFILL {
				require.Equal(t, projection.OrderFilled, log.Order(row.OrderID.UUID).Status)
				equal(t, "0.07666", log.Position(plan.PositionID()).EntryQuantity) // Recorded all the same.
			}
		})
	}
}

func TestOrder_a_fact_about_an_unknown_order_makes_a_stub(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	require.NoError(t, log.Opening(plan))
	intent := log.Intent(plan.EntryID())
	anomaly := flagged(t, log, log.Fill(intent, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.01", Fee: "0.00001", FeeAsset: "BTC"}))
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_UNKNOWN_ORDER, anomaly.Kind)
	add(t, log, log.Ack(intent, 1)) // The stub is known from now on: no second discrepancy.
	order := log.Order(event.OrderID(plan.EntryID(), 1))
	require.False(t, order.Known)
	require.Equal(t, projection.OrderPartial, order.Status)
	equal(t, "0.00001", order.BaseFee)
	claim := log.Claim(plan.EntryID(), 1)
	claim.Recovered = true
	add(t, log, claim)
	equal(t, "0.00999", log.Position(plan.PositionID()).CurrentQuantity)
}

func TestOrder_a_late_fill_leaves_a_closed_position_as_it_was(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	intent := entered(t, log, plan)
	add(t, log, log.Canceled(intent, 1, "0"), log.Closed(plan, eventv1.ExitReason_EXIT_REASON_ENTRY_FAILED))
	closed := log.Position(plan.PositionID())
	risk := log.Risk(projectiontest.Spot, nilID)
	anomaly := flagged(t, log, log.Fill(intent, 1, projectiontest.Trade{ID: "t1", Price: "95000", Quantity: "0.01"}))
	require.Equal(t, eventv1.DiscrepancyKind_DISCREPANCY_KIND_STALE_POSITION, anomaly.Kind)
	equal(t, "0.01", log.Order(event.OrderID(plan.EntryID(), 1)).FilledQuantity)
	require.Same(t, closed, log.Position(plan.PositionID()))
	require.Same(t, risk, log.Risk(projectiontest.Spot, nilID))
}

func TestOrder_an_exit_of_more_than_is_held_is_flagged(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	s2(t, log, plan)
	add(t, log, log.Leaving(plan, eventv1.ExitReason_EXIT_REASON_PANIC), log.Exit(plan, 1, "0.06659"))
	add(t, log, log.Claim(projectiontest.ExitID(plan, 1), 1))
	exit := log.Intent(projectiontest.ExitID(plan, 1))
	anomalies, err := log.Append(log.Fill(exit, 1, projectiontest.Trade{ID: "x", Price: "95000", Quantity: "0.07"}))
	require.NoError(t, err)
	require.Len(t, anomalies, 2) // An overfill, and more sold than was held.
	require.True(t, log.Position(plan.PositionID()).CurrentQuantity.IsNegative())
	add(t, log, log.Closed(plan, eventv1.ExitReason_EXIT_REASON_PANIC))
	require.True(t, log.Position(plan.PositionID()).DustQuantity.Decimal.IsZero())
}

func TestOrder_fees_of_different_assets_are_never_added(t *testing.T) {
	t.Parallel()
	log, plan := registered(t), projectiontest.Long("a")
	intent := entered(t, log, plan)
	add(t, log,
		log.Fill(intent, 1, projectiontest.Trade{ID: "1", Price: "95000", Quantity: "0.01", Fee: "0.00001", FeeAsset: "BTC"}),
		log.Fill(intent, 1, projectiontest.Trade{ID: "2", Price: "95000", Quantity: "0.01", Fee: "0.95", FeeAsset: "USDT"}),
		log.Fill(intent, 1, projectiontest.Trade{ID: "3", Price: "95000", Quantity: "0.01", Fee: "0.001", FeeAsset: "BNB"}))
	order := log.Order(event.OrderID(plan.EntryID(), 1))
	require.Equal(t, projection.Amounts{"BTC": dec("0.00001"), "USDT": dec("0.95"), "BNB": dec("0.001")}, order.Fees)
	equal(t, "1.9", order.FeeQuote) // 0.00001 x 95000 + 0.95; BNB could not be valued, and is counted.
	require.EqualValues(t, 1, order.UnvaluedFees)
	position := log.Position(plan.PositionID())
	equal(t, "0.02999", position.CurrentQuantity)
	equal(t, "1.9", position.TotalFees)
	require.EqualValues(t, 1, position.UnvaluedFees)
}
