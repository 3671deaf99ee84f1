package event

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// field is a field of a message that only these tests have.
type field struct {
	name     string
	kind     descriptorpb.FieldDescriptorProto_Type
	typeName string
	role     optionsv1.FieldRole
	repeated bool
}

const (
	kindText    = descriptorpb.FieldDescriptorProto_TYPE_STRING
	kindMessage = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
)

// described is a message of these tests.
func described(name string, fields ...field) *descriptorpb.DescriptorProto {
	m := &descriptorpb.DescriptorProto{Name: &name}
	for i, f := range fields {
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		if f.repeated {
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		}
		options := &descriptorpb.FieldOptions{}
		proto.SetExtension(options, optionsv1.E_Field, &optionsv1.Field{Role: f.role})
		d := &descriptorpb.FieldDescriptorProto{Name: &f.name, Number: proto.Int32(int32(i + 1)), Type: &f.kind, Label: &label, Options: options}
		if f.typeName != "" {
			d.TypeName = &f.typeName
		}
		m.Field = append(m.Field, d)
	}
	return m
}

// compiled is the first of a file's messages.
func compiled(t *testing.T, name string, messages ...*descriptorpb.DescriptorProto) protoreflect.MessageDescriptor {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("test/" + name + ".proto"), Package: proto.String("test"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto"}, MessageType: messages,
	}, protoregistry.GlobalFiles)
	require.NoError(t, err)
	return file.Messages().Get(0)
}

// TestNormalize_at_every_depth: what says nothing about meaning is left out of messages in messages and of messages in
// arrays too. No payload has such fields that deep today; the rule holds for those that will.
func TestNormalize_at_every_depth(t *testing.T) {
	t.Parallel()
	const evidence = optionsv1.FieldRole_FIELD_ROLE_EVIDENCE
	fields := []field{
		{name: "actor_id", kind: kindText},
		{name: "actor_type", kind: kindText},
		{name: "request_id", kind: kindText},
		{name: "source", kind: kindText, role: evidence},
		{name: "noted_at", kind: kindMessage, typeName: ".google.protobuf.Timestamp"},
		{name: "bar_at", kind: kindMessage, typeName: ".google.protobuf.Timestamp", role: optionsv1.FieldRole_FIELD_ROLE_IDENTITY},
		{name: "open_time", kind: kindMessage, typeName: ".google.protobuf.Timestamp"},
		{name: "price_at", kind: kindText},
		{name: "kept", kind: kindText},
		{name: "notes", kind: kindText, role: evidence, repeated: true},
	}
	within := func(name string) []field {
		return append(fields[:len(fields):len(fields)],
			field{name: "inner", kind: kindMessage, typeName: ".test." + name}, field{name: "list", kind: kindMessage, typeName: ".test." + name, repeated: true})
	}
	d := compiled(t, "deep", described("Top", within("Middle")...), described("Middle", within("Leaf")...), described("Leaf", fields...))
	// Plans are kept by the names of messages: those of an earlier run of this test are of other descriptors.
	for _, name := range []protoreflect.FullName{"test.Top", "test.Middle", "test.Leaf"} {
		plans.Delete(name)
	}
	write := func(choose selection) string {
		w := writer{choose: choose}
		w.message(deep(d), planOf(d))
		require.NoError(t, w.err)
		return string(w.out)
	}
	leaf := `"kept":"k","open_time":"1970-01-01T00:00:00.000Z","price_at":"1"`
	const at = `"bar_at":"1970-01-01T00:00:00.000Z",`
	inner := `{` + at + `"inner":{` + at + leaf + `},"kept":"k","list":[{` + at + leaf + `}],"open_time":"1970-01-01T00:00:00.000Z","price_at":"1"}`
	require.Equal(t, `{`+at+`"inner":`+inner+`,"kept":"k","list":[`+inner+`],"open_time":"1970-01-01T00:00:00.000Z","price_at":"1"}`, write(meaning))
	require.Contains(t, write(0), `"actor_id":"who"`)
	require.Equal(t, `{}`, write(values))
}

// deep fills a message and those within it.
func deep(d protoreflect.MessageDescriptor) protoreflect.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.Name() == "kept":
			m.Set(f, protoreflect.ValueOfString("k"))
		case f.Name() == "price_at":
			m.Set(f, protoreflect.ValueOfString("1"))
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			m.Mutable(f).List().Append(protoreflect.ValueOfString("note"))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString("who"))
		case f.Message().FullName() == timestampName:
			m.Mutable(f)
		case f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfMessage(deep(f.Message())))
		default:
			m.Set(f, protoreflect.ValueOfMessage(deep(f.Message())))
		}
	}
	return m
}

// TestPlan_refuses_contracts_that_events_cannot_have: no floats, no numbers of other kinds, no maps but of texts.
func TestPlan_refuses_contracts_that_events_cannot_have(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]descriptorpb.FieldDescriptorProto_Type{
		"Double": descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "Float": descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
		"Uint": descriptorpb.FieldDescriptorProto_TYPE_UINT64, "Fixed": descriptorpb.FieldDescriptorProto_TYPE_FIXED64,
		"Sint": descriptorpb.FieldDescriptorProto_TYPE_SINT64, "Bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	} {
		d := compiled(t, name, described(name, field{name: "amount", kind: kind}))
		require.PanicsWithValue(t, "contract: test."+name+".amount is of a kind that events do not have", func() { planOf(d) })
	}

	wide := make([]field, fieldsMax+1)
	for i := range wide {
		wide[i] = field{name: "f" + positionText(int64(i)), kind: kindText}
	}
	d := compiled(t, "wide", described("Wide", wide...))
	require.PanicsWithValue(t, "contract: test.Wide has more fields than events may have", func() { planOf(d) })

	numbers := described("Numbers", field{name: "numbers", kind: kindMessage, typeName: ".test.Numbers.NumbersEntry", repeated: true})
	entry := described("NumbersEntry", field{name: "key", kind: kindText}, field{name: "value", kind: descriptorpb.FieldDescriptorProto_TYPE_INT32})
	entry.Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
	numbers.NestedType = append(numbers.NestedType, entry)
	d = compiled(t, "numbers", numbers)
	require.PanicsWithValue(t, "contract: test.Numbers.numbers is a map of other things than texts, which events do not have", func() { planOf(d) })
}
