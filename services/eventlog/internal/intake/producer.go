package intake

import (
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// The services that produce events.
const (
	serviceCommand     = "command"
	serviceConnector   = "connector"
	serviceSnapshotter = "snapshotter"
	serviceReplayer    = "replayer"
	// serviceEventlog is ourselves: discrepancies that the fold raises.
	serviceEventlog = "eventlog"
)

// Caller is the verified service that appends.
type Caller struct {
	Service string
	// User is the verified user for whom it acts; empty when it acts by itself.
	User string
}

// producer says who alone may append a type, and who then is said to have acted.
type producer struct {
	service string
	// actor is for what the service does by itself.
	actor eventv1.ActorType
	// user: what the service does for a user is the user's act.
	user bool
	// userOnly: only for a user.
	userOnly bool
}

const (
	actorCLI      = eventv1.ActorType_ACTOR_TYPE_CLI
	actorDaemon   = eventv1.ActorType_ACTOR_TYPE_DAEMON
	actorSystem   = eventv1.ActorType_ACTOR_TYPE_SYSTEM
	actorExchange = eventv1.ActorType_ACTOR_TYPE_EXCHANGE
)

// exceptions are the types whose producer does not follow from their class: what is no venue's doing but the
// connector's, and what others record of themselves.
var exceptions = map[event.Type]producer{
	"ORDER_SUBMITTED":      {service: serviceConnector, actor: actorDaemon},
	"BALANCE_SAMPLED":      {service: serviceConnector, actor: actorDaemon},
	"MARGIN_LEVEL_SAMPLED": {service: serviceConnector, actor: actorDaemon},

	"EXCHANGE_CONNECTED":       {service: serviceConnector, actor: actorDaemon},
	"EXCHANGE_DISCONNECTED":    {service: serviceConnector, actor: actorDaemon},
	"EXCHANGE_REQUEST_FAILED":  {service: serviceConnector, actor: actorDaemon},
	"EXCHANGE_STATE_UNCERTAIN": {service: serviceConnector, actor: actorDaemon},
	"EXCHANGE_RATE_LIMITED":    {service: serviceConnector, actor: actorDaemon},

	"RECONCILIATION_COMPLETED": {service: serviceConnector, actor: actorSystem},
	"DISCREPANCY_DETECTED":     {service: serviceConnector, actor: actorSystem},
	"SNAPSHOT_CREATED":         {service: serviceSnapshotter, actor: actorSystem},
	"PROJECTION_REBUILT":       {service: serviceReplayer, actor: actorSystem},

	"TENANT_CREATED": {service: serviceCommand, user: true, userOnly: true},
}

// producerOf says who may append a type: facts are the connector's, decisions the command service's, unless it is an
// exception. A record that nobody has been named for is nobody's.
func producerOf(d *event.Descriptor) producer {
	if p, excepted := exceptions[d.Type]; excepted {
		return p
	}
	switch {
	case d.IsFact():
		return producer{service: serviceConnector, actor: actorExchange}
	case d.IsDecision():
		return producer{service: serviceCommand, actor: actorDaemon, user: true}
	default:
		return producer{}
	}
}

// actorOf gives who acted, and refuses a caller who may not append the type.
func actorOf(d *event.Descriptor, c Caller) (eventv1.ActorType, string, error) {
	p := producerOf(d)
	if p.service == "" || p.service != c.Service {
		return 0, "", fault.New(fault.Denied, "PRODUCER_NOT_ALLOWED", "%s is appended by the service %q only, not by %q", d.Type, p.service, c.Service).
			With("event_type", string(d.Type)).With("producer", p.service).With("caller", c.Service)
	}
	if p.user && c.User != "" {
		return actorCLI, c.User, nil
	}
	if p.userOnly {
		return 0, "", fault.New(fault.Denied, "USER_REQUIRED", "%s is appended for a user only, and nobody is named", d.Type).
			With("event_type", string(d.Type))
	}
	return p.actor, c.Service, nil
}
