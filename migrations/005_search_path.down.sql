ALTER FUNCTION check_partition_coverage() SET search_path = pg_catalog, public;
ALTER FUNCTION create_snapshot_partitions(integer) SET search_path = pg_catalog, public;
ALTER FUNCTION create_event_log_partitions(integer) SET search_path = pg_catalog, public;
ALTER FUNCTION create_month_partitions(regclass, timestamptz, integer) SET search_path = pg_catalog, public;
ALTER FUNCTION make_append_only(regclass) SET search_path = pg_catalog, public;
