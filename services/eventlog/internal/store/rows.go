package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/projection"
)

// rowsSQL are the statements of one projection table, made from its descriptor, so that its columns have one home.
type rowsSQL struct {
	// load reads the rows of tenants ($1) and keys ($2 and on), index by index.
	load statement
	// write takes the columns in order.
	write statement
}

var rowStatements = func() map[string]*rowsSQL {
	statements := map[string]*rowsSQL{}
	for _, t := range projection.Tables() {
		statements[t.Name] = &rowsSQL{load: loadStatement(t), write: inserted("Upsert", t.Name, onConflict(t), columnsOf(t))}
	}
	return statements
}()

// setWiseMin is from how many rows of a table on one statement for all is cheaper than one for each.
const setWiseMin = 3

// queueUpserts writes rows, which come sorted by tenant, table and key.
func queueUpserts(queue *pgx.Batch, rows []projection.Row) {
	byTable := map[string][]projection.Row{}
	for _, row := range rows {
		name := row.Key().Table
		byTable[name] = append(byTable[name], row)
	}
	for _, table := range projection.Tables() {
		changed := byTable[table.Name]
		if len(changed) >= setWiseMin {
			queue.Queue(rowStatements[table.Name].write.many, columnArrays(table, changed)...)
			continue
		}
		for _, row := range changed {
			queue.Queue(rowStatements[table.Name].write.one, table.Values(row)...)
		}
	}
}

// columnArrays are the columns of rows as the statement for many takes them. jsonb and arrays go as text.
func columnArrays(table *projection.Table, rows []projection.Row) []any {
	values := make([][]any, len(rows))
	for i, row := range rows {
		values[i] = table.Values(row)
	}
	arrays := make([]any, len(table.Columns))
	for i, c := range table.Columns {
		arrays[i] = columnArray(c, i, values)
	}
	return arrays
}

func columnArray(c projection.Column, i int, values [][]any) any {
	switch c.Kind {
	case projection.KindUUID:
		return either[uuid.UUID, uuid.NullUUID](c.Nullable, i, values)
	case projection.KindDecimal:
		return either[decimal.Decimal, decimal.NullDecimal](c.Nullable, i, values)
	case projection.KindTime:
		return either[time.Time, *time.Time](c.Nullable, i, values)
	case projection.KindInt32:
		return either[int32, *int32](c.Nullable, i, values)
	case projection.KindText:
		return either[string, *string](c.Nullable, i, values)
	case projection.KindInt64:
		return gather[int64](i, values)
	case projection.KindBool:
		return gather[bool](i, values)
	case projection.KindJSON:
		return gather[string](i, values)
	case projection.KindTextArray:
		return literals(i, values, func(list []string) []string { return list })
	case projection.KindUUIDArray:
		return literals(i, values, func(list []uuid.UUID) []string {
			texts := make([]string, len(list))
			for j, id := range list {
				texts[j] = id.String()
			}
			return texts
		})
	default:
		panic(fmt.Sprintf("eventlog: no array for column %s", c.Name))
	}
}

// either gathers a column that is nullable or not.
func either[Plain, Nullable any](nullable bool, i int, values [][]any) any {
	if nullable {
		return gather[Nullable](i, values)
	}
	return gather[Plain](i, values)
}

// gather is one column of all rows.
func gather[T any](i int, values [][]any) []T {
	column := make([]T, len(values))
	for j := range values {
		column[j], _ = values[j][i].(T) // Values gives what it promises; a slip would be a zero that the tests find.
	}
	return column
}

// literals is one column of arrays, written as PostgreSQL reads them.
func literals[T any](i int, values [][]any, texts func([]T) []string) []string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	column := make([]string, len(values))
	for j := range values {
		list, _ := values[j][i].([]T)
		var b strings.Builder
		b.WriteByte('{')
		for k, text := range texts(list) {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + escape.Replace(text) + `"`)
		}
		b.WriteByte('}')
		column[j] = b.String()
	}
	return column
}

// keyKinds are what the key columns below the tenant hold.
func keyKinds(t *projection.Table) []projection.Kind {
	kinds := make([]projection.Kind, len(t.Key))
	for i, name := range t.Key {
		at := slices.IndexFunc(t.Columns, func(c projection.Column) bool { return c.Name == name })
		kinds[i] = t.Columns[at].Kind
	}
	return kinds
}

func loadStatement(t *projection.Table) statement {
	arrays, names, joined, equal := []string{"$1::uuid[]"}, []string{"tenant_id"}, []string{"tenant_id = k.tenant_id"}, []string{"tenant_id = $1"}
	for i, kind := range keyKinds(t) {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+2, kind.SQLType()))
		names = append(names, t.Key[i])
		joined = append(joined, fmt.Sprintf("%s = k.%s", t.Key[i], t.Key[i]))
		equal = append(equal, fmt.Sprintf("%s = $%d", t.Key[i], i+2))
	}
	columns := strings.Join(t.ColumnNames(), ", ")
	return statement{
		one: fmt.Sprintf("-- name: %s\nselect %s from %s where %s", queryName(t.Name, "Load"), columns, t.Name, strings.Join(equal, " and ")),
		many: fmt.Sprintf(`-- name: %s
select r.%s
from unnest(%s) as k (%s)
cross join lateral (
    select %s from %s where %s limit 1
) as r`, queryName(t.Name, "LoadMany"), strings.Join(t.ColumnNames(), ", r."), strings.Join(arrays, ", "), strings.Join(names, ", "),
			columns, t.Name, strings.Join(joined, " and ")),
	}
}

// columnsOf are a table's columns with their types.
func columnsOf(t *projection.Table) []column {
	columns := make([]column, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = column{c.Name, c.Kind.SQLType()}
	}
	return columns
}

// onConflict replaces all of a row but its key.
func onConflict(t *projection.Table) string {
	key := append([]string{"tenant_id"}, t.Key...)
	var updates []string
	for _, name := range t.ColumnNames() {
		if !slices.Contains(key, name) {
			updates = append(updates, name+" = excluded."+name)
		}
	}
	return fmt.Sprintf("on conflict (%s) do update set %s", strings.Join(key, ", "), strings.Join(updates, ", "))
}

// queryName is what a query is called in traces and pg_stat_statements: (orders_current, Load) is OrdersCurrentLoad.
func queryName(table, verb string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(table, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + verb
}
