package lifecycle

import (
	"crypto/sha256"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// CommandID is the id of a step's append: the same for whoever takes the step.
func CommandID(eventID, step string) uuid.UUID { return derive(eventID, step) }

// StepDigest is the digest of a step's request, which is its cause and name: the same for whoever takes the step.
func StepDigest(eventID, step string) []byte {
	digest := sha256.Sum256([]byte("robson.command.v1.step\n" + eventID + "\n" + step))
	return digest[:]
}

// derive makes an id from an event and a name. An event id that is no ULID cannot come from the log; it still
// derives something distinct.
func derive(eventID, name string) uuid.UUID {
	cause, err := ulid.ParseStrict(eventID)
	if err != nil {
		return uuid.NewSHA1(uuid.NameSpaceOID, []byte(eventID+"/"+name))
	}
	return event.StepCommandID(cause, name)
}

// newIntent begins an intent of the position whose ids follow from the event that makes it due.
func newIntent(s State, eventID, step string, kind eventv1.IntentType) *eventv1.IntentCreated {
	id := derive(eventID, step+"/intent")
	return &eventv1.IntentCreated{
		IntentId: id.String(), PositionId: s.Position.ID, AccountId: s.Position.AccountID,
		IntentType: kind, Symbol: s.Position.Symbol, ClientOrderId: event.ClientOrderID(event.OrderID(id, 1)),
	}
}
