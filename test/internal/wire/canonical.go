package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// selection says which fields are written.
type selection int

const (
	// everything: the stored bytes.
	everything selection = iota
	// meaning: without evidence, the times at which something was noted, and who asked.
	meaning
	// values: only what happened.
	values
)

func (s selection) takes(f protoreflect.FieldDescriptor, options *optionsv1.Field) bool {
	role, name := options.GetRole(), string(f.Name())
	switch s {
	case meaning:
		noted := isTime(f) && strings.HasSuffix(name, "_at") && role != optionsv1.FieldRole_FIELD_ROLE_IDENTITY
		return !noted && role != optionsv1.FieldRole_FIELD_ROLE_EVIDENCE && name != "actor_id" && name != "actor_type" && name != "request_id"
	case values:
		return role == optionsv1.FieldRole_FIELD_ROLE_VALUE
	default:
		return true
	}
}

func isTime(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.MessageKind && f.Message().FullName() == "google.protobuf.Timestamp"
}

// canonical writes a message as it is stored: RFC 8785 JSON, keys in order, numbers and booleans always, everything else
// only where it says something.
func canonical(m protoreflect.Message, choose selection) ([]byte, error) {
	var fields []protoreflect.FieldDescriptor
	for i := range m.Descriptor().Fields().Len() {
		fields = append(fields, m.Descriptor().Fields().Get(i))
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	out := []byte{'{'}
	for _, f := range fields {
		options, _ := proto.GetExtension(f.Options(), optionsv1.E_Field).(*optionsv1.Field)
		number := f.Kind() == protoreflect.BoolKind || f.Kind() == protoreflect.Int32Kind || f.Kind() == protoreflect.Int64Kind
		always := number && !f.HasPresence() && !f.IsList()
		if !choose.takes(f, options) || !always && !m.Has(f) {
			continue
		}
		text, err := field(m.Get(f), f, options.GetFormat(), choose)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted(string(f.Name()))...), ':'), text...)
	}
	return append(out, '}'), nil
}

// field writes a field of any cardinality.
func field(v protoreflect.Value, f protoreflect.FieldDescriptor, format optionsv1.FieldFormat, choose selection) ([]byte, error) {
	switch {
	case f.IsMap():
		var keys []string
		v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool { keys = append(keys, k.String()); return true })
		slices.Sort(keys) // as RFC 8785 for what the tests name: ASCII
		var parts [][]byte
		for _, key := range keys {
			parts = append(parts, append(append(quoted(key), ':'), quoted(v.Map().Get(protoreflect.ValueOfString(key).MapKey()).String())...))
		}
		return slices.Concat([]byte{'{'}, bytes.Join(parts, []byte{','}), []byte{'}'}), nil
	case f.IsList():
		var parts [][]byte
		for i := range v.List().Len() {
			part, err := value(v.List().Get(i), f, format, choose)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		return slices.Concat([]byte{'['}, bytes.Join(parts, []byte{','}), []byte{']'}), nil
	default:
		return value(v, f, format, choose)
	}
}

// value writes one value.
func value(v protoreflect.Value, f protoreflect.FieldDescriptor, format optionsv1.FieldFormat, choose selection) ([]byte, error) {
	switch {
	case isTime(f):
		return timestamp(v.Message()), nil
	case f.Kind() == protoreflect.MessageKind:
		return canonical(v.Message(), choose)
	case f.Kind() == protoreflect.EnumKind:
		return quoted(wordOf(f.Enum(), v.Enum())), nil
	case f.Kind() == protoreflect.BoolKind:
		return strconv.AppendBool(nil, v.Bool()), nil
	case f.Kind() == protoreflect.StringKind && format == optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL:
		return quoted(decimal(v.String())), nil
	case f.Kind() == protoreflect.StringKind && format == optionsv1.FieldFormat_FIELD_FORMAT_UUID:
		return quoted(strings.ToLower(v.String())), nil
	case f.Kind() == protoreflect.StringKind:
		return quoted(v.String()), nil
	case f.Kind() == protoreflect.Int32Kind, f.Kind() == protoreflect.Int64Kind:
		return strconv.AppendInt(nil, v.Int(), 10), nil
	default:
		return nil, fmt.Errorf("events have no fields of kind %s", f.Kind())
	}
}

// decimal is a number in its one normal form: no trailing zeros after the point, no minus before zero.
func decimal(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// wordOf is an enumeration's value as events have it: SIDE_BUY is buy.
func wordOf(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	if n == 0 {
		return ""
	}
	prefix := strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(d.Values().ByNumber(n).Name()), prefix))
}

// timestamp writes a time: UTC, cut to microseconds, three digits of them where the rest are zero.
func timestamp(m protoreflect.Message) []byte {
	fields := m.Descriptor().Fields()
	at := time.Unix(m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()).UTC()
	layout := "2006-01-02T15:04:05.000Z"
	if at.Nanosecond()/1000%1000 != 0 {
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return quoted(at.Format(layout))
}

// quoted writes a text with JSON's shortest escapes.
func quoted(text string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a text and a buffer have no errors
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
