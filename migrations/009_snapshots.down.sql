REVOKE UPDATE (told_at, verified_at, unfit) ON snapshots FROM robson_snapshotter;
REVOKE INSERT ON snapshots_due FROM robson_snapshotter;
DROP INDEX orders_current_unclaimed_idx, snapshots_untold_idx, snapshots_created_idx;
ALTER TABLE snapshots ALTER COLUMN state SET STORAGE EXTENDED;
ALTER TABLE snapshots
    DROP CONSTRAINT snapshots_trigger_check,
    DROP COLUMN trigger,
    DROP COLUMN as_of_time,
    DROP COLUMN row_count,
    DROP COLUMN context_count,
    DROP COLUMN text_bytes,
    DROP COLUMN stream_count,
    DROP COLUMN stream_seqs,
    DROP COLUMN told_at,
    DROP COLUMN verified_at,
    DROP COLUMN unfit;
