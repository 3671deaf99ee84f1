package e2e_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// actors say who acts, by type of event and whether a user's command stands behind it.
var actors = map[string]eventv1.ActorType{
	"POSITION_ARMED": eventv1.ActorType_ACTOR_TYPE_CLI, "SIGNAL_DETECTED": eventv1.ActorType_ACTOR_TYPE_CLI, "DECISION_PROPOSED": eventv1.ActorType_ACTOR_TYPE_CLI,
	"RISK_CHECK_PASSED": eventv1.ActorType_ACTOR_TYPE_CLI, "SIGNAL_ACCEPTED": eventv1.ActorType_ACTOR_TYPE_CLI, "ORDER_SUBMITTED": eventv1.ActorType_ACTOR_TYPE_DAEMON, "ORDER_ACKED": eventv1.ActorType_ACTOR_TYPE_EXCHANGE,
	"FILL_RECEIVED": eventv1.ActorType_ACTOR_TYPE_EXCHANGE, "ORDER_CANCELED": eventv1.ActorType_ACTOR_TYPE_EXCHANGE, "POSITION_OPENED": eventv1.ActorType_ACTOR_TYPE_DAEMON,
	"TRAILING_STOP_UPDATED": eventv1.ActorType_ACTOR_TYPE_DAEMON, "POSITION_CLOSED": eventv1.ActorType_ACTOR_TYPE_DAEMON, "BALANCE_SAMPLED": eventv1.ActorType_ACTOR_TYPE_DAEMON,
}

// rideUp is the path of scenario S6.
var rideUp = []string{"95000", "95500", "96000", "95800", "97000", "96200", "95500"}

func TestOneTraceFindsAllOfAnActionThatThePriceEnds(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	market := u.market(standing(btc), rideUp...)
	account := u.account()
	before := u.head()
	trace, command := uuid.NewString(), uuid.New()

	opened, err := u.trading().OpenPosition(u.named(command, "x-robson-trace-id", trace), longBTC(account))
	require.NoError(t, err)
	require.Equal(t, accepted, opened.GetOutcome().GetVerdict(), opened.GetOutcome().GetFailedChecks())
	require.Equal(t, trace, opened.GetOutcome().GetTraceId())
	require.Equal(t, command.String(), opened.GetOutcome().GetCommandId())
	for bar := range rideUp {
		market.to(u, bar)
	}
	requireOneTrace(u, before, trace, command, opened.GetPositionId())
}

func TestOneTraceFindsAllOfAnActionThatACommandEnds(t *testing.T) {
	t.Parallel()
	u := sharedStack(t).newUser(t)
	u.stillMarket(btc)
	account := u.account()
	before := u.head()
	trace, command, closing := uuid.NewString(), uuid.New(), uuid.New()

	opened, err := u.trading().OpenPosition(u.named(command, "x-robson-trace-id", trace), longBTC(account))
	require.NoError(t, err)
	u.settle()
	closed, err := u.trading().ClosePosition(u.named(closing, "x-robson-trace-id", trace), &commandv1.ClosePositionRequest{PositionId: opened.GetPositionId()})
	require.NoError(t, err)
	require.Equal(t, accepted, closed.GetOutcome().GetVerdict())
	u.settle()

	// The exit waited until the resting stop was canceled, and is caused by the command that closed all the same.
	all := requireOneTrace(u, before, trace, closing, opened.GetPositionId())
	exit := only(all, "EXIT_TRIGGERED")
	require.Len(t, exit, 1)
	require.Equal(t, eventv1.ActorType_ACTOR_TYPE_CLI, exit[0].GetActorType(), "a user's exit is the user's act")
	require.Equal(t, closing.String(), exit[0].GetCommandId())
}

// requireOneTrace holds that a position's life, from its command to its end, is found by the trace, and that causes lead
// from POSITION_CLOSED back to the command that it ends with. It gives the events of the trace.
func requireOneTrace(u *user, before int64, trace string, root uuid.UUID, position string) []*eventv1.Event {
	u.t.Helper()
	all := u.query(&eventlogv1.EventFilter{TraceId: trace})
	byID, counts := map[string]*eventv1.Event{}, count(all)
	for _, e := range all {
		require.Equal(u.t, trace, e.GetTraceId())
		byID[e.GetEventId()] = e
		if actor, known := actors[e.GetEventType()]; known {
			require.Equal(u.t, actor, e.GetActorType(), "%s at %d", e.GetEventType(), e.GetPosition())
		}
	}
	for _, kind := range []string{
		"POSITION_ARMED", "SIGNAL_DETECTED", "DECISION_PROPOSED", "RISK_CHECK_PASSED", "SIGNAL_ACCEPTED", "INTENT_CREATED", "ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED",
		"POSITION_OPENED", "EXIT_TRIGGERED", "POSITION_CLOSED",
	} {
		require.NotZero(u.t, counts[kind], "the trace does not find %s: %v", kind, types(u.readLog(before)))
	}
	for _, e := range u.query(&eventlogv1.EventFilter{PositionId: position}) {
		require.Contains(u.t, byID, e.GetEventId(), "%s of the position is not in the trace", e.GetEventType())
	}
	// Whatever happened meanwhile and is not in the trace is the account's own news, or the snapshotter's.
	for _, e := range u.readLog(before) {
		if byID[e.GetEventId()] == nil {
			require.Contains(u.t, []string{"BALANCE_SAMPLED", "EXCHANGE_CONNECTED", "SNAPSHOT_CREATED"}, e.GetEventType())
		}
	}

	closed := only(all, "POSITION_CLOSED")
	require.Len(u.t, closed, 1)
	at := closed[0]
	for at.GetCausationId() != "" {
		cause := byID[at.GetCausationId()]
		require.NotNil(u.t, cause, "the cause of %s at %d is not in the trace", at.GetEventType(), at.GetPosition())
		require.Less(u.t, cause.GetPosition(), at.GetPosition(), "a cause comes first")
		at = cause
	}
	require.Equal(u.t, root.String(), at.GetCommandId(), "the causes of POSITION_CLOSED end at %s", at.GetEventType())
	require.Equal(u.t, eventv1.ActorType_ACTOR_TYPE_CLI, at.GetActorType())

	descendants := u.query(&eventlogv1.EventFilter{CommandId: root.String(), Descendants: true})
	require.Contains(u.t, ids(descendants), closed[0].GetEventId())
	requireDescendants(u.t, all, root.String(), descendants)
	return all
}

// requireDescendants holds that a search finds what the causes in a trace give: the command's events and all that follow.
func requireDescendants(t *testing.T, trace []*eventv1.Event, command string, found []*eventv1.Event) {
	t.Helper()
	follows := map[string]bool{}
	var want []string
	for _, e := range trace {
		if e.GetCommandId() == command || follows[e.GetCausationId()] {
			follows[e.GetEventId()] = true
			want = append(want, e.GetEventId())
		}
	}
	require.Equal(t, want, ids(found))
}
