package event

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/money"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// integerMax is the greatest whole number that every reader of JSON keeps exactly.
const integerMax = 1 << 53

// The seconds of the years 1 to 9999, which four digits can write.
const (
	secondsMin = -62_135_596_800
	secondsMax = 253_402_300_799
)

// The forms of a time: the shortest of the two that loses nothing.
const (
	layoutMillis = "2006-01-02T15:04:05.000Z"
	layoutMicros = "2006-01-02T15:04:05.000000Z"
)

// selection says which fields are written.
type selection int

const (
	// The zero value writes everything: the stored bytes.
	_ selection = iota
	// meaning: without evidence and the times at which something was noted.
	meaning
	// values: only what happened.
	values
)

// takes says whether a field is written.
func (s selection) takes(f *fieldPlan) bool {
	switch s {
	case meaning:
		return !f.meaningless
	case values:
		return f.role == optionsv1.FieldRole_FIELD_ROLE_VALUE
	default:
		return true
	}
}

// Canonical writes the stored bytes of a typed payload: RFC 8785 JSON with the contract's field names; decimals in one
// normal form, UUIDs in lower case, times in UTC cut to microseconds, enumerations as their words; numbers and booleans
// always, everything else only where it says something. A value that cannot be stored is Invalid and names its field; so
// is a field that this version of Robson does not know, since it would be lost.
func Canonical(m proto.Message) ([]byte, error) {
	d, err := OfMessage(m)
	if err != nil {
		return nil, err
	}
	w := writer{path: []string{"payload", d.FieldName()}}
	w.message(m.ProtoReflect(), d.plan)
	return w.out, w.err
}

// writer writes canonical JSON; after the first error it writes nothing more.
type writer struct {
	out    []byte
	path   []string
	choose selection
	err    error
}

// fail names the field at which writing ends.
func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fault.InvalidField(strings.Join(w.path, "."), format, args...)
	}
}

// message writes an object.
func (w *writer) message(m protoreflect.Message, p *plan) {
	if len(m.GetUnknown()) > 0 {
		w.fail("holds a field that this version of Robson does not know")
		return
	}
	w.out = append(w.out, '{')
	first := true
	for _, f := range p.fields {
		if !w.choose.takes(f) || (!f.always && !m.Has(f.desc)) {
			continue
		}
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		w.out = append(w.out, f.key...)
		w.path = append(w.path, f.name)
		w.field(m.Get(f.desc), f)
		w.path = w.path[:len(w.path)-1]
		if w.err != nil {
			return
		}
	}
	w.out = append(w.out, '}')
}

// field writes a field's value, of whatever cardinality.
func (w *writer) field(v protoreflect.Value, f *fieldPlan) {
	switch {
	case f.desc.IsMap():
		w.object(v.Map(), f)
	case f.desc.IsList():
		w.out = append(w.out, '[')
		list := v.List()
		for i := range list.Len() {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(list.Get(i), f)
		}
		w.out = append(w.out, ']')
	default:
		w.value(v, f)
	}
}

// object writes a map with its keys in the order of their UTF-16 code units.
func (w *writer) object(m protoreflect.Map, f *fieldPlan) {
	keys := make([]string, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String())
		return true
	})
	slices.SortFunc(keys, compareUTF16)
	w.out = append(w.out, '{')
	for i, key := range keys {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.text(key)
		w.out = append(w.out, ':')
		w.value(m.Get(protoreflect.ValueOfString(key).MapKey()), f)
	}
	w.out = append(w.out, '}')
}

// compareUTF16 orders as RFC 8785 does.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// value writes one value.
func (w *writer) value(v protoreflect.Value, f *fieldPlan) {
	switch f.form {
	case formText:
		w.text(v.String())
	case formDecimal:
		canonical, err := money.Canonical(v.String())
		if err != nil {
			w.fail("%s", err)
			return
		}
		w.quoted(canonical)
	case formUUID:
		id, ok := canonicalUUID(v.String())
		if !ok {
			w.fail("%q is no UUID", v.String())
			return
		}
		w.quoted(id)
	case formBool:
		w.out = strconv.AppendBool(w.out, v.Bool())
	case formInt:
		if n := v.Int(); n > integerMax || n < -integerMax {
			w.fail("%d is beyond 2^53", n)
		}
		w.out = strconv.AppendInt(w.out, v.Int(), 10)
	case formEnum:
		word, known := f.enum.words[v.Enum()]
		if !known {
			w.fail("%d is no value of %s", v.Enum(), f.desc.Name())
			return
		}
		w.quoted(word)
	case formTime:
		w.time(v.Message())
	case formMessage:
		w.message(v.Message(), f.sub)
	}
}

// quoted writes text that needs no escapes.
func (w *writer) quoted(s string) {
	w.out = append(w.out, '"')
	w.out = append(w.out, s...)
	w.out = append(w.out, '"')
}

// time writes a timestamp.
func (w *writer) time(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	seconds, nanos := m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()
	if nanos < 0 || nanos >= int64(time.Second) || seconds < secondsMin || seconds > secondsMax {
		w.fail("is no time between the years 1 and 9999")
		return
	}
	w.out = append(w.out, '"')
	w.out = AppendTime(w.out, time.Unix(seconds, nanos))
	w.out = append(w.out, '"')
}

// AppendTime writes a time as events have it: UTC, cut to microseconds.
func AppendTime(dst []byte, t time.Time) []byte {
	layout := layoutMillis
	if t.Nanosecond()/int(time.Microsecond)%1000 != 0 {
		layout = layoutMicros
	}
	return t.UTC().AppendFormat(dst, layout)
}

// canonicalUUID brings a UUID with dashes to lower case.
func canonicalUUID(s string) (string, bool) {
	if len(s) != 36 {
		return "", false
	}
	upper := false
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c >= 'A' && c <= 'F':
			upper = true
		default:
			return "", false
		}
	}
	if upper {
		return strings.ToLower(s), true
	}
	return s, true
}

const hexDigits = "0123456789abcdef"

// text writes a string with RFC 8785's escapes: the shortest there are, nothing else.
func (w *writer) text(s string) {
	w.out = append(w.out, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				w.fail("is no valid UTF-8")
				return
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		if c == 0 {
			w.fail("holds a NUL, which cannot be stored")
			return
		}
		w.out = append(w.out, s[start:i]...)
		w.out = appendEscape(w.out, c)
		i++
		start = i
	}
	w.out = append(w.out, s[start:]...)
	w.out = append(w.out, '"')
}

// appendEscape writes one escaped character.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}
