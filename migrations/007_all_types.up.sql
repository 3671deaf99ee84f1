-- What the rest of the event types tell: the lines to the venue, margin levels, reconciliation, rebuilds, snapshots, and more
-- of accounts, signals and discrepancies. As in 003: tenant_id first in every key, no foreign keys, no checks on values,
-- numeric(38,18) for what an event carries and numeric(76,18) for sums. The defaults of new columns are for the rows that
-- are there, and for a program of the time before, which does not name them.

ALTER TABLE accounts_current
    ADD COLUMN key_type text,
    ADD COLUMN key_rotations integer NOT NULL DEFAULT 0,
    ADD COLUMN key_rotated_at timestamptz,
    ADD COLUMN capital_review_since timestamptz;

ALTER TABLE api_keys_current
    ADD COLUMN retired_at timestamptz;

ALTER TABLE signals_current
    ADD COLUMN stop_method text,
    ADD COLUMN stop_level_n integer,
    ADD COLUMN stop_levels text[] NOT NULL DEFAULT '{}',
    ADD COLUMN technical_stop_price numeric(38,18),
    ADD COLUMN stop_distance numeric(38,18),
    ADD COLUMN stop_distance_pct numeric(38,18),
    ADD COLUMN stop_confidence text,
    ADD COLUMN stop_analyzed_at timestamptz;

ALTER TABLE discrepancies_current
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN closed_by_run_id uuid;

CREATE TABLE connector_state_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    channel text NOT NULL,
    environment text NOT NULL,
    connected boolean NOT NULL,
    connection_id text,
    subscription_id integer,
    clock_offset_ms integer,
    reconnect_count integer NOT NULL,
    connected_at timestamptz,
    disconnected_at timestamptz,
    disconnect_reason text,
    disconnect_planned boolean NOT NULL,
    last_event_time timestamptz,
    failed_count bigint NOT NULL,
    retryable_failed_count bigint NOT NULL,
    last_error text,
    last_error_operation text,
    last_error_code integer,
    last_error_http_status integer,
    last_error_at timestamptz,
    uncertain_count bigint NOT NULL,
    last_uncertain_at timestamptz,
    rate_limited_count bigint NOT NULL,
    blocked_until timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT connector_state_current_pkey PRIMARY KEY (tenant_id, account_id, channel)
) WITH (fillfactor = 70);
COMMENT ON TABLE connector_state_current IS 'A line of an account to its venue, and how it goes there.';

CREATE TABLE margin_state_current (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    symbol text NOT NULL,
    sample_id uuid,
    margin_level numeric(38,18),
    margin_ratio numeric(38,18),
    status text NOT NULL,
    index_price numeric(38,18),
    liquidate_price numeric(38,18),
    borrowed numeric(38,18),
    interest numeric(38,18),
    sampled_at timestamptz,
    transferred jsonb NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT margin_state_current_pkey PRIMARY KEY (tenant_id, account_id, symbol)
) WITH (fillfactor = 70);
COMMENT ON TABLE margin_state_current IS 'An isolated margin account, as the venue last judged it.';

CREATE TABLE reconciliation_runs_current (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    account_id uuid NOT NULL,
    completed boolean NOT NULL,
    trigger text NOT NULL,
    window_from timestamptz,
    window_to timestamptz,
    orders_checked integer NOT NULL,
    fills_checked integer NOT NULL,
    balances_checked integer NOT NULL,
    missing_fills integer NOT NULL,
    missing_acks integer NOT NULL,
    unknown_orders integer NOT NULL,
    balance_mismatches integer NOT NULL,
    resolved integer NOT NULL,
    unresolved integer NOT NULL,
    resolved_ids uuid[] NOT NULL,
    status text NOT NULL,
    duration_ms integer NOT NULL,
    raised integer NOT NULL,
    raised_repaired integer NOT NULL,
    completed_at timestamptz,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT reconciliation_runs_current_pkey PRIMARY KEY (tenant_id, run_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE reconciliation_runs_current IS 'A comparison of an account with its venue, and what it found.';

CREATE TABLE replay_runs_current (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id uuid,
    stream_key text,
    from_snapshot_id uuid,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    events_applied bigint NOT NULL,
    rows bigint NOT NULL,
    rows_changed bigint NOT NULL,
    checksum_before text NOT NULL,
    checksum_after text NOT NULL,
    identical boolean NOT NULL,
    rules_version integer,
    rebuilt_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT replay_runs_current_pkey PRIMARY KEY (tenant_id, run_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE replay_runs_current IS 'A rebuild of projections from the log that was switched to.';

CREATE TABLE snapshots_current (
    tenant_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id uuid NOT NULL,
    snapshot_id uuid NOT NULL,
    as_of_position bigint NOT NULL,
    snapshot_type text NOT NULL,
    checksum text NOT NULL,
    chain_hash text,
    rules_version integer,
    event_count bigint NOT NULL,
    snapshots bigint NOT NULL,
    made_at timestamptz NOT NULL,
    last_event_id uuid NOT NULL,
    last_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT snapshots_current_pkey PRIMARY KEY (tenant_id, scope, scope_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE snapshots_current IS 'The newest snapshot of a scope, as announced. The snapshots themselves are in snapshots.';

-- Who may do what, as in 004: written by eventlog, read by both, walled off by tenant for the owner too.
DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['connector_state_current', 'margin_state_current', 'reconciliation_runs_current', 'replay_runs_current', 'snapshots_current'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY eventlog ON %I TO robson_eventlog USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('CREATE POLICY projector ON %I FOR SELECT TO robson_projector USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]))', relation);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO robson_eventlog', relation);
        EXECUTE format('GRANT SELECT ON %I TO robson_projector', relation);
    END LOOP;
END
$$;
