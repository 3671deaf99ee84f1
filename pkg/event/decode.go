package event

import (
	"bytes"
	"reflect"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
)

// depthMax bounds how deep stored JSON may nest.
const depthMax = 32

// Decode reads a stored payload back, in today's shape whatever version it was written in. A type or version that is not
// known, and bytes that are not what was written, are Corrupt: a reader stops there, it never skips (law 11). Fields that
// are not known are ignored, since a newer program may have added them within the version.
func Decode(t Type, version int32, data []byte) (proto.Message, error) {
	d, known := Lookup(t)
	if !known {
		return nil, fault.New(fault.Corrupt, "EVENT_TYPE_UNKNOWN", "event type %q is not known to this version of Robson", t)
	}
	message, written, steps, known := d.shape(version)
	if !known {
		return nil, fault.New(fault.Corrupt, "SCHEMA_VERSION_UNKNOWN", "version %d of %s is not known to this version of Robson", version, t)
	}
	m := message.New().Interface()
	r := reader{in: data}
	r.message(reflect.ValueOf(m).Elem(), written, 0)
	r.space()
	if r.err == "" && r.at != len(r.in) {
		r.fail("more follows the payload")
	}
	if r.err != "" {
		return nil, fault.New(fault.Corrupt, "PAYLOAD_UNREADABLE", "payload of %s, byte %d: %s", t, r.at, r.err)
	}
	for i := range steps {
		m = steps[i].lift(m)
	}
	return m, nil
}

// message reads an object into a message's struct.
func (r *reader) message(m reflect.Value, p *plan, depth int) {
	if !r.open('{', '}', depth) {
		return
	}
	seen, expected := uint64(0), 0
	for {
		f := r.key(p, &expected)
		switch {
		case r.err != "":
			return
		case f == nil:
			r.skip(depth + 1)
		case seen&f.bit != 0:
			r.fail(f.name + " is given twice")
			return
		case r.next() == 'n':
			seen |= f.bit
			r.skip(depth + 1)
		default:
			seen |= f.bit
			r.field(m.Field(f.index), f, depth+1)
		}
		if !r.more('}') {
			return
		}
	}
}

// key reads a member's name and its colon; nil for a name that is not known. Stored payloads have their keys in order:
// the one that comes is most often the one expected next, and is then only compared.
func (r *reader) key(p *plan, expected *int) *fieldPlan {
	rest := r.in[r.at:]
	for i := *expected; i < len(p.fields); i++ {
		f := p.fields[i]
		if bytes.HasPrefix(rest, f.key) {
			*expected = i + 1
			r.at += len(f.key)
			return f
		}
	}
	name := r.rawString()
	if !r.take(':') {
		return nil
	}
	f, known := p.byName[string(name)]
	if !known {
		return nil
	}
	*expected = f.order + 1
	return f
}

// field reads a field's value, of whatever cardinality, into its place in the struct.
func (r *reader) field(into reflect.Value, f *fieldPlan, depth int) {
	switch {
	case f.desc.IsMap():
		r.texts(into, f, depth)
	case f.desc.IsList():
		r.list(into, f, depth)
	case f.pointer:
		value := reflect.New(f.element)
		r.value(value.Elem(), f, depth)
		into.Set(value)
	default:
		r.value(into, f, depth)
	}
}

// texts reads a map of texts.
func (r *reader) texts(into reflect.Value, f *fieldPlan, depth int) {
	object := map[string]string{}
	r.members(depth, func(name []byte) {
		if _, twice := object[string(name)]; twice {
			r.fail(f.name + " holds a key twice")
			return
		}
		object[string(name)] = r.text(f)
	})
	if len(object) > 0 {
		into.Set(reflect.ValueOf(object))
	}
}

// listCapacity is what a list begins with.
const listCapacity = 4

// list reads a list.
func (r *reader) list(into reflect.Value, f *fieldPlan, depth int) {
	r.elements(depth, func() {
		n := into.Len()
		if n == into.Cap() {
			into.Grow(max(n, listCapacity))
		}
		into.SetLen(n + 1)
		if f.pointer {
			value := reflect.New(f.element)
			r.value(value.Elem(), f, depth+1)
			into.Index(n).Set(value)
			return
		}
		r.value(into.Index(n), f, depth+1)
	})
}

// value reads one value.
func (r *reader) value(into reflect.Value, f *fieldPlan, depth int) {
	switch f.form {
	case formBool:
		into.SetBool(r.boolean())
	case formInt:
		n := r.integer()
		if into.OverflowInt(n) {
			r.fail("a number is beyond 32 bits")
			return
		}
		into.SetInt(n)
	case formEnum:
		number, known := f.enum.numbers[string(r.rawString())]
		if r.err == "" && !known {
			r.fail("unknown word for " + f.name)
		}
		into.SetInt(int64(number))
	case formTime:
		if at, ok := into.Addr().Interface().(*timestamppb.Timestamp); ok {
			r.time(at, f)
		}
	case formMessage:
		r.message(into, f.sub, depth)
	default:
		into.SetString(r.text(f))
	}
}

// time reads a time.
func (r *reader) time(into *timestamppb.Timestamp, f *fieldPlan) {
	text := r.rawString()
	if seconds, nanos, ok := storedTime(text); ok {
		into.Seconds, into.Nanos = seconds, nanos
		return
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if seconds := t.Unix(); err != nil || seconds < secondsMin || seconds > secondsMax {
		r.fail("no time for " + f.name)
	}
	into.Seconds, into.Nanos = t.Unix(), int32(t.Nanosecond())
}

// text reads a string of the field's form. Decimals and UUIDs are parts of one copy of the whole payload, since they are
// soon read as what they stand for; other texts are copied apart, since they may be kept for long.
func (r *reader) text(f *fieldPlan) string {
	start, end, plain := r.plain()
	if !plain {
		return r.escapedText(f)
	}
	text := r.in[start:end]
	switch f.form {
	case formDecimal:
		if !plainDecimal(text) {
			r.checkText(string(text), f)
		}
	case formUUID:
		if !isUUID(text) {
			r.fail("no UUID for " + f.name)
		}
	default:
		return string(text)
	}
	if r.copied == "" {
		r.copied = string(r.in)
	}
	return r.copied[start:end]
}

// escapedText reads any string of the field's form.
func (r *reader) escapedText(f *fieldPlan) string {
	text := string(r.rawString())
	r.checkText(text, f)
	return text
}

// checkText holds a string against the field's form.
func (r *reader) checkText(text string, f *fieldPlan) {
	switch f.form {
	case formDecimal:
		if _, err := money.Canonical(text); err != nil {
			r.fail("no decimal for " + f.name)
		}
	case formUUID:
		if _, ok := canonicalUUID(text); !ok {
			r.fail("no UUID for " + f.name)
		}
	default:
	}
}
