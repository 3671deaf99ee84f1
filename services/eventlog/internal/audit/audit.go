package audit

import (
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/event"
)

// Kind is what kind of thing is wrong.
type Kind int

// The kinds, as the contract has them.
const (
	// Missing: there is no event at the position.
	Missing Kind = iota + 1
	// Inserted: there is one too many.
	Inserted
	// Altered: what is stored is not what was hashed.
	Altered
	// Broken: the event does not carry the hash of the one before it.
	Broken
	// Disordered: the event's id or time is not after the one before it, though the hashes fit.
	Disordered
	// SearchAltered: the columns for search do not say what the payload says.
	SearchAltered
	// StreamMismatch: the seqs of a stream, or its head, do not fit.
	StreamMismatch
	// ReceiptMismatch: the receipt of a command does not fit its events.
	ReceiptMismatch
	// HeadMismatch: the log's head does not fit its last event.
	HeadMismatch
	// KnownMismatch: an event that is known to have been there is not.
	KnownMismatch
)

// Breach is something that is wrong with a log, and where.
type Breach struct {
	Kind     Kind
	Position int64
	// What is wrong, for people.
	What string
}

func breach(kind Kind, position int64, format string, args ...any) *Breach {
	return &Breach{Kind: kind, Position: position, What: fmt.Sprintf(format, args...)}
}

// Earlier is the breach at the lower position, the first of two at one; nil is no breach.
func Earlier(a, b *Breach) *Breach {
	if a == nil || b != nil && b.Position < a.Position {
		return b
	}
	return a
}

// Known is an event that is known to have been in the log.
type Known struct {
	Position int64
	Hash     [32]byte
	// EventID is zero where it is not known.
	EventID ulid.ULID
}

// Place is where a log stands: at an event, or before the first one.
type Place struct {
	Position int64
	EventID  ulid.ULID
	// IngestedAt is microseconds since 1970.
	IngestedAt int64
	Hash       [32]byte
}

// Holds says what of a known event is not so at its place; nil: it is all so.
func (p *Place) Holds(k Known) *Breach {
	switch {
	case p.Position != k.Position:
		return breach(KnownMismatch, min(p.Position, k.Position-1)+1, "the log ends at position %d; an event at position %d is known to have been there: the end was removed", p.Position, k.Position)
	case p.Hash != k.Hash:
		return breach(KnownMismatch, k.Position, "the event there has hash %x; the one that is known to have been there had %x: the log was written anew", p.Hash, k.Hash)
	case k.EventID != ulid.ULID{} && p.EventID != k.EventID:
		return breach(KnownMismatch, k.Position, "the event there is %s; the one that is known to have been there was %s", p.EventID, k.EventID)
	}
	return nil
}

// Ends says what of a log's head is not so at the place of its last event; nil: it is all so.
func (p *Place) Ends(head Place) *Breach {
	switch {
	case p.Position == 0 && head.Position == 0:
		return nil // There was no event yet.
	case p.Position != head.Position:
		return breach(HeadMismatch, min(p.Position, head.Position)+1, "the head says that the log ends at position %d, and it ends at %d", head.Position, p.Position)
	case p.Hash != head.Hash:
		return breach(HeadMismatch, p.Position, "the head has hash %x, and the last event %x", head.Hash, p.Hash)
	case p.EventID != head.EventID:
		return breach(HeadMismatch, p.Position, "the head names event %s, and the last one is %s", head.EventID, p.EventID)
	case p.IngestedAt != head.IngestedAt:
		return breach(HeadMismatch, p.Position, "the head has another time than the last event")
	}
	return nil
}

// Row is an event as the database gives it; the tenant is the stretch's. Its bytes are the reader's, good until the next
// row.
type Row struct {
	event.Fields[[]byte]
	Hash []byte
	// Subjects are the columns for search: account, strategy, position and order; empty for none.
	Subjects [4][]byte
}

// subjectNames are the columns for search.
var subjectNames = [4]string{"account_id", "strategy_id", "position_id", "order_id"}
