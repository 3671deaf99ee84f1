REVOKE ALL ON snapshots FROM robson_replayer;
DROP POLICY replayer ON snapshots;
DROP TABLE replay_runs;
