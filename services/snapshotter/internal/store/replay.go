package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/history"
	"github.com/robson/robson/pkg/projection"
)

// Replay gives the events of a tenant's log from the first to a position, in order, as long as each returns nil. What is missing of
// the log is Corrupt.
func (s *Store) Replay(ctx context.Context, tenant uuid.UUID, to int64, each func(*projection.Event) error) error {
	err := s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.history.Each(ctx, tx, history.Scope{Tenant: tenant, To: to}, each)
		return err
	})
	if err != nil {
		return fmt.Errorf("replay the log of tenant %s to %d: %w", tenant, to, err)
	}
	return nil
}
