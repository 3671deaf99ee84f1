package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/robson/robson/pkg/projection"
)

// What a line says of its row.
const (
	markOwn     = `"own"`
	markContext = `"context"`
)

// appendLine writes a row.
func appendLine(buf []byte, key projection.Key, mark string, row []byte) []byte {
	buf = append(buf, `["`...)
	buf = append(buf, key.Table...)
	buf = append(buf, `",`...)
	buf = appendText(buf, key.ID())
	buf = append(buf, ',')
	buf = append(buf, mark...)
	buf = append(buf, ',')
	buf = append(buf, row...)
	return append(buf, ']', '\n')
}

// appendText writes a key's id as JSON; most have nothing that needs an escape.
func appendText(buf []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			escaped, err := json.Marshal(text)
			if err != nil {
				return append(buf, `""`...) // A string always encodes.
			}
			return append(buf, escaped...)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, text...)
	return append(buf, '"')
}

// Line is a row that was not decoded.
type Line struct {
	// Table and ID are the row's key, as projection.Key has it.
	Table, ID string
	// Own says whether it is the scope's, or of its context.
	Own bool
	// JSON is the row as projection.RowJSON writes it. It must not be changed.
	JSON []byte
}

// compare orders lines as keys are ordered.
func (l Line) compare(table, id string) int {
	return cmp.Or(strings.Compare(l.Table, table), strings.Compare(l.ID, id))
}

// cutLine is the inverse of appendLine.
func cutLine(line []byte) (l Line, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`["`))
	if !ok {
		return l, false
	}
	table, rest, ok := bytes.Cut(rest, []byte(`",`))
	if !ok {
		return l, false
	}
	id, rest, ok := cutText(rest)
	if !ok {
		return l, false
	}
	l.Table, l.ID = string(table), id
	row, own := bytes.CutPrefix(rest, []byte(","+markOwn+","))
	if !own {
		row, ok = bytes.CutPrefix(rest, []byte(","+markContext+","))
	}
	l.Own = own
	if !ok {
		return l, false
	}
	l.JSON, ok = bytes.CutSuffix(row, []byte("]"))
	return l, ok
}

// cutText cuts a JSON string off the front.
func cutText(data []byte) (text string, rest []byte, ok bool) {
	if len(data) == 0 || data[0] != '"' {
		return "", nil, false
	}
	escaped := false
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if !escaped {
				return string(data[1:i]), data[i+1:], true
			}
			err := json.Unmarshal(data[:i+1], &text)
			return text, data[i+1:], err == nil
		}
	}
	return "", nil, false
}
