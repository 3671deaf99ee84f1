package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/cmd/robson/internal/screen"
)

// fieldFlags turns fields of a request into flags, so that a command line says what the contract says.
type fieldFlags struct {
	fields  []flagField
	texts   map[string]*string
	lists   map[string]*[]string
	pairs   map[string]*map[string]string
	bools   map[string]*bool
	numbers map[string]*int64
}

// flagField is a field of a request, or of a message within it.
type flagField struct {
	protoreflect.FieldDescriptor
	// parent is the field of the request that holds the message; nil for a field of the request itself.
	parent protoreflect.FieldDescriptor
}

// path is the field's as errors name it: risk_limits.max_exposure.
func (f flagField) path() string {
	if f.parent == nil {
		return string(f.Name())
	}
	return string(f.parent.Name()) + "." + string(f.Name())
}

// newFieldFlags prepares flags for the named fields of a message. A name may descend once: risk_limits.max_exposure.
func newFieldFlags(d protoreflect.MessageDescriptor, names []string) *fieldFlags {
	ff := &fieldFlags{texts: map[string]*string{}, lists: map[string]*[]string{}, pairs: map[string]*map[string]string{}, bools: map[string]*bool{}, numbers: map[string]*int64{}}
	for _, name := range names {
		outer, inner, nested := strings.Cut(name, ".")
		f := flagField{FieldDescriptor: d.Fields().ByName(protoreflect.Name(outer))}
		if nested {
			f = flagField{FieldDescriptor: f.Message().Fields().ByName(protoreflect.Name(inner)), parent: f.FieldDescriptor}
		}
		ff.fields = append(ff.fields, f)
	}
	return ff
}

// flagName is a field's name as a flag: account_id is --account-id, states is --state.
func flagName(f protoreflect.FieldDescriptor) string {
	name := string(f.Name())
	if f.IsList() {
		switch {
		case strings.HasSuffix(name, "uses"):
			name = strings.TrimSuffix(name, "es")
		case strings.HasSuffix(name, "s"):
			name = strings.TrimSuffix(name, "s")
		}
	}
	return strings.ReplaceAll(name, "_", "-")
}

// register adds the flags.
func (ff *fieldFlags) register(flags *pflag.FlagSet) {
	for _, f := range ff.fields {
		name, help := flagName(f), fieldHelp(f)
		switch {
		case f.IsMap():
			v := map[string]string{}
			ff.pairs[name] = &v
			flags.StringToStringVar(&v, name, nil, help)
		case f.IsList():
			v := []string{}
			ff.lists[name] = &v
			flags.StringSliceVar(&v, name, nil, help)
		case f.Kind() == protoreflect.BoolKind:
			v := false
			ff.bools[name] = &v
			flags.BoolVar(&v, name, false, help)
		case f.Kind() == protoreflect.Int32Kind || f.Kind() == protoreflect.Int64Kind:
			v := int64(0)
			ff.numbers[name] = &v
			flags.Int64Var(&v, name, 0, help)
		default:
			v := ""
			ff.texts[name] = &v
			flags.StringVar(&v, name, "", help)
		}
	}
}

// apply sets the fields whose flags were given, and remembers by which flag each of the request's fields is typed.
func (ff *fieldFlags) apply(flags *pflag.FlagSet, m proto.Message, typed map[string]string) error {
	for _, f := range ff.fields {
		name := flagName(f)
		typed[f.path()] = "--" + name
		typed["filter."+f.path()] = "--" + name
		if !flags.Changed(name) {
			continue
		}
		target := m.ProtoReflect()
		if f.parent != nil {
			target = target.Mutable(f.parent).Message()
		}
		if err := ff.set(target, f.FieldDescriptor, name); err != nil {
			return usagef("--%s: %s", name, err)
		}
	}
	return nil
}

// set gives one field its flag's value.
func (ff *fieldFlags) set(m protoreflect.Message, f protoreflect.FieldDescriptor, name string) error {
	switch {
	case f.IsMap():
		target := m.Mutable(f).Map()
		for k, v := range *ff.pairs[name] {
			target.Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v))
		}
	case f.IsList():
		for _, s := range *ff.lists[name] {
			v, err := parseValue(f, s)
			if err != nil {
				return err
			}
			m.Mutable(f).List().Append(v)
		}
	case ff.bools[name] != nil:
		m.Set(f, protoreflect.ValueOfBool(*ff.bools[name]))
	case f.Kind() == protoreflect.Int32Kind:
		n := *ff.numbers[name]
		if int64(int32(n)) != n {
			return fmt.Errorf("%d is too large", n)
		}
		m.Set(f, protoreflect.ValueOfInt32(int32(n)))
	case f.Kind() == protoreflect.Int64Kind:
		m.Set(f, protoreflect.ValueOfInt64(*ff.numbers[name]))
	default:
		if *ff.texts[name] == "" {
			return fmt.Errorf("is empty")
		}
		v, err := parseValue(f, *ff.texts[name])
		if err != nil {
			return err
		}
		m.Set(f, v)
	}
	return nil
}

// parseValue reads one value of a field from text.
func parseValue(f protoreflect.FieldDescriptor, s string) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.EnumKind:
		n, err := screen.EnumNumber(f.Enum(), s)
		return protoreflect.ValueOfEnum(n), err
	case protoreflect.MessageKind:
		t, err := parseTime(s)
		if err != nil {
			return protoreflect.Value{}, err
		}
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), nil
	default:
		return protoreflect.ValueOfString(s), nil
	}
}

// parseTime reads RFC 3339, or a day.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-11-23T10:00:00Z or 2026-11-23 (UTC)", s)
}
