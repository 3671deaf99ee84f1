package intake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
)

// refusedBy is how New refuses a draft.
func refusedBy(t *testing.T, d *intake.Draft, l intake.Limits) *fault.Error {
	t.Helper()
	_, err := intake.New(d, l)
	require.Error(t, err)
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	return e
}

// drafts for the refusals: a decision of two events in one stream, and a fact.
func arming(log *projectiontest.Log) *intake.Draft {
	plan := projectiontest.Long("a")
	return draft(log, "arm", log.Armed(plan), log.Detected(plan))
}

func sampling(t *testing.T, log *projectiontest.Log) *intake.Draft {
	t.Helper()
	return factDraft(t, log, log.Sample("1", "USDT", "100"))
}

func TestNew_refuses_what_cannot_be_meant(t *testing.T) {
	t.Parallel()
	log := projectiontest.NewLog()
	defaults := limits(t)
	tests := []struct {
		name   string
		field  string
		change func(d *intake.Draft, l *intake.Limits)
	}{
		{"no command", "command_id", func(d *intake.Draft, _ *intake.Limits) { d.Command = uuid.Nil }},
		{"no trace", "trace_id", func(d *intake.Draft, _ *intake.Limits) { d.Trace = uuid.Nil }},
		{"no streams", "streams", func(d *intake.Draft, _ *intake.Limits) { d.Streams = nil }},
		{"no events", "streams", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Events = nil }},
		{"too many streams", "streams", func(d *intake.Draft, l *intake.Limits) {
			l.StreamsMax = 1
			d.Streams = append(d.Streams, streamOf(log, log.StrategyEnabled()))
		}},
		{"too many events", "streams", func(_ *intake.Draft, l *intake.Limits) { l.EventsMax = 1 }},
		{"a large payload", "streams[0].events[0].payload", func(_ *intake.Draft, l *intake.Limits) { l.PayloadBytesMax = 100 }},
		{"too many bytes", "streams", func(_ *intake.Draft, l *intake.Limits) { l.AppendBytesMax = 400 }},
		{"a stream without a kind", "streams[0].stream_key", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Key = projectiontest.ID("x").String() }},
		{"a stream of an unknown kind", "streams[0].stream_key", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Key = "user:" + projectiontest.ID("x").String() }},
		{"a stream in capitals", "streams[0].stream_key", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Key = strings.ToUpper(d.Streams[0].Key) }},
		{"a stream in other words", "streams[0].stream_key", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Key = "position:{" + projectiontest.ID("x").String() + "}"
		}},
		{"a stream twice", "streams[1].stream_key", func(d *intake.Draft, _ *intake.Limits) { d.Streams = append(d.Streams, d.Streams[0]) }},
		{"caused by itself", "streams[0].events[1].caused_by", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Events[1].CausedBy = 1 }},
		{"caused by a later one", "streams[0].events[0].caused_by", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Events[0].CausedBy = 1 }},
		{"before the years", "streams[0].events[1].occurred_at", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[1].OccurredAt = time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)
		}},
		{"after the years", "streams[0].events[1].occurred_at", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[1].OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}},
		{"no payload", "streams[0].events[1].payload", func(d *intake.Draft, _ *intake.Limits) { d.Streams[0].Events[1].Payload = &eventv1.Payload{} }},
		{"an amount that is none", "streams[0].events[0].payload.position_armed.capital", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[0].Payload.GetPositionArmed().Capital = "1e3"
		}},
		{"an amount too precise", "streams[0].events[0].payload.position_armed.capital", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[0].Payload.GetPositionArmed().Capital = "0.0000000000000000001"
		}},
		{"an id that is none", "streams[0].events[0].payload.position_armed.account_id", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[0].Payload.GetPositionArmed().AccountId = "me"
		}},
		{"a NUL in a decision", "streams[0].events[1].payload.signal_detected.detector", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams[0].Events[1].Payload.GetSignalDetected().Detector = "a\x00b"
		}},
		{"an unknown kind of row", "reads[1].row", func(d *intake.Draft, _ *intake.Limits) {
			d.Reads = []intake.Read{{Kind: projection.ReadPosition}, {Kind: 9}}
		}},
		{"a tenant later in the append", "streams", func(d *intake.Draft, _ *intake.Limits) {
			d.Streams = append(d.Streams, streamOf(log, &eventv1.TenantCreated{TenantId: log.TenantID.String(), Name: "x"}))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, l := arming(projectiontest.NewLog()), defaults
			test.change(d, &l)
			e := refusedBy(t, d, l)
			require.Equal(t, fault.Invalid, e.Kind)
			require.Len(t, e.Fields, 1)
			require.Equal(t, test.field, e.Fields[0].Path, "%v", e)
			require.Contains(t, e.Error(), e.Fields[0].Description)
		})
	}
}

// Law 7 rests on it: a fact is known by what it is, and not by who tells it.
func TestNew_facts(t *testing.T) {
	t.Parallel()
	log := projectiontest.NewLog()
	tests := []struct {
		name   string
		field  string
		change func(d *intake.Draft)
	}{
		{"under a command of one's own", "command_id", func(d *intake.Draft) { d.Command = projectiontest.ID("mine") }},
		{"under another fact's command", "command_id", func(d *intake.Draft) { d.Command = sampling(t, log).Command }},
		{"with another digest", "request_digest", func(d *intake.Draft) { d.Digest[0]++ }},
		{"without an identity", "streams[0].events[0].payload.balance_adjusted", func(d *intake.Draft) {
			d.Streams[0].Events[0].Payload = event.Wrap(&eventv1.BalanceAdjusted{})
		}},
		{"two in one append", "streams", func(d *intake.Draft) {
			d.Streams[0].Events = append(d.Streams[0].Events, sampling(t, log).Streams[0].Events...)
		}},
		{"after a record", "streams", func(d *intake.Draft) {
			record := streamOf(log, &eventv1.ExchangeConnected{AccountId: projectiontest.Spot.String()})
			d.Streams[0].Events = append(record.Events, d.Streams[0].Events...)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := factDraft(t, projectiontest.NewLog(), log.Sample("another", "USDT", "1"))
			test.change(d)
			e := refusedBy(t, d, limits(t))
			require.Equal(t, fault.Invalid, e.Kind)
			require.Equal(t, test.field, e.Fields[0].Path)
		})
	}
	for _, caller := range []intake.Caller{command, ana, {Service: "replayer"}, {Service: "eventlog"}, {}} {
		d := sampling(t, log)
		d.Caller = caller
		e := refusedBy(t, d, limits(t))
		require.Equal(t, fault.Denied, e.Kind)
		require.Equal(t, map[string]string{"event_type": "BALANCE_SAMPLED", "producer": "connector", "caller": caller.Service}, e.Metadata)
	}
}

// What an append names is looked up before it is tried: its streams, its command and that of a contradiction, its rows.
func TestNew_tells_what_to_look_up(t *testing.T) {
	t.Parallel()
	log := projectiontest.NewLog()
	d := sampling(t, log)
	r := request(t, d)
	require.Equal(t, 1, r.EventCount())
	require.Equal(t, []string{"account:" + projectiontest.Spot.String()}, r.StreamKeys())
	require.Equal(t, []uuid.UUID{d.Command, event.DiscrepancyCommandID(d.Command, d.Digest)}, r.CommandIDs())
	require.Equal(t, []projection.Key{projection.BalanceKey(projectiontest.Spot, "spot", "USDT")}, r.Touches())

	a := arming(log)
	a.Reads = []intake.Read{{Kind: projection.ReadAccountRisk, ID: projectiontest.Spot}}
	r = request(t, a)
	require.Equal(t, 2, r.EventCount())
	require.Equal(t, []uuid.UUID{a.Command}, r.CommandIDs())
	require.Contains(t, r.Touches(), projection.RiskKey(projectiontest.Spot, uuid.Nil))
	require.Contains(t, r.Touches(), projection.SignalKey(projectiontest.Long("a").SignalID()))
}

func TestLimits_WithDefaults(t *testing.T) {
	t.Parallel()
	got, err := intake.Limits{}.WithDefaults()
	require.NoError(t, err)
	require.Equal(t, intake.Limits{
		EventsMax: 1000, StreamsMax: 100, PayloadBytesMax: 64 << 10, TextBytesMax: 2 << 10, AppendBytesMax: 1 << 20,
		ClockAheadMax: 2 * time.Minute, ClockSkewMax: 5 * time.Minute,
	}, got)
	for i, wrong := range []intake.Limits{
		{EventsMax: -1}, {StreamsMax: -1}, {PayloadBytesMax: -1}, {TextBytesMax: -1}, {AppendBytesMax: -1}, {ClockAheadMax: -1}, {ClockSkewMax: -1},
	} {
		_, err := wrong.WithDefaults()
		require.ErrorContains(t, err, "append limits", fmt.Sprint(i))
	}
}
