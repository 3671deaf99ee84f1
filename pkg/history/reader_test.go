package history_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/history/historytest"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
}

// role may read the log and nothing that is not of the tenants it names.
const role = "robson_eventlog"

// bench is a written log.
type bench struct {
	*projectiontest.Log
	super, pool *pgxpool.Pool
}

// setup writes two small accounts' lives, spread over three months.
func setup(t *testing.T) *bench {
	t.Helper()
	log, err := projectiontest.Lives(2, 6)
	require.NoError(t, err)
	for i := range log.Events {
		at := projectiontest.Start.Add(time.Duration(i) * 8 * time.Hour)
		log.Events[i].OccurredAt, log.Events[i].IngestedAt = at, at.Add(time.Second)
		log.Events[i] = historytest.Stored(log.Events[i])
	}
	require.Greater(t, log.Events[len(log.Events)-1].IngestedAt.Sub(log.Events[0].IngestedAt), 50*24*time.Hour)
	db := testkit.Database(t)
	b := &bench{Log: log, super: db.Pool(t, ""), pool: db.Pool(t, role)}
	require.NoError(t, historytest.NewWriter(b.super).Write(t.Context(), log.Events))
	return b
}

// small has windows and batches that end often, and never at the same place.
var small = history.Config{Window: 10, Batch: 3, Batches: 2}

// read reads a scope.
func (b *bench) read(t *testing.T, cfg history.Config, scope history.Scope) ([]projection.Event, history.Summary, error) {
	t.Helper()
	var events []projection.Event
	summary, err := b.each(t, cfg, scope, func(ev *projection.Event) error {
		events = append(events, *ev)
		return nil
	})
	return events, summary, err
}

// each reads a scope, and shows that the transaction can be used afterwards.
func (b *bench) each(t *testing.T, cfg history.Config, scope history.Scope, each func(*projection.Event) error) (history.Summary, error) {
	t.Helper()
	if scope.Tenant == uuid.Nil {
		scope.Tenant = b.TenantID
	}
	reader, err := history.New(cfg)
	require.NoError(t, err)
	var summary history.Summary
	var failed error
	err = postgres.InTx(t.Context(), b.pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
		summary, failed = reader.Each(ctx, tx, scope, each)
		var one int
		return tx.QueryRow(ctx, "select 1").Scan(&one)
	})
	require.NoError(t, err)
	return summary, failed
}

// requireSame compares events, payloads by what they say.
func requireSame(t *testing.T, expected, found []projection.Event) {
	t.Helper()
	require.Len(t, found, len(expected))
	for i := range expected {
		e, f := expected[i], found[i]
		require.Equal(t, canonical(t, e.Payload), canonical(t, f.Payload), "position %d", e.Position)
		e.Payload, f.Payload = nil, nil
		require.Equal(t, e, f)
	}
}

func canonical(t *testing.T, payload proto.Message) string {
	t.Helper()
	text, err := event.Canonical(payload)
	require.NoError(t, err)
	return string(text)
}

// where picks the events that a test says.
func (b *bench) where(is func(*projection.Event, event.Subjects) bool) []projection.Event {
	var events []projection.Event
	for i := range b.Events {
		stream, err := event.ParseStreamKey(b.Events[i].StreamKey)
		if err == nil && is(&b.Events[i], event.SubjectsOf(stream, b.Events[i].Payload)) {
			events = append(events, b.Events[i])
		}
	}
	return events
}

func TestReader_whole_log(t *testing.T) {
	t.Parallel()
	b := setup(t)
	last := int64(len(b.Events))
	for name, cfg := range map[string]history.Config{
		"at once": {}, "in small parts": small, "verified": {Window: 7, Batch: 5, Verify: true}, "by two decoders": {Batch: 4, Decoders: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, summary, err := b.read(t, cfg, history.Scope{})
			require.NoError(t, err)
			require.Equal(t, history.Summary{Events: last, To: last}, summary)
			requireSame(t, b.Events, events)

			events, summary, err = b.read(t, cfg, history.Scope{From: 12, To: last - 5})
			require.NoError(t, err)
			require.Equal(t, history.Summary{Events: last - 16, To: last - 5}, summary)
			requireSame(t, b.Events[11:last-5], events)

			events, _, err = b.read(t, cfg, history.Scope{From: last + 1})
			require.NoError(t, err)
			require.Empty(t, events)
		})
	}
}

// Everything that folding an account needs is read, and nothing of the others: what is folded is the account's part of
// the whole state.
func TestReader_account(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner := map[uuid.UUID]uuid.UUID{}
	expected := b.where(func(_ *projection.Event, s event.Subjects) bool {
		if s.PositionID != uuid.Nil && s.AccountID != uuid.Nil {
			owner[s.PositionID] = s.AccountID
		}
		return s.AccountID == projectiontest.Account(1) || owner[s.PositionID] == projectiontest.Account(1)
	})
	for _, cfg := range []history.Config{{}, small} {
		events, _, err := b.read(t, cfg, history.Scope{Account: projectiontest.Account(1)})
		require.NoError(t, err)
		requireSame(t, expected, events)
		from := expected[20].Position
		streams := []event.StreamKey{}
		for id, account := range owner {
			if account == projectiontest.Account(1) {
				streams = append(streams, event.StreamKey{Kind: event.KindPosition, ID: id})
			}
		}
		for _, known := range [][]event.StreamKey{nil, streams} {
			events, _, err = b.read(t, cfg, history.Scope{Account: projectiontest.Account(1), From: from, Streams: known})
			require.NoError(t, err)
			requireSame(t, expected[20:], events)
		}
	}
	part, err := projectiontest.Replay(expected)
	require.NoError(t, err)
	whole, err := projectiontest.Replay(b.Events)
	require.NoError(t, err)
	rows := whole.Render()
	for key, row := range part.Render() {
		require.Equal(t, rows[key], row, key)
	}
}

func TestReader_stream_and_position(t *testing.T) {
	t.Parallel()
	b := setup(t)
	position := b.Events[10].Payload.ProtoReflect()
	id := uuid.MustParse(position.Get(position.Descriptor().Fields().ByName("position_id")).String())
	stream := event.StreamKey{Kind: event.KindPosition, ID: id}
	inStream := b.where(func(ev *projection.Event, _ event.Subjects) bool { return ev.StreamKey == stream.String() })
	naming := b.where(func(_ *projection.Event, s event.Subjects) bool { return s.PositionID == id })
	require.Greater(t, len(naming), len(inStream))
	for _, cfg := range []history.Config{{}, small} {
		events, _, err := b.read(t, cfg, history.Scope{Stream: stream})
		require.NoError(t, err)
		requireSame(t, inStream, events)
		events, _, err = b.read(t, cfg, history.Scope{Stream: stream, From: inStream[4].Position, To: inStream[9].Position})
		require.NoError(t, err)
		requireSame(t, inStream[4:10], events)
		events, _, err = b.read(t, cfg, history.Scope{Position: id})
		require.NoError(t, err)
		requireSame(t, naming, events)
	}
}

func TestReader_strategy(t *testing.T) {
	t.Parallel()
	log := projectiontest.NewLog()
	require.NoError(t, log.Registered())
	plan := projectiontest.Long("a")
	plan.Strategy = projectiontest.StrategyID
	require.NoError(t, log.Opening(plan))
	require.NoError(t, log.Opening(projectiontest.Short("b")))
	for i := range log.Events {
		log.Events[i] = historytest.Stored(log.Events[i])
	}
	db := testkit.Database(t)
	b := &bench{Log: log, super: db.Pool(t, ""), pool: db.Pool(t, role)}
	require.NoError(t, historytest.NewWriter(b.super).Write(t.Context(), log.Events))
	events, _, err := b.read(t, small, history.Scope{Strategy: projectiontest.StrategyID})
	require.NoError(t, err)
	requireSame(t, b.where(func(_ *projection.Event, s event.Subjects) bool { return s.StrategyID == projectiontest.StrategyID }), events)
	require.Len(t, events, 6)
}

// tamper changes the stored log as nobody may.
func (b *bench) tamper(t *testing.T, sql string, args ...any) {
	t.Helper()
	require.NoError(t, postgres.InTx(t.Context(), b.super, postgres.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		tables, err := tx.Query(ctx, "select inhrelid::regclass::text from pg_inherits where inhparent = 'event_log'::regclass union all select 'event_log'")
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(tables, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.Exec(ctx, fmt.Sprintf("alter table %s disable trigger event_log_append_only", name)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, sql, args...)
		return err
	}))
}

// Law 11: reading stops where something is wrong, says where, and has given all before and nothing after.
func TestReader_stops_at_what_is_wrong(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]struct {
		sql    string
		reason string
		verify bool
	}{
		"an event is missing":                  {sql: "delete from event_log where position = 33", reason: "EVENT_MISSING"},
		"a payload that cannot be read":        {sql: "update event_log set payload = '[]' where position = 33", reason: "PAYLOAD_UNREADABLE"},
		"a type that is not known":             {sql: "update event_log set event_type = 'MOON_LANDED' where position = 33", reason: "EVENT_TYPE_UNKNOWN"},
		"a version that is not known":          {sql: "update event_log set payload_schema_version = 99 where position = 33", reason: "SCHEMA_VERSION_UNKNOWN"},
		"content that was altered":             {sql: "update event_log set actor_id = 'somebody' where position = 33", reason: "CHAIN_BROKEN", verify: true},
		"a hash that was altered":              {sql: "update event_log set prev_hash = hash where position = 33", reason: "CHAIN_BROKEN", verify: true},
		"a time behind the one before it":      {sql: "update event_log set occurred_at = '2020-01-01' where position = 33", reason: "CHAIN_BROKEN", verify: true},
		"an event id behind the one before it": {sql: "update event_log set event_id = '00000000-0000-0000-0000-000000000001' where position = 33", reason: "CHAIN_BROKEN", verify: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.tamper(t, wrong.sql)
			for _, cfg := range []history.Config{{}, small, {Window: 8, Batch: 8, Decoders: 2}} {
				cfg.Verify = wrong.verify
				events, summary, err := b.read(t, cfg, history.Scope{})
				require.True(t, fault.Is(err, fault.Corrupt), "%v", err)
				require.Equal(t, wrong.reason, fault.ReasonOf(err))
				require.ErrorContains(t, err, "position 33")
				require.Equal(t, int64(32), summary.Events)
				requireSame(t, b.Events[:32], events)
			}
		})
	}
	t.Run("the last event is missing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		last := len(b.Events)
		b.tamper(t, "delete from event_log where position = $1", last)
		events, _, err := b.read(t, history.Config{}, history.Scope{})
		require.ErrorContains(t, err, fmt.Sprintf("position %d", last))
		require.Len(t, events, last-1)
	})
	t.Run("an event of a stream is missing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.tamper(t, "delete from event_log where stream_key = $1 and seq = 2", b.Events[10].StreamKey)
		stream, err := event.ParseStreamKey(b.Events[10].StreamKey)
		require.NoError(t, err)
		_, _, err = b.read(t, history.Config{}, history.Scope{Stream: stream})
		require.ErrorContains(t, err, "seq 2")
	})
}

// What the consumer says ends the reading, comes back as it is, and leaves the transaction usable.
func TestReader_ends_when_the_consumer_has_had_enough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	enough := errors.New("enough")
	for _, cfg := range []history.Config{{}, small} {
		summary, err := b.each(t, cfg, history.Scope{}, func(ev *projection.Event) error {
			if ev.Position == 20 {
				return enough
			}
			return nil
		})
		require.Equal(t, enough, err)
		require.Equal(t, int64(19), summary.Events)
	}
}

// The caller going away ends the reading.
func TestReader_ends_with_its_context(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader, err := history.New(small)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = postgres.InTx(ctx, b.pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := reader.Each(ctx, tx, history.Scope{Tenant: b.TenantID}, func(ev *projection.Event) error {
			if ev.Position == 5 {
				cancel()
			}
			return nil
		})
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestReader_refuses_what_means_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := projectiontest.Account(0)
	for name, wrong := range map[string]struct {
		cfg   history.Config
		scope history.Scope
		kind  fault.Kind
	}{
		"two filters":              {scope: history.Scope{Account: id, Position: id}, kind: fault.Invalid},
		"the chain of a part":      {cfg: history.Config{Verify: true}, scope: history.Scope{Account: id}, kind: fault.Invalid},
		"a position below zero":    {scope: history.Scope{From: -1}, kind: fault.Invalid},
		"a position after the end": {scope: history.Scope{To: int64(len(b.Events)) + 1}, kind: fault.Invalid},
		"a tenant without a log":   {scope: history.Scope{Tenant: id}, kind: fault.NotFound},
	} {
		_, _, err := b.read(t, wrong.cfg, wrong.scope)
		require.True(t, fault.Is(err, wrong.kind), "%s: %v", name, err)
	}
	for _, cfg := range []history.Config{{Window: -1}, {Batch: -1}, {Batches: -1}, {Decoders: -1}} {
		_, err := history.New(cfg)
		require.Error(t, err)
	}
}
