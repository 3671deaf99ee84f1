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
