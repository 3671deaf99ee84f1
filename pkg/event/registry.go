package event

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// Type is an event's stored name, e.g. ORDER_SUBMITTED. It never changes its meaning.
type Type string

// Descriptor is what the contract says of a type.
type Descriptor struct {
	Type  Type
	Class optionsv1.EventClass
	// Version is the schema version that is written now.
	Version int32
	// Streams are the kinds of stream that may hold it.
	Streams []Kind

	field   protoreflect.FieldDescriptor
	message protoreflect.MessageType
	plan    *plan
	// older are the steps from version 1 up to Version.
	older []upcaster
}

// registry is all types, made once from the contract.
type registry struct {
	ordered []*Descriptor
	byType  map[Type]*Descriptor
	byField map[protoreflect.FieldNumber]*Descriptor
	byName  map[protoreflect.FullName]*Descriptor
}

var types = sync.OnceValue(func() *registry {
	r := &registry{byType: map[Type]*Descriptor{}, byField: map[protoreflect.FieldNumber]*Descriptor{}, byName: map[protoreflect.FullName]*Descriptor{}}
	kinds := (&eventv1.Payload{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	for i := range kinds.Len() {
		field := kinds.Get(i)
		options, _ := proto.GetExtension(field.Message().Options(), optionsv1.E_Event).(*optionsv1.Event)
		d := &Descriptor{Type: Type(options.GetType()), Class: options.GetClass(), Version: options.GetSchemaVersion(), field: field, plan: planOf(field.Message())}
		for _, kind := range options.GetStreams() {
			d.Streams = append(d.Streams, Kind(kind))
		}
		d.message = (&eventv1.Payload{}).ProtoReflect().NewField(field).Message().Type()
		d.older = upcasters[d.Type]
		d.plan.place(reflect.TypeOf(d.message.Zero().Interface()).Elem())
		r.ordered = append(r.ordered, d)
		r.byType[d.Type], r.byField[field.Number()], r.byName[field.Message().FullName()] = d, d, d
	}
	return r
})

// All lists the types in the order of the taxonomy.
func All() []*Descriptor { return slices.Clone(types().ordered) }

// Lookup finds a type by its stored name.
func Lookup(t Type) (*Descriptor, bool) {
	d, known := types().byType[t]
	return d, known
}

// Of gives the type and the typed message within a payload. A payload without a kind is Invalid.
func Of(payload *eventv1.Payload) (*Descriptor, proto.Message, error) {
	m := payload.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return nil, nil, fault.InvalidField("payload", "exactly one kind must be given")
	}
	return types().byField[field.Number()], m.Get(field).Message().Interface(), nil
}

// OfMessage gives the type of a typed payload message.
func OfMessage(m proto.Message) (*Descriptor, error) {
	d, known := types().byName[m.ProtoReflect().Descriptor().FullName()]
	if !known {
		return nil, fault.Bug("%s is no event payload", m.ProtoReflect().Descriptor().FullName())
	}
	return d, nil
}

// Wrap puts a typed message into the one-of. It panics on a message that is no event payload: a broken program.
func Wrap(m proto.Message) *eventv1.Payload {
	d, known := types().byName[m.ProtoReflect().Descriptor().FullName()]
	if !known {
		panic(fmt.Sprintf("%s is no event payload", m.ProtoReflect().Descriptor().FullName()))
	}
	payload := &eventv1.Payload{}
	payload.ProtoReflect().Set(d.field, protoreflect.ValueOfMessage(m.ProtoReflect()))
	return payload
}

// IsFact says whether the venue answers for the event.
func (d *Descriptor) IsFact() bool { return d.Class == optionsv1.EventClass_EVENT_CLASS_FACT }

// IsDecision says whether we decide the event.
func (d *Descriptor) IsDecision() bool { return d.Class == optionsv1.EventClass_EVENT_CLASS_DECISION }

// FieldName is the kind's name in the one-of, e.g. order_submitted: the start of field paths in errors.
func (d *Descriptor) FieldName() string { return string(d.field.Name()) }

// Holds says whether a kind of stream may hold the type.
func (d *Descriptor) Holds(kind Kind) bool { return slices.Contains(d.Streams, kind) }
