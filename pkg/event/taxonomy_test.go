package event_test

import (
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	optionsv1 "github.com/robson/robson/proto/gen/go/robson/options/v1"
)

const (
	decision = optionsv1.EventClass_EVENT_CLASS_DECISION
	fact     = optionsv1.EventClass_EVENT_CLASS_FACT
	record   = optionsv1.EventClass_EVENT_CLASS_RECORD
)

// entry is what the taxonomy says of a type. The number is its place, from 1.
type entry struct {
	typ      event.Type
	domain   string
	class    optionsv1.EventClass
	critical bool
	streams  string
	// identity and values are the fields of a fact by which two reports are told to be of one happening, and by which
	// they are told to contradict each other. Whatever else a fact says is evidence. Decisions and records have neither.
	identity, values string
}

// taxonomy is the whole of it, written down once more beside the contract, so that a change of either is a choice.
var taxonomy = []entry{
	{"ORDER_SUBMITTED", "Orders", decision, true, "order", "", ""},
	{"ORDER_ACKED", "Orders", fact, true, "order", "order_id account_id symbol exchange_order_id", ""},
	{"FILL_RECEIVED", "Orders", fact, true, "order", "account_id exchange_order_id exchange_trade_id symbol", "side fill_price fill_quantity fee fee_asset"},
	{"ORDER_REJECTED", "Orders", fact, false, "order", "order_id account_id symbol intent_id", ""},
	{"ORDER_CANCELED", "Orders", fact, false, "order", "order_id account_id symbol", ""},
	{"ORDER_EXPIRED", "Orders", fact, false, "order", "order_id account_id symbol", ""},

	{"POSITION_OPENED", "Positions", decision, true, "position", "", ""},
	{"POSITION_CLOSED", "Positions", decision, true, "position", "", ""},
	{"POSITION_ARMED", "Positions", decision, false, "position", "", ""},
	{"POSITION_DISARMED", "Positions", decision, false, "position", "", ""},
	{"TRAILING_STOP_UPDATED", "Positions", decision, false, "position", "", ""},
	{"EXIT_TRIGGERED", "Positions", decision, false, "position", "", ""},

	{"DECISION_PROPOSED", "Decisions", decision, true, "position", "", ""},
	{"INTENT_CREATED", "Decisions", decision, true, "position account", "", ""},

	{"RISK_CHECK_PASSED", "Risk", decision, true, "position", "", ""},
	{"RISK_CHECK_FAILED", "Risk", decision, true, "position", "", ""},
	{"RISK_LIMIT_EXCEEDED", "Risk", decision, false, "account", "", ""},

	{"BALANCE_SAMPLED", "Balances", fact, true, "account", "sample_id account_id wallet asset", "free locked borrowed interest"},
	{"BALANCE_ADJUSTED", "Balances", fact, false, "account", "account_id wallet asset delta cleared_at", ""},

	{"STRATEGY_REGISTERED", "Strategies", decision, false, "strategy", "", ""},
	{"STRATEGY_ENABLED", "Strategies", decision, false, "strategy", "", ""},
	{"STRATEGY_DISABLED", "Strategies", decision, false, "strategy", "", ""},
	{"STRATEGY_UPDATED", "Strategies", decision, false, "strategy", "", ""},

	{"SIGNAL_DETECTED", "Signals", decision, false, "position strategy", "", ""},
	{"TECHNICAL_STOP_ANALYZED", "Signals", decision, false, "position", "", ""},
	{"SIGNAL_ACCEPTED", "Signals", decision, false, "position", "", ""},
	{"SIGNAL_REJECTED", "Signals", decision, false, "position strategy", "", ""},
	{"SIGNAL_EXPIRED", "Signals", decision, false, "position strategy", "", ""},

	{"EXCHANGE_CONNECTED", "Connector", record, false, "account", "", ""},
	{"EXCHANGE_DISCONNECTED", "Connector", record, false, "account", "", ""},
	{"EXCHANGE_REQUEST_FAILED", "Connector", record, false, "account", "", ""},
	{"EXCHANGE_STATE_UNCERTAIN", "Connector", record, false, "account", "", ""},
	{"EXCHANGE_RATE_LIMITED", "Connector", record, false, "account", "", ""},

	{"MARGIN_TRANSFERRED", "Margin", fact, false, "account", "account_id symbol asset direction tran_id", "amount"},
	{"MARGIN_BORROWED", "Margin", fact, false, "account", "account_id symbol asset tran_id order_id", "amount"},
	{"MARGIN_REPAID", "Margin", fact, false, "account", "account_id symbol asset tran_id order_id", "amount principal interest"},
	{"MARGIN_LEVEL_SAMPLED", "Margin", fact, false, "account", "sample_id account_id symbol", "borrowed interest"},

	{"RECONCILIATION_COMPLETED", "Observability", record, false, "account", "", ""},
	{"DISCREPANCY_DETECTED", "Observability", record, false, "account", "", ""},
	{"SNAPSHOT_CREATED", "Observability", record, false, "tenant", "", ""},
	{"PROJECTION_REBUILT", "Observability", record, false, "tenant", "", ""},

	{"TENANT_CREATED", "Tenants and accounts", decision, false, "tenant", "", ""},
	{"ACCOUNT_REGISTERED", "Tenants and accounts", decision, false, "account", "", ""},
	{"CREDENTIALS_ROTATED", "Tenants and accounts", decision, false, "account", "", ""},
}

// domains lists the domains in order, and how many types each has.
var domains = []struct {
	name  string
	count int
}{
	{"Orders", 6},
	{"Positions", 6},
	{"Decisions", 2},
	{"Risk", 3},
	{"Balances", 2},
	{"Strategies", 4},
	{"Signals", 5},
	{"Connector", 5},
	{"Margin", 4},
	{"Observability", 4},
	{"Tenants and accounts", 3},
}

func TestTaxonomy_has_44_types(t *testing.T) {
	t.Parallel()
	require.Len(t, taxonomy, 44)
	require.Len(t, event.All(), 44)
	kinds := payloadKinds()
	require.Equal(t, 44, kinds.Len())
	for i, descriptor := range event.All() {
		require.Equal(t, taxonomy[i].typ, descriptor.Type)
		require.EqualValues(t, i+1, kinds.Get(i).Number(), "the number in the one-of is the number in the taxonomy")
	}
}

func TestTaxonomy_counts(t *testing.T) {
	t.Parallel()
	at := 0
	for _, domain := range domains {
		for range domain.count {
			require.Equal(t, domain.name, taxonomy[at].domain, taxonomy[at].typ)
			at++
		}
	}
	require.Equal(t, len(taxonomy), at)

	var critical []event.Type
	classes := map[optionsv1.EventClass][]int{}
	for i, e := range taxonomy {
		if e.critical {
			critical = append(critical, e.typ)
		}
		classes[e.class] = append(classes[e.class], i+1)
	}
	require.Equal(t, []event.Type{
		"ORDER_SUBMITTED", "ORDER_ACKED", "FILL_RECEIVED", "POSITION_OPENED", "POSITION_CLOSED", "DECISION_PROPOSED", "INTENT_CREATED",
		"RISK_CHECK_PASSED", "RISK_CHECK_FAILED", "BALANCE_SAMPLED",
	}, critical)
	require.Equal(t, []int{2, 3, 4, 5, 6, 18, 19, 34, 35, 36, 37}, classes[fact])
	require.Equal(t, []int{29, 30, 31, 32, 33, 38, 39, 40, 41}, classes[record])
	require.Len(t, classes[decision], 24)
}

// TestTaxonomy_contract holds the contract's options to the taxonomy.
func TestTaxonomy_contract(t *testing.T) {
	t.Parallel()
	for i, descriptor := range event.All() {
		e := taxonomy[i]
		require.Equal(t, e.class, descriptor.Class, e.typ)
		require.Equal(t, e.class == fact, descriptor.IsFact(), e.typ)
		require.Equal(t, e.class == decision, descriptor.IsDecision(), e.typ)
		require.Positive(t, descriptor.Version, e.typ)
		var streams []string
		for _, kind := range descriptor.Streams {
			streams = append(streams, string(kind))
			require.True(t, descriptor.Holds(kind))
		}
		require.Equal(t, e.streams, strings.Join(streams, " "), e.typ)
		for _, kind := range []event.Kind{event.KindTenant, event.KindAccount, event.KindStrategy, event.KindPosition, event.KindOrder} {
			require.Equal(t, slices.Contains(descriptor.Streams, kind), descriptor.Holds(kind), e.typ)
		}
		require.True(t, projection.Folds(e.typ), "%s has no fold rule", e.typ)
		require.NotEmpty(t, sentences[e.typ].does, "%s has no line for docs/event-taxonomy.md", e.typ)
		require.NotEmpty(t, sentences[e.typ].by, e.typ)
	}
	require.Len(t, sentences, len(taxonomy))
}

// TestTaxonomy_roles: which fields of a fact say which happening it is, which say what happened, and that all others are
// evidence.
func TestTaxonomy_roles(t *testing.T) {
	t.Parallel()
	kinds := payloadKinds()
	for i, e := range taxonomy {
		roles := map[optionsv1.FieldRole][]string{}
		fields := kinds.Get(i).Message().Fields()
		for j := range fields.Len() {
			role := fieldOptions(fields.Get(j)).GetRole()
			roles[role] = append(roles[role], string(fields.Get(j).Name()))
		}
		require.Equal(t, strings.Fields(e.identity), append([]string{}, roles[optionsv1.FieldRole_FIELD_ROLE_IDENTITY]...), e.typ)
		require.Equal(t, strings.Fields(e.values), append([]string{}, roles[optionsv1.FieldRole_FIELD_ROLE_VALUE]...), e.typ)
		if e.class == fact {
			require.Empty(t, roles[optionsv1.FieldRole_FIELD_ROLE_UNSPECIFIED], e.typ)
		} else {
			require.Empty(t, roles[optionsv1.FieldRole_FIELD_ROLE_EVIDENCE], e.typ)
		}
	}
}

// TestTaxonomy_forms: a field's normal form and its rules are the same thing, said twice; they must not part. All texts,
// lists and maps have a bound (law 12), and nothing is a float.
func TestTaxonomy_forms(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	kinds := payloadKinds()
	for i := range kinds.Len() {
		checkForms(t, kinds.Get(i).Message(), seen)
	}
	require.Greater(t, len(seen), 44)
}

func checkForms(t *testing.T, d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	t.Helper()
	if seen[d.FullName()] {
		return
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		options, rules := fieldOptions(f), fieldRules(f)
		switch {
		case f.IsMap():
			require.NotZero(t, rules.GetMap().GetMaxPairs(), f.FullName())
			require.NotZero(t, rules.GetMap().GetKeys().GetString().GetMaxLen(), f.FullName())
			require.NotZero(t, rules.GetMap().GetValues().GetString().GetMaxLen(), f.FullName())
			continue
		case f.IsList():
			require.NotZero(t, rules.GetRepeated().GetMaxItems(), f.FullName())
		}
		switch f.Kind() {
		case protoreflect.StringKind:
			text := stringRules(f)
			if isRetired(f) {
				require.True(t, text.HasConst(), "%s is of an older version and must stay empty", f.FullName())
				require.Empty(t, text.GetConst(), f.FullName())
				continue
			}
			decimal := strings.Contains(text.GetPattern(), `(\.[0-9]{1,18}0{0,18})?`)
			require.Equal(t, decimal, options.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_DECIMAL, f.FullName())
			require.Equal(t, text.GetUuid(), options.GetFormat() == optionsv1.FieldFormat_FIELD_FORMAT_UUID, f.FullName())
			require.True(t, decimal || text.GetUuid() || text.GetMaxLen() > 0, "%s has no bound", f.FullName())
		case protoreflect.MessageKind:
			if f.Message().ParentFile().Package() == d.ParentFile().Package() {
				checkForms(t, f.Message(), seen)
			}
		case protoreflect.EnumKind:
			require.True(t, rules.GetEnum().GetDefinedOnly(), f.FullName())
		case protoreflect.Int64Kind:
			require.EqualValues(t, 1<<53, rules.GetInt64().GetLte(), f.FullName())
			require.EqualValues(t, -1<<53, rules.GetInt64().GetGte(), f.FullName())
		case protoreflect.BoolKind, protoreflect.Int32Kind:
		default:
			require.Failf(t, "a kind that events do not have", "%s is a %s", f.FullName(), f.Kind())
		}
		if better := options.GetStandsInFor(); better != "" {
			other := d.Fields().ByName(protoreflect.Name(better))
			require.NotNil(t, other, f.FullName())
			require.Equal(t, optionsv1.FieldRole_FIELD_ROLE_IDENTITY, fieldOptions(other).GetRole(), f.FullName())
		}
	}
}

// payloadKinds are the fields of the one-of of payloads.
func payloadKinds() protoreflect.FieldDescriptors {
	return (&eventv1.Payload{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
}

func fieldOptions(f protoreflect.FieldDescriptor) *optionsv1.Field {
	options, _ := proto.GetExtension(f.Options(), optionsv1.E_Field).(*optionsv1.Field)
	return options
}

// isRetired says whether only an older version has the field.
func isRetired(f protoreflect.FieldDescriptor) bool {
	options, _ := f.Options().(*descriptorpb.FieldOptions)
	return options.GetDeprecated()
}

func fieldRules(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}
