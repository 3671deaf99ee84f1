package store

import "github.com/robson/robson/pkg/rowsql"

// Statements of the append's transaction. Whatever is looked up for several tenants and keys at once goes by an index
// scan for each key: LIMIT keeps the planner from merging the sub-select and guessing at a join.
const (
	tenantsChoose = `-- name: TenantsChoose
select set_config('robson.tenants', $1, true)`

	// The lock comes before the clock is read: a list is evaluated from left to right. Those for one tenant choose it as well.
	tenantLock = `-- name: TenantLock
select set_config('robson.tenants', $1, true), pg_advisory_xact_lock($2) is not null, clock_timestamp()`

	tenantTryLock = `-- name: TenantTryLock
select set_config('robson.tenants', $1, true), pg_try_advisory_xact_lock($2), clock_timestamp()`

	tenantsTryLock = `-- name: TenantsTryLock
select pg_try_advisory_xact_lock(k.lock), clock_timestamp() from unnest($1::bigint[]) as k (lock)`

	reportGet = `-- name: ReportGet
select event_id, trace_id, event_type, payload_schema_version, payload::text
from event_log
where tenant_id = $1 and position = $2 and ingested_at = $3`

	// An event belongs to the scopes that it names and to those of its order and position, as intake.Scopes says. Their ids never
	// change, so the rows may be those of now.
	scopeTail = `-- name: ScopeTail
select s.scope, s.scope_id, count(*), max(e.position)
from event_log as e
left join orders_current as o
    on o.tenant_id = e.tenant_id and o.order_id = e.order_id and e.position_id is null and o.epoch = ` + rowsql.LiveEpoch + `
left join positions_current as p
    on p.tenant_id = e.tenant_id and p.position_id = coalesce(e.position_id, o.position_id) and p.epoch = ` + rowsql.LiveEpoch + `
left join strategy_state_current as t
    on t.tenant_id = e.tenant_id and t.strategy_id = e.strategy_id and e.account_id is null and t.epoch = ` + rowsql.LiveEpoch + `
cross join lateral (values
    ('account', coalesce(e.account_id, p.account_id, t.account_id)),
    ('strategy', coalesce(e.strategy_id, p.strategy_id)),
    ('position', coalesce(e.position_id, o.position_id))
) as s (scope, scope_id)
where e.tenant_id = $1 and e.position > $2 and s.scope_id is not null
group by s.scope, s.scope_id`

	progressGet = `-- name: ProgressGet
select p.scope, p.scope_id, p.events
from snapshot_progress as p join unnest($2::text[], $3::uuid[]) as k (scope, scope_id) using (scope, scope_id)
where p.tenant_id = $1`
)

// The row is locked too, so that whoever works on a log by its head alone keeps appends out. Where several tenants are together
// none waits for another's: that they cannot be locked at once is told at once.
var headsLock, headsTryLock = headLocks(""), headLocks(" nowait")

func headLocks(orElse string) rowsql.Statement {
	return rowsql.Statement{
		One: `-- name: HeadLock
select tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version, epoch,
    counted_position, snapshot_every_events, snapshot_at_workflow_end
from tenant_log
where tenant_id = $1
for no key update` + orElse,
		Many: `-- name: HeadsLock
select tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version, epoch,
    counted_position, snapshot_every_events, snapshot_at_workflow_end
from tenant_log
where tenant_id = any($1)
for no key update` + orElse,
	}
}

var streamsGet = rowsql.Statement{
	One: `-- name: StreamGet
select tenant_id, stream_key, last_seq, last_position from stream_state where tenant_id = $1 and stream_key = $2`,
	Many: `-- name: StreamsGet
select k.tenant_id, k.stream_key, s.last_seq, s.last_position
from unnest($1::uuid[], $2::text[]) as k (tenant_id, stream_key)
cross join lateral (
    select last_seq, last_position from stream_state where tenant_id = k.tenant_id and stream_key = k.stream_key limit 1
) as s`,
}

var receiptsGet = rowsql.Statement{
	One: `-- name: ReceiptGet
select tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt
from commands where tenant_id = $1 and command_id = $2`,
	Many: `-- name: ReceiptsGet
select k.tenant_id, k.command_id, c.first_position, c.ingested_at, c.event_count, c.raised_count, c.request_digest, c.receipt
from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, command_id)
cross join lateral (
    select first_position, ingested_at, event_count, raised_count, request_digest, receipt
    from commands where tenant_id = k.tenant_id and command_id = k.command_id limit 1
) as c`,
}

// What is written goes in by these. The columns of events are in the order of eventColumns.arrays.
var (
	eventsInsert = rowsql.Insert("Insert", "event_log", "", []rowsql.Column{
		{"tenant_id", "uuid"},
		{"event_id", "uuid"},
		{"position", "bigint"},
		{"seq", "bigint"},
		{"occurred_at", "timestamptz"},
		{"ingested_at", "timestamptz"},
		{"trace_id", "uuid"},
		{"command_id", "uuid"},
		{"causation_id", "uuid"},
		{"workflow_id", "uuid"},
		{"account_id", "uuid"},
		{"strategy_id", "uuid"},
		{"position_id", "uuid"},
		{"order_id", "uuid"},
		{"payload_schema_version", "integer"},
		{"stream_key", "text"},
		{"event_type", "text"},
		{"actor_type", "text"},
		{"actor_id", "text"},
		{"idempotency_key", "bytea"},
		{"prev_hash", "bytea"},
		{"hash", "bytea"},
		{"payload", "json"},
	})

	receiptsInsert = rowsql.Insert("Insert", "commands", "", []rowsql.Column{
		{"tenant_id", "uuid"},
		{"command_id", "uuid"},
		{"first_position", "bigint"},
		{"ingested_at", "timestamptz"},
		{"event_count", "integer"},
		{"raised_count", "integer"},
		{"request_digest", "bytea"},
		{"receipt", "bytea"},
	})

	streamsUpsert = rowsql.Insert("Upsert", "stream_state", `on conflict (tenant_id, stream_key) do update set last_seq = excluded.last_seq, last_position = excluded.last_position`, []rowsql.Column{
		{"tenant_id", "uuid"}, {"stream_key", "text"}, {"last_seq", "bigint"}, {"last_position", "bigint"},
	})

	headsUpsert = rowsql.Insert("Upsert", "tenant_log", `on conflict (tenant_id) do update set
    last_position = excluded.last_position, last_event_id = excluded.last_event_id, last_ingested_at = excluded.last_ingested_at,
    last_hash = excluded.last_hash, generation = excluded.generation, rules_version = excluded.rules_version, counted_position = excluded.counted_position`, []rowsql.Column{
		{"tenant_id", "uuid"},
		{"last_position", "bigint"},
		{"last_event_id", "uuid"},
		{"last_ingested_at", "timestamptz"},
		{"last_hash", "bytea"},
		{"generation", "bigint"},
		{"rules_version", "integer"},
		{"counted_position", "bigint"},
	})

	progressUpsert = rowsql.Insert("Upsert", "snapshot_progress", `on conflict (tenant_id, scope, scope_id) do update set
    events = snapshot_progress.events + excluded.events, last_position = excluded.last_position`, []rowsql.Column{
		{"tenant_id", "uuid"}, {"scope", "text"}, {"scope_id", "uuid"}, {"events", "bigint"}, {"last_position", "bigint"},
	})

	duesUpsert = rowsql.Insert("Upsert", "snapshots_due", `on conflict (tenant_id, scope, scope_id) do update set
    position = excluded.position, recorded_at = excluded.recorded_at, reason = excluded.reason`, []rowsql.Column{
		{"tenant_id", "uuid"}, {"scope", "text"}, {"scope_id", "uuid"}, {"position", "bigint"}, {"recorded_at", "timestamptz"}, {"reason", "text"},
	})
)
