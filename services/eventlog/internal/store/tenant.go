package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres"
)

// allTenants, named instead of tenants, shows the heads of all logs and nothing else.
const allTenants = "*"

// TenantPage is a part of the list of tenants. Next is empty where it ends.
type TenantPage struct {
	IDs  []uuid.UUID
	Next string
}

// Tenants lists the tenants that have a log, in the order of their ids. size is at most PageSizeMax; 0 means
// PageSizeDefault. token is the Next of the page before.
func (s *Store) Tenants(ctx context.Context, size int, token string) (TenantPage, error) {
	const common = "tenants"
	after := uuid.Nil
	if token != "" {
		place, err := decodeToken(token, len(after), common)
		if err != nil {
			return TenantPage{}, err
		}
		copy(after[:], place)
	}
	size = pageSize(size)
	var page TenantPage
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, allTenants)
		b.Queue(tenantsList, after, size+1).Query(func(rows pgx.Rows) error {
			var err error
			page.IDs, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			return err //nolint:wrapcheck // The read adds the context.
		})
	})
	if err != nil {
		return TenantPage{}, fmt.Errorf("list tenants: %w", err)
	}
	if len(page.IDs) > size {
		page.IDs = page.IDs[:size]
		last := page.IDs[size-1]
		page.Next, err = encodeToken(last[:], common)
	}
	return page, err
}

// Heads gives the last positions of tenants' logs, in one query; a tenant without a log is absent.
func (s *Store) Heads(ctx context.Context, tenants []uuid.UUID) (map[uuid.UUID]int64, error) {
	names := make([]string, len(tenants))
	for i, tenant := range tenants {
		names[i] = tenant.String()
	}
	heads := make(map[uuid.UUID]int64, len(tenants))
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, strings.Join(names, ","))
		b.Queue(headsRead, tenants).Query(func(rows pgx.Rows) error {
			var tenant uuid.UUID
			var position int64
			_, err := pgx.ForEachRow(rows, []any{&tenant, &position}, func() error {
				heads[tenant] = position
				return nil
			})
			return err //nolint:wrapcheck // The read adds the context.
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read heads of %d tenants: %w", len(tenants), err)
	}
	return heads, nil
}
