package wire

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

func TestAULIDIsItsSixteenBytes(t *testing.T) {
	t.Parallel()
	l := layout{}
	require.Equal(t, "0000000000000000000000000000001f", hex.EncodeToString(l.ulid("0000000000000000000000000Z")))
	require.Equal(t, "ffffffffffffffffffffffffffffffff", hex.EncodeToString(l.ulid("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")))
	require.NoError(t, l.err)
	l.ulid("0000000000000000000000000U")
	require.Error(t, l.err)
}

func TestAFactIsItsValues(t *testing.T) {
	t.Parallel()
	sample := func(free, total string) *eventv1.Payload {
		return &eventv1.Payload{Kind: &eventv1.Payload_BalanceSampled{BalanceSampled: &eventv1.BalanceSampled{Free: free, Locked: "0.00", Total: total}}}
	}
	text, err := selected(sample("1.50", "2"), values)
	require.NoError(t, err)
	want := []byte(`{"event_type":"BALANCE_SAMPLED","payload":{"free":"1.5","locked":"0"}}`)
	require.Equal(t, want, text, "byte by byte")
	one, err := FactDigest(sample("1.50", "2"))
	require.NoError(t, err)
	other, err := FactDigest(sample("1.5", "3"))
	require.NoError(t, err)
	require.Equal(t, one, other, "evidence is no part of it")
}

// TestAnOlderVersionIsProvedByItsStoredBytes: they are what was hashed, and the payload that is shown is not.
func TestAnOlderVersionIsProvedByItsStoredBytes(t *testing.T) {
	t.Parallel()
	const stored = `{"operation":"place"}`
	e := &eventv1.Event{
		TenantId: "0f8fad5b-d9cb-469f-a165-70867728950e", Position: 1, EventId: "0000000000000000000000000Z", StreamKey: "account:0f8fad5b-d9cb-469f-a165-70867728950e",
		Seq: 1, EventType: "EXCHANGE_STATE_UNCERTAIN", PayloadSchemaVersion: 1, PayloadAsStored: stored, IdempotencyKey: "idem_00ff",
		Payload: &eventv1.Payload{Kind: &eventv1.Payload_ExchangeStateUncertain{ExchangeStateUncertain: &eventv1.ExchangeStateUncertain{
			Request: eventv1.VenueRequest_VENUE_REQUEST_PLACE,
		}}},
	}
	var err error
	e.Hash, err = hashOf(e, []byte{0, 0xff}, []byte(stored))
	require.NoError(t, err)
	require.NoError(t, Check(e))
	e.PayloadAsStored = `{"operation":"cancel"}`
	require.ErrorContains(t, Check(e), "the hash is")
	e.IdempotencyKey = "idem_x"
	require.ErrorContains(t, Check(e), "malformed")
}
