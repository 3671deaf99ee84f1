package event_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// oddPayloads are inputs that were once read wrongly, or well could be.
var oddPayloads = []string{
	``, `{`, `{}`, `null`, ` {} `, `{"reason":"\ud83d\ude00"}`, `{"reason":"\ud83d"}`, "{\"reason\":\"\\n\xff\"}", `{"reason":"\u0000"}`, `{"reason":"\`,
	`{"version":01}`, `{"version":-0}`, `{"version":2147483648}`, `{"as_of_position":9007199254740993}`, `{"new_stop":"1e3"}`, `{"new_stop":"-0.10"}`,
	`{"version":1,"version":2}`, `{"detector_config":{"a":"","a":""}}`, `{"expired_at":"0000-01-01T00:00:00Z"}`, `{"expired_at":"2026-11-24T20:05:42.1234567+23:59"}`,
	`{"x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}`, `{"x":{"y":[null,true,-1.5e3,"z"]}}`, `{"levels":[]}`, `{"market_ref":{}}`,
}

// FuzzDecode: any bytes, said to be of any version, are either Corrupt, or a payload of today's, the one that others read in
// them too, that can be stored and is then read back the same.
func FuzzDecode(f *testing.F) {
	types := event.All()
	for i := range types {
		for _, odd := range oddPayloads {
			f.Add(uint8(i), uint8(1), []byte(odd))
		}
	}
	for _, file := range corpus(f) {
		for i, descriptor := range types {
			if descriptor.Type == file.typ {
				f.Add(uint8(i), uint8(file.version), file.bytes)
			}
		}
	}
	f.Fuzz(func(t *testing.T, number, version uint8, data []byte) {
		descriptor := types[int(number)%len(types)]
		writtenIn := 1 + int32(version)%descriptor.Version
		m, err := event.Decode(descriptor.Type, writtenIn, data)
		if err != nil {
			require.True(t, fault.Is(err, fault.Corrupt))
			return
		}
		if writtenIn == descriptor.Version {
			require.True(t, proto.Equal(reference(t, descriptor, data), m))
		}
		requireStable(t, m)
	})
}

// FuzzCanonical: any payload that comes over the wire is either Invalid, or is stored and read back the same.
func FuzzCanonical(f *testing.F) {
	for _, file := range corpus(f) {
		m, err := event.Decode(file.typ, file.version, file.bytes)
		require.NoError(f, err)
		wire, err := proto.Marshal(event.Wrap(m))
		require.NoError(f, err)
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		payload := &eventv1.Payload{}
		if proto.Unmarshal(wire, payload) != nil {
			return
		}
		_, m, err := event.Of(payload)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid))
			return
		}
		if _, err := event.Canonical(m); err != nil {
			require.True(t, fault.Is(err, fault.Invalid))
			require.NotEmpty(t, fault.As(err).Fields[0].Path)
			return
		}
		requireStable(t, m)
	})
}

// requireStable holds that a payload is stored as bytes that are read as the same payload, of the same meaning.
func requireStable(t *testing.T, m proto.Message) {
	t.Helper()
	descriptor, err := event.OfMessage(m)
	require.NoError(t, err)
	first, err := event.Canonical(m)
	require.NoError(t, err)
	back, err := event.Decode(descriptor.Type, descriptor.Version, first)
	require.NoError(t, err)
	second, err := event.Canonical(back)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
	one, err := event.Normalize(m)
	require.NoError(t, err)
	other, err := event.Normalize(back)
	require.NoError(t, err)
	require.Equal(t, string(one), string(other))
}
