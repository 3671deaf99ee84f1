// Package logclient appends to the event log for services that have much to append. What a service does by itself goes by
// one stream for each tenant, so that appends are under way together and cost no call each; what it does for a user goes by
// a call of its own, which carries the user's name.
//
//	Append ─► the tenant's lane ─► AppendStream ─► answers by tag ─► Append returns
//	                 ▲                   │ breaks
//	                 └── sent again ─────┘
//
// Everything may be sent again: the log knows a command that it has (law 4). When a stream breaks, what has no answer yet is
// sent again on the next one, in its order; what the log cannot take now is offered again a few times. So a replica that
// dies costs its tenants a moment and no append.
package logclient
