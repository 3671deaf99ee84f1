package store

// columns are those of a snapshot beside its state, in the order in which they are scanned.
const columns = `s.snapshot_id, s.scope, s.scope_id, s.as_of_position, s.as_of_time, s.created_at, s.trigger, s.event_count, s.rules_version, s.chain_hash, s.hash,
  s.row_count, s.context_count, s.text_bytes, octet_length(s.state), s.stream_count, s.stream_seqs,
  coalesce(s.horizon, 0), coalesce(s.cluster, 0), s.told_at, s.verified_at, s.unfit`

const (
	tenantsChoose = `-- name: TenantsChoose
select set_config('robson.tenants', $1, true)`

	tenantsList = `-- name: TenantsList
select tenant_id from tenant_log where tenant_id > $1 order by tenant_id limit $2`

	headGet = `-- name: HeadGet
select last_position, last_hash, last_ingested_at, rules_version, counted_position from tenant_log where tenant_id = $1`

	// The oldest transaction that has not ended as this one sees it, and whose count it is.
	horizonGet = `-- name: HorizonGet
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, coalesce(robson_cluster(), 0)`

	progressGet = `-- name: ProgressGet
select events from snapshot_progress where tenant_id = $1 and scope = $2 and scope_id = $3`

	tailSubjects = `-- name: TailSubjects
select account_id, strategy_id, position_id, order_id from event_log
where tenant_id = $1 and position > $2 and position <= $3
order by position limit $4`

	streamsGet = `-- name: StreamsGet
select stream_key, last_seq from stream_state where tenant_id = $1 and stream_key = any ($2) order by stream_key`

	chainHashGet = `-- name: ChainHashGet
select hash from event_log where tenant_id = $1 and position = $2`

	// Two makers of the same snapshot store it one after the other.
	scopeLock = `-- name: ScopeLock
select pg_advisory_xact_lock(hashtextextended('robson.snapshot.' || $1 || $2, 0))`

	// What is stored under the id and is not this very state is in the way: it was found unfit.
	snapshotClear = `-- name: SnapshotClear
delete from snapshots where tenant_id = $1 and snapshot_id = $2 and (unfit is not null or hash <> $3)`

	snapshotInsert = `-- name: SnapshotInsert
insert into snapshots (tenant_id, snapshot_id, scope, scope_id, as_of_position, as_of_time, created_at, trigger, event_count, rules_version, chain_hash, hash,
  row_count, context_count, text_bytes, stream_count, stream_seqs, horizon, cluster, state)
select @tenant_id, @snapshot_id, @scope, @scope_id, @as_of_position, @as_of_time, clock_timestamp(), @trigger, @event_count, @rules_version, @chain_hash, @hash,
  @row_count, @context_count, @text_bytes, @stream_count, @stream_seqs, nullif(@horizon::bigint, 0), nullif(@cluster::bigint, 0), @state
where not exists (select from snapshots where tenant_id = @tenant_id and snapshot_id = @snapshot_id)`

	dueDone = `-- name: DueDone
delete from snapshots_due where tenant_id = $1 and scope = $2 and scope_id = $3 and position <= $4`

	// What became due again meanwhile is free for whoever comes first.
	dueRelease = `-- name: DueRelease
update snapshots_due set claimed_by = null, claimed_until = null where tenant_id = $1 and scope = $2 and scope_id = $3`

	snapshotGet = `-- name: SnapshotGet
select ` + columns + `
from snapshots as s
where s.tenant_id = $1 and s.snapshot_id = $2
order by s.created_at desc limit 1`

	stateGet = `-- name: StateGet
select state from snapshots where tenant_id = $1 and snapshot_id = $2 order by created_at desc limit 1`

	snapshotsList = `-- name: SnapshotsList
select ` + columns + `
from snapshots as s
where s.tenant_id = @tenant_id
  and (@snapshot_id::uuid is null or s.snapshot_id = @snapshot_id)
  and (@scope::text is null or s.scope = @scope)
  and (@scope_id::uuid is null or s.scope_id = @scope_id)
  and (@created_from::timestamptz is null or s.created_at >= @created_from)
  and (@created_before::timestamptz is null or s.created_at < @created_before)
  and (@unfit::boolean is null or (s.unfit is not null) = @unfit)
  and (@after_at::timestamptz is null or (s.created_at, s.snapshot_id) < (@after_at, @after_id))
order by s.created_at desc, s.snapshot_id desc
limit @size`

	snapshotsOfScope = `-- name: SnapshotsOfScope
select ` + columns + `
from snapshots as s
where s.tenant_id = $1 and s.scope = $2 and s.scope_id = $3
order by s.as_of_position desc, s.created_at desc`

	candidatesList = `-- name: CandidatesList
select ` + columns + `
from snapshots as s
where s.tenant_id = $1 and s.scope = $2 and s.scope_id = $3 and s.unfit is null
  and ($4::bigint is null or s.as_of_position <= $4) and ($5::timestamptz is null or s.as_of_time <= $5)
order by s.as_of_position desc, s.created_at desc
limit $6`

	snapshotMark = `-- name: SnapshotMark
update snapshots set unfit = $3, verified_at = clock_timestamp() where tenant_id = $1 and snapshot_id = $2`

	snapshotTold = `-- name: SnapshotTold
update snapshots set told_at = clock_timestamp() where tenant_id = $1 and snapshot_id = $2 and told_at is null`

	untoldList = `-- name: UntoldList
select s.tenant_id, ` + columns + `
from snapshots as s
where s.tenant_id = any ($1) and s.told_at is null and s.unfit is null and s.created_at < clock_timestamp() - $2::interval
order by s.created_at limit $3`

	// Whoever holds a row is at it; the next one takes what nobody holds.
	dueClaim = `-- name: DueClaim
update snapshots_due as d set claimed_by = $1, claimed_until = clock_timestamp() + $2::interval
from (
    select tenant_id, scope, scope_id from snapshots_due
    where tenant_id = any ($3) and (claimed_until is null or claimed_until < clock_timestamp())
    order by recorded_at limit $4
    for update skip locked
) as c
where d.tenant_id = c.tenant_id and d.scope = c.scope and d.scope_id = c.scope_id
returning d.tenant_id, d.scope, d.scope_id, d.position, d.reason`

	dueAdd = `-- name: DueAdd
insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason)
values ($1, $2, $3, $4, clock_timestamp(), $5)
on conflict (tenant_id, scope, scope_id) do nothing`

	dueCount = `-- name: DueCount
select count(*), coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8 from snapshots_due where tenant_id = any ($1)`

	// The scopes that have changed since their newest snapshot, longer ago than the schedule says: those that were counted, and
	// those of the events behind the count. A scope without a snapshot is as old as its first event.
	dueByTime = `-- name: DueByTime
with head as (
    select tenant_id, epoch, counted_position, snapshot_every_seconds from tenant_log where tenant_id = $1 and snapshot_every_seconds > 0
), tail as (
    select e.position, e.order_id,
        coalesce(e.position_id, o.position_id) as position_id, e.account_id, e.strategy_id
    from head as h
    join event_log as e on e.tenant_id = h.tenant_id and e.position > h.counted_position
    left join orders_current as o on o.tenant_id = h.tenant_id and o.epoch = h.epoch and o.order_id = e.order_id
), belonging as (
    select t.position, t.position_id, coalesce(t.account_id, p.account_id) as account_id, coalesce(t.strategy_id, p.strategy_id) as strategy_id
    from tail as t cross join head as h
    left join positions_current as p on p.tenant_id = h.tenant_id and p.epoch = h.epoch and p.position_id = t.position_id
), changed as (
    select scope, scope_id, max(last_position) as last_position
    from (
        select 'account' as scope, account_id as scope_id, position as last_position from belonging
        union all select 'strategy', strategy_id, position from belonging
        union all select 'position', position_id, position from belonging
        union all select scope, scope_id, last_position from snapshot_progress where tenant_id = $1
    ) as c
    where scope_id is not null
    group by scope, scope_id
)
insert into snapshots_due (tenant_id, scope, scope_id, position, recorded_at, reason)
select h.tenant_id, c.scope, c.scope_id, c.last_position, clock_timestamp(), 'time'
from head as h cross join changed as c
left join lateral (
    select s.as_of_position, s.created_at from snapshots as s
    where s.tenant_id = h.tenant_id and s.scope = c.scope and s.scope_id = c.scope_id and s.unfit is null
    order by s.as_of_position desc limit 1
) as newest on true
where c.last_position > coalesce(newest.as_of_position, 0)
  and coalesce(newest.created_at, case c.scope
        when 'account' then (select r.created_at from accounts_current as r where r.tenant_id = h.tenant_id and r.epoch = h.epoch and r.account_id = c.scope_id)
        when 'strategy' then (select r.created_at from strategy_state_current as r where r.tenant_id = h.tenant_id and r.epoch = h.epoch and r.strategy_id = c.scope_id)
        else (select r.created_at from positions_current as r where r.tenant_id = h.tenant_id and r.epoch = h.epoch and r.position_id = c.scope_id)
      end) < clock_timestamp() - make_interval(secs => h.snapshot_every_seconds)
order by c.last_position limit $2
on conflict (tenant_id, scope, scope_id) do nothing`

	scheduleGet = `-- name: ScheduleGet
select snapshot_every_events, snapshot_every_seconds, snapshot_at_workflow_end from tenant_log where tenant_id = $1`

	scheduleSet = `-- name: ScheduleSet
update tenant_log set snapshot_every_events = coalesce($2, snapshot_every_events), snapshot_every_seconds = coalesce($3, snapshot_every_seconds),
  snapshot_at_workflow_end = coalesce($4, snapshot_at_workflow_end)
where tenant_id = $1
returning snapshot_every_events, snapshot_every_seconds, snapshot_at_workflow_end`

	// Those of which something may go: more than stay, or an unfit one.
	scopesCrowded = `-- name: ScopesCrowded
select scope, scope_id from snapshots
where tenant_id = $1 and ($2::text is null or scope = $2) and ($3::uuid is null or scope_id = $3) and (scope, scope_id) > ($4, $5)
group by scope, scope_id
having count(*) > $6 or bool_or(unfit is not null)
order by scope, scope_id limit $7`

	snapshotsDelete = `-- name: SnapshotsDelete
delete from snapshots where tenant_id = $1 and snapshot_id = any ($2)`
)
