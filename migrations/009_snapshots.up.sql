-- What the snapshotter keeps of each snapshot beside its state. There are none yet: nobody has made any.
ALTER TABLE snapshots
    -- What made it due.
    ADD COLUMN trigger text NOT NULL,
    -- ingested_at of the event at as_of_position.
    ADD COLUMN as_of_time timestamptz NOT NULL,
    ADD COLUMN row_count bigint NOT NULL,
    -- Rows that folding it on needs besides.
    ADD COLUMN context_count bigint NOT NULL,
    -- Of the text; the bytes of state may be compressed.
    ADD COLUMN text_bytes bigint NOT NULL,
    -- How many streams the scope had, and how far each was where they were few.
    ADD COLUMN stream_count integer NOT NULL,
    ADD COLUMN stream_seqs jsonb NOT NULL,
    -- When the log was told of it. Stored and not told is what a crash between the two leaves; the next run tells it.
    ADD COLUMN told_at timestamptz,
    ADD COLUMN verified_at timestamptz,
    -- Why it is not used.
    ADD COLUMN unfit text,
    ADD CONSTRAINT snapshots_trigger_check CHECK (trigger IN ('count', 'time', 'workflow', 'request', 'remake'));
-- It is compressed already where that is worth it.
ALTER TABLE snapshots ALTER COLUMN state SET STORAGE EXTERNAL;

CREATE INDEX snapshots_created_idx ON snapshots (tenant_id, created_at, snapshot_id);
CREATE INDEX snapshots_untold_idx ON snapshots (tenant_id, created_at) WHERE told_at IS NULL;
-- A snapshot of a position holds its account's orders of which only facts are known: few, and most often none.
CREATE INDEX orders_current_unclaimed_idx ON orders_current (tenant_id, account_id) WHERE NOT known AND position_id IS NULL;

-- What time makes due, and what must be made anew, waits where the rest does.
GRANT INSERT ON snapshots_due TO robson_snapshotter;
GRANT UPDATE (told_at, verified_at, unfit) ON snapshots TO robson_snapshotter;
