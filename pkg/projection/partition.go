package projection

import (
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
)

// Partitions tells which account each event of a log belongs to. The rules let an event touch rows of its own account
// only, and of the tenant as a whole only where it is in the tenant's stream (see the package's documentation): what
// belongs to different accounts can be folded in any interleaving, or apart, and comes to the same rows.
//
// Not every event names its account. Those that do not are in the stream of a position or a strategy, whose first event
// does; so events must be shown in the order of the log, from its beginning. It keeps some 50 bytes for each position,
// strategy, order, intent and reconciliation run. Its zero value is ready.
type Partitions struct {
	accounts map[uuid.UUID]uuid.UUID
}

// Of tells an event's account; uuid.Nil is the tenant itself. ok is false for an event that must not be folded apart: it
// touches rows of more than one account, since a report names another account than its order's, or nothing says whose it
// is. Decisions are never so, Check refuses them; a venue's report may be (law 6). Who folds accounts apart must then
// fold the log as a whole.
func (p *Partitions) Of(ev *Event) (account uuid.UUID, ok bool) {
	stream, err := event.ParseStreamKey(ev.StreamKey)
	if err != nil {
		return uuid.Nil, false
	}
	if stream.Kind == event.KindTenant {
		return uuid.Nil, true
	}
	things, named := namedBy(ev, stream)
	account = named
	for _, id := range things {
		owner, known := p.accounts[id]
		switch {
		case !known || owner == account:
		case account == uuid.Nil:
			account = owner
		default:
			return uuid.Nil, false
		}
	}
	if account == uuid.Nil {
		return uuid.Nil, false
	}
	if p.accounts == nil {
		p.accounts = map[uuid.UUID]uuid.UUID{}
	}
	for _, id := range things {
		p.accounts[id] = account
	}
	return account, true
}

// namedBy lists what has an account of its own among what an event names, its stream first, and the account that it names.
func namedBy(ev *Event, stream event.StreamKey) (things []uuid.UUID, account uuid.UUID) {
	if stream.Kind == event.KindAccount {
		account = stream.ID
	} else {
		things = append(things, stream.ID)
	}
	add := func(text string) {
		if id, err := uuid.Parse(text); err == nil && id != stream.ID {
			things = append(things, id)
		}
	}
	if m, names := ev.Payload.(interface{ GetPositionId() string }); names {
		add(m.GetPositionId())
	}
	if m, names := ev.Payload.(interface{ GetStrategyId() string }); names {
		add(m.GetStrategyId())
	}
	if m, names := ev.Payload.(interface{ GetOrderId() string }); names {
		add(m.GetOrderId())
	}
	if m, names := ev.Payload.(interface{ GetIntentId() string }); names {
		add(m.GetIntentId())
	}
	if m, names := ev.Payload.(interface{ GetCancelsOrderId() string }); names {
		add(m.GetCancelsOrderId())
	}
	if m, names := ev.Payload.(interface{ GetRunId() string }); names {
		add(m.GetRunId())
	}
	m, names := ev.Payload.(interface{ GetAccountId() string })
	if !names || account != uuid.Nil && strings.EqualFold(m.GetAccountId(), account.String()) {
		return things, account
	}
	told, err := uuid.Parse(m.GetAccountId())
	switch {
	case err != nil:
	case account == uuid.Nil:
		account = told
	default:
		// A stream of one account and a payload of another, which Check lets nobody append.
		things = append(things, told)
	}
	return things, account
}
