package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// months is over how many partitions a filled log reaches, the current one included.
	months = 12
	// fillers is how many months are filled at a time.
	fillers = 2
)

// The statements that fill a log behind the service's back, as superuser: $1 and $2 are the first and last number of an event
// counted over all tenants from 0, $3 and $4 the time that they are spread over, $5 the tenants, $6 the accounts, $7 how many
// accounts a tenant has. Event n is of tenant n mod T, and in it the next by position; accounts take turns. Rows are balance
// samples as the service stores them; only the hash chain does not compute, which nothing that is measured here looks at.
const (
	fillEvents = `
insert into event_log (
    tenant_id, event_id, position, seq, occurred_at, ingested_at, trace_id, command_id, causation_id, workflow_id, account_id,
    payload_schema_version, stream_key, event_type, actor_type, actor_id, idempotency_key, prev_hash, hash, payload
)
select tenant, event, place, seq, at, at, md5('trace' || n % t || '/' || place / 20)::uuid, md5('command' || n)::uuid,
    case when n % 3 = 0 then md5('cause' || n)::uuid end, case when n % 10 = 0 then md5('flow' || n % 1000)::uuid end, account,
    1, 'account:' || account, 'BALANCE_SAMPLED', 'daemon', 'connector',
    sha256(('key' || n)::bytea), sha256((n - t)::text::bytea), sha256(n::text::bytea),
    format('{"account_id":"%s","asset":"%s","exchange_update_time":"%s","free":"%s.%s1","locked":"0","sample_id":"%s","sampled_at":"%s","source":"rest_account","total":"%s.%s1","wallet":"spot"}',
        account, (array['USDT', 'BTC', 'ETH', 'BNB'])[1 + seq % 4], told, n % 100000, lpad((n * 7919 % 10000000)::text, 7, '0'),
        md5('sample' || n)::uuid, told, n % 100000, lpad((n * 7919 % 10000000)::text, 7, '0'))::json
from (
    select n, t, tenants[1 + n % t] as tenant, accounts[1 + n % t * a + n / t % a] as account, n / t + 1 as place, n / t / a + 1 as seq, at,
        (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || right(md5('event' || n), 20))::uuid as event,
        to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as told
    from (
        select n, $5::uuid[] as tenants, $6::uuid[] as accounts, cardinality($5::uuid[]) as t, $7::bigint as a,
            $3::timestamptz + (n - $1::bigint) * (($4::timestamptz - $3::timestamptz) / ($2::bigint - $1::bigint + 1)) as at
        from generate_series($1::bigint, $2::bigint) as n
    ) as numbered
) as made
order by n`

	fillCommands = `
insert into commands (tenant_id, command_id, first_position, ingested_at, event_count, raised_count, request_digest, receipt)
select ($5::uuid[])[1 + n % cardinality($5::uuid[])], md5('command' || n)::uuid, n / cardinality($5::uuid[]) + 1,
    $3::timestamptz + (n - $1::bigint) * (($4::timestamptz - $3::timestamptz) / ($2::bigint - $1::bigint + 1)), 1, 0,
    sha256(('digest' || n)::bytea), decode(rpad(md5('receipt' || n), 106, md5(n::text)), 'hex')
from generate_series($1::bigint, $2::bigint) as n
where cardinality($6::uuid[]) > 0 and $7::bigint > 0`

	fillStreams = `
insert into stream_state (tenant_id, stream_key, last_seq, last_position)
select tenant_id, stream_key, max(seq), max(position) from event_log where not tenant_id = any ($1) group by 1, 2`

	// The rows that the last events of each stream left behind, their amounts aside.
	fillBalances = `
insert into balances_current (
    tenant_id, account_id, wallet, asset, free, locked, total, borrowed, interest, sampled_at, source,
    last_event_id, last_position, created_at, updated_at
)
select tenant, account, 'spot', asset, 1, 0, 1, 0, 0, now() - interval '1 day', 'rest_account', md5(account::text || asset)::uuid, 1, now(), now()
from unnest($1::uuid[], $2::uuid[]) as owner (tenant, account), unnest(array['USDT', 'BTC', 'ETH', 'BNB']) as asset`

	// The new logs' heads have the rules and the generation of one that the service began.
	fillHeads = `
insert into tenant_log (tenant_id, last_position, last_event_id, last_ingested_at, last_hash, generation, rules_version)
select l.tenant_id, l.position, l.event_id, l.ingested_at, l.hash, known.generation, known.rules_version
from (select distinct on (tenant_id) tenant_id, position, event_id, ingested_at, hash
      from event_log where tenant_id = any ($1) and ingested_at >= date_trunc('month', now()) order by tenant_id, position desc) as l,
    (select generation, rules_version from tenant_log where tenant_id = any ($2)) as known`
)

// filling is a log that is being filled.
type filling struct {
	cluster  *cluster
	database string
	world    *world
	// probe is the tenant that the service began; it is left alone.
	probe  string
	events int
}

// fill writes the events, and all that the service would have written with them.
func (f *filling) fill(ctx context.Context, conn *pgx.Conn) error {
	steps := []string{
		"select create_month_partitions('event_log', date_trunc('month', now()) - interval '11 months', 11)",
		// Building the key at the end is faster, and leaves its pages as full as one that grew.
		"alter table commands drop constraint commands_pkey",
	}
	if err := execAll(ctx, conn, steps); err != nil {
		return err
	}
	if err := parallel(months, fillers, func(month int) error { return f.month(ctx, month) }); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	if _, err := conn.Exec(ctx, "alter table commands add constraint commands_pkey primary key (tenant_id, command_id) with (fillfactor = 70)"); err != nil {
		return fmt.Errorf("index commands: %w", err)
	}
	tenants, accounts := f.ids()
	owners := make([]uuid.UUID, len(accounts))
	for i := range owners {
		owners[i] = tenants[i/f.accounts()]
	}
	probe := []uuid.UUID{uuid.MustParse(f.probe)}
	for _, s := range []struct {
		sql  string
		args []any
	}{{fillStreams, []any{probe}}, {fillBalances, []any{owners, accounts}}, {fillHeads, []any{tenants, probe}}} {
		if _, err := conn.Exec(ctx, s.sql, s.args...); err != nil {
			return fmt.Errorf("fill heads and rows: %w", err)
		}
	}
	// VACUUM makes the search index of what was filled, as autovacuum does in time.
	return execAll(ctx, conn, []string{"vacuum (analyze)", "checkpoint"})
}

func execAll(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func (f *filling) accounts() int { return len(f.world.tenants[0].accounts) }

// ids are the tenants' and, tenant by tenant, the accounts'.
func (f *filling) ids() (tenants, accounts []uuid.UUID) {
	for _, t := range f.world.tenants {
		tenants = append(tenants, uuid.MustParse(t.id))
		for _, id := range t.accounts {
			accounts = append(accounts, uuid.MustParse(id))
		}
	}
	return tenants, accounts
}

// month fills one month, counted from the oldest.
func (f *filling) month(ctx context.Context, month int) error {
	conn, err := f.cluster.connect(ctx, f.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is under way
	// The current month's events end a little before now: the service goes on from there.
	const bounds = `
select at, least(at + interval '1 month', now() - interval '1 minute')
from (select date_trunc('month', now(), 'UTC') - make_interval(months => $1) as at) as month`
	var from, until time.Time
	if err := conn.QueryRow(ctx, bounds, months-1-month).Scan(&from, &until); err != nil {
		return fmt.Errorf("bounds of a month: %w", err)
	}
	tenants, accounts := f.ids()
	first, last := int64(f.events)*int64(month)/months, int64(f.events)*int64(month+1)/months-1
	for _, sql := range []string{fillEvents, fillCommands} {
		if _, err := conn.Exec(ctx, sql, first, last, from, until, tenants, accounts, int64(f.accounts())); err != nil {
			return fmt.Errorf("fill month %d: %w", month+1, err)
		}
	}
	return nil
}
