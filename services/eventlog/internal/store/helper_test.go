package store_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/clock"
	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/projection/projectiontest"
	"github.com/robson/robson/pkg/testkit"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/eventlog/internal/intake"
	"github.com/robson/robson/services/eventlog/internal/store"
)

const role = "robson_eventlog"

// bench is a log in a database of the test's own.
type bench struct {
	*store.Store
	db    *testkit.DB
	super *pgxpool.Pool
}

func setup(t testing.TB, cfg store.Config) *bench {
	t.Helper()
	db := testkit.Database(t)
	return &bench{Store: open(t, db, cfg), db: db, super: db.Pool(t, "")}
}

// open makes another store on the database, as another process would.
func open(t testing.TB, db *testkit.DB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.New(clock.System(), db.Pool(t, role), cfg)
	require.NoError(t, err)
	return s
}

// draftOf is the append of one event by whoever may make it. A fact's command is named by its identity, any other by the
// event's place in its log.
func draftOf(t testing.TB, ev projection.Event) *intake.Draft {
	t.Helper()
	d := &intake.Draft{
		Tenant: ev.TenantID, Trace: projectiontest.ID("trace"), Caller: intake.Caller{Service: "command", User: "owner"},
		Streams: []intake.DraftStream{{Key: ev.StreamKey, Events: []intake.DraftEvent{{
			Payload: event.Wrap(ev.Payload), OccurredAt: ev.OccurredAt, CausedBy: -1,
		}}}},
	}
	descriptor, err := event.OfMessage(ev.Payload)
	require.NoError(t, err)
	d.Command, d.Digest = uuid.NewSHA1(ev.TenantID, ev.EventID[:]), sha256.Sum256(ev.EventID[:])
	switch {
	case descriptor.IsFact():
		identity, err := event.Identity(ev.Payload)
		require.NoError(t, err)
		d.Command = event.FactCommandID(identity)
		d.Digest, err = event.Digest(ev.Payload)
		require.NoError(t, err)
		d.Caller = intake.Caller{Service: "connector"}
	case descriptor.Type == "SNAPSHOT_CREATED":
		d.Caller = intake.Caller{Service: "snapshotter"}
	case descriptor.Type == "PROJECTION_REBUILT":
		d.Caller = intake.Caller{Service: "replayer"}
	case !descriptor.IsDecision(), descriptor.Type == "ORDER_SUBMITTED":
		d.Caller = intake.Caller{Service: "connector"}
	}
	return d
}

// requestOf is the append of one event, ready to be tried.
func requestOf(t testing.TB, s *store.Store, ev projection.Event) *intake.Request {
	t.Helper()
	return prepare(t, s, draftOf(t, ev))
}

func prepare(t testing.TB, s *store.Store, d *intake.Draft) *intake.Request {
	t.Helper()
	r, err := intake.New(d, s.Limits())
	require.NoError(t, err)
	return r
}

// one appends alone.
func one(t testing.TB, s *store.Store, r *intake.Request) store.Result {
	t.Helper()
	results := s.Append(t.Context(), []*intake.Request{r}, true)
	require.Len(t, results, 1)
	return results[0]
}

// mustAppend appends alone, and it is taken.
func mustAppend(t testing.TB, s *store.Store, r *intake.Request) intake.Answer {
	t.Helper()
	result := one(t, s, r)
	require.NoError(t, result.Err)
	return result.Answer
}

// begun is a log of a tenant of its own that begins with a tenant, two accounts and a strategy, in the database too.
func begun(t testing.TB, s *store.Store) *projectiontest.Log {
	t.Helper()
	log := projectiontest.NewLog()
	log.TenantID = uuid.New()
	require.NoError(t, log.Registered())
	for _, ev := range log.Events {
		mustAppend(t, s, requestOf(t, s, ev))
	}
	return log
}

// history draws a random history of a tenant of its own: the appends that make it, one event each.
func (b *bench) history(rt *rapid.T, t testing.TB) (tenant uuid.UUID, requests []*intake.Request) {
	t.Helper()
	log, err := projectiontest.Random(rt, 60)
	require.NoError(rt, err)
	tenant = uuid.New()
	for _, ev := range log.Events {
		ev.TenantID = tenant
		if strings.HasPrefix(ev.StreamKey, "tenant:") {
			ev.StreamKey = "tenant:" + tenant.String()
		}
		if created, ok := ev.Payload.(*eventv1.TenantCreated); ok {
			ev.Payload = &eventv1.TenantCreated{TenantId: tenant.String(), Name: created.GetName()}
		}
		if d, raised := ev.Payload.(*eventv1.DiscrepancyDetected); !raised || d.GetRunId() != "" { // the log raises others itself
			requests = append(requests, requestOf(t, b.Store, ev))
		}
	}
	return tenant, requests
}

// stored reads a tenant's whole log as the superuser.
func (b *bench) stored(t testing.TB, tenant uuid.UUID) []*event.Record {
	t.Helper()
	rows, err := b.super.Query(t.Context(), `
select event_id, tenant_id, position, stream_key, seq, event_type, payload::text, payload_schema_version, occurred_at, ingested_at,
    idempotency_key, trace_id, coalesce(causation_id, '00000000-0000-0000-0000-000000000000'), command_id,
    coalesce(workflow_id, '00000000-0000-0000-0000-000000000000'), actor_type, actor_id, prev_hash, hash
from event_log where tenant_id = $1 order by position`, tenant)
	require.NoError(t, err)
	defer rows.Close()
	var records []*event.Record
	for rows.Next() {
		r := &event.Record{}
		var id, causation uuid.UUID
		var payload, actor string
		var key, prev, hash []byte
		require.NoError(t, rows.Scan(&id, &r.TenantID, &r.Position, &r.StreamKey, &r.Seq, &r.Type, &payload, &r.SchemaVersion, &r.OccurredAt, &r.IngestedAt,
			&key, &r.TraceID, &causation, &r.CommandID, &r.WorkflowID, &actor, &r.ActorID, &prev, &hash))
		r.EventID, r.CausationID, r.Payload = ulid.ULID(id), ulid.ULID(causation), []byte(payload)
		r.IdempotencyKey, r.PrevHash, r.Hash = [32]byte(key), [32]byte(prev), [32]byte(hash)
		r.ActorType = eventv1.ActorType(eventv1.ActorType_value["ACTOR_TYPE_"+strings.ToUpper(actor)])
		records = append(records, r)
	}
	require.NoError(t, rows.Err())
	return records
}

// requireWhole holds a tenant's log and tables to the laws: numbers without gaps, the chain whole, the tables equal to the
// fold of the log, heads and receipts as the events say. It gives the records.
func (b *bench) requireWhole(t testing.TB, tenant uuid.UUID) []*event.Record {
	t.Helper()
	records := b.stored(t, tenant)
	chain, state := &event.Chain{}, &projection.Memory{}
	seqs := map[string]int64{}
	for _, r := range records {
		require.NoError(t, chain.Next(r))
		seqs[r.StreamKey]++
		require.Equal(t, seqs[r.StreamKey], r.Seq, "seq of %s at position %d", r.StreamKey, r.Position)
		message, err := r.Message()
		require.NoError(t, err)
		_, err = projection.Fold(state, projection.EventOf(r, message))
		require.NoError(t, err)
	}
	require.Equal(t, state.Render(), b.tables(t, tenant))
	var position int64
	var hash []byte
	require.NoError(t, b.super.QueryRow(t.Context(), `select last_position, last_hash from tenant_log where tenant_id = $1`, tenant).Scan(&position, &hash))
	require.EqualValues(t, len(records), position)
	last := chain.Hash()
	require.Equal(t, last[:], hash)
	var streams, counted int64
	require.NoError(t, b.super.QueryRow(t.Context(), `select count(*), coalesce(sum(last_seq), 0) from stream_state where tenant_id = $1`, tenant).Scan(&streams, &counted))
	require.EqualValues(t, len(seqs), streams)
	require.EqualValues(t, len(records), counted)
	require.NoError(t, b.super.QueryRow(t.Context(), `select coalesce(sum(event_count), 0) from commands where tenant_id = $1`, tenant).Scan(&counted))
	require.EqualValues(t, len(records), counted)
	return records
}

// tables reads every projection row of a tenant.
func (b *bench) tables(t testing.TB, tenant uuid.UUID) map[projection.Key]string {
	t.Helper()
	found := map[projection.Key]string{}
	for _, table := range projection.Tables() {
		text := "select " + table.Name + ".* from " + table.Name + " where tenant_id = $1"
		rows, err := b.super.Query(context.WithoutCancel(t.Context()), text, tenant)
		require.NoError(t, err)
		for rows.Next() {
			row := table.NewRow()
			targets := map[string]any{}
			for i, target := range table.ScanTargets(row) {
				targets[table.Columns[i].Name] = target
			}
			ordered := make([]any, 0, len(targets))
			for _, description := range rows.FieldDescriptions() {
				ordered = append(ordered, targets[description.Name])
			}
			require.NoError(t, rows.Scan(ordered...))
			found[row.Key()] = string(projection.RowJSON(row))
		}
		require.NoError(t, rows.Err())
	}
	return found
}

// typed is the payload's own message.
func typed[M proto.Message](t testing.TB, r *event.Record) M {
	t.Helper()
	m, err := r.Message()
	require.NoError(t, err)
	message, ok := m.(M)
	require.True(t, ok, "%s at position %d", r.Type, r.Position)
	return message
}
