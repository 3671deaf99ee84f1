package rowsql

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

// setWiseMin is from how many rows of a table on one statement for all is cheaper than one for each.
const setWiseMin = 3

// Of is what can be done with the rows of a projection table. The statements are made from its descriptor, so that its
// columns have one home.
type Of struct {
	// Table is whose rows they are.
	Table *projection.Table
	// load reads the rows of tenants ($1) and keys ($2 and on), index by index.
	load Statement
	// upsert takes the epoch and the columns, in order.
	upsert Statement
}

var tables = func() map[string]*Of {
	all := map[string]*Of{}
	for _, t := range projection.Tables() {
		columns := []Column{{"epoch", "integer"}}
		for _, c := range t.Columns {
			columns = append(columns, Column{c.Name, c.Kind.SQLType()})
		}
		all[t.Name] = &Of{Table: t, load: load(t), upsert: Insert("Upsert", t.Name, OnConflict(t), columns)}
	}
	return all
}()

// Name is a row among those of several tenants.
type Name struct {
	Tenant uuid.UUID
	Key    projection.Key
}

// NameOf is the row's name.
func NameOf(row projection.Row) Name { return Name{row.Tenant(), row.Key()} }

// QueueLoad reads rows of the live epoch, by their names. found gets each that exists; the rows come in no order.
func QueueLoad(queue *pgx.Batch, names []Name, found func(projection.Row)) {
	byTable := map[string][]Name{}
	for _, name := range names {
		byTable[name.Key.Table] = append(byTable[name.Key.Table], name)
	}
	for _, t := range projection.Tables() {
		if wanted := byTable[t.Name]; len(wanted) > 0 {
			tables[t.Name].load.Queue(queue, keyArrays(t, wanted)...).Query(func(rows pgx.Rows) error { return Collect(t, rows, found) })
		}
	}
}

// Collect reads the rows of a query for a table's columns in order.
func Collect(t *projection.Table, rows pgx.Rows, found func(projection.Row)) error {
	for rows.Next() {
		row, err := Scan(t, rows)
		if err != nil {
			return err
		}
		found(row)
	}
	return rows.Err()
}

// Scan reads a row whose columns come in the table's order.
func Scan(t *projection.Table, rows pgx.CollectableRow) (projection.Row, error) {
	row := t.NewRow()
	if err := rows.Scan(t.ScanTargets(row)...); err != nil {
		return nil, fmt.Errorf("scan a row of %s: %w", t.Name, err)
	}
	return row, nil
}

// Epochs says which epoch a tenant's rows are written to.
type Epochs func(tenant uuid.UUID) int32

// QueueUpserts writes rows, which come sorted by tenant, table and key, to their tenants' epochs.
func QueueUpserts(queue *pgx.Batch, rows []projection.Row, epochs Epochs) {
	byTable := map[string][]projection.Row{}
	for _, row := range rows {
		name := row.Key().Table
		byTable[name] = append(byTable[name], row)
	}
	for _, t := range projection.Tables() {
		changed := byTable[t.Name]
		if len(changed) >= setWiseMin {
			queue.Queue(tables[t.Name].upsert.Many, columnArrays(t, changed, epochs)...)
			continue
		}
		for _, row := range changed {
			queue.Queue(tables[t.Name].upsert.One, append([]any{epochs(row.Tenant())}, t.Values(row)...)...)
		}
	}
}

// columnArrays are the epochs and columns of rows as the statement for many takes them. jsonb and arrays go as text.
func columnArrays(table *projection.Table, rows []projection.Row, epochs Epochs) []any {
	written := make([]int32, len(rows))
	values := make([][]any, len(rows))
	for i, row := range rows {
		written[i] = epochs(row.Tenant())
		values[i] = table.Values(row)
	}
	arrays := make([]any, len(table.Columns)+1)
	arrays[0] = written
	for i, c := range table.Columns {
		arrays[i+1] = columnArray(c, i, values)
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
		panic(fmt.Sprintf("rowsql: no array for column %s", c.Name))
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

// keyArrays are the keys of rows as the load statement takes them: tenants, then each key column.
func keyArrays(table *projection.Table, names []Name) []any {
	kinds := keyKinds(table)
	tenants := make([]uuid.UUID, len(names))
	texts := make([][]string, len(kinds))
	for i, name := range names {
		tenants[i] = name.Tenant
		for column, part := range name.Key.Parts() {
			texts[column] = append(texts[column], part)
		}
	}
	arrays := []any{tenants}
	for column, kind := range kinds {
		if kind == projection.KindUUID {
			arrays = append(arrays, uuids(texts[column]))
		} else {
			arrays = append(arrays, texts[column])
		}
	}
	return arrays
}

// uuids reads the texts of key columns, which projection.Key wrote.
func uuids(texts []string) []uuid.UUID {
	ids := make([]uuid.UUID, len(texts))
	for i, text := range texts {
		ids[i] = uuid.MustParse(text)
	}
	return ids
}

// LiveEpoch is the epoch that the head of the tenant in $1 says is live, for a condition.
const LiveEpoch = "(select h.epoch from tenant_log as h where h.tenant_id = $1)"

// load makes the statement that reads rows of the live epoch. Looked up key by key: LIMIT keeps the planner from merging the
// sub-select and guessing at a join.
func load(t *projection.Table) Statement {
	arrays, names := []string{"$1::uuid[]"}, []string{"tenant_id"}
	joined, equal := []string{"tenant_id = k.tenant_id"}, []string{"tenant_id = $1"}
	for i, kind := range keyKinds(t) {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+2, kind.SQLType()))
		names = append(names, t.Key[i])
		joined = append(joined, fmt.Sprintf("%s = k.%s", t.Key[i], t.Key[i]))
		equal = append(equal, fmt.Sprintf("%s = $%d", t.Key[i], i+2))
	}
	columns := strings.Join(t.ColumnNames(), ", ")
	return Statement{
		One: fmt.Sprintf("-- name: %s\nselect %s from %s where %s and epoch = %s",
			QueryName(t.Name, "Load"), columns, t.Name, strings.Join(equal, " and "), LiveEpoch),
		Many: fmt.Sprintf(`-- name: %s
select r.%s
from unnest(%s) as k (%s)
cross join lateral (
    select %s from %s
    where %s and epoch = (select h.epoch from tenant_log as h where h.tenant_id = k.tenant_id) limit 1
) as r`, QueryName(t.Name, "LoadMany"), strings.Join(t.ColumnNames(), ", r."), strings.Join(arrays, ", "), strings.Join(names, ", "),
			columns, t.Name, strings.Join(joined, " and ")),
	}
}

// OnConflict is the clause that replaces all of a row but its key.
func OnConflict(t *projection.Table) string {
	key := append([]string{"tenant_id", "epoch"}, t.Key...)
	var updates []string
	for _, name := range t.ColumnNames() {
		if !slices.Contains(key, name) {
			updates = append(updates, name+" = excluded."+name)
		}
	}
	return fmt.Sprintf("on conflict (%s) do update set %s", strings.Join(key, ", "), strings.Join(updates, ", "))
}

// QueryName is what a query is called in traces and pg_stat_statements: (orders_current, Load) is OrdersCurrentLoad.
func QueryName(table, verb string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(table, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + verb
}
