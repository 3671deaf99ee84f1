package intake

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// acts is who alone may append a type, and who is then said to have acted; 0: nobody may.
type acts struct {
	service      string
	byItself     eventv1.ActorType
	forUser      eventv1.ActorType
	userIsTheOne bool
}

var (
	decided    = acts{serviceCommand, actorDaemon, actorCLI, true}
	claimed    = acts{serviceConnector, actorDaemon, actorDaemon, false}
	told       = acts{serviceConnector, actorExchange, actorExchange, false}
	reconciled = acts{serviceConnector, actorSystem, actorSystem, false}
)

// producers is design §2, "Correlation", type by type.
var producers = map[event.Type]acts{
	"ORDER_SUBMITTED": claimed, "ORDER_ACKED": told, "FILL_RECEIVED": told, "ORDER_REJECTED": told, "ORDER_CANCELED": told, "ORDER_EXPIRED": told,
	"POSITION_OPENED": decided, "POSITION_CLOSED": decided, "POSITION_ARMED": decided, "POSITION_DISARMED": decided,
	"TRAILING_STOP_UPDATED": decided, "EXIT_TRIGGERED": decided, "DECISION_PROPOSED": decided, "INTENT_CREATED": decided,
	"RISK_CHECK_PASSED": decided, "RISK_CHECK_FAILED": decided, "RISK_LIMIT_EXCEEDED": decided,
	"BALANCE_SAMPLED": claimed, "BALANCE_ADJUSTED": told,
	"STRATEGY_REGISTERED": decided, "STRATEGY_ENABLED": decided, "STRATEGY_DISABLED": decided, "STRATEGY_UPDATED": decided,
	"SIGNAL_DETECTED": decided, "TECHNICAL_STOP_ANALYZED": decided, "SIGNAL_ACCEPTED": decided, "SIGNAL_REJECTED": decided, "SIGNAL_EXPIRED": decided,
	"EXCHANGE_CONNECTED": claimed, "EXCHANGE_DISCONNECTED": claimed, "EXCHANGE_REQUEST_FAILED": claimed,
	"EXCHANGE_STATE_UNCERTAIN": claimed, "EXCHANGE_RATE_LIMITED": claimed,
	"MARGIN_TRANSFERRED": told, "MARGIN_BORROWED": told, "MARGIN_REPAID": told, "MARGIN_LEVEL_SAMPLED": claimed,
	"RECONCILIATION_COMPLETED": reconciled, "DISCREPANCY_DETECTED": reconciled,
	"SNAPSHOT_CREATED":   {serviceSnapshotter, actorSystem, actorSystem, false},
	"PROJECTION_REBUILT": {serviceReplayer, actorSystem, actorSystem, false},
	"TENANT_CREATED":     {serviceCommand, 0, actorCLI, true},
	"ACCOUNT_REGISTERED": decided, "CREDENTIALS_ROTATED": decided,
}

// Facts appended by someone who is not the connector are refused, and who acted follows from who called, for every type,
// service and user.
func TestProducers(t *testing.T) {
	t.Parallel()
	services := []string{serviceCommand, serviceConnector, serviceSnapshotter, serviceReplayer, serviceEventlog, "projector", "ana", ""}
	require.Len(t, producers, len(event.All()))
	for _, d := range event.All() {
		want, listed := producers[d.Type]
		require.True(t, listed, d.Type)
		require.False(t, d.IsFact() && want.service != serviceConnector, d.Type)
		for _, service := range services {
			for _, user := range []string{"", "ana"} {
				actor, id, err := actorOf(d, Caller{Service: service, User: user})
				allowed, wantID := want.byItself, service
				if user != "" {
					allowed = want.forUser
				}
				if user != "" && want.userIsTheOne {
					wantID = user
				}
				switch {
				case service != want.service:
					require.Equal(t, "PRODUCER_NOT_ALLOWED", fault.ReasonOf(err), "%s by %q", d.Type, service)
					require.True(t, fault.Is(err, fault.Denied))
				case allowed == 0:
					require.Equal(t, "USER_REQUIRED", fault.ReasonOf(err), "%s by %q", d.Type, service)
					require.True(t, fault.Is(err, fault.Denied))
				default:
					require.NoError(t, err, "%s by %q", d.Type, service)
					require.Equal(t, allowed, actor, d.Type)
					require.Equal(t, wantID, id, d.Type)
				}
			}
		}
	}
}

// A record that nobody has been named for is nobody's.
func TestProducers_an_unnamed_record(t *testing.T) {
	t.Parallel()
	d, known := event.Lookup("EXCHANGE_CONNECTED")
	require.True(t, known)
	unnamed := *d
	unnamed.Type = "EXCHANGE_INVENTED"
	_, _, err := actorOf(&unnamed, Caller{Service: ""})
	require.True(t, fault.Is(err, fault.Denied))
}
