package event

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/robson/robson/pkg/fault"
)

// HashOf is the record's hash: SHA-256 over the previous event's hash and every stored field, each with its length before
// it as four bytes, numbers as eight bytes big endian, times as microseconds since 1970, the payload as it is stored.
// What is not there (a root's causation, no workflow) has the length zero.
func HashOf(r *Record) [32]byte {
	h := hasher{buffer: make([]byte, 0, 512+len(r.Payload))}
	h.part(r.PrevHash[:])
	h.part(r.TenantID[:])
	h.number(r.Position)
	h.part(r.EventID[:])
	h.part([]byte(r.StreamKey))
	h.number(r.Seq)
	h.part([]byte(r.Type))
	h.number(int64(r.SchemaVersion))
	h.number(r.OccurredAt.UnixMicro())
	h.number(r.IngestedAt.UnixMicro())
	h.part(r.IdempotencyKey[:])
	h.part(r.TraceID[:])
	h.optional(r.CausationID[:], r.CausationID == ulid.ULID{})
	h.part(r.CommandID[:])
	h.optional(r.WorkflowID[:], r.WorkflowID == uuid.Nil)
	h.part([]byte(EnumText(r.ActorType)))
	h.part([]byte(r.ActorID))
	h.part(r.Payload)
	return sha256.Sum256(h.buffer)
}

// hasher lays the parts out.
type hasher struct{ buffer []byte }

func (h *hasher) part(data []byte) {
	h.buffer = binary.BigEndian.AppendUint32(h.buffer, uint32(len(data)))
	h.buffer = append(h.buffer, data...)
}

func (h *hasher) number(n int64) {
	h.buffer = binary.BigEndian.AppendUint32(h.buffer, 8)
	h.buffer = binary.BigEndian.AppendUint64(h.buffer, uint64(n))
}

func (h *hasher) optional(data []byte, absent bool) {
	if absent {
		data = nil
	}
	h.part(data)
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
