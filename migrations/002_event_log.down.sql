-- Takes the log away, with all that was ever appended. Detached months are nobody's but the archive's and stay.
DROP TABLE snapshots;
DROP TABLE leases;
DROP TABLE checkpoints;
DROP TABLE commands;
DROP TABLE event_log;
DROP FUNCTION check_partition_coverage();
DROP FUNCTION create_snapshot_partitions(integer);
DROP FUNCTION create_event_log_partitions(integer);
DROP FUNCTION create_month_partitions(regclass, timestamptz, integer);
DROP FUNCTION make_append_only(regclass);
DROP FUNCTION next_seq(text, uuid);
DROP TABLE stream_state;
DROP TABLE tenant_log;
DO $$
BEGIN
    DROP FUNCTION event_log_refuse();
EXCEPTION
    -- A detached month still needs it.
    WHEN dependent_objects_still_exist THEN NULL;
END
$$;
