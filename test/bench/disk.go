package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// tableSize is what a table takes on disk; a partitioned one with all its partitions.
type tableSize struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// HeapBytes are the rows with what PostgreSQL keeps to find room among them, IndexBytes the indexes.
	HeapBytes  int64 `json:"heap_bytes"`
	IndexBytes int64 `json:"index_bytes"`
	// HeapPerEvent and IndexPerEvent divide by the events of the whole log.
	HeapPerEvent  float64 `json:"heap_bytes_per_event"`
	IndexPerEvent float64 `json:"index_bytes_per_event"`
}

// diskTables adds up partitions under their parent. Projections are one line: they grow with what is traded, not with the log.
const diskTables = `
with leaves as (
    select c.oid, coalesce(p.relname, c.relname) as parent
    from pg_class as c
    left join pg_inherits as i on i.inhrelid = c.oid
    left join pg_class as p on p.oid = i.inhparent
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
)
select case when parent like '%\_current' or parent = 'fills' then 'projections' else parent end as name,
    coalesce(sum(s.n_live_tup), 0)::bigint,
    sum(pg_table_size(leaves.oid))::bigint,
    sum(pg_indexes_size(leaves.oid))::bigint
from leaves left join pg_stat_user_tables as s on s.relid = leaves.oid
where parent in ('event_log', 'commands', 'stream_state', 'tenant_log') or parent like '%\_current' or parent = 'fills'
group by 1
order by 3 desc`

// tableSizes measures the tables of an append.
func tableSizes(ctx context.Context, conn *pgx.Conn) ([]tableSize, error) {
	var events int64
	if err := conn.QueryRow(ctx, "select coalesce(sum(last_position), 0)::bigint from tenant_log").Scan(&events); err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	rows, err := conn.Query(ctx, diskTables)
	if err != nil {
		return nil, fmt.Errorf("measure tables: %w", err)
	}
	sizes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tableSize, error) {
		var t tableSize
		err := row.Scan(&t.Name, &t.Rows, &t.HeapBytes, &t.IndexBytes)
		if events > 0 {
			t.HeapPerEvent, t.IndexPerEvent = float64(t.HeapBytes)/float64(events), float64(t.IndexBytes)/float64(events)
		}
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("measure tables: %w", err)
	}
	return sizes, nil
}

// payloadSize is the mean size of a simple event's payload, over some of them.
func payloadSize(ctx context.Context, conn *pgx.Conn) (float64, error) {
	const query = `
select coalesce(avg(octet_length(payload::text)), 0)::float8
from (select payload from event_log where event_type = 'BALANCE_SAMPLED' limit 1000) as few`
	var size float64
	if err := conn.QueryRow(ctx, query).Scan(&size); err != nil {
		return 0, fmt.Errorf("measure payloads: %w", err)
	}
	return size, nil
}
