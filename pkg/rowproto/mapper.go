package rowproto

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// eventIDSuffix marks the columns that hold an event's id; on the wire an event id is its 26-character ULID.
const eventIDSuffix = "_event_id"

// timestampName is the only message that a single column may become.
const timestampName = protoreflect.FullName("google.protobuf.Timestamp")

// converter gives a column's value as its field's value; present is false for null, which leaves the field unset.
type converter func(m protoreflect.Message, v reflect.Value) (value protoreflect.Value, present bool, err error)

// column is one column of a row and the field of the same name.
type column struct {
	index   []int
	field   protoreflect.FieldDescriptor
	convert converter
}

// rowMapper turns rows of one table into messages of the contract. Columns and fields are matched by name once, when
// it is compiled, so that a column that nobody serves is found at start-up and not by a reader who misses it.
type rowMapper struct {
	message protoreflect.MessageType
	columns []column
}

// compile matches each `db` column of row with the field of the same name in message; both must match whole.
func compile(row reflect.Type, message protoreflect.MessageType) (*rowMapper, error) {
	m := &rowMapper{message: message}
	fields := message.Descriptor().Fields()
	for _, f := range reflect.VisibleFields(row) {
		name, ok := f.Tag.Lookup("db")
		if !ok {
			continue
		}
		fd := fields.ByName(protoreflect.Name(name))
		if fd == nil {
			return nil, fmt.Errorf("column %s of %s has no field in %s", name, row, message.Descriptor().FullName())
		}
		convert := converterFor(f.Type, fd)
		if convert == nil {
			return nil, fmt.Errorf("column %s of %s: a %s cannot become a %s field", name, row, f.Type, kindName(fd))
		}
		m.columns = append(m.columns, column{index: f.Index, field: fd, convert: convert})
	}
	if len(m.columns) != fields.Len() {
		return nil, fmt.Errorf("%s has %d fields, %s has %d columns", message.Descriptor().FullName(), fields.Len(), row, len(m.columns))
	}
	return m, nil
}

// convert makes the message of a row, given as a pointer to its struct. A text that the contract's enum does not know
// is an error: a row that cannot be told whole is not told at all.
func (m *rowMapper) convert(row any) (proto.Message, error) {
	v := reflect.ValueOf(row).Elem()
	out := m.message.New()
	for _, c := range m.columns {
		value, present, err := c.convert(out, v.FieldByIndex(c.index))
		if err != nil {
			return nil, fault.New(fault.Corrupt, "ROW_UNREADABLE", "%s.%s: %v", m.message.Descriptor().Name(), c.field.Name(), err)
		}
		if present {
			out.Set(c.field, value)
		}
	}
	return out.Interface(), nil
}

func kindName(fd protoreflect.FieldDescriptor) string {
	name := fd.Kind().String()
	switch {
	case fd.IsMap():
		return "map"
	case fd.IsList():
		return "repeated " + name
	}
	return name
}

// converterFor gives nil for a pair that does not fit.
func converterFor(t reflect.Type, fd protoreflect.FieldDescriptor) converter {
	switch {
	case fd.IsMap():
		return mapConverter(t, fd)
	case fd.IsList():
		return listConverter(t, fd)
	case t.Kind() == reflect.Pointer:
		inner := converterFor(t.Elem(), fd)
		if inner == nil {
			return nil
		}
		return func(m protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
			if v.IsNil() {
				return protoreflect.Value{}, false, nil
			}
			return inner(m, v.Elem())
		}
	case fd.Kind() == protoreflect.EnumKind && t.Kind() == reflect.String:
		return enumConverter(fd.Enum())
	case fd.Kind() == protoreflect.StringKind:
		return stringConverter(t, fd)
	case fd.Kind() == protoreflect.MessageKind && fd.Message().FullName() == timestampName && t == reflect.TypeFor[time.Time]():
		return always(func(v reflect.Value) protoreflect.Value {
			at, _ := v.Interface().(time.Time)
			return protoreflect.ValueOfMessage(timestamppb.New(at).ProtoReflect())
		})
	}
	return scalarConverter(t, fd)
}

// always adapts a conversion that can neither fail nor be null.
func always(f func(v reflect.Value) protoreflect.Value) converter {
	return func(_ protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
		return f(v), true, nil
	}
}

func scalarConverter(t reflect.Type, fd protoreflect.FieldDescriptor) converter {
	switch {
	case fd.Kind() == protoreflect.BoolKind && t.Kind() == reflect.Bool:
		return always(func(v reflect.Value) protoreflect.Value { return protoreflect.ValueOfBool(v.Bool()) })
	case fd.Kind() == protoreflect.Int32Kind && t.Kind() == reflect.Int32:
		return always(func(v reflect.Value) protoreflect.Value {
			return protoreflect.ValueOfInt32(int32(v.Int()))
		})
	case fd.Kind() == protoreflect.Int64Kind && t.Kind() == reflect.Int64:
		return always(func(v reflect.Value) protoreflect.Value { return protoreflect.ValueOfInt64(v.Int()) })
	}
	return nil
}

func stringConverter(t reflect.Type, fd protoreflect.FieldDescriptor) converter {
	text := textOf(t, strings.HasSuffix(string(fd.Name()), eventIDSuffix))
	if text == nil {
		return nil
	}
	return func(_ protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
		s, present := text(v)
		return protoreflect.ValueOfString(s), present, nil
	}
}

// textOf gives how a value is told as a string; nil if it is not.
func textOf(t reflect.Type, eventID bool) func(reflect.Value) (text string, present bool) {
	id := func(u uuid.UUID) string {
		if eventID {
			return ulid.ULID(u).String()
		}
		return u.String()
	}
	switch {
	case t == reflect.TypeFor[uuid.UUID]():
		return func(v reflect.Value) (string, bool) {
			u, ok := v.Interface().(uuid.UUID)
			return id(u), ok
		}
	case t == reflect.TypeFor[uuid.NullUUID]():
		return func(v reflect.Value) (string, bool) {
			u, _ := v.Interface().(uuid.NullUUID)
			return id(u.UUID), u.Valid
		}
	case t == reflect.TypeFor[decimal.Decimal]():
		return func(v reflect.Value) (string, bool) {
			d, ok := v.Interface().(decimal.Decimal)
			return d.String(), ok
		}
	case t == reflect.TypeFor[decimal.NullDecimal]():
		return func(v reflect.Value) (string, bool) {
			d, _ := v.Interface().(decimal.NullDecimal)
			return d.Decimal.String(), d.Valid
		}
	case t.Kind() == reflect.String:
		return func(v reflect.Value) (string, bool) { return v.String(), true }
	}
	return nil
}

// enumConverter reads the lower-case name below the enum's prefix: "stop_loss" is ORDER_TYPE_STOP_LOSS. The empty
// text of a row that an early fact made is _UNSPECIFIED.
func enumConverter(enum protoreflect.EnumDescriptor) converter {
	numbers := map[string]protoreflect.EnumNumber{}
	for i := range enum.Values().Len() {
		number := enum.Values().Get(i).Number()
		numbers[EnumText(enum, number)] = number
	}
	return func(_ protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
		number, ok := numbers[v.String()]
		if !ok {
			return protoreflect.Value{}, false, fmt.Errorf("%q is no %s", v.String(), enum.Name())
		}
		return protoreflect.ValueOfEnum(number), true, nil
	}
}

// EnumText is the stored text of an enum's value: its name below the enum's prefix in lower case, empty for 0 and for a
// number that the contract does not know.
func EnumText(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	value := enum.Values().ByNumber(number)
	if value == nil || number == 0 {
		return ""
	}
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}

func mapConverter(t reflect.Type, fd protoreflect.FieldDescriptor) converter {
	if t.Kind() != reflect.Map || t.Key().Kind() != reflect.String || fd.MapKey().Kind() != protoreflect.StringKind ||
		fd.MapValue().Kind() != protoreflect.StringKind {
		return nil
	}
	text := textOf(t.Elem(), false)
	if text == nil {
		return nil
	}
	return func(m protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
		out := m.NewField(fd)
		for entries := v.MapRange(); entries.Next(); {
			if s, present := text(entries.Value()); present {
				out.Map().Set(protoreflect.ValueOfString(entries.Key().String()).MapKey(), protoreflect.ValueOfString(s))
			}
		}
		return out, v.Len() > 0, nil
	}
}

func listConverter(t reflect.Type, fd protoreflect.FieldDescriptor) converter {
	if t.Kind() != reflect.Slice {
		return nil
	}
	item := listItem(t.Elem(), fd)
	if item == nil {
		return nil
	}
	return func(m protoreflect.Message, v reflect.Value) (protoreflect.Value, bool, error) {
		out := m.NewField(fd)
		for i := range v.Len() {
			out.List().Append(item(v.Index(i)))
		}
		return out, v.Len() > 0, nil
	}
}

func listItem(t reflect.Type, fd protoreflect.FieldDescriptor) func(reflect.Value) protoreflect.Value {
	if fd.Kind() == protoreflect.MessageKind {
		check := (&eventv1.RiskCheck{}).ProtoReflect().Descriptor().FullName()
		if t != reflect.TypeFor[projection.RiskCheck]() || fd.Message().FullName() != check {
			return nil
		}
		return func(v reflect.Value) protoreflect.Value {
			c, _ := v.Interface().(projection.RiskCheck)
			return protoreflect.ValueOfMessage((&eventv1.RiskCheck{
				Name: c.Name, Limit: c.Limit.String(), Value: c.Value.String(), Passed: c.Passed, Message: c.Message,
			}).ProtoReflect())
		}
	}
	text := textOf(t, false)
	if fd.Kind() != protoreflect.StringKind || text == nil {
		return nil
	}
	return func(v reflect.Value) protoreflect.Value {
		s, _ := text(v)
		return protoreflect.ValueOfString(s)
	}
}
