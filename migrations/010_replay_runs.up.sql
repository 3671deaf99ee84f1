-- What the replayer is doing and has done: rebuilds, which go on from their checkpoint after a crash, and comparisons.
CREATE TABLE replay_runs (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Up to which position the epoch that is being built is folded. Rows and checkpoint are committed together.
    checkpoint bigint NOT NULL DEFAULT 0,
    events_done bigint NOT NULL DEFAULT 0,
    events_total bigint NOT NULL DEFAULT 0,
    -- Who took the run over counts on: one that was thought dead and is not writes nothing any more.
    fence bigint NOT NULL DEFAULT 1,
    -- The epoch that is being built, if one is, and the rules that fold it.
    epoch integer,
    rules_version integer NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    phase text NOT NULL,
    -- What was asked for, and what came of it.
    request jsonb NOT NULL,
    result jsonb,
    message text,
    CONSTRAINT replay_runs_pkey PRIMARY KEY (tenant_id, run_id),
    CONSTRAINT replay_runs_kind_check CHECK (kind IN ('rebuild', 'upgrade', 'validate')),
    CONSTRAINT replay_runs_status_check CHECK (status IN ('running', 'interrupted', 'canceled', 'failed', 'done'))
) WITH (fillfactor = 70);
COMMENT ON TABLE replay_runs IS 'Rebuilds and comparisons of projections, how far they are, and what they found.';
CREATE INDEX replay_runs_started_idx ON replay_runs (tenant_id, started_at DESC);

ALTER TABLE replay_runs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY replayer ON replay_runs TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE, DELETE ON replay_runs TO robson_replayer;

-- States of the past are folded on from snapshots.
CREATE POLICY replayer ON snapshots FOR SELECT TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));
GRANT SELECT ON snapshots TO robson_replayer;

-- Tables that came after the replayer's role did.
DO $$
DECLARE
    relation text;
BEGIN
    FOR relation IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND (c.relname LIKE '%\_current' OR c.relname = 'fills')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'replayer')
    LOOP
        EXECUTE format('CREATE POLICY replayer ON %I TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO robson_replayer', relation);
    END LOOP;
END
$$;
