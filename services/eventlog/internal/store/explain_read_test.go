package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/store/storetest"
)

// TestReads_plans holds the questions that are asked all the time to the indexes made for them, as the event log's role and
// with row-level security in the way, over several months. Every plan is made for parameters that are not known yet, the
// worst case of a prepared question.
func TestReads_plans(t *testing.T) {
	t.Parallel()
	b := setupReads(t, ReadLimits{})
	var log *storetest.Log
	for seed := range 25 {
		log = b.history(t, seed)
	}
	// Many more events of the last tenant, in streams of their own: what the planner sees must be a log, not a page.
	b.exec(t, `
insert into event_log (tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, causation_id, account_id, position_id, order_id,
    payload_schema_version, stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload)
select e.tenant_id, gen_random_uuid(), 1000000 + n, n, e.occurred_at, e.ingested_at, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), e.account_id,
    gen_random_uuid(), gen_random_uuid(), e.payload_schema_version, (array['order:', 'account:', 'position:'])[1 + n % 3] || md5((n / 9)::text)::uuid, e.event_type, e.actor_type, e.actor_id,
    e.idempotency_key, e.prev_hash, e.hash, e.payload
from generate_series(1, 6000) as n cross join lateral (select * from event_log where tenant_id = $1 and position = 1 + n % 20) as e`, log.Tenant)
	b.exec(t, `insert into commands select $1, gen_random_uuid(), n, now(), 1, 0, sha256(n::text::bytea), '' from generate_series(1, 2000) as n`, log.Tenant)
	b.exec(t, "analyze")

	id := uuid.New()
	built := func(q eventsQuery) question {
		q.name = "Asked"
		text, args := q.build(log.Tenant)
		return question{text, args}
	}
	for name, c := range map[string]struct {
		asked   question
		indexes []string
	}{
		"a log forwards":      {question{logForwards, []any{log.Tenant, 1, 100}}, []string{"event_log_%s_pkey"}},
		"a log backwards":     {question{logBackwards, []any{log.Tenant, 100, 100}}, []string{"event_log_%s_pkey"}},
		"a stream forwards":   {question{streamForwards, []any{log.Tenant, "order:" + id.String(), 1, 100}}, []string{"event_log_%s_tenant_id_stream_key_seq_idx"}},
		"a stream backwards":  {question{streamBackwards, []any{log.Tenant, "order:" + id.String(), 1, 100}}, []string{"event_log_%s_tenant_id_stream_key_seq_idx"}},
		"an event":            {question{eventFind, []any{log.Tenant, id}}, []string{"event_log_%s_pkey"}},
		"the oldest event":    {question{eventOldest, []any{log.Tenant}}, []string{"event_log_%s_pkey"}},
		"a count":             {question{logCount, []any{log.Tenant, 1, 100}}, []string{"event_log_%s_pkey"}},
		"what follows":        {question{descendantsFind, []any{log.Tenant, id, 100}}, []string{"commands_pkey", "event_log_%s_pkey", "event_log_%s_tenant_id_causation_id_position_idx"}},
		"a filtered stretch":  {built(eventsQuery{filter: Filter{Kinds: []event.Kind{"order"}, AccountID: just(id)}, after: 5, upTo: 500, limit: 100}), []string{"event_log_%s_pkey"}},
		"what an event cause": {built(eventsQuery{filter: Filter{CausationID: just(id)}, limit: 101}), []string{"event_log_%s_tenant_id_causation_id_position_idx"}},
		"a command":           {built(eventsQuery{filter: Filter{CommandID: just(id)}, limit: 101}), []string{"commands_pkey", "event_log_%s_pkey"}},
		"a trace":             {built(eventsQuery{filter: Filter{TraceID: just(id)}, limit: 101}), []string{"event_log_%s_tenant_id_trace_id_idx"}},
		"a position": {
			built(eventsQuery{filter: Filter{PositionID: just(id)}, limit: 101}),
			[]string{"event_log_%s_tenant_id_stream_key_seq_idx", "event_log_%s_tenant_id_position_id_position_idx"},
		},
		"a position backwards": {
			built(eventsQuery{filter: Filter{PositionID: just(id)}, limit: 101, after: 70, backwards: true}),
			[]string{"event_log_%s_tenant_id_stream_key_seq_idx", "event_log_%s_tenant_id_position_id_position_idx"},
		},
		"an order, by type": {
			built(eventsQuery{filter: Filter{OrderID: just(id), Types: []event.Type{"FILL_RECEIVED"}}, limit: 101}),
			[]string{"event_log_%s_tenant_id_stream_key_seq_idx", "event_log_%s_tenant_id_order_id_position_idx"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := genericPlan(t, b.pool, log.Tenant, c.asked)
			require.NotContains(t, plan, "Seq Scan on event_log_"+start.Format("2006_01"), plan)
			for _, index := range c.indexes {
				if strings.Contains(index, "%s") {
					index = fmt.Sprintf(index, start.Format("2006_01"))
				}
				require.Contains(t, plan, "using "+index, plan)
			}
		})
	}
}

// question is a query and its parameters.
type question struct {
	text string
	args []any
}

// genericPlan is a question's plan as a prepared one that knows none of its parameters.
func genericPlan(t *testing.T, pool *pgxpool.Pool, tenant uuid.UUID, s question) string {
	t.Helper()
	literals := make([]string, len(s.args))
	for i, arg := range s.args {
		literals[i] = fmt.Sprintf("'%v'", arg)
		if texts, ok := arg.([]string); ok {
			literals[i] = "'{" + strings.Join(texts, ",") + "}'"
		}
	}
	var plan string
	err := postgres.InTx(t.Context(), pool, postgres.TxOptions{ReadOnly: true}, func(ctx context.Context, tx pgx.Tx) error {
		for _, sql := range []string{
			"set local plan_cache_mode = force_generic_plan",
			"select set_config('robson.tenants', '" + tenant.String() + "', true)",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := tx.Prepare(ctx, "asked", s.text); err != nil {
			return err
		}
		found, err := tx.Query(ctx, "explain execute asked("+strings.Join(literals, ", ")+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(found, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		_, deallocated := tx.Exec(ctx, "deallocate asked")
		return errors.Join(err, deallocated)
	})
	require.NoError(t, err)
	return plan
}
