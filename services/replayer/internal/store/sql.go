package store

import (
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/robson/robson/pkg/projection"
)

const (
	// frozenSettings names the tenant. A transaction that only reads what was holds nobody up: it may wait for the fold, and a
	// statement may go through a whole table.
	frozenSettings = `-- name: FrozenSettings
select set_config('robson.tenants', $1, true), set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('statement_timeout', $2, true), set_config('jit', 'off', true)`

	snapshotExport = `-- name: SnapshotExport
select pg_export_snapshot()`

	// A snapshot's id is no parameter. PostgreSQL made it.
	snapshotImport = `set transaction snapshot '%s'`

	tenantChoose = `-- name: TenantChoose
select set_config('robson.tenants', $1, true)`

	headGet = `-- name: HeadGet
select last_position, last_event_id, last_ingested_at, generation, rules_version, epoch
from tenant_log
where tenant_id = $1`

	buildSettings = `-- name: BuildSettings
select set_config('robson.tenants', $1, true), set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('statement_timeout', $2, true), set_config('jit', 'off', true), set_config('synchronous_commit', 'off', true)`

	// Who holds a log is ended by the server when it hangs: between two statements, and in one.
	lockSettings = `-- name: LockSettings
select set_config('robson.tenants', $1, true), set_config('lock_timeout', $2, true), set_config('statement_timeout', $3, true),
    set_config('idle_in_transaction_session_timeout', $3, true)`

	tenantLock = `-- name: TenantLock
select pg_advisory_xact_lock($1)`

	headLock = `-- name: HeadLock
select last_position, last_event_id, last_ingested_at, generation, rules_version, epoch
from tenant_log
where tenant_id = $1
for no key update`

	// The order of the rows in memory of other processes is gone with the generation.
	headMended = `-- name: HeadMended
update tenant_log set generation = generation + 1 where tenant_id = $1`

	headSwitch = `-- name: HeadSwitch
update tenant_log set epoch = $2, rules_version = $3, generation = generation + 1 where tenant_id = $1`

	tenantsAll = `-- name: TenantsAll
select tenant_id, rules_version, epoch from tenant_log order by tenant_id limit $1`

	runInsert = `-- name: RunInsert
insert into replay_runs (tenant_id, run_id, started_at, updated_at, rules_version, kind, status, phase, request)
values ($1, $2, clock_timestamp(), clock_timestamp(), $3, $4, 'running', $5, $6)`

	// Whoever is alone with a tenant knows that nobody goes on with what still counts as running.
	runsAbandon = `-- name: RunsAbandon
update replay_runs set status = 'interrupted', finished_at = clock_timestamp(), fence = fence + 1, message = 'its process has ended'
where tenant_id = $1 and status = 'running'`

	// A run that was left is taken over by counting its fence on.
	runTake = `-- name: RunTake
update replay_runs set fence = fence + 1, status = 'running', updated_at = clock_timestamp(), finished_at = null, message = null
where tenant_id = $1 and run_id = $2 and status in ('running', 'interrupted', 'failed')
returning run_id, started_at, updated_at, finished_at, checkpoint, events_done, events_total, fence, epoch, rules_version, kind, status, phase, request, result, message`

	runTouch = `-- name: RunTouch
update replay_runs set updated_at = clock_timestamp() where tenant_id = $1 and run_id = $2 and fence = $3 and status = 'running'`

	runPhase = `-- name: RunPhase
update replay_runs set updated_at = clock_timestamp(), phase = $4, epoch = $5, events_done = $6, events_total = $7
where tenant_id = $1 and run_id = $2 and fence = $3 and status = 'running'`

	runCheckpoint = `-- name: RunCheckpoint
update replay_runs set updated_at = clock_timestamp(), checkpoint = $4, events_done = $4, events_total = $5
where tenant_id = $1 and run_id = $2 and fence = $3 and status = 'running'`

	runFinish = `-- name: RunFinish
update replay_runs set updated_at = clock_timestamp(), finished_at = clock_timestamp(), status = $4, phase = case when $4 = 'done' then 'done' else phase end, result = coalesce($5, result), message = nullif($6, '')
where tenant_id = $1 and run_id = $2 and fence = $3 and status = 'running'`

	runCancel = `-- name: RunCancel
update replay_runs set updated_at = clock_timestamp(), finished_at = clock_timestamp(), status = 'canceled', fence = fence + 1
where tenant_id = $1 and run_id = $2 and status in ('running', 'interrupted', 'failed')`

	runResult = `-- name: RunResult
update replay_runs set updated_at = clock_timestamp(), result = $3 where tenant_id = $1 and run_id = $2`

	runGet = `-- name: RunGet
select run_id, started_at, updated_at, finished_at, checkpoint, events_done, events_total, fence, epoch, rules_version, kind, status, phase, request, result, message
from replay_runs
where tenant_id = $1 and run_id = $2`

	runsList = `-- name: RunsList
select run_id, started_at, updated_at, finished_at, checkpoint, events_done, events_total, fence, epoch, rules_version, kind, status, phase, request, result, message
from replay_runs
where tenant_id = $1 and ($3 = '' or kind = $3)
order by started_at desc, run_id
limit $2`

	runsPrune = `-- name: RunsPrune
delete from replay_runs
where tenant_id = $1 and status in ('canceled', 'failed', 'done') and kind = $2 and run_id not in (
    select run_id from replay_runs where tenant_id = $1 and kind = $2 order by started_at desc limit $3)`

	eventTime = `-- name: EventTime
select ingested_at from event_log where tenant_id = $1 and position = $2`

	streamBegan = `-- name: StreamBegan
select position, account_id, position_id from event_log where tenant_id = $1 and stream_key = $2 order by seq limit 1`

	// The hash of the event that a snapshot stands on comes with it; null where the log has none there.
	snapshotsNewest = `-- name: SnapshotsNewest
select s.snapshot_id, s.created_at, s.as_of_position, s.chain_hash, s.hash, s.text_bytes, coalesce(s.horizon, 0), coalesce(s.cluster, 0), e.hash
from snapshots as s
left join lateral (select hash from event_log where tenant_id = $1 and position = s.as_of_position limit 1) as e on true
where s.tenant_id = $1 and s.scope = $2 and s.scope_id = $3 and s.as_of_position <= $4 and s.rules_version = $5 and s.unfit is null
order by s.as_of_position desc
limit $6`

	// As the snapshotter does when it finds one.
	snapshotMark = `-- name: SnapshotMark
update snapshots set unfit = $3, verified_at = clock_timestamp() where tenant_id = $1 and snapshot_id = $2`

	dueAdd = `-- name: DueAdd
insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason)
values ($1, $2, $3, $4, clock_timestamp(), 'remake')
on conflict (tenant_id, scope, scope_id) do nothing`

	// Where this transaction is in the count of transactions, and whose count it is.
	clusterGet = `-- name: ClusterGet
select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, coalesce(robson_cluster(), 0)`

	snapshotState = `-- name: SnapshotState
select state from snapshots where tenant_id = $1 and snapshot_id = $2 and created_at = $3`

	// One run at a time goes on for a tenant. The lock is the session's own and ends with it.
	runLock = `-- name: RunLock
select pg_try_advisory_lock(hashtextextended('robson.replay.' || $1::text, 0))`

	runUnlock = `-- name: RunUnlock
select pg_advisory_unlock(hashtextextended('robson.replay.' || $1::text, 0))`
)

// oids are the types of columns, by what they hold.
var oids = map[projection.Kind]uint32{
	projection.KindUUID: pgtype.UUIDOID, projection.KindText: pgtype.TextOID, projection.KindDecimal: pgtype.NumericOID,
	projection.KindTime: pgtype.TimestamptzOID, projection.KindInt32: pgtype.Int4OID, projection.KindInt64: pgtype.Int8OID,
	projection.KindBool: pgtype.BoolOID, projection.KindJSON: pgtype.JSONBOID, projection.KindTextArray: pgtype.TextArrayOID,
	projection.KindUUIDArray: pgtype.UUIDArrayOID,
}
