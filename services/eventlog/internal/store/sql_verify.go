package store

// Statements of verification, all in one snapshot.
const (
	// verifySettings names the tenant and takes the ways from the planner that would sort a stretch of the log, or compile
	// a statement that runs for a tenth of a second. The time-outs are for a transaction that reads a whole log.
	verifySettings = `-- name: VerifySettings
select set_config('robson.tenants', $1, true), set_config('enable_sort', 'off', true), set_config('jit', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true), set_config('cursor_tuple_fraction', '1', true),
    set_config('statement_timeout', $2, true), set_config('idle_in_transaction_session_timeout', $2, true)`

	snapshotExport = `-- name: SnapshotExport
select pg_export_snapshot()`

	// snapshotImport takes no parameters; the snapshot's name is the server's own.
	snapshotImport = `set transaction snapshot '%s'`

	streamsCount = `-- name: StreamsCount
select count(*) from stream_state where tenant_id = $1`

	// The columns of verifyColumns, in its order.
	verifyEvents = `-- name: VerifyEvents
select position, event_id, stream_key, seq, event_type, payload, payload_schema_version, occurred_at, ingested_at, idempotency_key,
    trace_id, causation_id, command_id, workflow_id, actor_type, actor_id, prev_hash, hash, account_id, strategy_id, position_id, order_id
from event_log
where tenant_id = $1 and position >= $2 and position <= $3
order by position, ingested_at`

	verifySeqs = `-- name: VerifySeqs
select position, stream_key, seq
from event_log
where tenant_id = $1 and position >= $2 and position <= $3
order by position, ingested_at`

	verifyBeyond = `-- name: VerifyBeyond
select position from event_log where tenant_id = $1 and position > $2 order by position limit 1`

	verifyStreams = `-- name: VerifyStreams
select stream_key, last_seq, last_position from stream_state where tenant_id = $1`

	// All receipts in the order in which they lie there, by a cursor, so that reading them can end before they do.
	verifyReceipts = `-- name: VerifyReceipts
declare receipts no scroll cursor for
select command_id, first_position, ingested_at, event_count, raised_count, receipt
from commands
where tenant_id = $1 and first_position + event_count > $2 + 1 and first_position <= $3`

	verifyReceiptsFetch = `-- name: VerifyReceiptsFetch
fetch 10000 from receipts`

	verifyReceiptsClose = `-- name: VerifyReceiptsClose
close receipts`

	verifyReceipted = `-- name: VerifyReceipted
select e.position, e.command_id, e.event_id, e.ingested_at, e.stream_key, e.seq, e.event_type,
    c.first_position, c.ingested_at, c.event_count, c.raised_count, c.receipt
from event_log as e
left join commands as c on c.tenant_id = e.tenant_id and c.command_id = e.command_id
where e.tenant_id = $1 and e.position >= $2 and e.position <= $3
order by e.position, e.ingested_at`

	// Only asked where something is wrong.
	verifyNoEvents = `-- name: VerifyNoEvents
select c.command_id, c.first_position
from commands as c
where c.tenant_id = $1 and c.first_position > $2 and c.first_position <= $3
  and not exists (select from event_log as e where e.tenant_id = c.tenant_id and e.command_id = c.command_id)
order by c.first_position
limit 1`
)
