package event_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/robson/robson/pkg/event"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

// TestTaxonomyDocument holds docs/event-taxonomy.md to the contracts: go test ./pkg/event -run TestTaxonomyDocument -update
func TestTaxonomyDocument(t *testing.T) {
	t.Parallel()
	goldenFile(t, "../../docs/event-taxonomy.md", []byte(document()))
}

const documentHead = `# Event taxonomy

Whatever happens in Robson is one of %d event types, and the current state is never anything but the fold of them. This
page lists all of them: who appends each, what it carries, and what it does to state. It is made from the contracts in
[proto/robson/event/v1](../proto/robson/event/v1) by ` + "`go test ./pkg/event -run TestTaxonomyDocument -update`" + `, and a test
fails where it differs from them; change the contract, not this page.

## How to read it

**Class** says who answers for an event, and whether it may be refused.

- A *decision* is ours. It is refused when it breaks an invariant, and then nothing is written.
- A *fact* is what the venue reports happened. It is always recorded, in whatever order and shape it comes; where it does
  not fit our state it is recorded *and* flagged by a DISCREPANCY_DETECTED.
- A *record* is what a service of ours did or saw. State never refuses it.

**Role** says what part a field of a fact plays when the same thing is reported twice.

- *identity* fields say which happening it is. The fact's command id is made from them, so that every report of it, by
  WebSocket, REST or reconciliation, is one event:
  ` + "`FILL_RECEIVED/binance/<account>/BTCUSDT/order/5001/trade/28457`" + `.
- *value* fields say what happened. A second report with other values is no second event and no correction: the first one
  stands, and the difference becomes a discrepancy, once.
- *evidence* says how and when we learned it. It makes no difference; the first report wins.

**Streams** are named ` + "`<kind>:<uuid>`" + `, kind being tenant, account, strategy, position or order. A type lives only in streams of the
kinds listed, the usual one first.

**Forms.** Payloads are stored as canonical JSON ([ADR-0019](adr/ADR-0019-canonical-json-payloads.md)). A *decimal* is a string in plain
notation, at most %d digits before the point and %d after, without trailing zeros or exponent; a *time* is RFC 3339 in UTC with
milliseconds or microseconds; a *UUID* is in lower case. Fields marked *optional* are left out when they say nothing.
Unknown fields are refused on write and ignored on read.

**Versions.** Each event says in which version of its payload it was written. A type is of version 1 unless its section says
otherwise; payloads of older versions are read for ever and shown in the newest
([how to change a payload](howto/change-a-payload.md)).

Types marked ★ are the ten critical ones: without them no order's life can be told.

The envelope around each payload (position, stream and seq, times, trace, causation, command and workflow ids, actor,
idempotency key, hashes) is the message ` + "`Event`" + ` in [event.proto](../proto/robson/event/v1/event.proto).

`

// document writes the whole page.
func document() string {
	var b strings.Builder
	fmt.Fprintf(&b, documentHead, len(taxonomy), 20, 18)
	b.WriteString("| domain | types |\n|---|---|\n")
	for _, domain := range domains {
		fmt.Fprintf(&b, "| [%s](#%s) | %d |\n", domain.name, anchor(domain.name), domain.count)
	}
	shared := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	kinds := payloadKinds()
	for _, domain := range domains {
		fmt.Fprintf(&b, "\n## %s\n\n| # | event | class | streams | appended by | what it does |\n|---|---|---|---|---|---|\n", domain.name)
		for i, e := range taxonomy {
			if e.domain == domain.name {
				fmt.Fprintf(&b, "| %d | [%s](#%s)%s | %s | %s | %s | %s |\n", i+1, e.typ, strings.ToLower(string(e.typ)), star(e), class(e),
					strings.ReplaceAll(e.streams, " ", ", "), sentences[e.typ].by, sentences[e.typ].does)
			}
		}
		for i, e := range taxonomy {
			if e.domain == domain.name {
				fmt.Fprintf(&b, "\n### %s\n\n", e.typ)
				if descriptor, _ := event.Lookup(e.typ); descriptor.Version > 1 {
					fmt.Fprintf(&b, "Version %d.\n\n", descriptor.Version)
				}
				fieldTable(&b, kinds.Get(i).Message(), e.class == fact, shared)
			}
		}
	}
	b.WriteString("\n## Shared parts\n\nMessages within payloads.\n")
	for _, name := range []protoreflect.Name{"RiskLimits", "RiskConfig", "RiskCheck", "MarketRef", "StreamSeq"} {
		part := eventv1.File_robson_event_v1_common_proto.Messages().ByName(name)
		fmt.Fprintf(&b, "\n### %s\n\n", name)
		fieldTable(&b, part, false, shared)
		delete(shared, part.FullName())
	}
	for name := range shared {
		panic(string(name) + " is a part of a payload that the page does not show")
	}
	return b.String()
}

// anchor is where a heading is linked to.
func anchor(heading string) string { return strings.ReplaceAll(strings.ToLower(heading), " ", "-") }

func star(e entry) string {
	if e.critical {
		return " ★"
	}
	return ""
}

func class(e entry) string {
	return strings.ToLower(strings.TrimPrefix(e.class.String(), "EVENT_CLASS_"))
}

// fieldTable lists a message's fields.
func fieldTable(b *strings.Builder, d protoreflect.MessageDescriptor, roles bool, shared map[protoreflect.FullName]protoreflect.MessageDescriptor) {
	head := "| field | form |\n|---|---|\n"
	if roles {
		head = "| field | form | role |\n|---|---|---|\n"
	}
	b.WriteString(head)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if isRetired(f) {
			continue
		}
		form := formText(f, shared)
		if optional(f) {
			form += ", optional"
		}
		fmt.Fprintf(b, "| `%s` | %s |", f.Name(), form)
		if roles {
			fmt.Fprintf(b, " %s |", roleText(f))
		}
		b.WriteByte('\n')
	}
}

// roleText is the part that a field plays.
func roleText(f protoreflect.FieldDescriptor) string {
	role := strings.ToLower(strings.TrimPrefix(fieldOptions(f).GetRole().String(), "FIELD_ROLE_"))
	if better := fieldOptions(f).GetStandsInFor(); better != "" {
		role += ", where `" + better + "` is absent"
	}
	return role
}

// optional says whether a field may be left out.
func optional(f protoreflect.FieldDescriptor) bool {
	rules := fieldRules(f)
	switch {
	case f.IsList(), f.IsMap(), f.Kind() == protoreflect.BoolKind:
		return false
	case f.HasOptionalKeyword():
		return true
	case f.Kind() == protoreflect.MessageKind:
		return !rules.GetRequired()
	case f.Kind() == protoreflect.EnumKind:
		return !slices.Contains(rules.GetEnum().GetNotIn(), 0)
	case f.Kind() == protoreflect.StringKind:
		text := rules.GetString()
		return rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE || text.GetMinLen() == 0 && text.GetPattern() == "" && !text.GetUuid()
	}
	return false
}

// formText says what a field looks like.
func formText(f protoreflect.FieldDescriptor, shared map[protoreflect.FullName]protoreflect.MessageDescriptor) string {
	if f.IsMap() {
		return fmt.Sprintf("object of texts, at most %d", fieldRules(f).GetMap().GetMaxPairs())
	}
	one := oneText(f, shared)
	if f.IsList() {
		return fmt.Sprintf("list, at most %d: %s", fieldRules(f).GetRepeated().GetMaxItems(), one)
	}
	return one
}

func oneText(f protoreflect.FieldDescriptor, shared map[protoreflect.FullName]protoreflect.MessageDescriptor) string {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "whole number"
	case protoreflect.EnumKind:
		return words(f.Enum())
	case protoreflect.MessageKind:
		if f.Message().FullName() == "google.protobuf.Timestamp" {
			return "time"
		}
		shared[f.Message().FullName()] = f.Message()
		return fmt.Sprintf("[%s](#%s)", f.Message().Name(), strings.ToLower(string(f.Message().Name())))
	default:
		return stringText(f)
	}
}

// words lists what an enumeration may say.
func words(d protoreflect.EnumDescriptor) string {
	var list []string
	for i := 1; i < d.Values().Len(); i++ {
		prefix := strings.TrimSuffix(string(d.Values().Get(0).Name()), "UNSPECIFIED")
		word := strings.ToLower(strings.TrimPrefix(string(d.Values().Get(i).Name()), prefix))
		if event.EnumNumber(d, word) != d.Values().Get(i).Number() {
			panic(string(d.FullName()) + " has no word " + word)
		}
		list = append(list, "`"+word+"`")
	}
	return strings.Join(list, ", ")
}

func stringText(f protoreflect.FieldDescriptor) string {
	rules := stringRules(f)
	switch fieldOptions(f).GetFormat() {
	case optionsv1.FieldFormat_FIELD_FORMAT_UUID:
		return "UUID"
	case optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL:
		switch {
		case strings.HasPrefix(rules.GetPattern(), "^-?"):
			return "decimal"
		case strings.HasPrefix(rules.GetPattern(), "^(0|"):
			return "decimal, at least 0"
		default:
			return "decimal, above 0"
		}
	default:
	}
	switch rules.GetPattern() {
	case "^[A-Z0-9]{2,20}$":
		return "symbol such as `BTCUSDT`"
	case "^[A-Z0-9]{1,20}$":
		return "asset such as `USDT`"
	case "^(spot|isolated:[A-Z0-9]{2,20})$":
		return "`spot` or `isolated:<symbol>`"
	default:
		return fmt.Sprintf("text, at most %d characters", rules.GetMaxLen())
	}
}
