-- A role that may make temporary tables could put one named pg_class before the real one in these functions, which run as
-- the owner: the temporary schema is looked into first unless a search path names it. It comes last now.
ALTER FUNCTION make_append_only(regclass) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION create_month_partitions(regclass, timestamptz, integer) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION create_event_log_partitions(integer) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION create_snapshot_partitions(integer) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION check_partition_coverage() SET search_path = pg_catalog, public, pg_temp;
