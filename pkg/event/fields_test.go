package event_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
)

// bytesOf are a record's fields as a row of the database holds them.
func bytesOf(r *event.Record) event.Fields[[]byte] {
	f := event.Fields[[]byte]{
		PrevHash: r.PrevHash[:], TenantID: r.TenantID[:], Position: r.Position, EventID: r.EventID[:], StreamKey: []byte(r.StreamKey), Seq: r.Seq,
		Type: []byte(r.Type), SchemaVersion: int64(r.SchemaVersion), OccurredAt: r.OccurredAt.UnixMicro(), IngestedAt: r.IngestedAt.UnixMicro(),
		IdempotencyKey: r.IdempotencyKey[:], TraceID: r.TraceID[:], CommandID: r.CommandID[:],
		ActorType: []byte(event.EnumText(r.ActorType)), ActorID: []byte(r.ActorID), Payload: r.Payload,
	}
	if r.CausationID != (ulid.ULID{}) {
		f.CausationID = r.CausationID[:]
	}
	if r.WorkflowID != uuid.Nil {
		f.WorkflowID = r.WorkflowID[:]
	}
	return f
}

// TestFields_hash_as_the_record_does, in a buffer that is used again and again, and without another.
func TestFields_hash_as_the_record_does(t *testing.T) { //nolint:paralleltest // allocations are counted
	var buffer []byte
	var hash [32]byte
	for _, r := range chained(t) {
		fields := bytesOf(r)
		hash, buffer = fields.Hash(buffer)
		require.Equal(t, r.Hash, hash)
		require.Len(t, r.PrevHash, int(binary.BigEndian.Uint32(buffer)), "each part has its length before it")
	}
	fields := bytesOf(chained(t)[2])
	require.Zero(t, testing.AllocsPerRun(100, func() { _, buffer = fields.Hash(buffer) }))
}

func BenchmarkFields_Hash(b *testing.B) {
	r := event.Record{StreamKey: "order:0f8fad5b-d9cb-469f-a165-70867728950e", Type: "ORDER_SUBMITTED", ActorID: "connector", Payload: make([]byte, 400)}
	fields := bytesOf(&r)
	var buffer []byte
	b.SetBytes(int64(len(fields.AppendTo(nil))))
	for b.Loop() {
		_, buffer = fields.Hash(buffer)
	}
}
