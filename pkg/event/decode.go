package event

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
)

// depthMax bounds how deep stored JSON may nest.
const depthMax = 32

// Decode reads a stored payload back. A type or version that is not known, and bytes that are not what was written, are
// Corrupt: a reader stops there, it never skips (law 11). Fields that are not known are ignored, since a newer
// version may have added them.
func Decode(t Type, version int32, data []byte) (proto.Message, error) {
	d, known := Lookup(t)
	if !known {
		return nil, fault.New(fault.Corrupt, "EVENT_TYPE_UNKNOWN", "event type %q is not known to this version of Robson", t)
	}
	if version < 1 || version > d.Version {
		return nil, fault.New(fault.Corrupt, "SCHEMA_VERSION_UNKNOWN", "version %d of %s is not known to this version of Robson", version, t)
	}
	m := d.message.New()
	r := reader{in: data}
	r.message(m, d.plan, 0)
	r.space()
	if r.err == "" && r.at != len(r.in) {
		r.fail("more follows the payload")
	}
	if r.err != "" {
		return nil, fault.New(fault.Corrupt, "PAYLOAD_UNREADABLE", "payload of %s, byte %d: %s", t, r.at, r.err)
	}
	return m.Interface(), nil
}

// reader reads JSON into messages; after the first error it reads nothing more.
type reader struct {
	in  []byte
	at  int
	err string
}

func (r *reader) fail(what string) {
	if r.err == "" {
		r.err = what
	}
}

// space skips white space.
func (r *reader) space() {
	for r.at < len(r.in) {
		switch r.in[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next is the next byte that is no white space; 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.at >= len(r.in) {
		return 0
	}
	return r.in[r.at]
}

// take consumes one expected byte.
func (r *reader) take(c byte) bool {
	if r.err != "" || r.next() != c {
		r.fail("expected " + strconv.QuoteRune(rune(c)))
		return false
	}
	r.at++
	return true
}

// message reads an object into a message.
func (r *reader) message(m protoreflect.Message, p *plan, depth int) {
	r.members(depth, func(name []byte) {
		f, known := p.byName[string(name)]
		if !known || r.next() == 'n' {
			r.skip(depth + 1)
			return
		}
		r.field(m, f, depth+1)
	})
}

// members reads an object's members.
func (r *reader) members(depth int, member func(name []byte)) {
	if depth > depthMax {
		r.fail("nested too deep")
	}
	if !r.take('{') {
		return
	}
	if r.next() == '}' {
		r.at++
		return
	}
	for r.err == "" {
		name := r.rawString()
		if r.err != "" || !r.take(':') {
			return
		}
		member(name)
		if r.err != "" {
			return
		}
		if r.next() == ',' {
			r.at++
			continue
		}
		r.take('}')
		return
	}
}

// elements reads an array's elements.
func (r *reader) elements(depth int, element func()) {
	if depth > depthMax {
		r.fail("nested too deep")
	}
	if !r.take('[') {
		return
	}
	if r.next() == ']' {
		r.at++
		return
	}
	for r.err == "" {
		element()
		if r.err != "" {
			return
		}
		if r.next() == ',' {
			r.at++
			continue
		}
		r.take(']')
		return
	}
}

// field reads a field's value, of whatever cardinality.
func (r *reader) field(m protoreflect.Message, f *fieldPlan, depth int) {
	switch {
	case f.desc.IsMap():
		object := m.Mutable(f.desc).Map()
		r.members(depth, func(name []byte) {
			key := string(name)
			if v := r.value(nil, f, depth+1); r.err == "" {
				object.Set(protoreflect.ValueOfString(key).MapKey(), v)
			}
		})
	case f.desc.IsList():
		list := m.Mutable(f.desc).List()
		r.elements(depth, func() {
			if v := r.value(list.NewElement, f, depth+1); r.err == "" {
				list.Append(v)
			}
		})
	default:
		v := r.value(func() protoreflect.Value { return m.NewField(f.desc) }, f, depth)
		if r.err == "" {
			m.Set(f.desc, v)
		}
	}
}

// value reads one value; fresh makes the message it is read into.
func (r *reader) value(fresh func() protoreflect.Value, f *fieldPlan, depth int) protoreflect.Value {
	switch f.form {
	case formBool:
		return protoreflect.ValueOfBool(r.boolean())
	case formInt:
		n := r.integer()
		if f.desc.Kind() == protoreflect.Int32Kind {
			if n != int64(int32(n)) {
				r.fail("a number is beyond 32 bits")
			}
			return protoreflect.ValueOfInt32(int32(n))
		}
		return protoreflect.ValueOfInt64(n)
	case formEnum:
		word := r.rawString()
		number, known := f.enum.numbers[string(word)]
		if r.err == "" && !known {
			r.fail("unknown word for " + f.name)
		}
		return protoreflect.ValueOfEnum(number)
	case formTime:
		t, err := time.Parse(time.RFC3339Nano, string(r.rawString()))
		if r.err == "" && err != nil {
			r.fail("no time for " + f.name)
		}
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect())
	case formMessage:
		v := fresh()
		r.message(v.Message(), f.sub, depth)
		return v
	default:
		return protoreflect.ValueOfString(string(r.rawString()))
	}
}

// boolean reads true or false.
func (r *reader) boolean() bool {
	switch {
	case r.next() == 't' && r.literal("true"):
		return true
	case r.next() == 'f' && r.literal("false"):
	default:
		r.fail("expected true or false")
	}
	return false
}

// literal consumes a word.
func (r *reader) literal(word string) bool {
	if len(r.in)-r.at < len(word) || string(r.in[r.at:r.at+len(word)]) != word {
		return false
	}
	r.at += len(word)
	return true
}

// integer reads a whole number.
func (r *reader) integer() int64 {
	text := r.number()
	n, err := strconv.ParseInt(string(text), 10, 64)
	if r.err == "" && err != nil {
		r.fail("expected a whole number")
	}
	return n
}

// number reads the text of a number.
func (r *reader) number() []byte {
	r.space()
	start := r.at
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.at++
			continue
		}
		break
	}
	return r.in[start:r.at]
}

// rawString reads a string; what it gives is valid until the input changes.
func (r *reader) rawString() []byte {
	if !r.take('"') {
		return nil
	}
	start := r.at
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c == '"':
			s := r.in[start:r.at]
			r.at++
			if !utf8.Valid(s) {
				r.fail("a string is no valid UTF-8")
			}
			return s
		case c == '\\':
			return r.escapedString(start)
		case c < ' ':
			r.fail("a control character stands in a string")
			return nil
		}
		r.at++
	}
	r.fail("a string has no end")
	return nil
}

// escapedString reads the rest of a string that holds escapes.
func (r *reader) escapedString(start int) []byte {
	for r.at < len(r.in) && r.in[r.at] != '"' {
		if r.in[r.at] == '\\' {
			r.at++
		}
		r.at++
	}
	if r.at >= len(r.in) {
		r.fail("a string has no end")
		return nil
	}
	r.at++
	var s string
	if err := json.Unmarshal(r.in[start-1:r.at], &s); err != nil {
		r.fail("a string's escapes are malformed")
	}
	return []byte(s)
}

// skip reads over a value that nobody wants.
func (r *reader) skip(depth int) {
	switch r.next() {
	case '{':
		r.members(depth, func([]byte) { r.skip(depth + 1) })
	case '[':
		r.elements(depth, func() { r.skip(depth + 1) })
	case '"':
		r.rawString()
	case 't', 'f':
		r.boolean()
	case 'n':
		if !r.literal("null") {
			r.fail("expected null")
		}
	default:
		if text := r.number(); !json.Valid(text) {
			r.fail("expected a value")
		}
	}
}
