package replay

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/robson/robson/pkg/projection"
)

// Kind says how a row differs.
type Kind int

// The kinds of differences.
const (
	// Altered is a row whose fields are not what the fold says.
	Altered Kind = iota + 1
	// Lost is a row that the fold makes and the table has not.
	Lost
	// Phantom is a row that the table has and the fold does not make.
	Phantom
)

// Field is a field that differs, as canonical JSON; empty for null.
type Field struct {
	Name            string
	Expected, Found string
}

// Difference is a row that is not what the fold says.
type Difference struct {
	Key  projection.Key
	Kind Kind
	// Fields are those of an altered row, by name; of a lost or a phantom row all that are not null.
	Fields []Field
	// Expected and Found are the rows; nil where there is none.
	Expected, Found projection.Row
}

// differenceOf compares two rows of one key, of which one may be nil. The answer has no fields if they are equal.
func differenceOf(key projection.Key, expected, found projection.Row) Difference {
	d := Difference{Key: key, Kind: Altered, Expected: expected, Found: found}
	switch {
	case found == nil:
		d.Kind = Lost
	case expected == nil:
		d.Kind = Phantom
	}
	want, have := fieldsOf(expected), fieldsOf(found)
	names := slices.Sorted(maps.Keys(want))
	for name := range have {
		if _, also := want[name]; !also {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if !bytes.Equal(want[name], have[name]) {
			d.Fields = append(d.Fields, Field{Name: name, Expected: string(want[name]), Found: string(have[name])})
		}
	}
	return d
}

// fieldsOf are the fields of a row that are not null, as canonical JSON.
func fieldsOf(row projection.Row) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	if row != nil {
		_ = json.Unmarshal(projection.RowJSON(row), &fields) // RowJSON writes an object.
	}
	return fields
}

// isSame says whether two rows are equal; nil is a row that does not exist.
func isSame(a, b projection.Row) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return bytes.Equal(projection.RowJSON(a), projection.RowJSON(b))
}
