package event_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestStoredSubjects_are_those_of_the_message: of every type, in every stream that may hold it, full and empty.
func TestStoredSubjects_are_those_of_the_message(t *testing.T) {
	t.Parallel()
	for _, d := range event.All() {
		for _, kind := range d.Streams {
			stream := event.StreamKey{Kind: kind, ID: uuid.NewSHA1(account, []byte(d.Type))}
			full := populated(t, d)
			for _, m := range []proto.Message{full, full.ProtoReflect().New().Interface()} {
				payload, err := event.Canonical(m)
				if err != nil {
					continue // An empty message of this type cannot be stored.
				}
				found, ok := event.StoredSubjects(stream, payload)
				require.True(t, ok, "%s", payload)
				require.Equal(t, event.SubjectsOf(stream, m), found, "%s in %s", d.Type, kind)
			}
		}
	}
}

// TestStoredSubjects_looks_at_the_payloads_own_fields_only: texts and maps may say anything.
func TestStoredSubjects_looks_at_the_payloads_own_fields_only(t *testing.T) {
	t.Parallel()
	stream := event.StreamKey{Kind: event.KindAccount, ID: account}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom([]string{`\`, `"`, `\"`, `","order_id":"`, `{`, `}]`, `"order_id":"` + uuid.Max.String() + `"`}), rapid.StringMatching(`[\\"{}\[\],: -~é]{0,20}`))
		m := &eventv1.DiscrepancyDetected{
			DiscrepancyId: uuid.Max.String(), AccountId: account.String(), Entity: text.Draw(t, "entity"), OrderId: rapid.SampledFrom([]string{"", tenant.String()}).Draw(t, "order"),
			Expected: map[string]string{"order_id": uuid.Max.String(), text.Draw(t, "key"): text.Draw(t, "value")}, Actual: map[string]string{"strategy_id": uuid.Max.String()},
		}
		payload, err := event.Canonical(m)
		if err != nil {
			t.Skip(err)
		}
		found, ok := event.StoredSubjects(stream, payload)
		if !ok || found != event.SubjectsOf(stream, m) {
			t.Fatalf("%s: found %v", payload, found)
		}
	})
}

// TestStoredSubjects_of_what_is_not_canonical: it never panics, and what is cut short is not taken for whole.
func TestStoredSubjects_of_what_is_not_canonical(t *testing.T) {
	t.Parallel()
	stream := event.StreamKey{Kind: event.KindOrder, ID: uuid.Max}
	for _, r := range chained(t) {
		for cut := range r.Payload {
			_, ok := event.StoredSubjects(stream, r.Payload[:cut])
			require.False(t, ok, "%s", r.Payload[:cut])
		}
		_, ok := event.StoredSubjects(stream, append(r.Payload[:len(r.Payload):len(r.Payload)], ' '))
		require.False(t, ok)
	}
	for _, text := range []string{"", "null", "[]", `{"a"`, `{"a":`, `{"a":1`, `{"a":}`, `{a:1}`, `{"a":1,`, `{"a":"`, `{"a":{"b":"}`} {
		_, ok := event.StoredSubjects(stream, []byte(text))
		require.False(t, ok, text)
	}
}

func FuzzStoredSubjects(f *testing.F) {
	f.Add([]byte(`{"account_id":"0f8fad5b-d9cb-469f-a165-70867728950e","n":{"order_id":"x"},"z":1}`))
	f.Fuzz(func(_ *testing.T, payload []byte) {
		event.StoredSubjects(event.StreamKey{Kind: event.KindTenant, ID: tenant}, payload)
	})
}
