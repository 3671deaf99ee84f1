package event_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// reference reads a payload by encoding/json and protobuf's reflection: slowly, and by other people's code. It takes more
// than Decode does; of what both take it makes the same.
func reference(t require.TestingT, d *event.Descriptor, data []byte) proto.Message {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var members map[string]any
	require.NoError(t, decoder.Decode(&members))
	payload := (&eventv1.Payload{}).ProtoReflect()
	m := payload.NewField(payload.Descriptor().Fields().ByName(protoreflect.Name(d.FieldName()))).Message()
	referenceMessage(t, m, members)
	return m.Interface()
}

func referenceMessage(t require.TestingT, m protoreflect.Message, members map[string]any) {
	for name, value := range members {
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case f == nil || value == nil:
		case f.IsMap():
			for key, text := range value.(map[string]any) {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOf(text))
			}
		case f.IsList():
			for _, element := range value.([]any) {
				list := m.Mutable(f).List()
				list.Append(referenceValue(t, f, list.NewElement(), element))
			}
		default:
			m.Set(f, referenceValue(t, f, m.NewField(f), value))
		}
	}
}

func referenceValue(t require.TestingT, f protoreflect.FieldDescriptor, fresh protoreflect.Value, value any) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		n, err := value.(json.Number).Int64()
		require.NoError(t, err)
		if f.Kind() == protoreflect.Int32Kind {
			return protoreflect.ValueOfInt32(int32(n))
		}
		return protoreflect.ValueOfInt64(n)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(event.EnumNumber(f.Enum(), value.(string)))
	case protoreflect.MessageKind:
		if text, is := value.(string); is {
			at, err := time.Parse(time.RFC3339Nano, text)
			require.NoError(t, err)
			return protoreflect.ValueOfMessage(timestamppb.New(at).ProtoReflect())
		}
		referenceMessage(t, fresh.Message(), value.(map[string]any))
		return fresh
	default:
		return protoreflect.ValueOf(value)
	}
}

// What is stored is read by a decoder made for it, which takes most of its ways for what Canonical writes. It must read the
// same where the same is written otherwise: by another order of members, with white space, with escapes.
func TestDecode_reads_what_everybody_reads(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 11))
	for _, d := range event.All() {
		canonical, err := event.Canonical(populated(t, d))
		require.NoError(t, err)
		forms := [][]byte{canonical}
		for _, file := range corpus(t) {
			if file.typ == d.Type && file.version == d.Version {
				forms = append(forms, file.bytes)
			}
		}
		for _, form := range forms {
			expected := reference(t, d, form)
			for range 20 {
				m, err := event.Decode(d.Type, d.Version, form)
				require.NoError(t, err, "%s", form)
				require.True(t, proto.Equal(expected, m), "%s", form)
				form = rewritten(t, rng, form)
			}
		}
	}
}

// rewritten says the same as a JSON object in other words.
func rewritten(t *testing.T, rng *rand.Rand, object []byte) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &members))
	spaces := func() string { return strings.Repeat([]string{" ", "\n", "\t"}[rng.IntN(3)], rng.IntN(2)) }
	var out strings.Builder
	separator := "{"
	for name, value := range members { // In whatever order.
		out.WriteString(separator + spaces() + escaped(t, rng, name) + spaces() + ":" + spaces())
		var text string
		if rng.IntN(2) == 0 && json.Unmarshal(value, &text) == nil {
			out.WriteString(escaped(t, rng, text))
		} else {
			out.Write(value)
		}
		out.WriteString(spaces())
		separator = ","
	}
	if separator == "{" {
		out.WriteString("{")
	}
	return []byte(spaces() + out.String() + "}" + spaces())
}

// escaped writes a string with an escape for one of its characters, if that is an ASCII one.
func escaped(t *testing.T, rng *rand.Rand, text string) string {
	t.Helper()
	plain, err := json.Marshal(text)
	require.NoError(t, err)
	if text == "" || rng.IntN(3) > 0 {
		return string(plain)
	}
	const digits = "0123456789abcdef"
	if c := text[0]; c < 0x80 {
		rest, err := json.Marshal(text[1:])
		require.NoError(t, err)
		return `"\u00` + string(digits[c>>4]) + string(digits[c&15]) + string(rest[1:])
	}
	return string(plain)
}
