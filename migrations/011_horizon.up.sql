-- Which rows have not been written since a snapshot was made. Everything before the horizon had ended when the snapshot's state was
-- read, so that a row version of a transaction before it is one that the snapshot has, unchanged. It holds in one cluster of
-- PostgreSQL alone: another one counts its transactions for itself. NULL: unknown.
ALTER TABLE snapshots
    ADD COLUMN horizon bigint,
    ADD COLUMN cluster bigint;
COMMENT ON COLUMN snapshots.horizon IS 'The oldest transaction that had not ended when the state was read: pg_snapshot_xmin.';
COMMENT ON COLUMN snapshots.cluster IS 'The cluster that counts so: its system_identifier.';

-- Some providers keep the control file's functions to themselves: then it is unknown, and every row is compared.
CREATE FUNCTION robson_cluster() RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog
AS $$
BEGIN
    RETURN (SELECT system_identifier FROM pg_control_system());
EXCEPTION
    WHEN insufficient_privilege OR undefined_function THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION robson_cluster() IS 'Which cluster this is: its system_identifier; NULL where that may not be known.';
REVOKE ALL ON FUNCTION robson_cluster() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION robson_cluster() TO robson_snapshotter, robson_replayer;

-- The replayer finds snapshots that do not fit when it folds on from them. It marks them, as the snapshotter does, and makes their
-- scope due anew.
CREATE POLICY replayer_marks ON snapshots FOR UPDATE TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));
CREATE POLICY replayer ON snapshots_due TO robson_replayer USING (tenant_id = ANY ((SELECT robson_tenants())::uuid[]));
GRANT UPDATE (verified_at, unfit) ON snapshots TO robson_replayer;
GRANT SELECT, INSERT ON snapshots_due TO robson_replayer;
