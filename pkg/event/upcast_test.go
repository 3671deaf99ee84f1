package event_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestUpcast_means_what_it_always_meant pins what each stored payload means today: those of older versions in the shape that
// they are lifted to, and the identity and digest of facts, which the receipts in the log were given for.
func TestUpcast_means_what_it_always_meant(t *testing.T) {
	t.Parallel()
	type meaning struct {
		File     string `json:"file"`
		Lifted   string `json:"lifted,omitempty"`
		Identity string `json:"identity,omitempty"`
		Digest   string `json:"digest,omitempty"`
	}
	var meanings []meaning
	for _, file := range corpus(t) {
		m, err := event.Decode(file.typ, file.version, file.bytes)
		require.NoError(t, err, file.path)
		descriptor, err := event.OfMessage(m)
		require.NoError(t, err, "%s is lifted to something else than a payload", file.path)
		require.Equal(t, file.typ, descriptor.Type, file.path)
		says := meaning{File: strings.TrimPrefix(file.path, "testdata/corpus/")}
		if file.version < descriptor.Version {
			lifted, err := event.Canonical(m)
			require.NoError(t, err, file.path)
			says.Lifted = string(lifted)
		}
		if descriptor.IsFact() {
			digest, err := event.Digest(m)
			require.NoError(t, err, file.path)
			says.Digest = hex.EncodeToString(digest[:])
			says.Identity, err = event.Identity(m)
			require.NoError(t, err, file.path)
		}
		if says.Lifted != "" || says.Digest != "" {
			meanings = append(meanings, says)
		}
	}
	golden(t, "corpus.json", meanings)
}

// TestUpcast_names_the_request: version 1 said in text which request it was.
func TestUpcast_names_the_request(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]eventv1.VenueRequest{
		"place":       eventv1.VenueRequest_VENUE_REQUEST_PLACE,
		"cancel":      eventv1.VenueRequest_VENUE_REQUEST_CANCEL,
		"query":       eventv1.VenueRequest_VENUE_REQUEST_QUERY,
		"Place":       eventv1.VenueRequest_VENUE_REQUEST_OTHER,
		"open_orders": eventv1.VenueRequest_VENUE_REQUEST_OTHER,
		"":            eventv1.VenueRequest_VENUE_REQUEST_OTHER,
	} {
		m, err := event.Decode("EXCHANGE_STATE_UNCERTAIN", 1, []byte(`{"operation":"`+operation+`","recv_window_ms":5000,"later":[1]}`))
		require.NoError(t, err)
		require.True(t, proto.Equal(&eventv1.ExchangeStateUncertain{Request: want, RecvWindowMs: 5000}, m), operation)
	}
	m, err := event.Decode("EXCHANGE_STATE_UNCERTAIN", 2, []byte(`{"request":"cancel"}`))
	require.NoError(t, err)
	require.Equal(t, eventv1.VenueRequest_VENUE_REQUEST_CANCEL, m.(*eventv1.ExchangeStateUncertain).GetRequest())
}

// TestUpcast_reads_the_older_shape_as_strictly: what version 1 cannot have written is Corrupt, and version 2 in the clothes of
// version 1 is not taken for it.
func TestUpcast_reads_the_older_shape_as_strictly(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		`{"operation":1}`:                       `expected '"'`,
		`{"operation":"place","operation":"x"}`: `operation is given twice`,
		`{"order_id":"x"}`:                      `no UUID for order_id`,
		`{"cause":"boredom"}`:                   `unknown word for cause`,
		`{"operation":"place"`:                  `expected '}'`,
		`{"recv_window_ms":2147483648}`:         `beyond 32 bits`,
	} {
		_, err := event.Decode("EXCHANGE_STATE_UNCERTAIN", 1, []byte(in))
		require.True(t, fault.Is(err, fault.Corrupt), "%s: %v", in, err)
		require.ErrorContains(t, err, says)
	}
	m, err := event.Decode("EXCHANGE_STATE_UNCERTAIN", 1, []byte(`{"request":"cancel"}`))
	require.NoError(t, err)
	require.Equal(t, eventv1.VenueRequest_VENUE_REQUEST_OTHER, m.(*eventv1.ExchangeStateUncertain).GetRequest())
}

// recordV1 is an event of the corpus in a log.
func recordV1(t *testing.T, position int) *event.Record {
	t.Helper()
	return chained(t)[position-1]
}

const uncertainAt = 32

// TestRecord_of_an_older_version_comes_with_its_stored_bytes, so that whoever reads it over the contract can prove it.
func TestRecord_of_an_older_version_comes_with_its_stored_bytes(t *testing.T) {
	t.Parallel()
	record := recordV1(t, uncertainAt)
	shown, err := record.ToProto()
	require.NoError(t, err)
	require.EqualValues(t, 1, shown.GetPayloadSchemaVersion())
	require.Equal(t, string(record.Payload), shown.GetPayloadAsStored())
	require.Equal(t, eventv1.VenueRequest_VENUE_REQUEST_OTHER, shown.GetPayload().GetExchangeStateUncertain().GetRequest())
	back, m, err := event.FromProto(shown)
	require.NoError(t, err)
	require.Equal(t, record, back)
	require.Equal(t, record.Hash, event.HashOf(back))
	require.True(t, proto.Equal(shown.GetPayload().GetExchangeStateUncertain(), m))

	today, err := recordV1(t, uncertainAt-1).ToProto()
	require.NoError(t, err)
	require.Empty(t, today.GetPayloadAsStored())
}

// TestFromProto_what_is_shown_must_be_what_is_stored: only the stored bytes are hashed.
func TestFromProto_what_is_shown_must_be_what_is_stored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		position int
		change   func(e *eventv1.Event)
		kind     fault.Kind
	}{
		"another payload is shown": {uncertainAt, func(e *eventv1.Event) {
			e.GetPayload().GetExchangeStateUncertain().Request = eventv1.VenueRequest_VENUE_REQUEST_PLACE
		}, fault.Invalid},
		"another time is shown": {uncertainAt, func(e *eventv1.Event) {
			e.GetPayload().GetExchangeStateUncertain().RequestTimestamp = timestamppb.New(e.GetOccurredAt().AsTime())
		}, fault.Invalid},
		"the stored bytes are not there":     {uncertainAt, func(e *eventv1.Event) { e.PayloadAsStored = "" }, fault.Corrupt},
		"the stored bytes are none":          {uncertainAt, func(e *eventv1.Event) { e.PayloadAsStored = "{" }, fault.Corrupt},
		"a version that is not known":        {uncertainAt, func(e *eventv1.Event) { e.PayloadSchemaVersion = 3 }, fault.Corrupt},
		"stored bytes of today's, beside it": {uncertainAt - 1, func(e *eventv1.Event) { e.PayloadAsStored = "{}" }, fault.Invalid},
		"a version to come, of another type": {uncertainAt - 1, func(e *eventv1.Event) { e.PayloadSchemaVersion = 2 }, fault.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown, err := recordV1(t, test.position).ToProto()
			require.NoError(t, err)
			test.change(shown)
			_, _, err = event.FromProto(shown)
			require.Equal(t, test.kind, fault.KindOf(err), "%v", err)
		})
	}
}
