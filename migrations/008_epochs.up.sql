-- Rebuilding while trading goes on, and snapshots that are due.
--
-- Each projection row belongs to an epoch of its tenant's state, and the head says which epoch is live. A rebuild writes the
-- next epoch aside, row by row, while appends go on in the live one; the switch is one update of the head, however many
-- rows differ. Rows of other epochs are seen by nobody and deleted afterwards.
ALTER TABLE tenant_log
    ADD COLUMN epoch integer NOT NULL DEFAULT 0,
    -- When snapshots of a tenant's scopes are due: each so many events of a scope and each so many seconds while it changes, 0
    -- for never, and when a workflow ends.
    ADD COLUMN snapshot_every_events integer NOT NULL DEFAULT 5000,
    ADD COLUMN snapshot_every_seconds integer NOT NULL DEFAULT 3600,
    ADD COLUMN snapshot_at_workflow_end boolean NOT NULL DEFAULT true,
    -- Up to which position snapshot_progress counts.
    ADD COLUMN counted_position bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT tenant_log_snapshots_check CHECK (snapshot_every_events >= 0 AND snapshot_every_seconds >= 0);
COMMENT ON COLUMN tenant_log.epoch IS 'The epoch of the projections'' rows that is live.';
-- What is in the logs already counts for no snapshot: nothing of it was counted.
-- The owner sees rows too while they are changed.
ALTER TABLE tenant_log NO FORCE ROW LEVEL SECURITY;
UPDATE tenant_log SET counted_position = last_position;
ALTER TABLE tenant_log FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    relation text;
    keys text;
BEGIN
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE '%\_current' OR c.relname = 'fills')
    LOOP
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) INTO STRICT keys
        FROM pg_catalog.pg_constraint AS p
        CROSS JOIN unnest(p.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.conrelid AND a.attnum = k.attnum
        WHERE p.conrelid = to_regclass('public.' || quote_ident(relation)) AND p.contype = 'p' AND a.attname <> 'tenant_id';
        EXECUTE format('ALTER TABLE %I ADD COLUMN epoch integer NOT NULL DEFAULT 0', relation);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', relation, relation || '_pkey');
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s)', relation, relation || '_pkey', concat_ws(', ', 'tenant_id', 'epoch', keys));
    END LOOP;
END
$$;

-- How many events of a scope there are, up to the head's counted_position. Kept some events behind the head, so that an
-- append need not write it each time; the events after it are counted from the log.
CREATE TABLE snapshot_progress (
    tenant_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    events bigint NOT NULL,
    last_position bigint NOT NULL,
    scope text NOT NULL,
    CONSTRAINT snapshot_progress_pkey PRIMARY KEY (tenant_id, scope, scope_id),
    CONSTRAINT snapshot_progress_scope_check CHECK (scope IN ('account', 'strategy', 'position'))
) WITH (fillfactor = 70);
COMMENT ON TABLE snapshot_progress IS 'How many events of a scope were counted, and where its last one was.';

-- Snapshots that are due, recorded by the append that made them so. A row goes when a snapshot at or after its position is
-- stored; who claims one and dies loses it when the claim is over.
CREATE TABLE snapshots_due (
    tenant_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    claimed_until timestamptz,
    scope text NOT NULL,
    -- Why: events or workflow_end.
    reason text NOT NULL,
    claimed_by text,
    CONSTRAINT snapshots_due_pkey PRIMARY KEY (tenant_id, scope, scope_id),
    CONSTRAINT snapshots_due_scope_check CHECK (scope IN ('account', 'strategy', 'position'))
) WITH (fillfactor = 70);
COMMENT ON TABLE snapshots_due IS 'Snapshots that are to be made.';

DO $$
DECLARE
    wanted text;
BEGIN
    -- As in the first migration: roles belong to the whole cluster.
    FOREACH wanted IN ARRAY ARRAY['robson_snapshotter', 'robson_replayer'] LOOP
        FOR try IN 1..10 LOOP
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
                END IF;
                EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
                EXIT;
            EXCEPTION
                WHEN duplicate_object OR unique_violation OR undefined_object THEN
                    IF try = 10 THEN
                        RAISE;
                    END IF;
            END;
        END LOOP;
    END LOOP;
END
$$;

DO $$
DECLARE
    relation text;
    reader text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['snapshot_progress', 'snapshots_due'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY eventlog ON %I TO robson_eventlog USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('CREATE POLICY snapshotter ON %I TO robson_snapshotter USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
    END LOOP;
    CREATE POLICY snapshotter ON snapshots TO robson_snapshotter USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));

    -- Both read the log, its heads and the state.
    FOREACH reader IN ARRAY ARRAY['snapshotter', 'replayer'] LOOP
        FOREACH relation IN ARRAY ARRAY['event_log', 'stream_state'] LOOP
            EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO %I USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', reader, relation, 'robson_' || reader);
            EXECUTE format('GRANT SELECT ON %I TO %I', relation, 'robson_' || reader);
        END LOOP;
        EXECUTE format('CREATE POLICY %I ON tenant_log TO %I USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', reader, 'robson_' || reader);
        -- Naming the tenants there are needs to see all heads, as eventlog's policy says.
        EXECUTE format('CREATE POLICY %I ON tenant_log FOR SELECT TO %I USING ((SELECT current_setting(''robson.tenants'', true)) = ''*'')', reader || '_all', 'robson_' || reader);
        EXECUTE format('GRANT SELECT ON tenant_log TO %I', 'robson_' || reader);
    END LOOP;

    -- The state: read by the snapshotter, rebuilt by the replayer.
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE '%\_current' OR c.relname = 'fills')
    LOOP
        EXECUTE format('CREATE POLICY snapshotter ON %I FOR SELECT TO robson_snapshotter USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('CREATE POLICY replayer ON %I TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('GRANT SELECT ON %I TO robson_snapshotter', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO robson_replayer', relation);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON snapshot_progress, snapshots_due TO robson_eventlog;
GRANT SELECT ON snapshot_progress TO robson_snapshotter;
GRANT SELECT, UPDATE, DELETE ON snapshots_due TO robson_snapshotter;
GRANT SELECT, INSERT, DELETE ON snapshots TO robson_snapshotter;
GRANT UPDATE (snapshot_every_events, snapshot_every_seconds, snapshot_at_workflow_end) ON tenant_log TO robson_snapshotter;
-- A switch changes these of a head and nothing else.
GRANT UPDATE (epoch, generation, rules_version) ON tenant_log TO robson_replayer;
