package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	connectorv1 "github.com/robson/robson/proto/gen/go/robson/connector/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Short names of faults.
const (
	dropBefore         = connectorv1.FaultKind_FAULT_KIND_DROP_BEFORE
	acceptThenTimeout  = connectorv1.FaultKind_FAULT_KIND_ACCEPT_THEN_TIMEOUT
	acceptThen5xx      = connectorv1.FaultKind_FAULT_KIND_ACCEPT_THEN_5XX
	reject             = connectorv1.FaultKind_FAULT_KIND_REJECT
	queryLag           = connectorv1.FaultKind_FAULT_KIND_QUERY_LAG
	cancelAfterPartial = connectorv1.FaultKind_FAULT_KIND_CANCEL_AFTER_PARTIAL
)

// once is a fault that meets one request.
func once(kind connectorv1.FaultKind, operation string) *connectorv1.Fault {
	return &connectorv1.Fault{Kind: kind, Operation: operation, Count: 1}
}

// insufficient is the venue's refusal for want of money.
const insufficient = -2010

// ordersOf are a position's orders of a kind, oldest first.
func ordersOf(claims []*eventv1.Event, kind eventv1.ReduceIntent) []string {
	var list []string
	for _, e := range only(claims, "ORDER_SUBMITTED") {
		if e.GetPayload().GetOrderSubmitted().GetReduceIntent() == kind {
			list = append(list, e.GetPayload().GetOrderSubmitted().GetOrderId())
		}
	}
	return list
}

// order reads an order's row.
func (u *user) order(id string) *projectorv1.Order {
	u.t.Helper()
	response, err := u.state().GetOrder(u.ctx(), &projectorv1.GetOrderRequest{OrderId: id, MinPosition: u.head()})
	require.NoError(u.t, err)
	return response.GetOrder()
}

// TestScenarioS8AnOrderThatWasTakenAndNotAnsweredIsFoundOutAndSentOnce: by a time-out, by a server error, and when the
// venue's queries do not show the order at first either.
func TestScenarioS8AnOrderThatWasTakenAndNotAnsweredIsFoundOutAndSentOnce(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	for name, faults := range map[string][]*connectorv1.Fault{
		"a time-out":                  {once(acceptThenTimeout, "place")},
		"a server error":              {once(acceptThen5xx, "place")},
		"a time-out, and queries lag": {once(acceptThenTimeout, "place"), {Kind: queryLag, Operation: "query", Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			u := u.in(t)
			account := u.account()
			u.faults(account, faults...)
			before := u.head()
			opened := u.open(longBTC(account))
			events := u.readLog(before)
			entries := ordersOf(events, eventv1.ReduceIntent_REDUCE_INTENT_ENTRY)
			require.Len(t, entries, 1, "it is never sent again")

			var course []*eventv1.Event
			for _, e := range events {
				uncertain := e.GetPayload().GetExchangeStateUncertain()
				if e.GetStreamKey() == "order:"+entries[0] || uncertain.GetOrderId() == entries[0] {
					course = append(course, e)
				}
			}
			// The venue's own report may be here before we have given up waiting for the answer.
			require.Equal(t, "ORDER_SUBMITTED", course[0].GetEventType())
			require.ElementsMatch(t, []string{"ORDER_SUBMITTED", "EXCHANGE_STATE_UNCERTAIN", "ORDER_ACKED", "FILL_RECEIVED"}, types(course))
			require.Equal(t, []string{"ORDER_ACKED", "FILL_RECEIVED"}, types(only(course, "ORDER_ACKED", "FILL_RECEIVED")))
			for _, e := range course[1:] {
				require.Equal(t, course[0].GetEventId(), e.GetCausationId(), "%s is caused by the claim", e.GetEventType())
				require.Equal(t, opened.GetOutcome().GetTraceId(), e.GetTraceId())
			}
			require.Contains(t, []eventv1.Source{eventv1.Source_SOURCE_RECONCILE, eventv1.Source_SOURCE_WS}, only(course, "ORDER_ACKED")[0].GetPayload().GetOrderAcked().GetSource())

			row := u.order(entries[0])
			require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_FILLED, row.GetStatus())
			require.False(t, row.GetNeedsResolution())
			require.Equal(t, "0.06659334", u.position(opened.GetPositionId()).GetCurrentQuantity()) // 0.06666 - 0.00006666
			u.requireOneSend(account)
		})
	}
}

// TestAnEntryThatTheVenueRefusesEndsItsPosition: definitively, so nothing is uncertain and nothing is tried again.
func TestAnEntryThatTheVenueRefusesEndsItsPosition(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	refusal := once(reject, "place")
	refusal.Code = insufficient
	u.faults(account, refusal)
	before := u.head()
	opened := u.open(longBTC(account))
	events := u.readLog(before)
	rejected := only(events, "ORDER_REJECTED")
	require.Len(t, rejected, 1)
	require.Equal(t, eventv1.RejectStage_REJECT_STAGE_EXCHANGE, rejected[0].GetPayload().GetOrderRejected().GetStage())
	require.Equal(t, int32(insufficient), rejected[0].GetPayload().GetOrderRejected().GetErrorCode())
	require.Zero(t, count(events)["EXCHANGE_STATE_UNCERTAIN"])
	require.Len(t, only(events, "ORDER_SUBMITTED"), 1)
	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_CLOSED, p.GetState())
	require.Equal(t, []string{"entry_failed", "0"}, []string{p.GetExitReason(), p.GetNetPnl()})
	risk, err := u.state().ListRiskStates(u.ctx(), &projectorv1.ListRiskStatesRequest{AccountId: account, MinPosition: u.head()})
	require.NoError(t, err)
	require.Equal(t, "0", risk.GetRiskStates()[0].GetOpenRisk(), "nothing is at risk any more")

	again := u.open(longBTC(account))
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ACTIVE, u.position(again.GetPositionId()).GetState(), "a new command may try anew")
	u.requireOneSend(account)
}

// TestAnEntryThatTheVenueCancelsHalfwayIsAPositionOfHalf.
func TestAnEntryThatTheVenueCancelsHalfwayIsAPositionOfHalf(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	u.faults(account, once(cancelAfterPartial, "place"))
	opened := u.open(longBTC(account))
	p := u.position(opened.GetPositionId())
	require.Equal(t, projectorv1.PositionState_POSITION_STATE_ACTIVE, p.GetState())
	// Half of 0.06666, less 0.1 %.
	require.Equal(t, []string{"0.03333", "0.03329667"}, []string{p.GetEntryQuantity(), p.GetCurrentQuantity()})
	entry := u.order(p.GetEntryOrderId())
	require.Equal(t, projectorv1.OrderStatus_ORDER_STATUS_CANCELED, entry.GetStatus())
	require.Equal(t, []string{"exchange", "0.03333"}, []string{entry.GetCanceledBy(), entry.GetFilledQuantity()})
	require.Equal(t, "0.03329", u.order(p.GetStopLossOrderId()).GetQuantity(), "the resting stop covers what is held")
	closed := u.close(opened.GetPositionId())
	require.Equal(t, []string{"0.03329", "0.00000667"}, []string{closed.GetExitQuantity(), closed.GetDustQuantity()})
	// 0.00003333 x 95000 + 0.03329 x 95000 x 0.1 % = 3.16635 + 3.16255
	require.Equal(t, "-6.3289", closed.GetNetPnl())
	u.requireOneSend(account)
}

// TestAnExitGoesOnUntilNothingIsHeld, whatever the venue does to its orders.
func TestAnExitGoesOnUntilNothingIsHeld(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	refusals := once(reject, "place")
	refusals.Code, refusals.Count = insufficient, 2
	for name, c := range map[string]struct {
		faults []*connectorv1.Fault
		exits  int
		sold   string
	}{
		"canceled halfway by the venue":         {[]*connectorv1.Fault{once(cancelAfterPartial, "place")}, 2, "0.06659"},
		"refused twice":                         {[]*connectorv1.Fault{refusals}, 3, "0.06659"},
		"taken and not answered":                {[]*connectorv1.Fault{once(acceptThenTimeout, "place")}, 1, "0.06659"},
		"the stop's cancel lost on its way":     {[]*connectorv1.Fault{once(dropBefore, "cancel")}, 1, "0.06659"},
		"the stop's cancel done, not answered":  {[]*connectorv1.Fault{once(acceptThenTimeout, "cancel")}, 1, "0.06659"},
		"the stop's cancel done, queries lag":   {[]*connectorv1.Fault{once(acceptThen5xx, "cancel"), {Kind: queryLag, Operation: "query", Count: 2}}, 1, "0.06659"},
		"lost, then taken and not answered too": {[]*connectorv1.Fault{once(dropBefore, "place"), once(acceptThenTimeout, "place")}, 2, "0.06659"},
	} {
		t.Run(name, func(t *testing.T) {
			u := u.in(t)
			account := u.account()
			opened := u.open(longBTC(account))
			u.faults(account, c.faults...)
			before := u.head()
			p := u.close(opened.GetPositionId())
			require.Equal(t, []string{"user_close", c.sold, "0.00000334"}, []string{p.GetExitReason(), p.GetExitQuantity(), p.GetDustQuantity()})
			// 0.00006666 x 95000 + 0.06659 x 95000 x 0.1 %, in however many parts
			require.Equal(t, "-12.65875", p.GetNetPnl())
			events := u.readLog(before)
			require.Equal(t, 1, count(events)["EXIT_TRIGGERED"])
			require.Equal(t, 1, count(events)["POSITION_CLOSED"])
			require.Len(t, ordersOf(events, eventv1.ReduceIntent_REDUCE_INTENT_EXIT), c.exits)
			u.requireNoTwoLive(opened.GetPositionId(), events)
			u.requireOneSend(account)
			require.Equal(t, "0.00000334", u.free(account, "spot", "BTC"))
		})
	}
}

// requireNoTwoLive holds that no order to reduce a position was claimed while another of them might be live.
func (u *user) requireNoTwoLive(position string, events []*eventv1.Event) {
	u.t.Helper()
	live := ""
	for _, e := range events {
		claim := e.GetPayload().GetOrderSubmitted()
		switch {
		case claim.GetPositionId() == position && claim.GetReduceIntent() != eventv1.ReduceIntent_REDUCE_INTENT_ENTRY:
			require.Empty(u.t, live, "order %s was claimed while another was live", claim.GetOrderId())
			live = e.GetStreamKey()
		case e.GetStreamKey() == live && u.ends(e):
			live = ""
		}
	}
	require.Empty(u.t, live)
}

// ends says whether an event ends its order.
func (u *user) ends(e *eventv1.Event) bool {
	u.t.Helper()
	switch e.GetEventType() {
	case "ORDER_REJECTED", "ORDER_CANCELED", "ORDER_EXPIRED":
		return true
	case "FILL_RECEIVED": // of orders that are filled at once
		sold := u.query(&eventlogv1.EventFilter{OrderId: e.GetPayload().GetFillReceived().GetOrderId(), EventTypes: []string{"ORDER_SUBMITTED"}})
		return sold[0].GetPayload().GetOrderSubmitted().GetQuantity() == e.GetPayload().GetFillReceived().GetFillQuantity()
	default:
		return false
	}
}
