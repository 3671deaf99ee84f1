package event

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

// Fields are what an event's hash covers, in the order in which it is laid out. Text is what texts are held as: strings in a
// Record, bytes where a row is hashed as it came from the database, without making a Record of it.
type Fields[Text ~string | ~[]byte] struct {
	PrevHash, TenantID []byte
	Position           int64
	EventID            []byte
	StreamKey          Text
	Seq                int64
	Type               Text
	SchemaVersion      int64
	// OccurredAt and IngestedAt are microseconds since 1970.
	OccurredAt, IngestedAt  int64
	IdempotencyKey, TraceID []byte
	// CausationID and WorkflowID are empty for none.
	CausationID, CommandID, WorkflowID []byte
	ActorType, ActorID                 Text
	Payload                            []byte
}

// AppendTo appends the bytes that are hashed: every field with its length before it as four bytes, numbers as eight bytes
// big endian.
func (f *Fields[Text]) AppendTo(buffer []byte) []byte {
	buffer = appendPart(buffer, f.PrevHash)
	buffer = appendPart(buffer, f.TenantID)
	buffer = appendNumber(buffer, f.Position)
	buffer = appendPart(buffer, f.EventID)
	buffer = appendPart(buffer, f.StreamKey)
	buffer = appendNumber(buffer, f.Seq)
	buffer = appendPart(buffer, f.Type)
	buffer = appendNumber(buffer, f.SchemaVersion)
	buffer = appendNumber(buffer, f.OccurredAt)
	buffer = appendNumber(buffer, f.IngestedAt)
	buffer = appendPart(buffer, f.IdempotencyKey)
	buffer = appendPart(buffer, f.TraceID)
	buffer = appendPart(buffer, f.CausationID)
	buffer = appendPart(buffer, f.CommandID)
	buffer = appendPart(buffer, f.WorkflowID)
	buffer = appendPart(buffer, f.ActorType)
	buffer = appendPart(buffer, f.ActorID)
	return appendPart(buffer, f.Payload)
}

// Hash is the event's hash. It lays the fields out in buffer, which it gives back for the next event.
func (f *Fields[Text]) Hash(buffer []byte) (hash [32]byte, again []byte) {
	again = f.AppendTo(buffer[:0])
	return sha256.Sum256(again), again
}

func appendPart[Part ~string | ~[]byte](buffer []byte, part Part) []byte {
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(len(part)))
	return append(buffer, part...)
}

func appendNumber(buffer []byte, n int64) []byte {
	buffer = binary.BigEndian.AppendUint32(buffer, 8)
	return binary.BigEndian.AppendUint64(buffer, uint64(n))
}

// fieldsOf are a record's fields. They share its memory.
func fieldsOf(r *Record) Fields[string] {
	f := Fields[string]{
		PrevHash: r.PrevHash[:], TenantID: r.TenantID[:], Position: r.Position, EventID: r.EventID[:], StreamKey: r.StreamKey, Seq: r.Seq,
		Type: string(r.Type), SchemaVersion: int64(r.SchemaVersion), OccurredAt: r.OccurredAt.UnixMicro(), IngestedAt: r.IngestedAt.UnixMicro(),
		IdempotencyKey: r.IdempotencyKey[:], TraceID: r.TraceID[:], CommandID: r.CommandID[:], ActorType: EnumText(r.ActorType), ActorID: r.ActorID,
		Payload: r.Payload,
	}
	if r.CausationID != (ulid.ULID{}) {
		f.CausationID = r.CausationID[:]
	}
	if r.WorkflowID != uuid.Nil {
		f.WorkflowID = r.WorkflowID[:]
	}
	return f
}
