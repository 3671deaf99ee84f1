package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/projection"
)

// Found is one row and the position at which it is true. Row is nil where the tenant has none such.
type Found struct {
	Row  projection.Row
	AsOf int64
}

// Get gives the one row of a table that meets the conditions, which name a unique key. The answer is true at a
// position of at least least.
func (s *Store) Get(ctx context.Context, tenant uuid.UUID, least int64, table *projection.Table, key ...Condition) (Found, error) {
	var rows []projection.Row
	query := rowsQuery{verb: "Get", listing: Listing{table: table}, conditions: key, limit: 1}
	head, err := s.read(ctx, tenant, least, func(b *pgx.Batch) { query.queue(b, tenant, &rows) })
	if err != nil || len(rows) == 0 {
		return Found{AsOf: head.Position}, err
	}
	return Found{Row: rows[0], AsOf: head.Position}, nil
}

// ListParams says which page of a list is wanted.
type ListParams struct {
	// Conditions must be the same for all pages of a list.
	Conditions []Condition
	// Size is at most PageSizeMax; 0 means PageSizeDefault. It may change from page to page.
	Size int
	// Token is the Next of the page before; empty for the first page.
	Token string
	// Least is the position up to which the answer must hold at least.
	Least int64
}

// Page is a part of a list, true at AsOf. Next is empty where the list ends.
type Page struct {
	Rows []projection.Row
	Next string
	AsOf int64
}

// List gives a page. Each page is a snapshot of its own: over pages no row comes twice, and a row that does not change
// meanwhile is not missed. In the lists by newest change a row that changes while one pages moves before the first
// page, where reading the list again finds it.
func (s *Store) List(ctx context.Context, tenant uuid.UUID, l Listing, p ListParams) (Page, error) {
	query := rowsQuery{verb: "List", listing: l, conditions: p.Conditions}
	if p.Token != "" {
		after, err := decodeToken(p.Token, tenant, l, p.Conditions)
		if err != nil {
			return Page{}, err
		}
		query.after = after
	}
	size := p.Size
	if size <= 0 {
		size = PageSizeDefault
	}
	size = min(size, PageSizeMax)
	query.limit = size + 1 // one more tells whether there is a next page
	var rows []projection.Row
	head, err := s.read(ctx, tenant, p.Least, func(b *pgx.Batch) { query.queue(b, tenant, &rows) })
	if err != nil {
		return Page{}, err
	}
	page := Page{Rows: rows, AsOf: head.Position}
	if len(rows) > size {
		page.Rows = rows[:size]
		page.Next, err = encodeToken(tenant, l, p.Conditions, l.sortKey(page.Rows[size-1]))
	}
	return page, err
}
