-- Who may do what. Each service has the least it needs; tenants are walled off a second time by row-level security,
-- forced for the tables' owner too. A transaction sees exactly the tenants that it named.

-- The tenants of this transaction: set_config('robson.tenants', '<uuid>,<uuid>', true). None named, none seen. The
-- policies ask for it in a sub-select, which runs once a statement and not once a row.
CREATE FUNCTION robson_tenants() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE current_setting('robson.tenants', true)
    WHEN '*' THEN '{}'::uuid[] -- See the policy on tenant_log.
    ELSE coalesce(string_to_array(nullif(current_setting('robson.tenants', true), ''), ',')::uuid[], '{}'::uuid[])
END;
COMMENT ON FUNCTION robson_tenants() IS 'The tenants that this transaction named.';

DO $$
DECLARE
    relation text;
BEGIN
    -- Partitions as well: they have no policy and no grant, so that nobody gets round the parent's.
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
    END LOOP;

    -- What eventlog writes in an append and keeps for workers.
    FOREACH relation IN ARRAY ARRAY['tenant_log', 'event_log', 'stream_state', 'commands', 'checkpoints', 'leases'] LOOP
        EXECUTE format('CREATE POLICY eventlog ON %I TO robson_eventlog USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
    END LOOP;

    -- The projections: written by eventlog, read by both.
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE '%\_current' OR c.relname = 'fills')
    LOOP
        EXECUTE format('CREATE POLICY eventlog ON %I TO robson_eventlog USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('CREATE POLICY projector ON %I FOR SELECT TO robson_projector USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO robson_eventlog', relation);
        EXECUTE format('GRANT SELECT ON %I TO robson_projector', relation);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON tenant_log, stream_state, checkpoints TO robson_eventlog;
GRANT SELECT, INSERT ON event_log, commands TO robson_eventlog;
GRANT SELECT, INSERT, UPDATE, DELETE ON leases TO robson_eventlog;
GRANT SELECT ON tenant_log TO robson_projector;
CREATE POLICY projector ON tenant_log FOR SELECT TO robson_projector USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));
-- Naming the tenants there are needs to see all heads. It must be asked for by '*', with which no other row is seen.
CREATE POLICY eventlog_all ON tenant_log FOR SELECT TO robson_eventlog USING ((SELECT current_setting('robson.tenants', true)) = '*');

REVOKE ALL ON FUNCTION next_seq(text, uuid), event_log_refuse(), make_append_only(regclass),
    create_month_partitions(regclass, timestamptz, integer), create_event_log_partitions(integer),
    create_snapshot_partitions(integer), check_partition_coverage() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_seq(text, uuid), create_event_log_partitions(integer), create_snapshot_partitions(integer),
    check_partition_coverage() TO robson_eventlog;
