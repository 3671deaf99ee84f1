package screen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestSummaries_name_fields_of_their_payload holds the table of summaries to the contract.
func TestSummaries_name_fields_of_their_payload(t *testing.T) {
	t.Parallel()
	kinds := (&eventv1.Payload{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	left := map[string]bool{}
	for eventType := range summaries {
		left[eventType] = true
	}
	for i := range kinds.Len() {
		eventType := strings.ToUpper(string(kinds.Get(i).Name()))
		delete(left, eventType)
		for _, part := range summaries[eventType] {
			for _, name := range field.FindAllString(part, -1) {
				require.NotNil(t, kinds.Get(i).Message().Fields().ByName(protoreflect.Name(strings.Trim(name, "{}"))), "%s: %s", eventType, part)
			}
		}
	}
	require.Empty(t, left, "summaries of types that are none")
}

func TestSummary(t *testing.T) {
	t.Parallel()
	intent := &eventv1.Event{EventType: "INTENT_CREATED", Payload: &eventv1.Payload{Kind: &eventv1.Payload_IntentCreated{IntentCreated: &eventv1.IntentCreated{
		IntentType: eventv1.IntentType_INTENT_TYPE_ENTRY, Side: eventv1.Side_SIDE_BUY, Quantity: "0.06666", OrderType: eventv1.OrderType_ORDER_TYPE_MARKET, Reason: "signal",
	}}}}
	require.Equal(t, "entry: buy 0.06666 market, because signal", Summary(intent), "parts without a value are left out")
	snapshot := &eventv1.Event{EventType: "SNAPSHOT_CREATED", Payload: &eventv1.Payload{Kind: &eventv1.Payload_SnapshotCreated{SnapshotCreated: &eventv1.SnapshotCreated{SnapshotId: "x"}}}}
	require.Contains(t, Summary(snapshot), "snapshot_id=x", "a type without a summary shows all it has")
	require.Empty(t, Summary(&eventv1.Event{EventType: "OF_THE_FUTURE"}), "a payload that this binary does not know")
}

func TestTable_puts_point_under_point(t *testing.T) {
	t.Parallel()
	table := NewTable(Text("NAME"), Decimal("AMOUNT"))
	table.Add("a", "1.25")
	table.Add("b", "-300")
	table.Add("c", "")
	var out bytes.Buffer
	table.Write(&out)
	require.Equal(t, "NAME   AMOUNT\n───────────────\na        1.25\nb     -300\nc\n", out.String())
}

func TestRound(t *testing.T) {
	t.Parallel()
	require.Equal(t, "95010.87353735", Round("95010.873537353735373537"))
	require.Equal(t, "0.12345678", Round("0.123456785"), "half to even")
	require.Equal(t, "100", Round("100.000000000"))
	require.Equal(t, "not an amount", Round("not an amount"))
	require.Empty(t, Round(""))
}

func TestEnumNumber(t *testing.T) {
	t.Parallel()
	d := eventv1.Product(0).Descriptor()
	for _, text := range []string{"isolated_margin", "isolated-margin", "ISOLATED_MARGIN", "PRODUCT_ISOLATED_MARGIN"} {
		n, err := EnumNumber(d, text)
		require.NoError(t, err)
		require.Equal(t, eventv1.Product_PRODUCT_ISOLATED_MARGIN.Number(), n)
		require.Equal(t, "isolated_margin", EnumText(d, n))
	}
	for _, text := range []string{"", "unspecified", "futures"} {
		_, err := EnumNumber(d, text)
		require.ErrorContains(t, err, "is not one of spot, isolated_margin")
	}
}
