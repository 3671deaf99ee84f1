package main

// The statements of the raw loads. They write the tables of the migrations, so that keys, indexes, partitions and fillfactors
// are the service's own. What they do is what an append does at the least: remember the command, count the stream, insert
// the event, change one row of a projection. They take no tenant lock, make no hash chain, check no version, filter no
// duplicates and go round row-level security: they are a limit, and no event log.
const (
	rawPrepare = `
create table bench_row (id bigint generated always as identity primary key, payload json not null);
create sequence bench_position;
create function bench_append(
    tenant uuid, command uuid, event uuid, stream text, account uuid, asset_name text, free_text text, trace uuid,
    digest bytea, receipt_bytes bytea, hash_bytes bytea, body text
) returns bigint language plpgsql as $$
declare
    at timestamptz := clock_timestamp();
    place bigint := nextval('bench_position');
    next_seq bigint;
begin
    insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
    values (tenant, command, place, at, 1, 0, digest, receipt_bytes);
    insert into stream_state as s (tenant_id, stream_key, last_seq, last_position) values (tenant, stream, 1, place)
    on conflict on constraint stream_state_pkey do update set last_seq = s.last_seq + 1, last_position = excluded.last_position
    returning s.last_seq into next_seq;
    insert into event_log (
        tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, account_id, payload_schema_version,
        stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload
    ) values (
        tenant, event, place, next_seq, at, at, trace, command, account, 1,
        stream, 'BALANCE_SAMPLED', 'daemon', 'connector', hash_bytes, hash_bytes, hash_bytes, body::json
    );
    insert into balances_current (
        tenant_id, account_id, wallet, asset, free, locked, total, borrowed, interest, sampled_at, source,
        last_event_id, last_position, created_at, updated_at
    ) values (tenant, account, 'spot', asset_name, free_text::numeric, 0, free_text::numeric, 0, 0, at, 'rest_account', event, place, at, at)
    on conflict on constraint balances_current_pkey do update set
        free = excluded.free, total = excluded.total, sampled_at = excluded.sampled_at, last_event_id = excluded.last_event_id,
        last_position = excluded.last_position, updated_at = excluded.updated_at;
    return place;
end
$$;`

	rawRow = `insert into bench_row (payload) values ($1::text::json)`

	rawCommand = `
insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
values ($1, $2, nextval('bench_position'), clock_timestamp(), 1, 0, $3, $4)
returning first_position`

	rawStream = `
insert into stream_state as s (tenant_id, stream_key, last_seq, last_position) values ($1, $2, 1, $3)
on conflict (tenant_id, stream_key) do update set last_seq = s.last_seq + 1, last_position = excluded.last_position
returning s.last_seq`

	rawEvent = `
insert into event_log (
    tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, account_id, payload_schema_version,
    stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload
) values ($1, $2, $3, $4, now(), now(), $5, $6, $7, 1, $8, 'BALANCE_SAMPLED', 'daemon', 'connector', $9, $9, $9, $10::text::json)`

	rawBalance = `
insert into balances_current (
    tenant_id, account_id, wallet, asset, free, locked, total, borrowed, interest, sampled_at, source,
    last_event_id, last_position, created_at, updated_at
) values ($1, $2, 'spot', $3, $4::text::numeric, 0, $4::text::numeric, 0, 0, now(), 'rest_account', $5, $6, now(), now())
on conflict (tenant_id, epoch, account_id, wallet, asset) do update set
    free = excluded.free, total = excluded.total, sampled_at = excluded.sampled_at, last_event_id = excluded.last_event_id,
    last_position = excluded.last_position, updated_at = excluded.updated_at`

	rawFunction = `select bench_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

	rawPositions = `select nextval('bench_position') from generate_series(1, $1::integer)`

	rawStreams = `
insert into stream_state as s (tenant_id, stream_key, last_seq, last_position)
select tenant_id, stream_key, events, last_position
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) as n (tenant_id, stream_key, events, last_position)
on conflict (tenant_id, stream_key) do update set last_seq = s.last_seq + excluded.last_seq, last_position = excluded.last_position
returning s.last_seq`

	rawCommands = `
insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
select tenant_id, command_id, place, now(), 1, 0, $4, $5
from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as n (tenant_id, command_id, place)`

	rawEvents = `
insert into event_log (
    tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, account_id, payload_schema_version,
    stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload
)
select tenant_id, event_id, place, seq, now(), now(), trace_id, command_id, account_id, 1,
    stream_key, 'BALANCE_SAMPLED', 'daemon', 'connector', $10, $10, $10, payload::json
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[])
    as n (tenant_id, event_id, place, seq, trace_id, command_id, account_id, stream_key, payload)`

	rawBalances = `
insert into balances_current (
    tenant_id, account_id, wallet, asset, free, locked, total, borrowed, interest, sampled_at, source,
    last_event_id, last_position, created_at, updated_at
)
select tenant_id, account_id, 'spot', asset, free::numeric, 0, free::numeric, 0, 0, now(), 'rest_account', event_id, place, now(), now()
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::bigint[]) as n (tenant_id, account_id, asset, free, event_id, place)
on conflict (tenant_id, epoch, account_id, wallet, asset) do update set
    free = excluded.free, total = excluded.total, sampled_at = excluded.sampled_at, last_event_id = excluded.last_event_id,
    last_position = excluded.last_position, updated_at = excluded.updated_at`
)
