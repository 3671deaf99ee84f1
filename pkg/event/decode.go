package event

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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
	m := message.New()
	r := reader{in: data}
	r.message(m, written, 0)
	r.space()
	if r.err == "" && r.at != len(r.in) {
		r.fail("more follows the payload")
	}
	if r.err != "" {
		return nil, fault.New(fault.Corrupt, "PAYLOAD_UNREADABLE", "payload of %s, byte %d: %s", t, r.at, r.err)
	}
	payload := m.Interface()
	for i := range steps {
		payload = steps[i].lift(payload)
	}
	return payload, nil
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
	seen := uint64(0)
	r.members(depth, func(name []byte) {
		f, known := p.byName[string(name)]
		switch {
		case !known:
			r.skip(depth + 1)
		case seen&f.bit != 0:
			r.fail(f.name + " is given twice")
		case r.next() == 'n':
			seen |= f.bit
			r.skip(depth + 1)
		default:
			seen |= f.bit
			r.field(m, f, depth+1)
		}
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
			key := protoreflect.ValueOfString(string(name)).MapKey()
			if object.Has(key) {
				r.fail(f.name + " holds a key twice")
				return
			}
			if v := r.value(nil, f, depth+1); r.err == "" {
				object.Set(key, v)
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
		if seconds := t.Unix(); err != nil || seconds < secondsMin || seconds > secondsMax {
			r.fail("no time for " + f.name)
		}
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect())
	case formMessage:
		v := fresh()
		r.message(v.Message(), f.sub, depth)
		return v
	default:
		return protoreflect.ValueOfString(r.text(f))
	}
}

// text reads a string of the field's form.
func (r *reader) text(f *fieldPlan) string {
	text := string(r.rawString())
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
	return text
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

// integer reads a whole number, in the one form that it has.
func (r *reader) integer() int64 {
	text := r.number()
	n, err := strconv.ParseInt(string(text), 10, 64)
	digits := bytes.TrimPrefix(text, []byte("-"))
	switch {
	case err != nil, digits[0] == '+', digits[0] == '0' && len(text) > 1:
		r.fail("expected a whole number")
	case n > integerMax, n < -integerMax:
		r.fail("a number is beyond 2^53")
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

// escapedString reads the rest of a string that holds escapes; what it gives is a copy.
func (r *reader) escapedString(start int) []byte {
	s := append([]byte(nil), r.in[start:r.at]...)
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c == '"':
			r.at++
			if !utf8.Valid(s) {
				r.fail("a string is no valid UTF-8")
			}
			return s
		case c == '\\':
			s = r.escape(s)
			if r.err != "" {
				return nil
			}
			continue
		case c < ' ':
			r.fail("a control character stands in a string")
			return nil
		default:
			s = append(s, c)
		}
		r.at++
	}
	r.fail("a string has no end")
	return nil
}

// shortEscapes are the escapes of one letter.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads one escaped character and adds it.
func (r *reader) escape(s []byte) []byte {
	if r.at+1 >= len(r.in) {
		r.fail("a string has no end")
		return nil
	}
	if c := shortEscapes[r.in[r.at+1]]; c != 0 {
		r.at += 2
		return append(s, c)
	}
	c, ok := r.unit()
	if ok && utf16.IsSurrogate(c) {
		low, _ := r.unit()
		c = utf16.DecodeRune(c, low)
		ok = c != utf8.RuneError
	}
	switch {
	case !ok:
		r.fail("a string's escapes are malformed")
	case c == 0:
		r.fail("a string holds a NUL")
	}
	return utf8.AppendRune(s, c)
}

// unit reads one escaped UTF-16 code unit.
func (r *reader) unit() (c rune, ok bool) {
	const length = len(`\u0041`)
	if len(r.in)-r.at < length || r.in[r.at] != '\\' || r.in[r.at+1] != 'u' {
		return 0, false
	}
	var unit [2]byte
	if _, err := hex.Decode(unit[:], r.in[r.at+2:r.at+length]); err != nil {
		return 0, false
	}
	r.at += length
	return rune(unit[0])<<8 | rune(unit[1]), true
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
