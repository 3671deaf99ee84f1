package event_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// populated is a payload of a type with every field set, to what the contract allows there. What a field holds follows
// from its name alone: it is the same in every run, for ever, since stored golden bytes are made of it.
func populated(t *testing.T, d *event.Descriptor) proto.Message {
	t.Helper()
	payload := (&eventv1.Payload{}).ProtoReflect()
	kind := payload.Descriptor().Fields().ByName(protoreflect.Name(d.FieldName()))
	require.NotNil(t, kind, d.Type)
	m := payload.NewField(kind).Message()
	populate(t, m, string(d.Type))
	require.NoError(t, protovalidate.Validate(event.Wrap(m.Interface())), d.Type)
	return m.Interface()
}

// populate sets every field of a message.
func populate(t *testing.T, m protoreflect.Message, path string) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		at := path + "." + string(f.Name())
		switch {
		case isRetired(f): // Of an older version; nothing writes it.
		case f.IsMap():
			object := m.Mutable(f).Map()
			for _, key := range mapKeys {
				object.Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(someText(at+"."+key, 1024)))
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for n := range 2 {
				list.Append(someValue(t, f, list.NewElement, fmt.Sprintf("%s[%d]", at, n)))
			}
		default:
			m.Set(f, someValue(t, f, func() protoreflect.Value { return m.NewField(f) }, at))
		}
	}
}

// mapKeys are keys that tell RFC 8785's order by UTF-16 code units from an order by bytes or by characters, and words
// that mean something elsewhere, but not as the keys of a person's own settings.
var mapKeys = []string{"b", "B", "é", "\ufb33", "\U0001f600", "timeout_at", "request_id"}

// someValue is one value for a field.
func someValue(t *testing.T, f protoreflect.FieldDescriptor, fresh func() protoreflect.Value, path string) protoreflect.Value {
	t.Helper()
	seed := seedOf(path)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(1 + seed%1_000_000))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1<<53 - int64(seed%3))
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(1 + int(seed%uint64(values.Len()-1))).Number())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(someString(t, f, path))
	case protoreflect.MessageKind:
		v := fresh()
		if f.Message().FullName() == "google.protobuf.Timestamp" {
			return protoreflect.ValueOfMessage(timestamppb.New(someTime(seed)).ProtoReflect())
		}
		populate(t, v.Message(), path)
		return v
	default:
		require.Failf(t, "unknown kind", "%s is a %s", path, f.Kind())
		return protoreflect.Value{}
	}
}

// someString is a text as the field's form and rules want it.
func someString(t *testing.T, f protoreflect.FieldDescriptor, path string) string {
	t.Helper()
	rules := stringRules(f)
	switch fieldOptions(f).GetFormat() {
	case optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL:
		return someDecimal(seedOf(path), strings.HasPrefix(rules.GetPattern(), "^-?"))
	case optionsv1.FieldFormat_FIELD_FORMAT_UUID:
		return uuid.NewSHA1(uuid.NameSpaceOID, []byte(path)).String()
	case optionsv1.FieldFormat_FIELD_FORMAT_UNSPECIFIED:
	}
	switch rules.GetPattern() {
	case "":
		most := rules.GetMaxLen()
		require.NotZero(t, most, "%s has no bound", path)
		return someText(path, int(most))
	case "^[A-Z0-9]{2,20}$":
		return "BTCUSDT"
	case "^[A-Z0-9]{1,20}$":
		return "USDT"
	case "^[a-zA-Z0-9-_]{1,36}$":
		return event.ClientOrderID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(path)))
	case "^(spot|isolated:[A-Z0-9]{2,20})$":
		return "isolated:BTCUSDT"
	default:
		require.Failf(t, "unknown pattern", "%s: %s", path, rules.GetPattern())
		return ""
	}
}

// stringRules are the contract's rules for a text, or for the texts of a list.
func stringRules(f protoreflect.FieldDescriptor) *validate.StringRules {
	if f.IsList() {
		return fieldRules(f).GetRepeated().GetItems().GetString()
	}
	return fieldRules(f).GetString()
}

// seedOf is a number that follows from a path.
func seedOf(path string) uint64 {
	sum := sha256.Sum256([]byte(path))
	return binary.BigEndian.Uint64(sum[:])
}

// someDecimal is an amount of up to 20 digits before the point and 18 after, in its normal form.
func someDecimal(seed uint64, signed bool) string {
	text := fmt.Sprintf("%d.%018d", 1+seed%99_999, seed%999_999_999_999_999_999)
	text = strings.TrimRight(text[:len(text)-int(seed%17)], "0")
	text = strings.TrimSuffix(text, ".")
	if signed && seed%5 == 0 {
		return "-" + text
	}
	return text
}

// someText is a text with everything that escaping can get wrong, as far as the bound lets it in.
func someText(path string, most int) string {
	name := []rune(path[strings.LastIndexByte(path, '.')+1:] + " \"é\" \\ / <€\U0001f600> \u2028\b\f\n\r\t\x01\x7f")
	return string(name[:min(len(name), most)])
}

// someTime is a time of day of which one in two has microseconds.
func someTime(seed uint64) time.Time {
	at := time.Date(2026, time.November, 24, 0, 0, int(seed%86_400), int(seed%1000)*int(time.Millisecond), time.UTC)
	if seed%2 == 0 {
		at = at.Add(time.Duration(1+seed%999) * time.Microsecond)
	}
	return at
}
