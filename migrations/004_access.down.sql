DO $$
DECLARE
    relation text;
    policy text;
BEGIN
    FOR relation, policy IN SELECT tablename, policyname FROM pg_catalog.pg_policies WHERE schemaname = 'public' AND policyname IN ('eventlog', 'eventlog_all', 'projector') LOOP
        EXECUTE format('DROP POLICY %I ON %I', policy, relation);
    END LOOP;
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('REVOKE ALL ON %I FROM robson_eventlog, robson_projector', relation);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION next_seq(text, uuid), create_event_log_partitions(integer), create_snapshot_partitions(integer),
    check_partition_coverage() FROM robson_eventlog;
DROP FUNCTION robson_tenants();
