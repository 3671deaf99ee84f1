package intake

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
)

// The types that are told from others here.
const (
	typeTenantCreated event.Type = "TENANT_CREATED"
	typeDiscrepancy   event.Type = "DISCREPANCY_DETECTED"
)

// New checks what can be checked of an append without knowing the log, and brings its events into their stored form.
// Errors name the field as the contract does.
func New(d *Draft, limits Limits) (*Request, error) {
	r := &Request{
		Tenant: d.Tenant, Command: d.Command, Digest: d.Digest, Trace: d.Trace, Causation: d.Causation, Workflow: d.Workflow, DecidedAt: d.DecidedAt,
	}
	if d.Command == uuid.Nil {
		return nil, fault.InvalidField("command_id", "must be given, in the request or in the call's metadata")
	}
	if d.Trace == uuid.Nil {
		return nil, fault.InvalidField("trace_id", "must be given, in the request or in the call's metadata")
	}
	if len(d.Streams) > limits.StreamsMax {
		return nil, fault.InvalidField("streams", "must be at most %d and are %d", limits.StreamsMax, len(d.Streams))
	}
	if err := r.addStreams(d, limits); err != nil {
		return nil, err
	}
	if len(r.events) == 0 {
		return nil, fault.InvalidField("streams", "must have at least one event")
	}
	for i, read := range d.Reads {
		key, known := projection.ReadKey(read.Kind, read.ID)
		if !known {
			return nil, fault.InvalidField(fmt.Sprintf("reads[%d].row", i), "is no kind of row that is known here")
		}
		r.reads = append(r.reads, key)
	}
	if err := r.checkShape(); err != nil {
		return nil, err
	}
	r.touches = append(r.touches, r.reads...)
	for i := range r.events {
		r.touches = append(r.touches, projection.Touches(r.projected(&r.events[i], place{seq: 1}))...)
	}
	return r, nil
}

// addStreams prepares all events.
func (r *Request) addStreams(d *Draft, limits Limits) error {
	count := 0
	for i := range d.Streams {
		count += len(d.Streams[i].Events)
	}
	if count > limits.EventsMax {
		return fault.InvalidField("streams", "must have at most %d events in all and have %d", limits.EventsMax, count).
			With("limit", strconv.Itoa(limits.EventsMax)).With("found", strconv.Itoa(count))
	}
	r.events = make([]prepared, 0, count)
	r.streams = make([]stream, 0, len(d.Streams))
	bytes := 0
	for i := range d.Streams {
		s := &d.Streams[i]
		at := fmt.Sprintf("streams[%d]", i)
		key, err := event.ParseStreamKey(s.Key)
		if err != nil {
			return within(err, at)
		}
		for _, other := range r.streams {
			if other.key == s.Key {
				return fault.InvalidField(at+".stream_key", "is listed twice: %s", s.Key)
			}
		}
		r.streams = append(r.streams, stream{key: s.Key, expected: s.Expected})
		for j := range s.Events {
			path := fmt.Sprintf("%s.events[%d]", at, j)
			if err := r.addEvent(d, key, &s.Events[j], limits); err != nil {
				return within(err, path)
			}
			r.events[len(r.events)-1].path, r.events[len(r.events)-1].streamPath = path, at+".stream_key"
			size := len(r.events[len(r.events)-1].payload)
			if bytes += size; size > limits.PayloadBytesMax {
				return fault.InvalidField(path+".payload", "must have at most %d bytes as it is stored and has %d", limits.PayloadBytesMax, size)
			}
			if bytes > limits.AppendBytesMax {
				return fault.InvalidField("streams", "must have payloads of at most %d bytes in all", limits.AppendBytesMax)
			}
		}
	}
	return nil
}

// addEvent prepares one event.
func (r *Request) addEvent(d *Draft, key event.StreamKey, e *DraftEvent, limits Limits) error {
	descriptor, message, err := event.Of(e.Payload)
	if err != nil {
		return err
	}
	p := prepared{
		descriptor: descriptor, message: message, stream: key.String(), causedBy: e.CausedBy,
		occurredAt: microseconds(e.OccurredAt), subjects: event.SubjectsOf(key, message),
	}
	if p.actorType, p.actorID, err = actorOf(descriptor, d.Caller); err != nil {
		return err
	}
	if year := p.occurredAt.Year(); year < 1 || year > 9999 {
		return fault.InvalidField("occurred_at", "must lie between the years 1 and 9999")
	}
	if e.CausedBy >= len(r.events) {
		return fault.InvalidField("caused_by", "must be the index of an earlier event of the append, below %d, and is %d", len(r.events), e.CausedBy)
	}
	if err := p.store(limits.TextBytesMax); err != nil {
		return err
	}
	normalized, err := event.Normalize(p.message)
	if err != nil {
		return err
	}
	p.key = event.IdempotencyKey(d.Tenant, p.stream, d.Command, normalized)
	r.events = append(r.events, p)
	return nil
}

// checkShape holds the request as a whole to the rules for what goes together.
func (r *Request) checkShape() error {
	for i := range r.events {
		p := &r.events[i]
		switch {
		case p.descriptor.Type == typeTenantCreated && i > 0:
			return fault.InvalidField("streams", "TENANT_CREATED must be the first event of its append")
		case p.descriptor.Type == typeTenantCreated:
			r.creates = p.stream == (event.StreamKey{Kind: event.KindTenant, ID: r.Tenant}).String()
		case p.descriptor.IsFact() && len(r.events) > 1:
			return fault.InvalidField("streams", "%s is a fact and must be appended alone: one fact, one append", p.descriptor.Type)
		case p.descriptor.IsFact():
			r.fact = true
		}
	}
	if !r.fact {
		return nil
	}
	// Law 7 rests on it: what a fact is known by, and not who tells it, names its command.
	message := r.events[0].message
	identity, err := event.Identity(message)
	if err != nil {
		return within(err, "streams[0].events[0]")
	}
	if right := event.FactCommandID(identity); r.Command != right {
		return fault.InvalidField("command_id", "must be %s, of the fact's identity %s, and is %s", right, identity, r.Command)
	}
	digest, err := event.Digest(message)
	if err != nil {
		return within(err, "streams[0].events[0]")
	}
	if r.Digest != digest {
		return fault.InvalidField("request_digest", "must be that of the fact's values, %x", digest)
	}
	return nil
}

// within puts the place of an event before the fields that an error names.
func within(err error, at string) error {
	e := fault.As(err)
	if e == nil || len(e.Fields) == 0 {
		return fmt.Errorf("%s: %w", at, err)
	}
	moved := *e
	moved.Fields = make([]fault.Field, len(e.Fields))
	for i, f := range e.Fields {
		moved.Fields[i] = fault.Field{Path: at + "." + f.Path, Description: f.Description}
	}
	moved.Message = at + "." + e.Message
	return &moved
}
