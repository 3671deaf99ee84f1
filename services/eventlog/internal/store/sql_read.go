package store

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/event"
)

// Statements of reads. Each read begins with tenantsChoose.
const (
	headRead = `-- name: HeadRead
select last_position, last_event_id, last_ingested_at, last_hash from tenant_log where tenant_id = $1`

	headsRead = `-- name: HeadsRead
select tenant_id, last_position from tenant_log where tenant_id = any($1)`

	headsReadAll = `-- name: HeadsReadAll
select tenant_id, last_position from tenant_log`

	headsReadRecent = `-- name: HeadsReadRecent
select tenant_id, last_position from tenant_log where last_ingested_at > clock_timestamp() - $1::interval`

	// An index scan for each log: LIMIT keeps the planner from making a join of it.
	logNews = `-- name: LogNews
select k.tenant_id, e.account_id, ` + recordColumns + `
from unnest($1::uuid[], $2::bigint[]) as k (tenant_id, after)
cross join lateral (
    select e.account_id, ` + recordColumns + `
    from event_log as e
    where e.tenant_id = k.tenant_id and e.position > k.after
    order by e.position
    limit $3
) as e`

	tenantsAll = `-- name: TenantsAll
select tenant_id from tenant_log order by tenant_id limit $1`

	tenantsList = `-- name: TenantsList
select tenant_id from tenant_log where tenant_id > $1 order by tenant_id limit $2`

	commandRead = `-- name: CommandRead
select first_position, ingested_at, event_count, raised_count, request_digest, receipt
from commands
where tenant_id = $1 and command_id = $2`

	// An event's id does not say where it is, but ids and positions grow together: some thirty steps by the primary key
	// find one among a billion. A position whose month is not here counts as being before.
	eventFind = `-- name: EventFind
with recursive bisect (low, high) as (
    select 1::bigint, (select last_position from tenant_log where tenant_id = $1)
    union all
    select case when probe.event_id >= $2 then half.low else half.middle + 1 end,
           case when probe.event_id >= $2 then half.middle else half.high end
    from (select low, high, (low + high) / 2 as middle from bisect where low < high) as half
    left join lateral (
        select event_id from event_log where tenant_id = $1 and position = half.middle limit 1
    ) as probe on true
)
select ` + recordColumns + `
from event_log as e
where e.tenant_id = $1 and e.position = (select low from bisect where low >= high limit 1) and e.event_id = $2`

	// The oldest event that is here. Those before it, if there are, are in months that are not.
	eventOldest = `-- name: EventOldest
select position, event_id from event_log where tenant_id = $1 order by position limit 1`

	logForwards = `-- name: LogForwards
select ` + recordColumns + `
from event_log as e
where e.tenant_id = $1 and e.position >= $2
order by e.position
limit $3`

	logBackwards = `-- name: LogBackwards
select ` + recordColumns + `
from event_log as e
where e.tenant_id = $1 and e.position <= $2
order by e.position desc
limit $3`

	logCount = `-- name: LogCount
select count(*) from event_log where tenant_id = $1 and position > $2 and position <= $3`

	streamHeadRead = `-- name: StreamHeadRead
select last_seq from stream_state where tenant_id = $1 and stream_key = $2`

	streamForwards = `-- name: StreamForwards
select ` + recordColumns + `
from event_log as e
where e.tenant_id = $1 and e.stream_key = $2 and e.seq >= $3
order by e.seq
limit $4`

	streamBackwards = `-- name: StreamBackwards
select ` + recordColumns + `
from event_log as e
where e.tenant_id = $1 and e.stream_key = $2 and e.seq <= $3
order by e.seq desc
limit $4`

	// A command's events are $2's, and then whatever an event among those found has caused. LIMIT keeps the planner from
	// making joins of the sub-selects: each is an index scan for one event. The last LIMIT ends the search.
	descendantsFind = `-- name: DescendantsFind
with recursive found (event_id, position) as (
    select e.event_id, e.position
    from commands as c
    cross join lateral (
        select event_id, position from event_log
        where tenant_id = $1 and position >= c.first_position and position < c.first_position + c.event_count
        order by position
        limit $3
    ) as e
    where c.tenant_id = $1 and c.command_id = $2
    union
    select e.event_id, e.position
    from found as f
    cross join lateral (
        select event_id, position from event_log
        where tenant_id = $1 and causation_id = f.event_id
        order by position
        limit $3
    ) as e
)
select position from found limit $3`
)

// Statements for workers. All times are the database's.
const (
	checkpointRead = `-- name: CheckpointRead
select value, saved_at from checkpoints where tenant_id = $1 and service = $2 and name = $3`

	checkpointSave = `-- name: CheckpointSave
insert into checkpoints (tenant_id, service, name, value, saved_at)
values ($1, $2, $3, $4, clock_timestamp())
on conflict (tenant_id, service, name) do update set value = excluded.value, saved_at = excluded.saved_at
where checkpoints.value < excluded.value`

	// A lease that another holds stays as it is, locked until the transaction ends.
	leaseTake = `-- name: LeaseTake
insert into leases (tenant_id, service, name, holder, acquired_at, expires_at)
values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + $5)
on conflict (tenant_id, service, name) do update set
    holder = excluded.holder,
    acquired_at = case when leases.holder = excluded.holder and leases.expires_at > clock_timestamp() then leases.acquired_at else clock_timestamp() end,
    expires_at = clock_timestamp() + $5
where leases.holder = excluded.holder or leases.expires_at <= clock_timestamp()`

	// Several tenants' leases at once. What another holds stays as it is.
	leasesTake = `-- name: LeasesTake
insert into leases (tenant_id, service, name, holder, acquired_at, expires_at)
select k.tenant_id, $2, $3, $4, clock_timestamp(), clock_timestamp() + $5
from unnest($1::uuid[]) as k (tenant_id)
on conflict (tenant_id, service, name) do update set
    holder = excluded.holder,
    acquired_at = case when leases.holder = excluded.holder and leases.expires_at > clock_timestamp() then leases.acquired_at else clock_timestamp() end,
    expires_at = clock_timestamp() + $5
where leases.holder = excluded.holder or leases.expires_at <= clock_timestamp()`

	leasesTaken = `-- name: LeasesTaken
select l.tenant_id, coalesce(c.value, 0), coalesce(h.last_position, 0)
from leases as l
left join checkpoints as c on c.tenant_id = l.tenant_id and c.service = l.service and c.name = l.name
left join tenant_log as h on h.tenant_id = l.tenant_id
where l.tenant_id = any($1) and l.service = $2 and l.name = $3 and l.holder = $4`

	leasesRenew = `-- name: LeasesRenew
update leases set expires_at = clock_timestamp() + $5 where tenant_id = any($1) and service = $2 and name = $3 and holder = $4`

	leasesRead = `-- name: LeasesRead
select tenant_id, holder from leases
where tenant_id = any($1) and service = $2 and name = $3 and expires_at > clock_timestamp()`

	leasesRelease = `-- name: LeasesRelease
delete from leases where tenant_id = any($1) and service = $2 and name = $3 and holder = $4`

	// Who lacks tenants stands among the leases of no tenant: its name is who, and its holder what for.
	wantsForget = `-- name: WantsForget
delete from leases where tenant_id = $1 and service = $2 and expires_at <= clock_timestamp()`

	wantsRead = `-- name: WantsRead
select name from leases
where tenant_id = $1 and service = $2 and holder = $3 and name <> $4 and expires_at > clock_timestamp()
order by name`

	leaseRead = `-- name: LeaseRead
select holder, expires_at from leases where tenant_id = $1 and service = $2 and name = $3`

	leaseRelease = `-- name: LeaseRelease
delete from leases where tenant_id = $1 and service = $2 and name = $3 and holder = $4`
)

// Statements for the months' partitions.
const (
	partitionsCreate = `-- name: PartitionsCreate
select create_event_log_partitions($1), create_snapshot_partitions($1)`

	partitionsCheck = `-- name: PartitionsCheck
select table_name, months_ahead, covered_until from check_partition_coverage()`
)

// eventsQuery asks for a tenant's events that meet all conditions, by position. Its text is made of constants alone; what
// callers say are parameters.
type eventsQuery struct {
	name   string
	filter Filter
	// positions, unless nil, are the only ones wanted.
	positions []int64
	// after is where to begin, in the direction of reading, itself not included; 0: at the end the direction starts at.
	after int64
	// upTo is the last position to look at, forwards; 0: all.
	upTo      int64
	backwards bool
	limit     int
}

// parameters collects what stands for $1, $2 …
type parameters struct{ values []any }

func (p *parameters) bind(value any) string {
	p.values = append(p.values, value)
	return fmt.Sprintf("$%d", len(p.values))
}

// build gives the text and its parameters; $1 is the tenant.
func (q *eventsQuery) build(tenant uuid.UUID) (string, []any) {
	p := &parameters{}
	conditions := append([]string{"e.tenant_id = " + p.bind(tenant)}, q.place(p)...)
	conditions = append(conditions, q.filter.conditions(p)...)
	limit, descending := p.bind(q.limit), ""
	if q.backwards {
		descending = " desc"
	}
	branch := func(order string, more ...string) string {
		return fmt.Sprintf("select %s\nfrom event_log as e\nwhere %s\norder by e.%s%s\nlimit %s",
			recordColumns, strings.Join(append(conditions[:len(conditions):len(conditions)], more...), "\n  and "), order, descending, limit)
	}
	head := "-- name: " + q.name + "\n"
	kind, id := q.subject()
	if kind == "" && q.filter.TraceID.Valid && q.positions == nil && q.upTo == 0 {
		// A trace's index is not in the order of positions, which keeps it small; an order that no index has keeps the planner
		// from walking the whole log in the right one.
		return head + branch("position + 0"), p.values
	}
	if kind == "" {
		return head + branch("position"), p.values
	}
	// What an event is about stands in two indexes: those of its own stream are found by the stream, where seq and position
	// grow together, the others by a partial index.
	own := branch("seq", "e.stream_key = "+p.bind(string(kind)+":"+id.String()))
	others := branch("position", "e.stream_key not like '"+string(kind)+":%'")
	return fmt.Sprintf("%s(%s)\nunion all\n(%s)\norder by position%s\nlimit %s", head, own, others, descending, limit), p.values
}

// place are the conditions on positions.
func (q *eventsQuery) place(p *parameters) []string {
	var conditions []string
	switch {
	case q.after > 0 && q.backwards:
		conditions = append(conditions, "e.position < "+p.bind(q.after))
	case q.after > 0 || q.upTo > 0:
		conditions = append(conditions, "e.position > "+p.bind(q.after))
	}
	if q.upTo > 0 {
		conditions = append(conditions, "e.position <= "+p.bind(q.upTo))
	}
	if q.positions != nil {
		conditions = append(conditions, "e.position = any("+p.bind(q.positions)+")")
	}
	return conditions
}

// subject is the order or position by which events are found, unless the query says where they are, or what caused them.
func (q *eventsQuery) subject() (event.Kind, uuid.UUID) {
	f := &q.filter
	switch {
	case q.positions != nil || q.upTo > 0 || f.CommandID.Valid || f.CausationID.Valid:
		return "", uuid.Nil
	case f.OrderID.Valid:
		return event.KindOrder, f.OrderID.UUID
	case f.PositionID.Valid:
		return event.KindPosition, f.PositionID.UUID
	}
	return "", uuid.Nil
}

// conditions are the filter's. Those on order and position stand in both branches of a query that goes by them, where they
// hold anyway.
func (f *Filter) conditions(p *parameters) []string {
	var conditions []string
	for _, c := range []struct {
		column string
		id     uuid.NullUUID
	}{
		{"trace_id", f.TraceID},
		{"causation_id", f.CausationID},
		{"workflow_id", f.WorkflowID},
		{"account_id", f.AccountID},
		{"strategy_id", f.StrategyID},
		{"position_id", f.PositionID},
		{"order_id", f.OrderID},
	} {
		if c.id.Valid {
			conditions = append(conditions, "e."+c.column+" = "+p.bind(c.id.UUID))
		}
	}
	if f.CommandID.Valid && !f.Descendants {
		// A command's events follow one another from a position that stands in its receipt.
		command := p.bind(f.CommandID.UUID)
		const receipt = "(select c.first_position%s from commands as c where c.tenant_id = $1 and c.command_id = %s)"
		conditions = append(conditions, "e.command_id = "+command,
			"e.position >= "+fmt.Sprintf(receipt, "", command), "e.position < "+fmt.Sprintf(receipt, " + c.event_count", command))
	}
	if len(f.Types) > 0 {
		conditions = append(conditions, "e.event_type = any("+p.bind(texts(f.Types))+")")
	}
	if len(f.Kinds) > 0 {
		conditions = append(conditions, "split_part(e.stream_key, ':', 1) = any("+p.bind(texts(f.Kinds))+")")
	}
	if !f.Since.IsZero() {
		conditions = append(conditions, "e.ingested_at >= "+p.bind(wholeMicros(f.Since)))
	}
	if !f.Until.IsZero() {
		conditions = append(conditions, "e.ingested_at < "+p.bind(wholeMicros(f.Until)))
	}
	return conditions
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
