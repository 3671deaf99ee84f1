package storetest

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/snapshot"
)

// Snapshot stores a snapshot of a scope as it is now, as the snapshotter does. spoil may change its bytes first.
func (w *World) Snapshot(ctx context.Context, scope projection.Scope, spoil func([]byte) []byte) (uuid.UUID, error) {
	id := uuid.New()
	var hash []byte
	var horizon, cluster int64
	meta := snapshot.Meta{TenantID: w.Tenant, Scope: scope, RulesVersion: projection.RulesVersion}
	err := w.pool.QueryRow(ctx, `
select last_position, last_hash, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, robson_cluster()
from tenant_log where tenant_id = $1`, w.Tenant).Scan(&meta.AsOf, &hash, &horizon, &cluster)
	if err != nil {
		return id, fmt.Errorf("read head: %w", err)
	}
	copy(meta.ChainHash[:], hash)
	sealed, err := snapshot.Encode(meta, scope.Cut(w.State.Rows()), snapshot.Config{})
	if err != nil {
		return id, fmt.Errorf("encode: %w", err)
	}
	state := sealed.Stored
	if spoil != nil {
		state = spoil(append([]byte(nil), state...))
	}
	_, err = w.pool.Exec(ctx, `
insert into snapshots (tenant_id, snapshot_id, scope, scope_id, as_of_position, as_of_time, created_at, trigger, event_count, rules_version, chain_hash, hash,
  row_count, context_count, text_bytes, stream_count, stream_seqs, state, horizon, cluster)
values ($1, $2, $3, $4, $5, now(), now(), 'request', 1, $6, $7, $8, $9, $10, $11, 0, '[]', $12, $13, $14)`,
		w.Tenant, id, string(scope.Kind), scope.ID, meta.AsOf, meta.RulesVersion, meta.ChainHash[:], sealed.Hash[:], sealed.Own, sealed.Context, sealed.Length, state, horizon, cluster)
	if err != nil {
		return id, fmt.Errorf("store snapshot: %w", err)
	}
	return id, nil
}
