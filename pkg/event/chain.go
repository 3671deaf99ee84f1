package event

import (
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/fault"
)

// HashOf is the record's hash: SHA-256 over the previous event's hash and every stored field, each with its length before
// it as four bytes, numbers as eight bytes big endian, times as microseconds since 1970, the payload as it is stored.
// What is not there (a root's causation, no workflow) has the length zero.
func HashOf(r *Record) [32]byte {
	fields := fieldsOf(r)
	hash, _ := fields.Hash(make([]byte, 0, 512+len(r.Payload)))
	return hash
}

// Chain follows a tenant's log from its first event, or from a trusted one, and finds the first event that does not
// continue it: altered, removed, inserted or swapped.
type Chain struct {
	started  bool
	tenant   uuid.UUID
	position int64
	eventID  ulid.ULID
	at       int64
	hash     [32]byte
}

// ChainFrom continues after an event that is trusted.
func ChainFrom(r *Record) *Chain {
	return &Chain{started: true, tenant: r.TenantID, position: r.Position, eventID: r.EventID, at: r.IngestedAt.UnixMicro(), hash: r.Hash}
}

// Position is the last position that was found good; 0 before the first.
func (c *Chain) Position() int64 { return c.position }

// Hash is the hash there.
func (c *Chain) Hash() [32]byte { return c.hash }

// Next takes the next event. An error is Corrupt, names the position and says what does not hold; the chain then stays
// where it was.
func (c *Chain) Next(r *Record) error {
	broken := func(what string) error {
		return fault.New(fault.Corrupt, "CHAIN_BROKEN", "position %d: %s", c.position+1, what).With("position", positionText(c.position+1))
	}
	switch {
	case r.Position != c.position+1:
		return broken("the event there is missing; the next one found has position " + positionText(r.Position))
	case r.PrevHash != c.hash:
		return broken("it does not carry the hash of the event before it")
	case HashOf(r) != r.Hash:
		return broken("its content is not what was hashed")
	case c.started && r.TenantID != c.tenant:
		return broken("it belongs to another tenant than the one before it")
	case c.started && r.EventID.Compare(c.eventID) <= 0:
		return broken("its event id does not follow the one before it")
	case c.started && r.IngestedAt.UnixMicro() < c.at:
		return broken("it was taken in before the one before it")
	}
	*c = *ChainFrom(r)
	return nil
}
