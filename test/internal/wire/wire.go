// Package wire names and hashes events as Robson's contract says, written a second time: tests that hold the log to its word
// must not ask the code under test what the word is. This module imports nothing but the contracts.
package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// factNamespace is the UUIDv5 namespace of facts' command ids.
var factNamespace = uuid.MustParse("8f8e1f3c-6d0b-5f0e-9a52-3f1f6a1d7c01")

// FactCommand names the command of a fact by its identity: the event type, the venue, the account, the symbol if there is
// one, and the other identity fields with their names.
func FactCommand(eventType string, identity ...string) uuid.UUID {
	return uuid.NewSHA1(factNamespace, []byte(strings.Join(append([]string{eventType, "binance"}, identity...), "/")))
}

// DiscrepancyCommand names the command under which a report of a fact that differs from the first one is recorded.
func DiscrepancyCommand(fact uuid.UUID, digest []byte) uuid.UUID { return uuid.NewSHA1(fact, digest) }

// FactDigest is what a fact says: the SHA-256 of its VALUE fields.
func FactDigest(payload *eventv1.Payload) ([]byte, error) {
	text, err := selected(payload, values)
	sum := sha256.Sum256(text)
	return sum[:], err
}

// Digest is the digest of a request that is told apart from others by a text.
func Digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// TypeOf is the stored name of a payload's event type.
func TypeOf(payload *eventv1.Payload) string {
	options, _ := proto.GetExtension(messageOf(payload).Descriptor().Options(), optionsv1.E_Event).(*optionsv1.Event)
	return options.GetType()
}

// messageOf is the typed payload.
func messageOf(payload *eventv1.Payload) protoreflect.Message {
	m := payload.ProtoReflect()
	return m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))).Message()
}

// selected writes the event type and the chosen fields of the payload.
func selected(payload *eventv1.Payload, choose selection) ([]byte, error) {
	body, err := canonical(messageOf(payload), choose)
	return []byte(`{"event_type":"` + TypeOf(payload) + `","payload":` + string(body) + `}`), err
}

// Check recomputes an event's hash and idempotency key from what is shown of it, and says which of them does not hold.
func Check(e *eventv1.Event) error {
	payload, err := canonical(messageOf(e.GetPayload()), everything)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if name := TypeOf(e.GetPayload()); name != e.GetEventType() {
		return fmt.Errorf("the event type is %s and the payload that of %s", e.GetEventType(), name)
	}
	key, err := keyOf(e)
	if err != nil {
		return err
	}
	if stored := e.GetPayloadAsStored(); stored != "" {
		payload = []byte(stored) // Of an older version: it is what was hashed.
	}
	hash, err := hashOf(e, key, payload)
	if err != nil {
		return err
	}
	if hash != e.GetHash() {
		return fmt.Errorf("the hash is %s and should be %s", e.GetHash(), hash)
	}
	return nil
}

// keyOf recomputes the idempotency key. That of a payload of an older version, whose shape is not known here, is what it is
// said to be: the hash holds it.
func keyOf(e *eventv1.Event) ([]byte, error) {
	if e.GetPayloadAsStored() != "" {
		key, err := hex.DecodeString(strings.TrimPrefix(e.GetIdempotencyKey(), "idem_"))
		if err != nil {
			return nil, fmt.Errorf("the idempotency key %s is malformed: %w", e.GetIdempotencyKey(), err)
		}
		return key, nil
	}
	normalized, err := selected(e.GetPayload(), meaning)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	key := idempotencyKey(e, normalized)
	if text := "idem_" + hex.EncodeToString(key); text != e.GetIdempotencyKey() {
		return nil, fmt.Errorf("the idempotency key is %s and should be %s", e.GetIdempotencyKey(), text)
	}
	return key, nil
}

// idempotencyKey joins tenant, stream, command and normalized payload, each with its length before it.
func idempotencyKey(e *eventv1.Event, normalized []byte) []byte {
	tenant, command := uuid.MustParse(e.GetTenantId()), uuid.MustParse(e.GetCommandId())
	h := sha256.New()
	for _, part := range [][]byte{tenant[:], []byte(e.GetStreamKey()), command[:], normalized} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash takes everything
		_, _ = h.Write(part)
	}
	return h.Sum(nil)
}

// hashOf lays out every stored field with its length before it and hashes it.
func hashOf(e *eventv1.Event, key, payload []byte) (string, error) {
	l := layout{}
	l.part(l.hex(e.GetPrevHash()))
	l.part(l.id(e.GetTenantId()))
	l.number(e.GetPosition())
	l.part(l.ulid(e.GetEventId()))
	l.part([]byte(e.GetStreamKey()))
	l.number(e.GetSeq())
	l.part([]byte(e.GetEventType()))
	l.number(int64(e.GetPayloadSchemaVersion()))
	l.number(e.GetOccurredAt().AsTime().UnixMicro())
	l.number(e.GetIngestedAt().AsTime().UnixMicro())
	l.part(key)
	l.part(l.id(e.GetTraceId()))
	l.part(l.ulid(e.GetCausationId()))
	l.part(l.id(e.GetCommandId()))
	l.part(l.id(e.GetWorkflowId()))
	l.part([]byte(wordOf(e.GetActorType().Descriptor(), e.GetActorType().Number())))
	l.part([]byte(e.GetActorId()))
	l.part(payload)
	sum := sha256.Sum256(l.out)
	return hex.EncodeToString(sum[:]), l.err
}

// layout is the bytes that are hashed; it keeps the first error.
type layout struct {
	out []byte
	err error
}

func (l *layout) part(part []byte) {
	l.out = binary.BigEndian.AppendUint32(l.out, uint32(len(part)))
	l.out = append(l.out, part...)
}

func (l *layout) number(n int64) { l.part(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func (l *layout) hex(text string) []byte {
	raw, err := hex.DecodeString(text)
	l.note(text, err)
	return raw
}

// id is a UUID's bytes; none for an empty text.
func (l *layout) id(text string) []byte {
	if text == "" {
		return nil
	}
	id, err := uuid.Parse(text)
	l.note(text, err)
	return id[:]
}

// ulid is a ULID's bytes, 26 digits of five bits each; none for an empty text.
func (l *layout) ulid(text string) []byte {
	if text == "" {
		return nil
	}
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var high, low uint64
	for _, c := range text {
		digit := strings.IndexRune(digits, c)
		if digit < 0 {
			l.note(text, fmt.Errorf("%q is no digit of a ULID", c))
		}
		high, low = high<<5|low>>59, low<<5|uint64(digit)
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, high), low)
}

func (l *layout) note(text string, err error) {
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("%q is malformed: %w", text, err)
	}
}
