package explain

import (
	"context"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// Found are events that a question found. More says that there are others past the limit; AsOf is the position of the log that
// the answer is true at.
type Found struct {
	Events []*eventv1.Event
	More   bool
	AsOf   int64
}

// Reader is what explaining needs of the services. What is not there is a NotFound.
type Reader interface {
	// Query finds at most limit events by what they are about, the first ones in the direction.
	Query(ctx context.Context, filter *eventlogv1.EventFilter, direction eventlogv1.Direction, limit int) (Found, error)
	// Event gives one event.
	Event(ctx context.Context, id string) (*eventv1.Event, error)
	// Digest is the digest of the request of a command.
	Digest(ctx context.Context, commandID string) ([]byte, error)
	// Fill gives the row of a trade, which says whose it is.
	Fill(ctx context.Context, id string) (*projectorv1.Fill, error)
	// Balance gives the row of an asset of a wallet.
	Balance(ctx context.Context, accountID, wallet, asset string) (*projectorv1.Balance, error)
}

// Limits of one answer. What is past them is named in the notes.
const (
	// eventsMax bounds the events that one question may find.
	eventsMax = 2000
	// ordersMax bounds the orders of a position that are looked into.
	ordersMax = 200
	// causesMax bounds the causes that are fetched one by one, outside of what the questions found.
	causesMax = 100
	// scanMax bounds the events of an account that are looked through for a balance.
	scanMax = 5000
)
