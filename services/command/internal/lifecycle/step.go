package lifecycle

import (
	"time"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Action is what kind of thing a step does.
type Action int

// What a step can do. Only Decide writes to the log itself; the others ask the connector, any number of times without
// harm, until the state shows that it is done.
const (
	// Decide appends Payload to the position's stream.
	Decide Action = iota + 1
	// Execute has the connector carry out IntentID.
	Execute
	// EndUnsent has the connector end IntentID before it was ever sent.
	EndUnsent
	// Resolve has the connector ask the venue what became of OrderID.
	Resolve
)

// Step is one thing that is due.
type Step struct {
	Action Action
	// Name tells this step from others with the same cause.
	Name string
	// Cause is the event that made it due; a Decide is caused by it.
	Cause Cause
	// Key is the event whose id, with Name, makes the command id of a Decide. It is the cause, but for two: a cancel is keyed
	// by the intent of the order it is for, so that an order is canceled once whatever the reason, and an exit by the last
	// thing that was cleared out of its way.
	Key string
	// Payload and OccurredAt are what a Decide appends.
	Payload    *eventv1.Payload
	OccurredAt time.Time
	IntentID   string
	OrderID    string
	// NotBefore holds a step back after failures; zero means at once.
	NotBefore time.Time
	// Alert is for people: set when failures repeat.
	Alert string
}

func decide(name string, cause Cause, payload *eventv1.Payload, at time.Time) Step {
	return Step{Action: Decide, Name: name, Cause: cause, Key: cause.EventID, Payload: payload, OccurredAt: at}
}

func execute(intent *Intent) Step {
	return Step{Action: Execute, Name: "execute/" + intent.ID, IntentID: intent.ID, OrderID: intent.OrderID}
}

func endUnsent(intent *Intent) Step {
	return Step{Action: EndUnsent, Name: "end/" + intent.ID, IntentID: intent.ID, OrderID: intent.OrderID}
}

func resolve(order *Order) Step {
	return Step{Action: Resolve, Name: "resolve/" + order.ID, OrderID: order.ID}
}
