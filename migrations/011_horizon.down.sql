REVOKE ALL ON snapshots_due FROM robson_replayer;
REVOKE UPDATE (verified_at, unfit) ON snapshots FROM robson_replayer;
DROP POLICY replayer ON snapshots_due;
DROP POLICY replayer_marks ON snapshots;
DROP FUNCTION robson_cluster();
ALTER TABLE snapshots
    DROP COLUMN cluster,
    DROP COLUMN horizon;
