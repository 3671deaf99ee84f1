package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
)

// Statements that are the same for every read, which begins with the first two.
const (
	tenantChoose = `-- name: TenantChoose
select set_config('robson.tenants', $1, true)`

	headGet = `-- name: HeadGet
select last_position, last_hash, generation from tenant_log where tenant_id = $1`

	exportTimeouts = `-- name: ExportTimeouts
select set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)`
)

// Queries on projection tables are made from the tables' descriptors, so that the list of columns has one home. No
// text of a caller enters them: names come from descriptors, Listings and the server's conditions, values are
// parameters.

// rowsQuery asks for the rows of a listing's table that meet the conditions, in its order.
type rowsQuery struct {
	verb       string
	listing    Listing
	conditions []Condition
	// after is the sort key to begin after; nil: from the start.
	after []any
	limit int
}

// build gives the text and its parameters; $1 is the tenant.
func (q rowsQuery) build(tenant uuid.UUID) (string, []any) {
	table := q.listing.table
	args := []any{tenant}
	bind := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- name: %s\nselect %s\nfrom %s\nwhere tenant_id = $1 and epoch = %s",
		rowsql.QueryName(table.Name, q.verb), strings.Join(table.ColumnNames(), ", "), table.Name, rowsql.LiveEpoch)
	for _, c := range q.conditions {
		switch {
		case c.text != nil:
			fmt.Fprintf(&b, "\n  and %s", c.text(bind))
		case c.fixed != "":
			fmt.Fprintf(&b, "\n  and %s", c.fixed)
		case c.among:
			fmt.Fprintf(&b, "\n  and %s = any(%s)", c.column, bind(c.value))
		default:
			fmt.Fprintf(&b, "\n  and %s = %s", c.column, bind(c.value))
		}
	}
	comparison, direction := ">", ""
	if q.listing.descending {
		comparison, direction = "<", " desc"
	}
	columns := q.listing.expressions()
	if len(q.after) > 0 {
		marks := make([]string, len(q.after))
		for i, value := range q.after {
			marks[i] = bind(value)
		}
		fmt.Fprintf(&b, "\n  and (%s) %s (%s)", strings.Join(columns, ", "), comparison, strings.Join(marks, ", "))
	}
	if len(columns) > 0 {
		fmt.Fprintf(&b, "\norder by %s%s", strings.Join(columns, direction+", "), direction)
	}
	fmt.Fprintf(&b, "\nlimit %s", bind(q.limit))
	return b.String(), args
}

// queue adds the query to a batch. rows is emptied now and filled when the result comes.
func (q rowsQuery) queue(b *pgx.Batch, tenant uuid.UUID, rows *[]projection.Row) {
	*rows = nil
	text, args := q.build(tenant)
	b.Queue(text, args...).Query(func(found pgx.Rows) error {
		return rowsql.Collect(q.listing.table, found, func(row projection.Row) { *rows = append(*rows, row) })
	})
}

// exportQuery declares a cursor over a tenant's rows of a whole table, in the order of projection.Key.ID.
func exportQuery(t *projection.Table) string {
	return fmt.Sprintf("-- name: %s\ndeclare export no scroll cursor for\nselect %s\nfrom %s\nwhere tenant_id = $1 and epoch = %s\norder by %s",
		rowsql.QueryName(t.Name, "Export"), strings.Join(t.ColumnNames(), ", "), t.Name, rowsql.LiveEpoch, keyExpression(t))
}

// keyExpression is projection.Key.ID in SQL: the key columns below the tenant joined by "|", with "\" before a "|" or
// "\" within, compared by bytes.
func keyExpression(t *projection.Table) string {
	if len(t.Key) == 0 {
		return "tenant_id"
	}
	parts := make([]string, len(t.Key))
	for i, name := range t.Key {
		parts[i] = name + "::text"
		if slices.ContainsFunc(t.Columns, func(c projection.Column) bool { return c.Name == name && c.Kind == projection.KindText }) {
			parts[i] = `replace(replace(` + name + `, '\', '\\'), '|', '\|')`
		}
	}
	return `(` + strings.Join(parts, ` || '|' || `) + `) COLLATE "C"`
}
