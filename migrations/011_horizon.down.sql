DROP FUNCTION robson_cluster();
ALTER TABLE snapshots
    DROP COLUMN cluster,
    DROP COLUMN horizon;
