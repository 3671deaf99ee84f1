package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/postgres"
	"github.com/robson/robson/services/eventlog/internal/subscription"
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

// headsNamedMax is how many heads are asked for by naming their tenants: the database compares each row with each name.
const headsNamedMax = 256

// Heads implements subscription.Log, in one query.
func (s *Store) Heads(ctx context.Context, tenants []uuid.UUID) (map[uuid.UUID]int64, error) {
	if len(tenants) > headsNamedMax {
		return s.heads(ctx, allTenants, headsReadAll)
	}
	return s.heads(ctx, tenantNames(tenants), headsRead, tenants)
}

// headsRecent is how long ago a log that has become longer lately may have done so. An append reads the clock before it
// commits, AppendTimeout before it at most.
const headsRecent = time.Minute

// RecentHeads implements subscription.Log, in one query.
func (s *Store) RecentHeads(ctx context.Context) (map[uuid.UUID]int64, error) {
	return s.heads(ctx, allTenants, headsReadRecent, headsRecent)
}

// heads reads the heads that a query finds.
func (s *Store) heads(ctx context.Context, names, text string, args ...any) (map[uuid.UUID]int64, error) {
	heads := map[uuid.UUID]int64{}
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, names)
		b.Queue(text, args...).Query(func(rows pgx.Rows) error {
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
		return nil, fmt.Errorf("read heads: %w", err)
	}
	return heads, nil
}

// tenantNames are tenants as tenantsChoose takes them.
func tenantNames(tenants []uuid.UUID) string {
	names := make([]string, len(tenants))
	for i, tenant := range tenants {
		names[i] = tenant.String()
	}
	return strings.Join(names, ",")
}

// News implements subscription.Log, in one query.
func (s *Store) News(ctx context.Context, after map[uuid.UUID]int64, size int) (map[uuid.UUID][]*subscription.Event, bool, error) {
	tenants, positions := make([]uuid.UUID, 0, len(after)), make([]int64, 0, len(after))
	for tenant, position := range after {
		tenants, positions = append(tenants, tenant), append(positions, position)
	}
	found := make(map[uuid.UUID][]*subscription.Event, len(after))
	bytes, cut := 0, false
	err := postgres.Snapshot(ctx, s.pool, func(b *pgx.Batch) {
		b.Queue(tenantsChoose, tenantNames(tenants))
		b.Queue(logNews, tenants, positions, size).Query(func(rows pgx.Rows) error {
			var tenant uuid.UUID
			var account uuid.NullUUID
			row := newRecordRow(uuid.Nil)
			row.targets = append([]any{&tenant, &account}, row.targets...)
			for rows.Next() && !cut {
				if err := row.scan(rows); err != nil {
					return err
				}
				record := row.record
				record.TenantID = tenant
				bytes += len(record.Payload) + envelopeBytes
				if cut = bytes > s.cfg.Reads.PageBytesMax && len(found) > 0; !cut {
					found[tenant] = append(found[tenant], &subscription.Event{Record: &record, AccountID: account.UUID})
				}
			}
			rows.Close() // What there was no room for is not read.
			return rows.Err()
		})
	})
	if err != nil {
		return nil, false, fmt.Errorf("read news of %d tenants: %w", len(tenants), err)
	}
	return found, cut, nil
}
