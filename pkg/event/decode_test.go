package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

const (
	anID    = "0f8fad5b-d9cb-469f-a165-70867728950e"
	otherID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

// TestDecode_stops_at_what_was_never_written holds law 11: whatever Canonical cannot have written is Corrupt, with the
// type and the byte, and is never guessed at.
func TestDecode_stops_at_what_was_never_written(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		return `{"x":` + strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) + `}`
	}
	for name, test := range map[string]struct {
		typ  event.Type
		in   string
		says string
	}{
		"nothing":                       {"STRATEGY_DISABLED", ``, `expected '{'`},
		"white space only":              {"STRATEGY_DISABLED", " \n", `expected '{'`},
		"null":                          {"STRATEGY_DISABLED", `null`, `expected '{'`},
		"an array":                      {"STRATEGY_DISABLED", `[]`, `expected '{'`},
		"no JSON":                       {"STRATEGY_DISABLED", `{reason:"x"}`, `expected '"'`},
		"an object without end":         {"STRATEGY_DISABLED", `{"reason":"x"`, `expected '}'`},
		"no colon":                      {"STRATEGY_DISABLED", `{"reason" "x"}`, `expected ':'`},
		"no value":                      {"STRATEGY_DISABLED", `{"reason":}`, `expected '"'`},
		"a comma too many":              {"STRATEGY_DISABLED", `{"reason":"x",}`, `expected '"'`},
		"two payloads":                  {"STRATEGY_DISABLED", `{}{}`, `more follows`},
		"trailing text":                 {"STRATEGY_DISABLED", `{} x`, `more follows`},
		"a NUL after it":                {"STRATEGY_DISABLED", "{}\x00", `more follows`},
		"a field twice":                 {"STRATEGY_DISABLED", `{"reason":"x","reason":"x"}`, `reason is given twice`},
		"a field twice, null first":     {"STRATEGY_DISABLED", `{"reason":null,"reason":"x"}`, `reason is given twice`},
		"a zero twice":                  {"STRATEGY_UPDATED", `{"version":0,"version":0}`, `version is given twice`},
		"a list twice":                  {"STRATEGY_UPDATED", `{"changed_fields":["a"],"changed_fields":["b"]}`, `changed_fields is given twice`},
		"a field twice, deeper":         {"STRATEGY_UPDATED", `{"risk_config":{"max_exposure":"1","max_exposure":"1"}}`, `max_exposure is given twice`},
		"a key of a map twice":          {"STRATEGY_UPDATED", `{"detector_config":{"a":"1","a":"1"}}`, `detector_config holds a key twice`},
		"text for a number":             {"STRATEGY_UPDATED", `{"version":"1"}`, `expected a whole number`},
		"a number for a text":           {"STRATEGY_DISABLED", `{"reason":1}`, `expected '"'`},
		"a number for a decimal":        {"TRAILING_STOP_UPDATED", `{"new_stop":95000}`, `expected '"'`},
		"a number for a map":            {"STRATEGY_UPDATED", `{"detector_config":1}`, `expected '{'`},
		"a number in a map":             {"STRATEGY_UPDATED", `{"detector_config":{"a":1}}`, `expected '"'`},
		"an object for a list":          {"STRATEGY_UPDATED", `{"changed_fields":{}}`, `expected '['`},
		"null in a list":                {"STRATEGY_UPDATED", `{"changed_fields":[null]}`, `expected '"'`},
		"a list without end":            {"STRATEGY_UPDATED", `{"changed_fields":["a"`, `expected ']'`},
		"a text for an object":          {"STRATEGY_UPDATED", `{"risk_config":"x"}`, `expected '{'`},
		"a number for a boolean":        {"FILL_RECEIVED", `{"is_maker":1}`, `expected true or false`},
		"a word for a boolean":          {"FILL_RECEIVED", `{"is_maker":truth}`, `expected true or false`},
		"a word that goes on":           {"FILL_RECEIVED", `{"is_maker":truely}`, `expected '}'`},
		"a fraction":                    {"STRATEGY_UPDATED", `{"version":1.0}`, `expected a whole number`},
		"an exponent":                   {"STRATEGY_UPDATED", `{"version":1e3}`, `expected a whole number`},
		"a plus":                        {"STRATEGY_UPDATED", `{"version":+1}`, `expected a whole number`},
		"a leading zero":                {"STRATEGY_UPDATED", `{"version":01}`, `expected a whole number`},
		"a minus zero":                  {"STRATEGY_UPDATED", `{"version":-0}`, `expected a whole number`},
		"a minus alone":                 {"STRATEGY_UPDATED", `{"version":-}`, `expected a whole number`},
		"beyond 32 bits":                {"STRATEGY_UPDATED", `{"version":2147483648}`, `beyond 32 bits`},
		"beyond 2^53":                   {"SNAPSHOT_CREATED", `{"as_of_position":9007199254740993}`, `beyond 2^53`},
		"below -2^53":                   {"SNAPSHOT_CREATED", `{"as_of_position":-9007199254740993}`, `beyond 2^53`},
		"beyond 64 bits":                {"SNAPSHOT_CREATED", `{"as_of_position":18446744073709551616}`, `expected a whole number`},
		"a decimal with an exponent":    {"TRAILING_STOP_UPDATED", `{"new_stop":"1e3"}`, `no decimal for new_stop`},
		"an empty decimal":              {"TRAILING_STOP_UPDATED", `{"new_stop":""}`, `no decimal for new_stop`},
		"a decimal too long":            {"TRAILING_STOP_UPDATED", `{"new_stop":"0.1234567890123456789"}`, `no decimal for new_stop`},
		"no decimal in a list":          {"TECHNICAL_STOP_ANALYZED", `{"levels":["1","x"]}`, `no decimal for levels`},
		"no UUID":                       {"STRATEGY_DISABLED", `{"strategy_id":"x"}`, `no UUID for strategy_id`},
		"a UUID without dashes":         {"STRATEGY_DISABLED", `{"strategy_id":"0f8fad5bd9cb469fa16570867728950e"}`, `no UUID for strategy_id`},
		"no UUID in a list":             {"POSITION_CLOSED", `{"exit_order_ids":["` + anID + `",""]}`, `no UUID for exit_order_ids`},
		"an unknown word":               {"FILL_RECEIVED", `{"side":"hold"}`, `unknown word for side`},
		"a word in capitals":            {"FILL_RECEIVED", `{"side":"BUY"}`, `unknown word for side`},
		"the unspecified word":          {"FILL_RECEIVED", `{"side":"unspecified"}`, `unknown word for side`},
		"a number for a word":           {"FILL_RECEIVED", `{"side":1}`, `expected '"'`},
		"no time":                       {"FILL_RECEIVED", `{"filled_at":"yesterday"}`, `no time for filled_at`},
		"a time without zone":           {"FILL_RECEIVED", `{"filled_at":"2026-11-24T20:05:42.000"}`, `no time for filled_at`},
		"a time in the year 0":          {"FILL_RECEIVED", `{"filled_at":"0000-12-31T23:59:59.999Z"}`, `no time for filled_at`},
		"a day there is not":            {"FILL_RECEIVED", `{"filled_at":"2026-02-30T00:00:00.000Z"}`, `no time for filled_at`},
		"invalid UTF-8":                 {"STRATEGY_DISABLED", "{\"reason\":\"\xff\"}", `no valid UTF-8`},
		"invalid UTF-8 beside escapes":  {"STRATEGY_DISABLED", "{\"reason\":\"\\n\xff\"}", `no valid UTF-8`},
		"invalid UTF-8 in a name":       {"STRATEGY_DISABLED", "{\"\xff\":1}", `no valid UTF-8`},
		"a surrogate alone":             {"STRATEGY_DISABLED", `{"reason":"\ud83d"}`, `escapes are malformed`},
		"a surrogate before text":       {"STRATEGY_DISABLED", `{"reason":"\ud83dA"}`, `escapes are malformed`},
		"a low surrogate first":         {"STRATEGY_DISABLED", `{"reason":"\ude00\ud83d"}`, `escapes are malformed`},
		"an unknown escape":             {"STRATEGY_DISABLED", `{"reason":"\x41"}`, `escapes are malformed`},
		"an escape without digits":      {"STRATEGY_DISABLED", `{"reason":"\u12"}`, `escapes are malformed`},
		"an escape with a sign":         {"STRATEGY_DISABLED", `{"reason":"\u+041"}`, `escapes are malformed`},
		"an escape at the end":          {"STRATEGY_DISABLED", `{"reason":"\`, `a string has no end`},
		"an escaped end":                {"STRATEGY_DISABLED", `{"reason":"\"}`, `a string has no end`},
		"a string without end":          {"STRATEGY_DISABLED", `{"reason":"x`, `a string has no end`},
		"a NUL":                         {"STRATEGY_DISABLED", "{\"reason\":\"\x00\"}", `a control character`},
		"an escaped NUL":                {"STRATEGY_DISABLED", `{"reason":"\u0000"}`, `a NUL`},
		"a line break in a string":      {"STRATEGY_DISABLED", "{\"reason\":\"a\nb\"}", `a control character`},
		"a line break beside an escape": {"STRATEGY_DISABLED", "{\"reason\":\"\\t\n\"}", `a control character`},
		"too deep":                      {"STRATEGY_DISABLED", nested(40), `nested too deep`},
		"very much too deep":            {"STRATEGY_DISABLED", nested(1 << 20), `nested too deep`},
		"an unknown field that is none": {"STRATEGY_DISABLED", `{"x":nul}`, `expected null`},
		"an unknown number that is no":  {"STRATEGY_DISABLED", `{"x":1e}`, `expected a value`},
		"an unknown field without end":  {"STRATEGY_DISABLED", `{"x":[1,{"y":"z"`, `expected '}'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := event.Decode(test.typ, 1, []byte(test.in))
			require.Nil(t, m)
			require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
			require.Equal(t, "PAYLOAD_UNREADABLE", fault.ReasonOf(err))
			require.ErrorContains(t, err, string(test.typ))
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestDecode_knows_its_types_and_versions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ     event.Type
		version int32
		reason  string
	}{
		"a type of another world": {"ORDER_INVENTED", 1, "EVENT_TYPE_UNKNOWN"},
		"no type":                 {"", 1, "EVENT_TYPE_UNKNOWN"},
		"a type in small letters": {"order_acked", 1, "EVENT_TYPE_UNKNOWN"},
		"a version to come":       {"ORDER_ACKED", 2, "SCHEMA_VERSION_UNKNOWN"},
		"after an older version":  {"EXCHANGE_STATE_UNCERTAIN", 3, "SCHEMA_VERSION_UNKNOWN"},
		"before an older version": {"EXCHANGE_STATE_UNCERTAIN", 0, "SCHEMA_VERSION_UNKNOWN"},
		"no version":              {"ORDER_ACKED", 0, "SCHEMA_VERSION_UNKNOWN"},
		"a version below":         {"ORDER_ACKED", -1, "SCHEMA_VERSION_UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := event.Decode(test.typ, test.version, []byte(`{}`))
			require.True(t, fault.Is(err, fault.Corrupt))
			require.Equal(t, test.reason, fault.ReasonOf(err))
		})
	}
}

// TestDecode_ignores_fields_it_does_not_know: a newer Robson may have written them.
func TestDecode_ignores_fields_it_does_not_know(t *testing.T) {
	t.Parallel()
	want, err := event.Canonical(&eventv1.StrategyDisabled{Reason: "x"})
	require.NoError(t, err)
	for _, unknown := range []string{
		`null`, `true`, `false`, `-1.5e+9`, `123456789012345678901234567890`, `"x\u0041"`, `[]`, `{}`, `[1,[2,{"reason":"y"}],null]`, `{"a":{"b":[]}}`,
	} {
		m, err := event.Decode("STRATEGY_DISABLED", 1, []byte(` { "later" : `+unknown+` , "reason":"x", "zzz":`+unknown+"}\n"))
		require.NoError(t, err, unknown)
		canonical, err := event.Canonical(m)
		require.NoError(t, err)
		require.Equal(t, want, canonical)
	}
	m, err := event.Decode("STRATEGY_UPDATED", 1, []byte(`{"risk_config":{"later":[1],"risk_percent":"1"}}`))
	require.NoError(t, err)
	require.Equal(t, "1", m.(*eventv1.StrategyUpdated).GetRiskConfig().GetRiskPercent())
}

func TestDecode_reads_every_escape(t *testing.T) {
	t.Parallel()
	m, err := event.Decode("STRATEGY_DISABLED", 1, []byte(`{"reason":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00é😀\u007f"}`))
	require.NoError(t, err)
	require.Equal(t, "\"\\/\b\f\n\r\tAé€😀é😀\x7f", m.(*eventv1.StrategyDisabled).GetReason())
}

func TestDecode_takes_null_for_absent(t *testing.T) {
	t.Parallel()
	m, err := event.Decode("ORDER_REJECTED", 1, []byte(`{"order_id":null,"error_code":null,"reason":"x"}`))
	require.NoError(t, err)
	require.Empty(t, m.(*eventv1.OrderRejected).GetOrderId())
	require.Nil(t, m.(*eventv1.OrderRejected).ErrorCode)
}

func TestDecode_at_the_bounds(t *testing.T) {
	t.Parallel()
	m, err := event.Decode("SNAPSHOT_CREATED", 1, []byte(`{"as_of_position":9007199254740992,"event_count":-9007199254740992}`))
	require.NoError(t, err)
	require.EqualValues(t, 1<<53, m.(*eventv1.SnapshotCreated).GetAsOfPosition())
	require.EqualValues(t, -1<<53, m.(*eventv1.SnapshotCreated).GetEventCount())
	_, err = event.Decode("STRATEGY_DISABLED", 1, []byte(`{"x":`+strings.Repeat(`[`, 30)+strings.Repeat(`]`, 30)+`}`))
	require.NoError(t, err)
}
