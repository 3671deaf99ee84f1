package event

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Record is an event as it is stored: one row of event_log.
type Record struct {
	TenantID  uuid.UUID
	Position  int64
	EventID   ulid.ULID
	StreamKey string
	Seq       int64
	Type      Type
	// Payload is the canonical JSON that is hashed.
	Payload        []byte
	SchemaVersion  int32
	OccurredAt     time.Time
	IngestedAt     time.Time
	IdempotencyKey [32]byte
	TraceID        uuid.UUID
	// CausationID is the causing event; zero for a root.
	CausationID ulid.ULID
	CommandID   uuid.UUID
	// WorkflowID is Nil for none.
	WorkflowID uuid.UUID
	ActorType  eventv1.ActorType
	ActorID    string
	PrevHash   [32]byte
	Hash       [32]byte
}

// Subjects are what an event is about, for search; Nil where it is about none.
type Subjects struct {
	AccountID, StrategyID, PositionID, OrderID uuid.UUID
}

// SubjectsOf finds what an event is about: its stream, and the ids its payload names.
func SubjectsOf(stream StreamKey, m proto.Message) Subjects {
	var s Subjects
	targets := map[string]*uuid.UUID{"account_id": &s.AccountID, "strategy_id": &s.StrategyID, "position_id": &s.PositionID, "order_id": &s.OrderID}
	message := m.ProtoReflect()
	for name, into := range targets {
		if f := message.Descriptor().Fields().ByTextName(name); f != nil && message.Has(f) {
			if id, err := uuid.Parse(message.Get(f).String()); err == nil {
				*into = id
			}
		}
	}
	if into, about := targets[string(stream.Kind)+"_id"]; about {
		*into = stream.ID
	}
	return s
}

// Message decodes the payload.
func (r *Record) Message() (proto.Message, error) {
	return Decode(r.Type, r.SchemaVersion, r.Payload)
}

// ToProto is the record as the contract shows it.
func (r *Record) ToProto() (*eventv1.Event, error) {
	m, err := r.Message()
	if err != nil {
		return nil, err
	}
	e := &eventv1.Event{
		EventId: r.EventID.String(), TenantId: r.TenantID.String(), Position: r.Position, StreamKey: r.StreamKey, Seq: r.Seq,
		EventType: string(r.Type), Payload: Wrap(m), PayloadSchemaVersion: r.SchemaVersion,
		OccurredAt: timestamppb.New(r.OccurredAt), IngestedAt: timestamppb.New(r.IngestedAt),
		IdempotencyKey: IdempotencyText(r.IdempotencyKey), TraceId: idText(r.TraceID), CausationId: ulidText(r.CausationID),
		CommandId: idText(r.CommandID), WorkflowId: idText(r.WorkflowID), ActorType: r.ActorType, ActorId: r.ActorID,
		PrevHash: hex.EncodeToString(r.PrevHash[:]), Hash: hex.EncodeToString(r.Hash[:]),
	}
	if d, known := Lookup(r.Type); known && r.SchemaVersion != d.Version {
		e.PayloadAsStored = string(r.Payload)
	}
	return e, nil
}

// FromProto rebuilds the stored form of an event that was read over the contract, payload bytes included. What it gives is
// only as true as its hash: check it with a Chain.
func FromProto(e *eventv1.Event) (*Record, proto.Message, error) {
	d, m, err := Of(e.GetPayload())
	if err != nil {
		return nil, nil, err
	}
	if e.GetEventType() != string(d.Type) {
		return nil, nil, fault.InvalidField("event_type", "is %q, and the payload is that of %s", e.GetEventType(), d.Type)
	}
	payload, err := storedOf(e, d, m)
	if err != nil {
		return nil, nil, err
	}
	r := &Record{
		Position: e.GetPosition(), StreamKey: e.GetStreamKey(), Seq: e.GetSeq(), Type: d.Type, Payload: payload, SchemaVersion: e.GetPayloadSchemaVersion(),
		OccurredAt: e.GetOccurredAt().AsTime(), IngestedAt: e.GetIngestedAt().AsTime(), ActorType: e.GetActorType(), ActorID: e.GetActorId(),
	}
	p := parser{}
	r.TenantID, r.TraceID = p.id("tenant_id", e.GetTenantId()), p.id("trace_id", e.GetTraceId())
	r.CommandID, r.WorkflowID = p.id("command_id", e.GetCommandId()), p.id("workflow_id", e.GetWorkflowId())
	r.EventID, r.CausationID = p.ulid("event_id", e.GetEventId()), p.ulid("causation_id", e.GetCausationId())
	key, named := strings.CutPrefix(e.GetIdempotencyKey(), idempotencyPrefix)
	if !named {
		p.fail("idempotency_key", e.GetIdempotencyKey())
	}
	r.IdempotencyKey = p.hash("idempotency_key", key)
	r.PrevHash, r.Hash = p.hash("prev_hash", e.GetPrevHash()), p.hash("hash", e.GetHash())
	return r, m, p.err
}

// storedOf is the payload's stored bytes. Those of an older version cannot be made from the payload that is shown, so they
// come with it; what they mean is held against it, since only they are hashed.
func storedOf(e *eventv1.Event, d *Descriptor, shown proto.Message) ([]byte, error) {
	if e.GetPayloadSchemaVersion() == d.Version {
		if e.GetPayloadAsStored() != "" {
			return nil, fault.InvalidField("payload_as_stored", "must be empty for version %d of %s, which is today's", d.Version, d.Type)
		}
		return Canonical(shown)
	}
	stored := []byte(e.GetPayloadAsStored())
	meant, err := Decode(d.Type, e.GetPayloadSchemaVersion(), stored)
	if err != nil {
		return nil, err
	}
	if !proto.Equal(meant, shown) {
		return nil, fault.InvalidField("payload_as_stored", "is not the payload that is shown")
	}
	return stored, nil
}

// parser reads ids and hashes; it keeps the first error.
type parser struct{ err error }

func (p *parser) fail(field, text string) {
	if p.err == nil {
		p.err = fault.InvalidField(field, "%q is malformed", text)
	}
}

func (p *parser) id(field, text string) uuid.UUID {
	if text == "" {
		return uuid.Nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		p.fail(field, text)
	}
	return id
}

func (p *parser) ulid(field, text string) ulid.ULID {
	if text == "" {
		return ulid.ULID{}
	}
	id, err := ulid.ParseStrict(text)
	if err != nil {
		p.fail(field, text)
	}
	return id
}

func (p *parser) hash(field, text string) [32]byte {
	var h [32]byte
	if len(text) != hex.EncodedLen(len(h)) {
		p.fail(field, text)
		return h
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		p.fail(field, text)
	}
	return h
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func ulidText(id ulid.ULID) string {
	if id == (ulid.ULID{}) {
		return ""
	}
	return id.String()
}

// positionText is a position in digits.
func positionText(position int64) string { return strconv.FormatInt(position, 10) }
