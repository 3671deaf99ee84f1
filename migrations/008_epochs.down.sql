DO $$
DECLARE
    relation text;
    policy text;
    keys text;
BEGIN
    FOR relation, policy IN SELECT tablename, policyname FROM pg_catalog.pg_policies
        WHERE schemaname = 'public' AND policyname IN ('snapshotter', 'snapshotter_all', 'replayer', 'replayer_all')
    LOOP
        EXECUTE format('DROP POLICY %I ON %I', policy, relation);
    END LOOP;
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' AND NOT a.attisdropped
    LOOP
        EXECUTE format('REVOKE ALL ON %I FROM robson_snapshotter, robson_replayer', relation);
    END LOOP;
    -- Only what is live is kept. The owner must see what is.
    ALTER TABLE tenant_log NO FORCE ROW LEVEL SECURITY;
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE '%\_current' OR c.relname = 'fills')
    LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('DELETE FROM %I AS r WHERE NOT EXISTS (SELECT FROM tenant_log AS h WHERE h.tenant_id = r.tenant_id AND h.epoch = r.epoch)', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) INTO STRICT keys
        FROM pg_catalog.pg_constraint AS p
        CROSS JOIN unnest(p.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.conrelid AND a.attnum = k.attnum
        WHERE p.conrelid = to_regclass('public.' || quote_ident(relation)) AND p.contype = 'p' AND a.attname <> 'epoch';
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', relation, relation || '_pkey');
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s)', relation, relation || '_pkey', keys);
        EXECUTE format('ALTER TABLE %I DROP COLUMN epoch', relation);
    END LOOP;
    ALTER TABLE tenant_log FORCE ROW LEVEL SECURITY;
END
$$;
DROP TABLE snapshots_due;
DROP TABLE snapshot_progress;
ALTER TABLE tenant_log
    DROP CONSTRAINT tenant_log_snapshots_check,
    DROP COLUMN epoch,
    DROP COLUMN snapshot_every_events,
    DROP COLUMN snapshot_every_seconds,
    DROP COLUMN snapshot_at_workflow_end,
    DROP COLUMN counted_position;

-- As in the first migration: a role that another database of the cluster still uses stays.
DO $$
DECLARE
    unwanted text;
BEGIN
    FOREACH unwanted IN ARRAY ARRAY['robson_snapshotter', 'robson_replayer'] LOOP
        BEGIN
            EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', unwanted);
            EXECUTE format('DROP ROLE %I', unwanted);
        EXCEPTION
            WHEN dependent_objects_still_exist OR object_in_use THEN
                EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', unwanted);
            WHEN undefined_object THEN
                NULL;
        END;
    END LOOP;
END
$$;
