package event_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// chained is a tenant's log of one event of each type, whole and linked, as the first version of each was stored: what the
// contract gains later changes nothing of it.
func chained(t *testing.T) []*event.Record {
	t.Helper()
	var records []*event.Record
	for i, descriptor := range event.All() {
		payload, err := os.ReadFile("testdata/corpus/v1/" + string(descriptor.Type) + ".json")
		require.NoError(t, err)
		normalized := normalizedV1(t, descriptor, payload)
		at := time.Date(2026, 11, 24, 20, 5, i/2, 1000, time.UTC)
		r := &event.Record{
			TenantID: tenant, Position: int64(i + 1), EventID: ulid.ULID(uuid.NewSHA1(uuid.Nil, []byte{byte(i)})), Seq: 1, Type: descriptor.Type,
			StreamKey: event.StreamKey{Kind: descriptor.Streams[0], ID: uuid.NewSHA1(account, []byte{byte(i)})}.String(),
			Payload:   payload, SchemaVersion: 1, OccurredAt: at.Add(-time.Second), IngestedAt: at,
			TraceID: uuid.NewSHA1(tenant, []byte("trace")), CommandID: uuid.NewSHA1(command, []byte{byte(i)}),
			ActorType: eventv1.ActorType(1 + i%4), ActorID: "connector",
		}
		require.NoError(t, r.EventID.SetTime(ulid.Timestamp(at)))
		r.EventID[6] = byte(i)
		if i > 0 {
			r.CausationID, r.WorkflowID = records[i-1].EventID, uuid.NewSHA1(tenant, []byte("workflow"))
		}
		r.IdempotencyKey = event.IdempotencyKey(tenant, r.StreamKey, r.CommandID, normalized)
		records = append(records, r)
	}
	return link(records)
}

// normalizedV1 is the normal form of a payload of version 1, as its key was made of it. That of a shape that is not written
// any more is kept.
func normalizedV1(t *testing.T, descriptor *event.Descriptor, payload []byte) []byte {
	t.Helper()
	if descriptor.Version > 1 {
		normalized, err := os.ReadFile("testdata/normalized/v1/" + string(descriptor.Type) + ".json")
		require.NoError(t, err)
		return normalized
	}
	m, err := event.Decode(descriptor.Type, 1, payload)
	require.NoError(t, err)
	normalized, err := event.Normalize(m)
	require.NoError(t, err)
	return normalized
}

// link gives each record the hash of the one before it, and its own.
func link(records []*event.Record) []*event.Record {
	prev := [32]byte{}
	for _, r := range records {
		r.PrevHash = prev
		r.Hash = event.HashOf(r)
		prev = r.Hash
	}
	return records
}

// copied is the log again, to be changed.
func copied(records []*event.Record) []*event.Record {
	again := make([]*event.Record, len(records))
	for i, r := range records {
		c := *r
		c.Payload = slices.Clone(r.Payload)
		again[i] = &c
	}
	return again
}

// follow gives the position of the last good event, and what is wrong with the next.
func follow(records []*event.Record) (int64, error) {
	chain := &event.Chain{}
	for _, r := range records {
		if err := chain.Next(r); err != nil {
			return chain.Position(), err
		}
	}
	return chain.Position(), nil
}

// TestHashOf_is_what_it_always_was pins the hashes of a whole log.
func TestHashOf_is_what_it_always_was(t *testing.T) {
	t.Parallel()
	records := chained(t)
	position, err := follow(records)
	require.NoError(t, err)
	require.EqualValues(t, len(records), position)
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = fmt.Sprintf("%d %s %s %s", r.Position, r.EventID, r.Type, hex.EncodeToString(r.Hash[:]))
	}
	golden(t, "chain.json", lines)
}

// TestHashOf_covers_every_field: whatever is changed in a record changes its hash.
func TestHashOf_covers_every_field(t *testing.T) {
	t.Parallel()
	whole := chained(t)[2]
	for name, change := range map[string]func(*event.Record){
		"tenant": func(r *event.Record) { r.TenantID[15]++ }, "position": func(r *event.Record) { r.Position++ }, "event id": func(r *event.Record) { r.EventID[15]++ },
		"stream": func(r *event.Record) { r.StreamKey += "0" }, "seq": func(r *event.Record) { r.Seq++ }, "type": func(r *event.Record) { r.Type += "X" },
		"payload": func(r *event.Record) { r.Payload = append(slices.Clone(r.Payload), ' ') }, "version": func(r *event.Record) { r.SchemaVersion++ },
		"occurred": func(r *event.Record) { r.OccurredAt = r.OccurredAt.Add(time.Microsecond) }, "ingested": func(r *event.Record) { r.IngestedAt = r.IngestedAt.Add(time.Microsecond) },
		"key": func(r *event.Record) { r.IdempotencyKey[31]++ }, "trace": func(r *event.Record) { r.TraceID[0]++ }, "cause": func(r *event.Record) { r.CausationID[15]++ },
		"no cause": func(r *event.Record) { r.CausationID = ulid.ULID{} }, "command": func(r *event.Record) { r.CommandID[15]++ }, "workflow": func(r *event.Record) { r.WorkflowID[15]++ },
		"no workflow": func(r *event.Record) { r.WorkflowID = uuid.Nil }, "actor type": func(r *event.Record) { r.ActorType = r.ActorType%4 + 1 }, "actor": func(r *event.Record) { r.ActorID += "x" },
		"previous hash": func(r *event.Record) { r.PrevHash[0]++ },
		// What one text loses at its end the next one does not gain.
		"moved text": func(r *event.Record) {
			r.StreamKey, r.Type = r.StreamKey[:len(r.StreamKey)-1], event.Type(r.StreamKey[len(r.StreamKey)-1:])+r.Type
		},
		"moved actor": func(r *event.Record) {
			r.ActorID, r.Payload = r.ActorID+string(r.Payload[:1]), r.Payload[1:]
		},
	} {
		changed := *whole
		change(&changed)
		require.NotEqual(t, whole.Hash, event.HashOf(&changed), name)
	}
	zoned := *whole
	zoned.OccurredAt, zoned.IngestedAt = zoned.OccurredAt.In(time.FixedZone("", 3600)).Add(999), zoned.IngestedAt.Local()
	require.Equal(t, whole.Hash, event.HashOf(&zoned), "the zone and what is below a microsecond are not stored")
}

// TestChain_names_the_first_bad_position holds law 10: each way to falsify a log is found where it begins.
func TestChain_names_the_first_bad_position(t *testing.T) {
	t.Parallel()
	whole := chained(t)
	for name, test := range map[string]struct {
		change func([]*event.Record) []*event.Record
		good   int64
		says   string
	}{
		"altered payload":         {func(r []*event.Record) []*event.Record { r[9].Payload[5] ^= 1; return r }, 9, "not what was hashed"},
		"altered first event":     {func(r []*event.Record) []*event.Record { r[0].ActorID = "mallory"; return r }, 0, "not what was hashed"},
		"altered last event":      {func(r []*event.Record) []*event.Record { r[43].Seq = 2; return r }, 43, "not what was hashed"},
		"altered hash":            {func(r []*event.Record) []*event.Record { r[9].Hash[0]++; return r }, 9, "not what was hashed"},
		"altered and hashed anew": {func(r []*event.Record) []*event.Record { r[9].Seq = 7; r[9].Hash = event.HashOf(r[9]); return r }, 10, "the hash of the event before it"},
		"first that follows another": {func(r []*event.Record) []*event.Record {
			r[0].PrevHash[0] = 1
			r[0].Hash = event.HashOf(r[0])
			return r
		}, 0, "the hash of the event before it"},
		"removed":                 {func(r []*event.Record) []*event.Record { return slices.Delete(r, 9, 10) }, 9, "is missing; the next one found has position 11"},
		"first removed":           {func(r []*event.Record) []*event.Record { return r[1:] }, 0, "is missing"},
		"removed and renumbered":  {func(r []*event.Record) []*event.Record { r[10].Position = 10; return slices.Delete(r, 9, 10) }, 9, "the hash of the event before it"},
		"inserted":                {func(r []*event.Record) []*event.Record { return slices.Insert(r, 9, r[8]) }, 9, "is missing"},
		"inserted with its place": {func(r []*event.Record) []*event.Record { c := *r[8]; c.Position = 10; return slices.Insert(r, 9, &c) }, 9, "the hash of the event before it"},
		"inserted and linked":     {func(r []*event.Record) []*event.Record { return forged(r, func(*event.Record) {}) }, 10, "is missing"},
		"swapped":                 {func(r []*event.Record) []*event.Record { r[9], r[10] = r[10], r[9]; return r }, 9, "is missing"},
		"swapped with their places": {func(r []*event.Record) []*event.Record {
			r[9].Position, r[10].Position = 11, 10
			r[9], r[10] = r[10], r[9]
			return r
		}, 9, "the hash of the event before it"},
		"an id that goes back":        {func(r []*event.Record) []*event.Record { r[9].EventID = r[7].EventID; return link(r) }, 9, "event id does not follow"},
		"an id twice":                 {func(r []*event.Record) []*event.Record { r[9].EventID = r[8].EventID; return link(r) }, 9, "event id does not follow"},
		"a time that goes back":       {func(r []*event.Record) []*event.Record { r[9].IngestedAt = r[5].IngestedAt; return link(r) }, 9, "taken in before"},
		"another tenant's event":      {func(r []*event.Record) []*event.Record { r[9].TenantID[0]++; return link(r) }, 9, "another tenant"},
		"another tenant's, inserted":  {func(r []*event.Record) []*event.Record { return forged(r, func(f *event.Record) { f.TenantID[0]++ }) }, 9, "another tenant"},
		"a log that begins elsewhere": {func(r []*event.Record) []*event.Record { return link(r[5:]) }, 0, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, err := follow(test.change(copied(whole)))
			require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
			require.Equal(t, "CHAIN_BROKEN", fault.ReasonOf(err))
			require.ErrorContains(t, err, test.says)
			require.Equal(t, test.good, good)
			require.Equal(t, fmt.Sprint(test.good+1), fault.As(err).Metadata["position"])
		})
	}
}

// forged inserts an event after the ninth, in its proper place in the chain.
func forged(r []*event.Record, change func(*event.Record)) []*event.Record {
	f := *r[9]
	f.ActorID = "mallory"
	change(&f)
	f.Hash = event.HashOf(&f)
	return slices.Insert(r, 9, &f)
}

func TestChainFrom_continues_from_a_trusted_event(t *testing.T) {
	t.Parallel()
	records := chained(t)
	chain := event.ChainFrom(records[9])
	require.EqualValues(t, 10, chain.Position())
	require.Equal(t, records[9].Hash, chain.Hash())
	require.Error(t, chain.Next(records[11]))
	require.EqualValues(t, 10, chain.Position(), "a bad event does not move the chain")
	for _, r := range records[10:] {
		require.NoError(t, chain.Next(r))
	}
	require.Equal(t, records[43].Hash, chain.Hash())
}

// TestChain_finds_any_change: whatever byte of whatever payload is changed.
func TestChain_finds_any_change(t *testing.T) {
	t.Parallel()
	whole := chained(t)
	rapid.Check(t, func(t *rapid.T) {
		records := copied(whole)
		i := rapid.IntRange(0, len(records)-1).Draw(t, "event")
		at := rapid.IntRange(0, len(records[i].Payload)-1).Draw(t, "byte")
		records[i].Payload[at] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		good, err := follow(records)
		require.Error(t, err)
		require.EqualValues(t, i, good)
	})
}
