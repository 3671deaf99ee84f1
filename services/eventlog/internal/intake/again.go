package intake

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// again answers a command that is in the log: with its receipt if it is the same request, with the difference if a
// decision's id stands for another, and with a discrepancy, recorded once, if a fact is told with other values.
//
// The discrepancy comes as a trial that is not merged yet; nil where there is none to record.
func (l *Ledger) again(r *Request, first *Receipt) (Answer, *trial, error) {
	if first.Digest == r.Digest {
		return Answer{Receipt: first, Duplicate: true}, nil, nil
	}
	if !r.fact {
		return Answer{}, nil, fault.New(fault.Duplicate, "COMMAND_ID_REUSED", "command %s stands for another request", r.Command).
			With("command_id", r.Command.String()).
			With("stored_digest", hex.EncodeToString(first.Digest[:])).
			With("request_digest", hex.EncodeToString(r.Digest[:]))
	}
	answer := Answer{Receipt: first, Duplicate: true, Discrepancy: event.DiscrepancyCommandID(r.Command, r.Digest)}
	if l.known[answer.Discrepancy] != nil {
		return answer, nil, nil
	}
	if err := l.ready(r); err != nil {
		return Answer{}, nil, err
	}
	report := l.firstReport(first)
	if report == nil {
		return Answer{}, nil, &MissingReport{Position: first.FirstPosition, IngestedAt: first.IngestedAt}
	}
	t := l.begin(answer.Discrepancy, r.Digest)
	told := &r.events[0]
	message := contradiction(told, report, first)
	message.DiscrepancyId = answer.Discrepancy.String()
	tell := notice{message: message, account: told.subjects.AccountID, cause: first.Entries[0].EventID}
	if err := t.notify([]notice{tell}, r.Trace, r.Workflow); err != nil {
		return Answer{}, nil, err
	}
	// The discrepancy is the event that this command asked for, so to say: nothing else is in its receipt.
	t.raised = 0
	return answer, t, nil
}

// firstReport is what a fact was first told as, by an append of this transaction or before; nil: it is not loaded.
func (l *Ledger) firstReport(first *Receipt) *FirstReport {
	if len(l.records) > 0 && first.FirstPosition >= l.records[0].Position {
		record := &l.records[first.FirstPosition-l.records[0].Position]
		return &FirstReport{EventID: record.EventID, TraceID: record.TraceID, Message: record.Message}
	}
	return l.reports[first.FirstPosition]
}

// contradiction tells in what a report differs from the first one.
func contradiction(told *prepared, first *FirstReport, receipt *Receipt) *eventv1.DiscrepancyDetected {
	d := &eventv1.DiscrepancyDetected{
		AccountId: told.subjects.AccountID.String(), Kind: eventv1.DiscrepancyKind_DISCREPANCY_KIND_QUANTITY_MISMATCH,
		Entity:   told.stream,
		Severity: eventv1.Severity_SEVERITY_WARNING, Resolution: eventv1.Resolution_RESOLUTION_NEEDS_OPERATOR,
		Actual: valuesOf(told.message),
	}
	if first.Message != nil {
		d.Expected = valuesOf(first.Message)
	} else {
		d.Expected = map[string]string{"digest": hex.EncodeToString(receipt.Digest[:])}
	}
	if told.subjects.OrderID != uuid.Nil {
		d.OrderId = told.subjects.OrderID.String()
	}
	if told.subjects.PositionID != uuid.Nil {
		d.PositionId = told.subjects.PositionID.String()
	}
	switch p := told.message.(type) {
	case *eventv1.FillReceived:
		d.Kind = eventv1.DiscrepancyKind_DISCREPANCY_KIND_PRICE_OR_FEE_MISMATCH
		d.Entity = "trade:" + p.GetSymbol() + "/" + p.GetExchangeTradeId()
	case *eventv1.BalanceSampled:
		d.Kind = eventv1.DiscrepancyKind_DISCREPANCY_KIND_BALANCE_MISMATCH
		d.Entity = "balance:" + p.GetWallet() + "/" + p.GetAsset()
	}
	return d
}

// valuesOf are the VALUE fields of a fact, in their stored form.
func valuesOf(m proto.Message) map[string]string {
	values := map[string]string{}
	canonical, err := event.Canonical(m)
	if err != nil {
		return values // It is stored, or was checked: it has a stored form.
	}
	var stored map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &stored); err != nil {
		return values
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		options, _ := proto.GetExtension(fields.Get(i).Options(), optionsv1.E_Field).(*optionsv1.Field)
		if value, has := stored[name]; has && options.GetRole() == optionsv1.FieldRole_FIELD_ROLE_VALUE {
			values[name] = strings.Trim(string(value), `"`)
		}
	}
	return values
}
