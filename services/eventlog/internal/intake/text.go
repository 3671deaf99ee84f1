package intake

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// store brings an event's payload into its stored form. What a venue reports is never refused for a text that cannot be
// stored: it is mended, which makes a copy, and what was mended is noted.
func (p *prepared) store(textBytesMax int) error {
	payload, err := event.Canonical(p.message)
	fromVenue := !p.descriptor.IsDecision() && p.subjects.AccountID != uuid.Nil
	if fromVenue && (err != nil || len(payload) > textBytesMax) {
		mended := proto.Clone(p.message)
		if event.MakeStorable(mended, textBytesMax) {
			p.mended = differences(p.message, mended)
			p.message = mended
			payload, err = event.Canonical(mended)
		}
	}
	p.payload = payload
	return err
}

// differences tell, by field, what was wrong with the texts that were mended.
func differences(told, mended proto.Message) map[string]string {
	found := map[string]string{}
	before, after := told.ProtoReflect(), mended.ProtoReflect()
	before.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.StringKind || f.IsList() || f.IsMap() || v.String() == after.Get(f).String() {
			return true
		}
		found[string(f.Name())] = fmt.Sprintf("%d bytes, %d NUL", len(v.String()), strings.Count(v.String(), "\x00"))
		return true
	})
	return found
}

// mendedKind stands for the kind in the id of the discrepancy that tells of mended text, so that it is not that of an
// anomaly which the fold finds in the same event.
const mendedKind = "unstorable_text"

// mended is the DISCREPANCY_DETECTED for an event whose text was mended. Nobody needs to act: what the text was told for is
// in the event.
func (t *trial) mended(p *prepared, record *Record) notice {
	expected := make(map[string]string, len(p.mended))
	for field := range p.mended {
		expected[field] = "UTF-8 without NUL, no longer than the field may be"
	}
	message := projection.Anomaly{
		Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_STATUS_MISMATCH, Severity: eventv1.Severity_SEVERITY_INFO,
		AccountID: record.Subjects.AccountID, Entity: record.StreamKey,
		OrderID: someID(record.Subjects.OrderID), PositionID: someID(record.Subjects.PositionID),
		Expected: expected, Actual: p.mended,
	}.Payload(uuid.UUID(record.EventID))
	message.DiscrepancyId = event.DiscrepancyID(record.EventID, mendedKind).String()
	message.Resolution = eventv1.Resolution_RESOLUTION_AUTO_REPAIRED
	return notice{message: message, account: record.Subjects.AccountID, cause: record.EventID}
}

// someID is an id that may be absent, as rows keep it.
func someID(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }
