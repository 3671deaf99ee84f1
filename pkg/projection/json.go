package projection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// timeLayout writes times to the microsecond, which is what PostgreSQL keeps.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// RowJSON renders a row as canonical JSON: keys sorted, decimals as strings in plain notation without trailing zeros,
// times in UTC to the microsecond, nulls omitted. Two rows are equal iff their JSON is.
func RowJSON(row Row) []byte {
	t := TableOf(row)
	v := reflect.ValueOf(row).Elem()
	buf := make([]byte, 0, 64*len(t.Columns))
	buf = append(buf, '{')
	for _, i := range t.byName {
		c := &t.Columns[i]
		mark := len(buf)
		if mark > 1 {
			buf = append(buf, ',')
		}
		buf = append(buf, '"')
		buf = append(buf, c.Name...)
		buf = append(buf, '"', ':')
		start := len(buf)
		buf = appendColumn(buf, c, v.FieldByIndex(c.index))
		if len(buf) == start {
			buf = buf[:mark]
		}
	}
	return append(buf, '}')
}

// ParseRow reads what RowJSON wrote.
func ParseRow(table string, data []byte) (Row, error) {
	t := TableNamed(table)
	if t == nil {
		return nil, fmt.Errorf("parse row: no table %q", table)
	}
	row := t.NewRow()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(row)
	if err != nil {
		return nil, fmt.Errorf("parse row of %s: %w", table, err)
	}
	return row, nil
}

// appendColumn appends the JSON of one column, and nothing for null.
func appendColumn(buf []byte, c *Column, field reflect.Value) []byte {
	if c.Kind == KindText && !c.Nullable {
		return appendString(buf, field.String())
	}
	switch v := field.Addr().Interface().(type) {
	case *uuid.UUID:
		return appendUUID(buf, *v)
	case *uuid.NullUUID:
		if v.Valid {
			buf = appendUUID(buf, v.UUID)
		}
	case *decimal.Decimal:
		return appendDecimal(buf, *v)
	case *decimal.NullDecimal:
		if v.Valid {
			buf = appendDecimal(buf, v.Decimal)
		}
	case *time.Time:
		return appendTime(buf, *v)
	case **time.Time:
		if *v != nil {
			buf = appendTime(buf, **v)
		}
	case **string:
		if *v != nil {
			buf = appendString(buf, **v)
		}
	case *int32:
		return strconv.AppendInt(buf, int64(*v), 10)
	case **int32:
		if *v != nil {
			buf = strconv.AppendInt(buf, int64(**v), 10)
		}
	case *int64:
		return strconv.AppendInt(buf, *v, 10)
	case *bool:
		return strconv.AppendBool(buf, *v)
	case *[]string:
		return appendList(buf, *v, appendString)
	case *[]uuid.UUID:
		return appendList(buf, *v, appendUUID)
	case *[]RiskCheck:
		return appendList(buf, *v, appendCheck)
	case *map[string]string:
		return appendMap(buf, *v, appendString)
	case *Amounts:
		return appendMap(buf, *v, appendDecimal)
	}
	return buf
}

func appendList[T any](buf []byte, list []T, item func([]byte, T) []byte) []byte {
	buf = append(buf, '[')
	for i, v := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = item(buf, v)
	}
	return append(buf, ']')
}

func appendMap[V any](buf []byte, m map[string]V, item func([]byte, V) []byte) []byte {
	buf = append(buf, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, k)
		buf = append(buf, ':')
		buf = item(buf, m[k])
	}
	return append(buf, '}')
}

func appendCheck(buf []byte, c RiskCheck) []byte {
	buf = append(buf, `{"limit":`...)
	buf = appendDecimal(buf, c.Limit)
	buf = append(buf, `,"message":`...)
	buf = appendString(buf, c.Message)
	buf = append(buf, `,"name":`...)
	buf = appendString(buf, c.Name)
	buf = append(buf, `,"passed":`...)
	buf = strconv.AppendBool(buf, c.Passed)
	buf = append(buf, `,"value":`...)
	buf = appendDecimal(buf, c.Value)
	return append(buf, '}')
}

func appendUUID(buf []byte, id uuid.UUID) []byte {
	buf = append(buf, '"')
	buf = append(buf, id.String()...)
	return append(buf, '"')
}

func appendDecimal(buf []byte, d decimal.Decimal) []byte {
	buf = append(buf, '"')
	buf = append(buf, d.String()...)
	return append(buf, '"')
}

func appendTime(buf []byte, t time.Time) []byte {
	buf = append(buf, '"')
	buf = t.UTC().AppendFormat(buf, timeLayout)
	return append(buf, '"')
}

// appendString escapes as encoding/json does without HTML: the shortest form that JSON allows for each sign, and
// U+FFFD for bytes that are not UTF-8.
func appendString(buf []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(buf, s)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, s...)
	return append(buf, '"')
}

func appendEscaped(buf []byte, s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return append(buf, `""`...) // A string always encodes.
	}
	return append(buf, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
