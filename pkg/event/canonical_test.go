package event_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// TestCanonical_is_what_it_always_was: one case for each rule of the form.
func TestCanonical_is_what_it_always_was(t *testing.T) {
	t.Parallel()
	at := func(text string) *timestamppb.Timestamp {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return timestamppb.New(parsed)
	}
	code := int32(0)
	type vector struct {
		Rule      string `json:"rule"`
		Type      string `json:"type"`
		Canonical string `json:"canonical"`
	}
	var vectors []vector
	for _, test := range []struct {
		rule    string
		payload proto.Message
	}{
		{"numbers and booleans are always there, all else only where it says something", &eventv1.FillReceived{}},
		{"an optional number is there when it is set, to 0 too", &eventv1.OrderRejected{ErrorCode: &code}},
		{"a message that is there and empty is there", &eventv1.StrategyUpdated{RiskConfig: &eventv1.RiskConfig{}}},
		{"an empty list or map is absent", &eventv1.StrategyUpdated{ChangedFields: []string{}, DetectorConfig: map[string]string{}}},
		{"an empty text in a list or map is kept", &eventv1.StrategyUpdated{ChangedFields: []string{""}, DetectorConfig: map[string]string{"": ""}}},
		{"decimals lose trailing zeros", &eventv1.TrailingStopUpdated{NewStop: "95000.10", PreviousStop: "100", FavorableExtreme: "0.000"}},
		{"zero has no sign", &eventv1.BalanceAdjusted{Delta: "-0.00"}},
		{"decimals keep 20 digits before the point and 18 after", &eventv1.BalanceAdjusted{Delta: "-12345678901234567890.123456789012345678"}},
		{"decimals in lists", &eventv1.TechnicalStopAnalyzed{Levels: []string{"1.0", "-0", "2.50"}}},
		{"decimals in messages in lists", &eventv1.RiskCheckPassed{ChecksPerformed: []*eventv1.RiskCheck{{Name: "b", Limit: "1.0"}, {Name: "a", Value: "2.0"}}}},
		{"UUIDs are in lower case", &eventv1.PositionClosed{PositionId: "0F8FAD5B-D9CB-469F-A165-70867728950E", ExitOrderIds: []string{"7C9E6679-7425-40DE-944B-E07FC1F90AE7"}}},
		{"whole numbers reach 2^53", &eventv1.SnapshotCreated{AsOfPosition: 1 << 53, EventCount: -1 << 53}},
		{"times have milliseconds", &eventv1.SignalExpired{ExpiredAt: at("2026-11-24T20:05:42Z")}},
		{"times have microseconds where they say something", &eventv1.SignalExpired{ExpiredAt: at("2026-11-24T20:05:42.1200010Z")}},
		{"times are cut to microseconds, not rounded", &eventv1.SignalExpired{ExpiredAt: at("2026-11-24T20:05:42.999999999Z")}},
		{"times are in UTC", &eventv1.SignalExpired{ExpiredAt: at("2026-11-24T23:59:59.5-05:00")}},
		{"times before 1970 are cut the same way", &eventv1.SignalExpired{ExpiredAt: at("1969-12-31T23:59:59.9999999Z")}},
		{"the first time", &eventv1.SignalExpired{ExpiredAt: at("0001-01-01T00:00:00Z")}},
		{"the last time", &eventv1.SignalExpired{ExpiredAt: at("9999-12-31T23:59:59.999999999Z")}},
		{"enumerations are words", &eventv1.FillReceived{Side: eventv1.Side_SIDE_SELL, Source: eventv1.Source_SOURCE_WS}},
		{"text is escaped as little as can be", &eventv1.StrategyDisabled{Reason: "\"\\/\b\f\n\r\t\x01\x1f\x7f é€\u2028😀<>&"}},
		{"text is not normalized", &eventv1.StrategyDisabled{Reason: "e\u0301 é"}},
		{"keys go by UTF-16 code units", &eventv1.StrategyUpdated{DetectorConfig: map[string]string{"€": "1", "\r": "2", "\ufb33": "3", "1": "4", "\U0001f600": "5", "\u0080": "6", "ö": "7"}}},
	} {
		canonical, err := event.Canonical(test.payload)
		require.NoError(t, err, test.rule)
		descriptor, err := event.OfMessage(test.payload)
		require.NoError(t, err)
		vectors = append(vectors, vector{test.rule, string(descriptor.Type), string(canonical)})
		back, err := event.Decode(descriptor.Type, descriptor.Version, canonical)
		require.NoError(t, err, test.rule)
		again, err := event.Canonical(back)
		require.NoError(t, err, test.rule)
		require.Equal(t, string(canonical), string(again), test.rule)
	}
	golden(t, "canonical.json", vectors)
}

// TestCanonical_refuses_what_cannot_be_stored and names the field.
func TestCanonical_refuses_what_cannot_be_stored(t *testing.T) {
	t.Parallel()
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1)
	newer := &eventv1.StrategyDisabled{Reason: "x"}
	newer.ProtoReflect().SetUnknown(unknown)
	newerWithin := &eventv1.RiskCheckPassed{ChecksPerformed: []*eventv1.RiskCheck{{}}}
	newerWithin.GetChecksPerformed()[0].ProtoReflect().SetUnknown(unknown)
	for name, test := range map[string]struct {
		payload proto.Message
		path    string
		says    string
	}{
		"no decimal":              {&eventv1.TrailingStopUpdated{NewStop: "x"}, "payload.trailing_stop_updated.new_stop", "no decimal"},
		"an exponent":             {&eventv1.TrailingStopUpdated{NewStop: "1e5"}, "payload.trailing_stop_updated.new_stop", "no decimal"},
		"a plus":                  {&eventv1.TrailingStopUpdated{NewStop: "+1"}, "payload.trailing_stop_updated.new_stop", "no decimal"},
		"a leading zero":          {&eventv1.TrailingStopUpdated{NewStop: "01"}, "payload.trailing_stop_updated.new_stop", "leading zeros"},
		"21 digits":               {&eventv1.TrailingStopUpdated{NewStop: "123456789012345678901"}, "payload.trailing_stop_updated.new_stop", "more than 20 digits"},
		"19 places":               {&eventv1.TrailingStopUpdated{NewStop: "0.1234567890123456789"}, "payload.trailing_stop_updated.new_stop", "more than 18 digits"},
		"no decimal in a list":    {&eventv1.TechnicalStopAnalyzed{Levels: []string{"1", ""}}, "payload.technical_stop_analyzed.levels", "no decimal"},
		"no decimal deeper":       {&eventv1.StrategyUpdated{RiskConfig: &eventv1.RiskConfig{MaxExposure: "?"}}, "payload.strategy_updated.risk_config.max_exposure", "no decimal"},
		"no decimal in a list's":  {&eventv1.RiskCheckPassed{ChecksPerformed: []*eventv1.RiskCheck{{}, {Limit: "?"}}}, "payload.risk_check_passed.checks_performed.limit", "no decimal"},
		"no UUID":                 {&eventv1.StrategyDisabled{StrategyId: "x"}, "payload.strategy_disabled.strategy_id", "no UUID"},
		"a UUID in braces":        {&eventv1.StrategyDisabled{StrategyId: "{" + anID + "}"}, "payload.strategy_disabled.strategy_id", "no UUID"},
		"a UUID with wrong signs": {&eventv1.StrategyDisabled{StrategyId: "0f8fad5b-d9cb-469f-a165-7086772895zz"}, "payload.strategy_disabled.strategy_id", "no UUID"},
		"a UUID without dashes":   {&eventv1.StrategyDisabled{StrategyId: "0f8fad5b0d9cb-469f-a165-70867728950e"}, "payload.strategy_disabled.strategy_id", "no UUID"},
		"beyond 2^53":             {&eventv1.SnapshotCreated{AsOfPosition: 1<<53 + 1}, "payload.snapshot_created.as_of_position", "beyond 2^53"},
		"below -2^53":             {&eventv1.SnapshotCreated{EventCount: math.MinInt64}, "payload.snapshot_created.event_count", "beyond 2^53"},
		"an enumeration's gap":    {&eventv1.FillReceived{Side: 99}, "payload.fill_received.side", "99 is no value"},
		"a time before year 1":    {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Seconds: -62135596801}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"a time after year 9999":  {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Seconds: 253402300800}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"the first second":        {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Seconds: math.MinInt64}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"the last second":         {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Seconds: math.MaxInt64}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"nanoseconds below 0":     {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Nanos: -1}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"too many nanoseconds":    {&eventv1.ExchangeDisconnected{LastEventTime: &timestamppb.Timestamp{Nanos: 1_000_000_000}}, "payload.exchange_disconnected.last_event_time", "no time"},
		"invalid UTF-8":           {&eventv1.StrategyDisabled{Reason: "\xff"}, "payload.strategy_disabled.reason", "UTF-8"},
		"a surrogate":             {&eventv1.StrategyDisabled{Reason: "\xed\xa0\x80"}, "payload.strategy_disabled.reason", "UTF-8"},
		"a NUL":                   {&eventv1.StrategyDisabled{Reason: "a\x00"}, "payload.strategy_disabled.reason", "NUL"},
		"a NUL in a key":          {&eventv1.StrategyUpdated{DetectorConfig: map[string]string{"\x00": ""}}, "payload.strategy_updated.detector_config", "NUL"},
		"a NUL in a map":          {&eventv1.StrategyUpdated{DetectorConfig: map[string]string{"a": "\x00"}}, "payload.strategy_updated.detector_config", "NUL"},
		"an unknown field":        {newer, "payload.strategy_disabled", "does not know"},
		"an unknown field deeper": {newerWithin, "payload.risk_check_passed.checks_performed", "does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, write := range []func(proto.Message) ([]byte, error){event.Canonical, event.Normalize} {
				_, err := write(test.payload)
				require.True(t, fault.Is(err, fault.Invalid), "%v", err)
				require.Equal(t, test.path, fault.As(err).Fields[0].Path)
				require.ErrorContains(t, err, test.says)
			}
		})
	}
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3*3600)
	require.Equal(t, "x2026-11-24T17:05:42.120Z", string(event.AppendTime([]byte("x"), time.Date(2026, 11, 24, 20, 5, 42, 120_000_999, zone))))
	require.Equal(t, "2026-11-24T17:05:42.120001Z", string(event.AppendTime(nil, time.Date(2026, 11, 24, 20, 5, 42, 120_001_000, zone))))
}
