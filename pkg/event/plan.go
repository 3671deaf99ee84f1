package event

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// form says how a field is written.
type form int

const (
	formText form = iota
	formDecimal
	formUUID
	formBool
	formInt
	formEnum
	formTime
	formMessage
)

// fieldPlan is how one field is written and read.
type fieldPlan struct {
	desc protoreflect.FieldDescriptor
	name string
	// bit is the field's own bit among those of its message.
	bit uint64
	// key is the field's name as JSON, with the colon.
	key  []byte
	form form
	// always: written though it has the zero value, since it has no presence of its own (numbers, booleans).
	always bool
	// meaningless: takes no part in the normal form.
	meaningless bool
	role        optionsv1.FieldRole
	// standsInFor is the identity field in whose absence this one counts; empty for none.
	standsInFor string
	sub         *plan
	enum        *enumPlan

	// order is the field's place among those of its message, by key.
	order int
	// index is the field's place in the message's struct; element is what it, or what its list, holds or, where pointer
	// says so, points to.
	index   int
	element reflect.Type
	pointer bool
}

// plan is how a message is written and read: fields in the order of their keys.
type plan struct {
	fields []*fieldPlan
	byName map[string]*fieldPlan
}

// enumPlan is the words of an enumeration.
type enumPlan struct {
	words   map[protoreflect.EnumNumber]string
	numbers map[string]protoreflect.EnumNumber
}

// fieldsMax bounds the fields of a message: one bit each.
const fieldsMax = 64

const timestampName = "google.protobuf.Timestamp"

var plans sync.Map // protoreflect.FullName -> *plan

// planOf compiles a message's plan, once.
func planOf(d protoreflect.MessageDescriptor) *plan {
	if p, ok := plans.Load(d.FullName()); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]*fieldPlan{}}
	if d.Fields().Len() > fieldsMax {
		panic("contract: " + string(d.FullName()) + " has more fields than events may have")
	}
	for i := range d.Fields().Len() {
		f := planField(d.Fields().Get(i))
		f.bit = 1 << i
		p.fields = append(p.fields, f)
		p.byName[f.name] = f
	}
	// RFC 8785 orders keys by UTF-16 code units; contract names are ASCII, where bytes order alike.
	slices.SortFunc(p.fields, func(a, b *fieldPlan) int { return strings.Compare(a.name, b.name) })
	for i, f := range p.fields {
		f.order = i
	}
	stored, _ := plans.LoadOrStore(d.FullName(), p)
	return stored.(*plan)
}

// place finds where a message's Go struct has the plan's fields: each is tagged with its number.
func (p *plan) place(structure reflect.Type) {
	byNumber := map[string]int{}
	for i := range structure.NumField() {
		if tag := strings.Split(structure.Field(i).Tag.Get("protobuf"), ","); len(tag) > 1 {
			byNumber[tag[1]] = i
		}
	}
	for _, f := range p.fields {
		index, known := byNumber[strconv.Itoa(int(f.desc.Number()))]
		if !known {
			panic("contract: " + string(f.desc.FullName()) + " has no field of its own in its Go type")
		}
		f.index, f.element = index, structure.Field(index).Type
		if f.desc.IsList() {
			f.element = f.element.Elem()
		}
		if f.element.Kind() == reflect.Pointer {
			f.pointer, f.element = true, f.element.Elem()
		}
		if f.form == formMessage {
			f.sub.place(f.element)
		}
	}
}

// planField compiles a field.
func planField(d protoreflect.FieldDescriptor) *fieldPlan {
	options, _ := proto.GetExtension(d.Options(), optionsv1.E_Field).(*optionsv1.Field)
	f := &fieldPlan{desc: d, name: string(d.Name()), key: []byte(`"` + string(d.Name()) + `":`), role: options.GetRole(), standsInFor: options.GetStandsInFor()}
	kind := d
	if d.IsMap() {
		kind = d.MapValue()
		if d.MapKey().Kind() != protoreflect.StringKind || kind.Kind() != protoreflect.StringKind {
			panic("contract: " + string(d.FullName()) + " is a map of other things than texts, which events do not have")
		}
	}
	switch kind.Kind() {
	case protoreflect.BoolKind:
		f.form = formBool
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		f.form = formInt
	case protoreflect.EnumKind:
		f.form, f.enum = formEnum, planEnum(kind.Enum())
	case protoreflect.MessageKind:
		f.form = formMessage
		if kind.Message().FullName() == timestampName {
			f.form = formTime
		} else {
			f.sub = planOf(kind.Message())
		}
	case protoreflect.StringKind:
		f.form = map[optionsv1.FieldFormat]form{
			optionsv1.FieldFormat_FIELD_FORMAT_UNSPECIFIED: formText, optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL: formDecimal, optionsv1.FieldFormat_FIELD_FORMAT_UUID: formUUID,
		}[options.GetFormat()]
	default:
		panic("contract: " + string(d.FullName()) + " is of a kind that events do not have")
	}
	f.always = (f.form == formBool || f.form == formInt) && !d.HasPresence() && !d.IsList()
	f.meaningless = f.role == optionsv1.FieldRole_FIELD_ROLE_EVIDENCE ||
		(f.form == formTime && strings.HasSuffix(f.name, "_at") && f.role != optionsv1.FieldRole_FIELD_ROLE_IDENTITY) ||
		f.name == "actor_id" || f.name == "actor_type" || f.name == "request_id"
	return f
}

// planEnum makes the words of an enumeration: SIDE_BUY is buy.
func planEnum(d protoreflect.EnumDescriptor) *enumPlan {
	e := &enumPlan{words: map[protoreflect.EnumNumber]string{}, numbers: map[string]protoreflect.EnumNumber{}}
	prefix := strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		word := strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
		e.words[v.Number()], e.numbers[word] = word, v.Number()
	}
	return e
}

// EnumText is an enumeration's value as events and tables write it: SIDE_BUY is buy; empty for the unspecified one.
func EnumText(e protoreflect.Enum) string {
	return enumPlanOf(e.Descriptor()).words[e.Number()]
}

// EnumNumber reads what EnumText writes; 0 for a word the enumeration has not.
func EnumNumber(d protoreflect.EnumDescriptor, word string) protoreflect.EnumNumber {
	return enumPlanOf(d).numbers[word]
}

var enumPlans sync.Map // protoreflect.FullName -> *enumPlan

func enumPlanOf(d protoreflect.EnumDescriptor) *enumPlan {
	if e, ok := enumPlans.Load(d.FullName()); ok {
		return e.(*enumPlan)
	}
	e, _ := enumPlans.LoadOrStore(d.FullName(), planEnum(d))
	return e.(*enumPlan)
}
