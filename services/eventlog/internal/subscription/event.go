package subscription

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Event is an event as it is handed to subscribers, who share it: it does not change, and its message is made once.
type Event struct {
	*event.Record

	// AccountID is the account that it is about; Nil for none. Where the log has filtered it may be left out.
	AccountID uuid.UUID

	decode  sync.Once
	message *eventv1.Event
	err     error
}

// Message is the event as the contract shows it. It is shared: nobody changes it. One that cannot be read is Corrupt and says
// where it stands: nobody goes on past it.
func (e *Event) Message() (*eventv1.Event, error) {
	e.decode.Do(func() {
		if e.message, e.err = e.ToProto(); e.err != nil {
			e.err = fault.Wrap(e.err, fault.Corrupt, fault.ReasonOf(e.err), "the event at position %d cannot be read", e.Position).
				With("position", strconv.FormatInt(e.Position, 10))
		}
	})
	return e.message, e.err
}

// size is about what it takes in memory.
func (e *Event) size() int { return eventBytes + len(e.Payload) + len(e.StreamKey) }

// eventBytes is about what an event takes beside its payload, which is there twice once its message was made.
const eventBytes = 1500

// Filter is what the events of a subscription must be like; all that is set holds at once.
type Filter struct {
	// Types: any of these.
	Types []event.Type
	// Kinds: in a stream of any of these kinds.
	Kinds []event.Kind
	// AccountID: about this account.
	AccountID uuid.NullUUID
}

// IsZero says whether the filter lets everything through.
func (f *Filter) IsZero() bool { return len(f.Types) == 0 && len(f.Kinds) == 0 && !f.AccountID.Valid }

// passes says whether the filter lets an event through.
func (f *Filter) passes(e *Event) bool {
	if len(f.Types) > 0 && !slices.Contains(f.Types, e.Type) {
		return false
	}
	if f.AccountID.Valid && f.AccountID.UUID != e.AccountID {
		return false
	}
	if len(f.Kinds) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(e.StreamKey, ":")
	return slices.Contains(f.Kinds, event.Kind(kind))
}
