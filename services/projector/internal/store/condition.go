package store

import (
	"slices"

	"github.com/google/uuid"
)

// Condition narrows a list. The zero list of conditions means all rows of the tenant.
type Condition struct {
	column string
	value  any
	among  bool
	// fixed stands in the query as it is: the planner proves a partial index by constants only.
	fixed string
	// text, if set, makes the condition out of its parameters.
	text func(bind func(value any) string) string
}

// name tells conditions apart, in page tokens.
func (c Condition) name() string {
	if c.fixed != "" {
		return c.fixed
	}
	return c.column
}

// NotClosed keeps the positions that still matter; an index holds just them. Beside a choice among states, which the
// planner does not see through, it says that none of them is closed.
var NotClosed = Condition{fixed: `state <> 'closed'`}

// IsID keeps the rows whose column is this id.
func IsID(column string, id uuid.UUID) Condition { return Condition{column: column, value: id} }

// IsText keeps the rows whose column is this text.
func IsText(column, text string) Condition { return Condition{column: column, value: text} }

// IsTrue keeps the rows whose column is this truth value.
func IsTrue(column string, truth bool) Condition {
	if truth {
		return Condition{column: column, fixed: column}
	}
	return Condition{column: column, fixed: "not " + column}
}

// InTexts keeps the rows whose column is one of these texts, in whatever order they are named.
func InTexts(column string, texts []string) Condition {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return Condition{column: column, value: slices.Compact(texts), among: true}
}

// inIDs keeps the rows whose column is one of these ids.
func inIDs(column string, ids ...uuid.UUID) Condition {
	return Condition{column: column, value: ids, among: true}
}
