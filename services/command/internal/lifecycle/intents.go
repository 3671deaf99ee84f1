package lifecycle

import (
	"encoding/base32"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// base32IDs writes an id in 26 characters that venues take; with the prefix it is within their 36.
var base32IDs = base32.StdEncoding.WithPadding(base32.NoPadding)

// CommandID is the id of a step's append: the same for whoever takes the step.
func CommandID(eventID, step string) uuid.UUID { return derive(eventID, step) }

// OrderID is the order of an intent's attempt, counted from 1.
func OrderID(intentID uuid.UUID, attempt int) uuid.UUID {
	return uuid.NewSHA1(intentID, []byte(strconv.Itoa(attempt)))
}

// ClientOrderID is what the venue knows an order by.
func ClientOrderID(orderID uuid.UUID) string {
	return "rb-" + strings.ToLower(base32IDs.EncodeToString(orderID[:]))
}

// derive makes an id from an event and a name. An event id that is no ULID cannot come from the log; it still
// derives something distinct.
func derive(eventID, name string) uuid.UUID {
	parsed, err := ulid.ParseStrict(eventID)
	if err != nil {
		return uuid.NewSHA1(uuid.NameSpaceOID, []byte(eventID+"/"+name))
	}
	return uuid.NewSHA1(uuid.UUID(parsed), []byte(name))
}

// newIntent begins an intent of the position whose ids follow from the event that makes it due.
func newIntent(s State, eventID, step string, kind eventv1.IntentType) *eventv1.IntentCreated {
	id := derive(eventID, step+"/intent")
	return &eventv1.IntentCreated{
		IntentId: id.String(), PositionId: s.Position.ID, AccountId: s.Position.AccountID,
		IntentType: kind, Symbol: s.Position.Symbol, ClientOrderId: ClientOrderID(OrderID(id, 1)),
	}
}

func intentPayload(intent *eventv1.IntentCreated) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_IntentCreated{IntentCreated: intent}}
}

// ReasonName is an exit reason as people and intents write it: trailing_stop, user_close.
func ReasonName(reason eventv1.ExitReason) string {
	return strings.ToLower(strings.TrimPrefix(reason.String(), "EXIT_REASON_"))
}
