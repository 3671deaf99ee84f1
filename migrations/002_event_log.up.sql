-- The log: heads, events, streams, receipts, workers' bookkeeping, snapshots, and the functions that keep its months.
-- tenant_id is first in every key, so that the schema can be distributed by tenant.

-- The head of a tenant's log. An append holds its row, so positions are given in commit order.
CREATE TABLE tenant_log (
    tenant_id uuid NOT NULL,
    last_position bigint NOT NULL,
    last_event_id uuid NOT NULL,
    last_ingested_at timestamptz NOT NULL,
    last_hash bytea NOT NULL,
    -- A rebuild of the projections adds one: what was cached before is worth nothing.
    generation bigint NOT NULL,
    -- The version of the fold that made this tenant's projections.
    rules_version integer NOT NULL,
    CONSTRAINT tenant_log_pkey PRIMARY KEY (tenant_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE tenant_log IS 'How far a tenant''s log goes; locked by each append.';

-- The events. Nothing of them ever changes: triggers below refuse it to everyone.
--
-- PostgreSQL wants the partition key in every unique key of a partitioned table, so (tenant_id, position) is unique by
-- construction (the head row gives positions), and (tenant_id, stream_key, seq) likewise (stream_state gives seqs).
--
-- Columns of fixed width come first, so that no room is lost to alignment.
CREATE TABLE event_log (
    tenant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    position bigint NOT NULL,
    seq bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    ingested_at timestamptz NOT NULL,
    trace_id uuid NOT NULL,
    command_id uuid NOT NULL,
    causation_id uuid,
    workflow_id uuid,
    -- What the event is about, for searching.
    account_id uuid,
    strategy_id uuid,
    position_id uuid,
    order_id uuid,
    payload_schema_version integer NOT NULL,
    stream_key text NOT NULL,
    event_type text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    idempotency_key bytea NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    -- The canonical bytes that are hashed. json keeps them as they are; jsonb would not.
    payload json NOT NULL,
    -- By position: replay, subscriptions, and a command's events, whose positions stand in commands.
    CONSTRAINT event_log_pkey PRIMARY KEY (tenant_id, position, ingested_at),
    CONSTRAINT event_log_numbers_check CHECK (position > 0 AND seq > 0),
    CONSTRAINT event_log_hashes_check CHECK (octet_length(prev_hash) = 32 AND octet_length(hash) = 32 AND octet_length(idempotency_key) = 32),
    CONSTRAINT event_log_actor_type_check CHECK (actor_type IN ('cli', 'daemon', 'system', 'exchange'))
) PARTITION BY RANGE (ingested_at);
COMMENT ON TABLE event_log IS 'Every event of every tenant, by month; append-only.';

-- By stream: reading one, and most of what is asked about one position or order, which has a stream of its own.
CREATE INDEX event_log_stream_idx ON event_log (tenant_id, stream_key, seq);
-- By cause: following what came of an event. Causes are mostly recent, so new entries go near the right edge.
CREATE INDEX event_log_causation_idx ON event_log (tenant_id, causation_id, position) WHERE causation_id IS NOT NULL;
-- What other streams say about a position or an order: a small part of the log.
CREATE INDEX event_log_position_idx ON event_log (tenant_id, position_id, position) WHERE position_id IS NOT NULL AND stream_key NOT LIKE 'position:%';
CREATE INDEX event_log_order_idx ON event_log (tenant_id, order_id, position) WHERE order_id IS NOT NULL AND stream_key NOT LIKE 'order:%';
-- For what only people at a terminal ask: trace, workflow, account, strategy, type, time and single event ids (whose
-- ULID tells the time). A Bloom filter for each 256 kB says where something is not: some 600 bytes for a quarter of a
-- thousand events, made when a range is full, so that an append pays next to nothing.
CREATE INDEX event_log_search_idx ON event_log USING brin (
    tenant_id uuid_bloom_ops (n_distinct_per_range = 32, false_positive_rate = 0.02),
    ingested_at timestamptz_minmax_ops,
    trace_id uuid_bloom_ops (n_distinct_per_range = 128, false_positive_rate = 0.02),
    workflow_id uuid_bloom_ops (n_distinct_per_range = 32, false_positive_rate = 0.02),
    account_id uuid_bloom_ops (n_distinct_per_range = 64, false_positive_rate = 0.02),
    strategy_id uuid_bloom_ops (n_distinct_per_range = 64, false_positive_rate = 0.02),
    event_type text_bloom_ops (n_distinct_per_range = 44, false_positive_rate = 0.02)
) WITH (pages_per_range = 32, autosummarize = on);

-- The head of each stream.
CREATE TABLE stream_state (
    tenant_id uuid NOT NULL,
    last_seq bigint NOT NULL,
    last_position bigint NOT NULL,
    stream_key text NOT NULL,
    CONSTRAINT stream_state_pkey PRIMARY KEY (tenant_id, stream_key)
) WITH (fillfactor = 70);
COMMENT ON TABLE stream_state IS 'How far a stream goes, and where in the log its last event is.';

-- One command id, one append. Rows stay for ever, also when the month of their events is archived, and hold the whole
-- receipt, so that a sender of the same command gets the same answer in ten years' time.
CREATE TABLE commands (
    tenant_id uuid NOT NULL,
    command_id uuid NOT NULL,
    first_position bigint NOT NULL,
    ingested_at timestamptz NOT NULL,
    event_count integer NOT NULL,
    raised_count integer NOT NULL,
    -- Of the request that caused the append; for a fact, of its VALUE fields.
    request_digest bytea NOT NULL,
    -- Stream, seq, type and id of each event, requested ones first: see services/eventlog/internal/store/receipt.go.
    receipt bytea NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (tenant_id, command_id),
    CONSTRAINT commands_digest_check CHECK (octet_length(request_digest) = 32)
);
COMMENT ON TABLE commands IS 'The receipt of every append, by command.';

-- How far a worker of a service without a database has come.
CREATE TABLE checkpoints (
    tenant_id uuid NOT NULL,
    service text NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL,
    saved_at timestamptz NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (tenant_id, service, name)
) WITH (fillfactor = 70);
COMMENT ON TABLE checkpoints IS 'How far a worker has come; moved after its work is in the log.';

-- Who is at work. Correctness never depends on it.
CREATE TABLE leases (
    tenant_id uuid NOT NULL,
    service text NOT NULL,
    name text NOT NULL,
    holder text NOT NULL,
    acquired_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (tenant_id, service, name)
) WITH (fillfactor = 70);
COMMENT ON TABLE leases IS 'Who does a piece of work, and until when.';

-- Checkpoints of state, made off the append path. A snapshot is a cache: what does not fit is ignored and made anew.
CREATE TABLE snapshots (
    tenant_id uuid NOT NULL,
    snapshot_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    as_of_position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    event_count bigint NOT NULL,
    rules_version integer NOT NULL,
    scope text NOT NULL,
    -- The log's hash at as_of_position.
    chain_hash bytea NOT NULL,
    -- Of the state below.
    hash bytea NOT NULL,
    state bytea NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (tenant_id, snapshot_id, created_at),
    CONSTRAINT snapshots_scope_check CHECK (scope IN ('account', 'strategy', 'position')),
    CONSTRAINT snapshots_hashes_check CHECK (octet_length(chain_hash) = 32 AND octet_length(hash) = 32)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE snapshots IS 'The state of a scope at a position, by month.';
CREATE INDEX snapshots_scope_idx ON snapshots (tenant_id, scope, scope_id, as_of_position DESC);

-- next_seq tells which seq the next event of a stream gets. It takes nothing: a number is taken by writing the stream's
-- row in the append's transaction, under the tenant's lock, so that a refused append burns none.
CREATE FUNCTION next_seq(stream_key text, tenant_id uuid) RETURNS bigint
LANGUAGE sql STABLE
RETURN coalesce((SELECT s.last_seq FROM stream_state AS s WHERE s.tenant_id = next_seq.tenant_id AND s.stream_key = next_seq.stream_key), 0) + 1;
COMMENT ON FUNCTION next_seq(text, uuid) IS 'The seq of a stream''s next event; takes nothing.';

CREATE FUNCTION event_log_refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'History is evidence. Months leave the log by archiving, which detaches them whole.';
END
$$;
COMMENT ON FUNCTION event_log_refuse() IS 'Refuses what would change history.';

-- Refuse makes one table append-only for everyone, its owner included, in every replication role. The trigger is the
-- table's own and for the statement: those for rows that a partition inherits are lost when it is detached.
CREATE FUNCTION make_append_only(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER event_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION public.event_log_refuse()', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER event_log_append_only', relation);
END
$$;
COMMENT ON FUNCTION make_append_only(regclass) IS 'Gives a table of events the trigger that refuses changes.';
SELECT make_append_only('event_log');

-- Makes the partitions of the month of from_time and of so many after it, and says how many were missing. Bounds are
-- UTC months whatever the session's time zone. A partition is made aside and then attached, which does not wait for
-- running appends nor hold them up. There is no default partition: rows for a month that was forgotten are an error,
-- not a heap that nobody looks into.
CREATE FUNCTION create_month_partitions(parent regclass, from_time timestamptz, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    parent_name text := (SELECT relname FROM pg_class WHERE oid = parent);
    month timestamptz;
    child text;
    made integer := 0;
BEGIN
    IF months_ahead IS NULL OR months_ahead < 0 OR months_ahead > 120 THEN
        RAISE EXCEPTION 'months_ahead must be 0 to 120, found %', months_ahead USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- One at a time: replicas and operators may all come at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('robson.partitions', 0));
    FOR i IN 0..months_ahead LOOP
        month := date_trunc('month', from_time) + make_interval(months => i);
        child := parent_name || to_char(month, '_YYYY_MM');
        IF to_regclass('public.' || quote_ident(child)) IS NOT NULL THEN
            IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = parent AND inhrelid = to_regclass('public.' || quote_ident(child))) THEN
                RAISE EXCEPTION '% exists and is not a partition of %: attach it or move it away', child, parent_name
                    USING ERRCODE = 'duplicate_table';
            END IF;
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING ALL)', child, parent);
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
        IF parent_name = 'event_log' THEN
            PERFORM make_append_only(to_regclass('public.' || quote_ident(child)));
        END IF;
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            parent, child, month, month + interval '1 month');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION create_month_partitions(regclass, timestamptz, integer) IS 'Makes monthly partitions that are missing; says how many.';

-- What services may call: SECURITY DEFINER, since only the owner can add a partition. The months are counted from the
-- database's clock, no caller chooses them.
CREATE FUNCTION create_event_log_partitions(months_ahead integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS 'SELECT public.create_month_partitions(''public.event_log'', clock_timestamp(), months_ahead)';
COMMENT ON FUNCTION create_event_log_partitions(integer) IS 'Makes the log''s partitions for this month and so many after it.';

CREATE FUNCTION create_snapshot_partitions(months_ahead integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS 'SELECT public.create_month_partitions(''public.snapshots'', clock_timestamp(), months_ahead)';
COMMENT ON FUNCTION create_snapshot_partitions(integer) IS 'Makes the snapshots'' partitions for this month and so many after it.';

-- How far each partitioned table is covered without a hole, from this month on. months_ahead is -1 when this very month
-- is missing: then nothing can be appended.
CREATE FUNCTION check_partition_coverage() RETURNS TABLE (table_name text, months_ahead integer, covered_until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    month timestamptz;
BEGIN
    FOREACH parent IN ARRAY ARRAY['event_log', 'snapshots'] LOOP
        month := date_trunc('month', clock_timestamp());
        table_name := parent;
        months_ahead := -1;
        covered_until := NULL;
        WHILE EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                      WHERE i.inhparent = to_regclass('public.' || parent) AND c.relname = parent || to_char(month, '_YYYY_MM')) LOOP
            month := month + interval '1 month';
            months_ahead := months_ahead + 1;
            covered_until := month;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION check_partition_coverage() IS 'How many months after this one have a partition.';

SELECT create_event_log_partitions(3);
SELECT create_snapshot_partitions(3);
