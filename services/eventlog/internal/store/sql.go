package store

// Statements of the append's transaction. Whatever is looked up for several tenants and keys at once goes by an index
// scan for each key: LIMIT keeps the planner from merging the sub-select and guessing at a join.
const (
	tenantsChoose = `-- name: TenantsChoose
select set_config('robson.tenants', $1, true)`

	// The lock comes before the clock is read: a list is evaluated from left to right.
	tenantLock = `-- name: TenantLock
select pg_advisory_xact_lock($1), clock_timestamp()`

	tenantsTryLock = `-- name: TenantsTryLock
select pg_try_advisory_xact_lock(k.lock), clock_timestamp() from unnest($1::bigint[]) as k (lock)`

	// The row is locked too, so that whoever works on a log by its head alone keeps appends out.
	headsLock = `-- name: HeadsLock
select tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version
from tenant_log
where tenant_id = any($1)
for no key update`

	streamsGet = `-- name: StreamsGet
select k.tenant_id, k.stream_key, s.last_seq, s.last_position
from unnest($1::uuid[], $2::text[]) as k (tenant_id, stream_key)
cross join lateral (
    select last_seq, last_position from stream_state where tenant_id = k.tenant_id and stream_key = k.stream_key limit 1
) as s`

	receiptsGet = `-- name: ReceiptsGet
select k.tenant_id, k.command_id, c.first_position, c.ingested_at, c.event_count, c.raised_count, c.request_digest, c.receipt
from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, command_id)
cross join lateral (
    select first_position, ingested_at, event_count, raised_count, request_digest, receipt
    from commands where tenant_id = k.tenant_id and command_id = k.command_id limit 1
) as c`

	reportGet = `-- name: ReportGet
select event_id, trace_id, event_type, payload_schema_version, payload::text
from event_log
where tenant_id = $1 and position = $2 and ingested_at = $3`

	eventsInsert = `-- name: EventsInsert
insert into event_log (
    tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, causation_id, workflow_id,
    account_id, strategy_id, position_id, order_id, payload_schema_version, stream_key, event_type, actor_type, actor_id,
    idempotency_key, prev_hash, hash, payload
)
select
    e.tenant_id, e.event_id, e.position, e.seq, e.occurred_at, e.ingested_at, e.trace_id, e.command_id, e.causation_id, e.workflow_id,
    e.account_id, e.strategy_id, e.position_id, e.order_id, e.payload_schema_version, e.stream_key, e.event_type, e.actor_type, e.actor_id,
    e.idempotency_key, e.prev_hash, e.hash, e.payload::json
from unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[],
    $11::uuid[], $12::uuid[], $13::uuid[], $14::uuid[], $15::integer[], $16::text[], $17::text[], $18::text[], $19::text[],
    $20::bytea[], $21::bytea[], $22::bytea[], $23::text[]
) as e (
    tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, causation_id, workflow_id,
    account_id, strategy_id, position_id, order_id, payload_schema_version, stream_key, event_type, actor_type, actor_id,
    idempotency_key, prev_hash, hash, payload
)`

	receiptsInsert = `-- name: ReceiptsInsert
insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
select tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::integer[], $6::integer[], $7::bytea[], $8::bytea[])
    as c (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)`

	streamsUpsert = `-- name: StreamsUpsert
insert into stream_state (tenant_id, stream_key, last_seq, last_position)
select tenant_id, stream_key, last_seq, last_position
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) as s (tenant_id, stream_key, last_seq, last_position)
on conflict (tenant_id, stream_key) do update set last_seq = excluded.last_seq, last_position = excluded.last_position`

	headsUpsert = `-- name: HeadsUpsert
insert into tenant_log (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
select tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version
from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::bytea[], $6::bigint[], $7::integer[])
    as h (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
on conflict (tenant_id) do update set
    last_position = excluded.last_position, last_event_id = excluded.last_event_id, last_ingested_at = excluded.last_ingested_at,
    last_hash = excluded.last_hash, generation = excluded.generation, rules_version = excluded.rules_version`
)
