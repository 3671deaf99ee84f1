package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/robson/robson/pkg/projection"
	"github.com/robson/robson/pkg/rowsql"
)

// tableSQL is the SQL of a projection table, made from its descriptor. The tenant is $1 and the epoch $2 everywhere.
type tableSQL struct {
	table *projection.Table
	// find reads rows by their keys ($3 and on, one array for each key column): first the number of the key, from 1.
	find string
	// remove deletes rows by their keys.
	remove string
	// count counts all rows, keys reads the key columns of all.
	count, keys string
	// digest is the number of rows and the sum of their hashes.
	digest string
	// digestOf does so for rows that it gets as a JSON array ($1).
	digestOf string
	// sweep deletes at most $4 rows of the epochs between $2 and $3.
	sweep string
	// stage makes a temporary table for rows, copy takes them there in PostgreSQL's binary format, since COPY cannot write
	// where row-level security holds; take and insert move them from there into the table, to an epoch ($1), insert those that are
	// certain not to be there; unstage empties it.
	stage, copy, take, insert, unstage string
	kinds                              []projection.Kind
}

var tables = func() map[string]*tableSQL {
	all := map[string]*tableSQL{}
	for _, t := range projection.Tables() {
		all[t.Name] = newTableSQL(t)
	}
	return all
}()

func newTableSQL(t *projection.Table) *tableSQL {
	s := &tableSQL{table: t}
	arrays, equal := []string{}, []string{"r.tenant_id = $1", "r.epoch = $2"}
	names := []string{}
	for i, name := range t.Key {
		at := slices.IndexFunc(t.Columns, func(c projection.Column) bool { return c.Name == name })
		kind := t.Columns[at].Kind
		s.kinds = append(s.kinds, kind)
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+3, kind.SQLType()))
		names = append(names, name)
		equal = append(equal, fmt.Sprintf("r.%s = k.%s", name, name))
	}
	if len(arrays) == 0 { // The tenant's own row has no key beside the tenant.
		arrays, names = []string{"array[1]"}, []string{"one"}
	}
	columns := strings.Join(t.ColumnNames(), ", ")
	qualified := "r." + strings.Join(t.ColumnNames(), ", r.")
	where := strings.Join(equal, " and ")
	s.find = fmt.Sprintf(`-- name: %s
select k.number, f.*
from unnest(%s) with ordinality as k (%s, number)
cross join lateral (select %s from %s as r where %s limit 1) as f`,
		rowsql.QueryName(t.Name, "Find"), strings.Join(arrays, ", "), strings.Join(names, ", "), qualified, t.Name, where)
	s.remove = fmt.Sprintf(`-- name: %s
delete from %s as r using unnest(%s) as k (%s) where %s`,
		rowsql.QueryName(t.Name, "Remove"), t.Name, strings.Join(arrays, ", "), strings.Join(names, ", "), where)
	s.count = fmt.Sprintf("-- name: %s\nselect count(*) from %s where tenant_id = $1 and epoch = $2", rowsql.QueryName(t.Name, "Count"), t.Name)
	keyColumns := "true"
	if len(t.Key) > 0 {
		keyColumns = strings.Join(t.Key, ", ")
	}
	s.keys = fmt.Sprintf("-- name: %s\nselect %s from %s where tenant_id = $1 and epoch = $2", rowsql.QueryName(t.Name, "Keys"), keyColumns, t.Name)
	s.digest = fmt.Sprintf(`-- name: %s
select count(*), coalesce(sum(hash_record_extended(row(%s), 0)), 0)::text from %s as r where r.tenant_id = $1 and r.epoch = $2`,
		rowsql.QueryName(t.Name, "Digest"), qualified, t.Name)
	s.digestOf = fmt.Sprintf(`-- name: %s
select count(*), coalesce(sum(hash_record_extended(row(%s), 0)), 0)::text from json_populate_recordset(null::%s, $1::text::json) as r`,
		rowsql.QueryName(t.Name, "DigestOf"), qualified, t.Name)
	s.sweep = fmt.Sprintf(`-- name: %s
delete from %s where ctid = any (array(select ctid from %s where tenant_id = $1 and epoch > $2 and epoch < $3 limit $4))`,
		rowsql.QueryName(t.Name, "Sweep"), t.Name, t.Name)
	staged := "pg_temp.stage_" + t.Name
	s.stage = fmt.Sprintf("-- name: %s\ncreate temporary table if not exists stage_%s as select %s from %s where false",
		rowsql.QueryName(t.Name, "Stage"), t.Name, columns, t.Name)
	s.copy = fmt.Sprintf("copy %s (%s) from stdin binary", staged, columns)
	s.take = fmt.Sprintf("-- name: %s\ninsert into %s (epoch, %s) select $1, %s from %s %s",
		rowsql.QueryName(t.Name, "Take"), t.Name, columns, columns, staged, rowsql.OnConflict(t))
	s.insert = fmt.Sprintf("-- name: %s\ninsert into %s (epoch, %s) select $1, %s from %s",
		rowsql.QueryName(t.Name, "InsertStaged"), t.Name, columns, columns, staged)
	s.unstage = fmt.Sprintf("-- name: %s\ntruncate %s", rowsql.QueryName(t.Name, "Unstage"), staged)
	return s
}

// keyArrays are keys as the statements take them, one array for each key column.
func (s *tableSQL) keyArrays(keys []projection.Key) []any {
	texts := make([][]string, len(s.kinds))
	for _, key := range keys {
		for column, part := range key.Parts() {
			texts[column] = append(texts[column], part)
		}
	}
	arrays := make([]any, len(s.kinds))
	for column, kind := range s.kinds {
		if kind != projection.KindUUID {
			arrays[column] = texts[column]
			continue
		}
		ids := make([]uuid.UUID, len(texts[column]))
		for i, text := range texts[column] {
			ids[i] = uuid.MustParse(text) // projection.Key wrote it.
		}
		arrays[column] = ids
	}
	return arrays
}

// byTable sorts keys by their tables.
func byTable(keys []projection.Key) map[string][]projection.Key {
	sorted := map[string][]projection.Key{}
	for _, key := range keys {
		sorted[key.Table] = append(sorted[key.Table], key)
	}
	return sorted
}
