package projection

import (
	"bytes"
	"strings"

	"github.com/google/uuid"
)

// Key names one row of a tenant's state. It is comparable, and making one allocates nothing where the key columns are
// UUIDs, and one text where there are texts among them: keys are made for every row that an event touches.
type Key struct {
	// Table is the row's table.
	Table string

	// The key columns below the tenant: first the UUIDs that they begin with, then the texts, joined.
	first, second uuid.UUID
	uuids         uint8
	hasTexts      bool
	text          string
}

// tableKey names the only row of a table.
func tableKey(table string) Key { return Key{Table: table} }

// idKey names a row by a UUID, and by texts where there are any.
func idKey(table string, id uuid.UUID, texts ...string) Key {
	return Key{Table: table, first: id, uuids: 1, hasTexts: len(texts) > 0, text: joinKey(texts...)}
}

// pairKey names a row by two UUIDs, and by texts where there are any.
func pairKey(table string, first, second uuid.UUID, texts ...string) Key {
	return Key{Table: table, first: first, second: second, uuids: 2, hasTexts: len(texts) > 0, text: joinKey(texts...)}
}

// textKey names a row by texts.
func textKey(table string, texts ...string) Key {
	return Key{Table: table, hasTexts: true, text: joinKey(texts...)}
}

// ParseKey reads what ID wrote. A table that does not exist, and what names no row of it, are Invalid.
func ParseKey(table, id string) (Key, error) {
	t := TableNamed(table)
	if t == nil {
		return Key{}, invalid("table", "%q is no table", table)
	}
	var parts []string
	if len(t.Key) > 0 || id != "" {
		parts = splitKey(id)
	}
	if len(parts) != len(t.Key) {
		return Key{}, invalid("key", "%q does not name a row of %s, which has the key %s", id, table, strings.Join(t.Key, "|"))
	}
	key := Key{Table: table}
	for _, into := range []*uuid.UUID{&key.first, &key.second} {
		if n := int(key.uuids); n < len(parts) && t.column(t.Key[n]).Kind == KindUUID {
			parsed, err := uuid.Parse(parts[n])
			if err != nil || parsed.String() != parts[n] {
				return Key{}, invalid("key", "%q is no UUID", parts[n])
			}
			*into = parsed
			key.uuids++
		}
	}
	rest := parts[key.uuids:]
	key.hasTexts, key.text = len(rest) > 0, joinKey(rest...)
	return key, nil
}

// ID is the key columns below the tenant, joined by "|"; empty for tenants_current, which has one row. A "|" or "\" within a
// column's text is preceded by "\", so that two rows never share one.
func (k Key) ID() string {
	const idLength = 36
	switch {
	case k.uuids == 0:
		return k.text
	case k.uuids == 1 && !k.hasTexts:
		return k.first.String()
	}
	var b strings.Builder
	b.Grow(2*(idLength+1) + len(k.text))
	b.WriteString(k.first.String())
	if k.uuids == 2 {
		b.WriteByte('|')
		b.WriteString(k.second.String())
	}
	if k.hasTexts {
		b.WriteByte('|')
		b.WriteString(k.text)
	}
	return b.String()
}

// Compare orders keys by table, then id.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(k.Table, other.Table); c != 0 {
		return c
	}
	// The columns of a table are of the same kinds, and UUIDs order as their texts do.
	if c := bytes.Compare(k.first[:], other.first[:]); c != 0 {
		return c
	}
	if c := bytes.Compare(k.second[:], other.second[:]); c != 0 {
		return c
	}
	return strings.Compare(k.text, other.text)
}

// String writes the key for people.
func (k Key) String() string { return k.Table + "/" + k.ID() }

// Parts gives the texts of the key columns below the tenant, in the order of Table.Key.
func (k Key) Parts() []string {
	if k.uuids == 0 && !k.hasTexts {
		return nil
	}
	return splitKey(k.ID())
}

// splitKey is the inverse of joinKey.
func splitKey(id string) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c == '\\' && i+1 < len(id):
			i++
			part.WriteByte(id[i])
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

// joinKey joins texts into one, so that other texts give another one.
func joinKey(parts ...string) string {
	for i, part := range parts {
		if strings.ContainsAny(part, `\|`) {
			parts[i] = keyEscaper.Replace(part)
		}
	}
	return strings.Join(parts, "|")
}
