package history

const (
	// settingsBegin names the tenant, and takes the ways from the planner that would sort a window of the log, or compile a
	// statement that runs for a tenth of a second. The settings end with the transaction.
	settingsBegin = `-- name: HistorySettings
select set_config('robson.tenants', $1, true), set_config('enable_sort', 'off', true), set_config('jit', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true)`

	headRead = `-- name: HistoryHead
select last_position from tenant_log where tenant_id = $1`

	// columns are those that folding needs, in the order of row.
	columns = `e.position, e.event_id, e.stream_key, e.seq, e.event_type, e.payload_schema_version, e.occurred_at, e.ingested_at, e.payload`
	// sealed are the others that are hashed, and the hashes, in the order of seal.
	sealed = `, e.idempotency_key, e.trace_id, e.causation_id, e.command_id, e.workflow_id, e.actor_type, e.actor_id, e.prev_hash, e.hash`

	windowOf = `
from event_log as e
where e.tenant_id = $1 and e.position >= $2 and e.position <= $3`
	// By position; events that a corrupt log has twice at a position come one after the other.
	inOrder = `
order by e.position, e.ingested_at`

	tenantWindow = `-- name: HistoryWindow
select ` + columns + windowOf + inOrder

	tenantWindowSealed = `-- name: HistoryWindowSealed
select ` + columns + sealed + windowOf + inOrder

	// What names no account is in the stream of a position or a strategy, whose first event names it. Asked for as one value, which
	// is looked up for each such event: as a condition that there be one, the planner would gather all streams of the account first,
	// which takes longer the longer the log is.
	accountWindow = `-- name: HistoryAccountWindow
select ` + columns + windowOf + `
  and (e.account_id = $4 or e.account_id is null and e.seq > 1 and (
      select f.account_id from event_log as f
      where f.tenant_id = $1 and f.stream_key = e.stream_key and f.seq = 1 limit 1) = $4)` + inOrder

	// A plan that is made for all stretches takes each for short, and would go over its positions: so it is kept from the index of
	// these, here and by the sum below. Only a bitmap reads a BRIN index.
	indexScans = `-- name: HistoryIndexScans
select set_config('enable_indexscan', $1, true)`

	// Where events name an account. The times of the first and the last position bound the pages that the BRIN index gives.
	accountNamed = `-- name: HistoryAccountNamed
select e.position, e.position_id, e.strategy_id
from event_log as e
where e.tenant_id = $1 and e.account_id = $4 and e.position + 0 >= $2 and e.position + 0 <= $3
  and e.ingested_at >= (select min(f.ingested_at) from event_log as f where f.tenant_id = $1 and f.position = $2)
  and e.ingested_at <= (select max(f.ingested_at) from event_log as f where f.tenant_id = $1 and f.position = $3)`

	// Where streams have events that name no account.
	streamsUnnamed = `-- name: HistoryStreamsUnnamed
select e.position
from unnest($4::text[]) as k (stream_key)
join event_log as e on e.tenant_id = $1 and e.stream_key = k.stream_key
where e.account_id is null and e.seq > 1 and e.position >= $2 and e.position <= $3`

	// One look into an index for each: as a condition, the planner would go over all positions to have them in order.
	positionsRead = `-- name: HistoryPositions
select f.*
from unnest($2::bigint[]) as k (position)
cross join lateral (select ` + columns + ` from event_log as e where e.tenant_id = $1 and e.position = k.position limit 1) as f`

	strategyWindow = `-- name: HistoryStrategyWindow
select ` + columns + windowOf + `
  and (e.strategy_id = $4 or e.stream_key = 'strategy:' || $4::uuid::text)` + inOrder

	// A position's events are few: two indexes have them, and sorting them is cheap.
	positionPage = `-- name: HistoryPositionPage
select ` + columns + `
from event_log as e
where e.tenant_id = $1 and e.position > $2 and e.position <= $3
  and (e.stream_key = 'position:' || $4::uuid::text or e.position_id = $4 and e.stream_key not like 'position:%')` + inOrder + `
limit $5`

	streamPage = `-- name: HistoryStreamPage
select ` + columns + `
from event_log as e
where e.tenant_id = $1 and e.stream_key = $4 and e.seq > $5 and e.position >= $2 and e.position <= $3
order by e.seq, e.position
limit $6`
)
