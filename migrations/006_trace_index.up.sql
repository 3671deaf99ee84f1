-- One trace id finds every event of one user action, over all months and in a few steps. The BRIN index looked through a
-- share of the whole log for it: 0.4 s among ten million events, more among more. It keeps what people ask seldom.
-- Both are built while appends wait: some 10 s for ten million events.
CREATE INDEX event_log_trace_idx ON event_log (tenant_id, trace_id);

DROP INDEX event_log_search_idx;
CREATE INDEX event_log_search_idx ON event_log USING brin (
    tenant_id uuid_bloom_ops (n_distinct_per_range = 128, false_positive_rate = 0.02),
    ingested_at timestamptz_minmax_ops,
    workflow_id uuid_bloom_ops (n_distinct_per_range = 256, false_positive_rate = 0.01),
    account_id uuid_bloom_ops (n_distinct_per_range = 256, false_positive_rate = 0.01),
    strategy_id uuid_bloom_ops (n_distinct_per_range = 256, false_positive_rate = 0.01),
    event_type text_bloom_ops (n_distinct_per_range = 44, false_positive_rate = 0.02)
) WITH (pages_per_range = 32, autosummarize = on);
