package projection

import (
	"strings"
)

// Key names one row of a tenant's state.
type Key struct {
	// Table is the row's table.
	Table string
	// ID is its key columns below the tenant, joined by "|"; empty for tenants_current, which has one row. A "|" or
	// "\" within a column's text is preceded by "\", so that two rows never share a key.
	ID string
}

// Compare orders keys by table, then id.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(k.Table, other.Table); c != 0 {
		return c
	}
	return strings.Compare(k.ID, other.ID)
}

// String writes the key for people.
func (k Key) String() string { return k.Table + "/" + k.ID }

// Parts gives the texts of the key columns below the tenant, in the order of Table.Key.
func (k Key) Parts() []string {
	if k.ID == "" {
		return nil
	}
	var parts []string
	var part strings.Builder
	for i := 0; i < len(k.ID); i++ {
		switch c := k.ID[i]; {
		case c == '\\' && i+1 < len(k.ID):
			i++
			part.WriteByte(k.ID[i])
		case c == '|':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}

var keyEscaper = strings.NewReplacer(`\`, `\\`, `|`, `\|`)

// joinKey is the inverse of Key.Parts.
func joinKey(parts ...string) string {
	for i, part := range parts {
		if strings.ContainsAny(part, `\|`) {
			parts[i] = keyEscaper.Replace(part)
		}
	}
	return strings.Join(parts, "|")
}
