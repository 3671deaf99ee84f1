DROP INDEX event_log_search_idx;
CREATE INDEX event_log_search_idx ON event_log USING brin (
    tenant_id uuid_bloom_ops (n_distinct_per_range = 32, false_positive_rate = 0.02),
    ingested_at timestamptz_minmax_ops,
    trace_id uuid_bloom_ops (n_distinct_per_range = 128, false_positive_rate = 0.02),
    workflow_id uuid_bloom_ops (n_distinct_per_range = 32, false_positive_rate = 0.02),
    account_id uuid_bloom_ops (n_distinct_per_range = 64, false_positive_rate = 0.02),
    strategy_id uuid_bloom_ops (n_distinct_per_range = 64, false_positive_rate = 0.02),
    event_type text_bloom_ops (n_distinct_per_range = 44, false_positive_rate = 0.02)
) WITH (pages_per_range = 32, autosummarize = on);

DROP INDEX event_log_trace_idx;
