-- The projections can be folded again from the log at any time; their policies and grants go with them.
DROP TABLE snapshots_current;
DROP TABLE replay_runs_current;
DROP TABLE reconciliation_runs_current;
DROP TABLE margin_state_current;
DROP TABLE connector_state_current;

ALTER TABLE discrepancies_current
    DROP COLUMN closed_by_run_id,
    DROP COLUMN closed_at;

ALTER TABLE signals_current
    DROP COLUMN stop_analyzed_at,
    DROP COLUMN stop_confidence,
    DROP COLUMN stop_distance_pct,
    DROP COLUMN stop_distance,
    DROP COLUMN technical_stop_price,
    DROP COLUMN stop_levels,
    DROP COLUMN stop_level_n,
    DROP COLUMN stop_method;

ALTER TABLE api_keys_current
    DROP COLUMN retired_at;

ALTER TABLE accounts_current
    DROP COLUMN capital_review_since,
    DROP COLUMN key_rotated_at,
    DROP COLUMN key_rotations,
    DROP COLUMN key_type;
