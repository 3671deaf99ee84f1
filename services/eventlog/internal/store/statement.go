package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// statement does one thing for one row or for many: a batch of one does not pay for the machinery of a hundred. Both
// texts take the same columns, the one as values, the other as arrays, index by index.
type statement struct{ one, many string }

// queue adds the statement to a batch. Its columns are as long as the first.
func (s *statement) queue(queue *pgx.Batch, columns ...any) *pgx.QueuedQuery {
	if _, single := only(columns[0]); !single {
		return queue.Queue(s.many, columns...)
	}
	values := make([]any, len(columns))
	for i, column := range columns {
		values[i], _ = only(column)
	}
	return queue.Queue(s.one, values...)
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

// column is a column with its SQL type.
type column struct{ name, kind string }

// inserted makes the statement that writes rows of a table. Where there are many, what is no plain value travels as text.
func inserted(verb, table, onConflict string, columns []column) statement {
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	arrays, selected := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], marks[i] = c.name, fmt.Sprintf("$%d", i+1)
		arrays[i], selected[i] = fmt.Sprintf("$%d::%s[]", i+1, c.kind), "r."+c.name
		switch c.kind {
		case "json", "jsonb", "text[]", "uuid[]":
			arrays[i], selected[i] = fmt.Sprintf("$%d::text[]", i+1), "r."+c.name+"::"+c.kind
		}
	}
	list := strings.Join(names, ", ")
	return statement{
		one: fmt.Sprintf("-- name: %s\ninsert into %s (%s)\nvalues (%s)\n%s",
			queryName(table, verb), table, list, strings.Join(marks, ", "), onConflict),
		many: fmt.Sprintf("-- name: %s\ninsert into %s (%s)\nselect %s\nfrom unnest(%s) as r (%s)\n%s",
			queryName(table, verb+"Many"), table, list, strings.Join(selected, ", "), strings.Join(arrays, ", "), list, onConflict),
	}
}
