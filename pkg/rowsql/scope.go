package rowsql

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/robson/robson/pkg/projection"
)

// QueueScope reads a scope's part of a tenant's live state: the rows of the scope and those of its context, as
// projection.Scope.Cut finds them in memory. cut is emptied now and filled as the results come. They come table by table, in no
// order within one; Cut and snapshots sort them.
func QueueScope(queue *pgx.Batch, tenant uuid.UUID, scope projection.Scope, cut *projection.Cut) {
	*cut = projection.Cut{}
	for _, t := range projection.Tables() {
		seen := map[projection.Key]bool{}
		clauses, _ := scope.Own(t.Name)
		queueClauses(queue, t, tenant, scope, clauses, seen, &cut.Own)
		queueClauses(queue, t, tenant, scope, scope.Context(t.Name), seen, &cut.Context)
	}
}

// queueClauses asks for the rows that meet each clause. One query for each goes by an index; one for all would not.
func queueClauses(queue *pgx.Batch, t *projection.Table, tenant uuid.UUID, scope projection.Scope, clauses []projection.Clause, seen map[projection.Key]bool, into *[]projection.Row) {
	for i := range clauses {
		text := fmt.Sprintf("-- name: %s\nselect %s\nfrom %s\nwhere tenant_id = $1 and epoch = %s\n  and %s",
			QueryName(t.Name, "Scope"), strings.Join(t.ColumnNames(), ", "), t.Name, LiveEpoch, condition(&clauses[i], amongFew))
		queue.Queue(text, tenant, scope.ID).Query(func(rows pgx.Rows) error {
			return Collect(t, rows, func(row projection.Row) {
				if key := row.Key(); !seen[key] {
					seen[key] = true
					*into = append(*into, row)
				}
			})
		})
	}
}

// writtenSince says whether a row version is of the transaction $3 or one after it, by the 32 bits that it has of the number.
const writtenSince = "(((xmin::text::bigint - $3::bigint) % 4294967296 + 4294967296) % 4294967296 < 2147483648)"

// QueueSince reads of a scope's own rows those that a transaction has written which may have ended after horizon, a pg_snapshot_xmin.
// The horizon must be less than 2^31 transactions ago. The system column xmin is the number of the transaction that wrote a row
// version, in 32 bits.
func QueueSince(queue *pgx.Batch, tenant uuid.UUID, scope projection.Scope, horizon int64, into *[]projection.Row) {
	for _, t := range projection.Tables() {
		if from, any := ownRows(t, scope); any {
			text := fmt.Sprintf("-- name: %s\nselect %s\n%s\n  and %s", QueryName(t.Name, "Since"), strings.Join(t.ColumnNames(), ", "), from, writtenSince)
			queue.Queue(text, tenant, scope.ID, horizon).Query(func(rows pgx.Rows) error {
				return Collect(t, rows, func(row projection.Row) { *into = append(*into, row) })
			})
		}
	}
}

// QueueCountBefore counts the rows that QueueSince does not give, for each table that the scope has rows of, and adds up those that it
// does.
func QueueCountBefore(queue *pgx.Batch, tenant uuid.UUID, scope projection.Scope, horizon int64, before map[string]int64, since *int64) {
	for _, t := range projection.Tables() {
		if from, any := ownRows(t, scope); any {
			text := fmt.Sprintf("-- name: %s\nselect count(*) filter (where not %s), count(*) filter (where %s)\n%s",
				QueryName(t.Name, "CountBefore"), writtenSince, writtenSince, from)
			queue.Queue(text, tenant, scope.ID, horizon).QueryRow(func(row pgx.Row) error {
				var older, newer int64
				err := row.Scan(&older, &newer)
				before[t.Name] = older
				*since += newer
				return err
			})
		}
	}
}

// ownRows is where the scope's own rows of a table are; false: it has none there.
func ownRows(t *projection.Table, scope projection.Scope) (from string, any bool) {
	clauses, _ := scope.Own(t.Name)
	conditions := make([]string, len(clauses))
	for i := range clauses {
		conditions[i] = "(" + condition(&clauses[i], amongMany) + ")"
	}
	return fmt.Sprintf("from %s\nwhere tenant_id = $1 and epoch = %s\n  and (%s)", t.Name, LiveEpoch, strings.Join(conditions, " or ")), len(clauses) > 0
}

// How the ids of other rows are looked for: those of a few are an array that is made once, so that each is looked up by an index; many
// are hashed once, and the rows that may have them are gone through.
const (
	amongFew  = "%s = any (array(%s))"
	amongMany = "%s in (%s)"
)

// condition is a clause in SQL; $1 is the tenant, $2 the scope's id.
func condition(c *projection.Clause, among string) string {
	text := c.Column + " = $2"
	if c.Among != nil {
		others := make([]string, len(c.Among.Clauses))
		for i := range c.Among.Clauses {
			others[i] = "(" + condition(&c.Among.Clauses[i], among) + ")"
		}
		ids := fmt.Sprintf("select %s from %s where tenant_id = $1 and epoch = %s and (%s)", c.Among.Column, c.Among.Table, LiveEpoch, strings.Join(others, " or "))
		text = fmt.Sprintf(among, c.Column, ids)
	}
	if c.Unclaimed {
		text += " and not known and position_id is null"
	}
	return text
}
