package rowsql

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Statement does one thing for one row or for many: a batch of one does not pay for the machinery of a hundred. Both
// texts take the same columns, the one as values, the other as arrays, index by index.
type Statement struct{ One, Many string }

// Queue adds the statement to a batch. Its columns are as long as the first.
func (s *Statement) Queue(queue *pgx.Batch, columns ...any) *pgx.QueuedQuery {
	if _, single := only(columns[0]); !single {
		return queue.Queue(s.Many, columns...)
	}
	values := make([]any, len(columns))
	for i, column := range columns {
		values[i], _ = only(column)
	}
	return queue.Queue(s.One, values...)
}

// only is the single value of a column, if it has no more.
func only(column any) (value any, single bool) {
	switch c := column.(type) {
	case []uuid.UUID:
		return onlyOf(c)
	case []uuid.NullUUID:
		return onlyOf(c)
	case []string:
		return onlyOf(c)
	case []int64:
		return onlyOf(c)
	case []int32:
		return onlyOf(c)
	case []time.Time:
		return onlyOf(c)
	case [][]byte:
		return onlyOf(c)
	default:
		return nil, false
	}
}

func onlyOf[T any](values []T) (value any, single bool) {
	if len(values) != 1 {
		return nil, false
	}
	return values[0], true
}

// Column is a column: its name and its SQL type.
type Column [2]string

// Insert makes the statement that writes rows of a table; onConflict is the clause that says what becomes of those that are
// there already. Where there are many, what is no plain value travels as text. verb begins its name.
func Insert(verb, table, onConflict string, columns []Column) Statement {
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	arrays, selected := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], marks[i] = c[0], fmt.Sprintf("$%d", i+1)
		arrays[i], selected[i] = fmt.Sprintf("$%d::%s[]", i+1, c[1]), "r."+c[0]
		switch c[1] {
		case "json", "jsonb", "text[]", "uuid[]":
			arrays[i], selected[i] = fmt.Sprintf("$%d::text[]", i+1), "r."+c[0]+"::"+c[1]
		}
	}
	list := strings.Join(names, ", ")
	return Statement{
		One: fmt.Sprintf("-- name: %s\ninsert into %s (%s)\nvalues (%s)\n%s",
			QueryName(table, verb), table, list, strings.Join(marks, ", "), onConflict),
		Many: fmt.Sprintf("-- name: %s\ninsert into %s (%s)\nselect %s\nfrom unnest(%s) as r (%s)\n%s",
			QueryName(table, verb+"Many"), table, list, strings.Join(selected, ", "), strings.Join(arrays, ", "), list, onConflict),
	}
}
