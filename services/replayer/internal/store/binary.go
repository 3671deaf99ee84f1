package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/projection"
)

// A projection row in PostgreSQL's binary format, each column after its length as four bytes: as COPY takes it and as a query gives
// it. So rows are written without a driver's detours, and compared with stored ones without being read: equal bytes are
// equal rows. Bytes that differ may still be equal (a jsonb that PostgreSQL escapes otherwise), and are then compared as rows.

// null is the length of a column that is null.
const null = 0xffffffff

// appendRow appends all columns of a row, in the order of its table.
func appendRow(buf []byte, t *projection.Table, row projection.Row) ([]byte, error) {
	for i, target := range t.ScanTargets(row) {
		var err error
		if buf, err = appendColumn(buf, target); err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", t.Columns[i].Name, row.Key(), err)
		}
	}
	return buf, nil
}

// appendColumn appends one column, given by a pointer to its field.
func appendColumn(buf []byte, target any) ([]byte, error) {
	switch v := target.(type) {
	case *uuid.UUID:
		return append(binary.BigEndian.AppendUint32(buf, 16), v[:]...), nil
	case *uuid.NullUUID:
		if !v.Valid {
			return binary.BigEndian.AppendUint32(buf, null), nil
		}
		return append(binary.BigEndian.AppendUint32(buf, 16), v.UUID[:]...), nil
	case *decimal.Decimal:
		return appendNumeric(buf, *v)
	case *decimal.NullDecimal:
		if !v.Valid {
			return binary.BigEndian.AppendUint32(buf, null), nil
		}
		return appendNumeric(buf, v.Decimal)
	case *time.Time:
		return appendTime(buf, *v), nil
	case **time.Time:
		if *v == nil {
			return binary.BigEndian.AppendUint32(buf, null), nil
		}
		return appendTime(buf, **v), nil
	case **string:
		if *v == nil {
			return binary.BigEndian.AppendUint32(buf, null), nil
		}
		return appendText(buf, **v), nil
	case *string:
		return appendText(buf, *v), nil
	case *int32:
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(buf, 4), uint32(*v)), nil
	case **int32:
		if *v == nil {
			return binary.BigEndian.AppendUint32(buf, null), nil
		}
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(buf, 4), uint32(**v)), nil
	case *int64:
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(buf, 8), uint64(*v)), nil
	case *bool:
		one := byte(0)
		if *v {
			one = 1
		}
		return append(binary.BigEndian.AppendUint32(buf, 1), one), nil
	default:
		return appendComposite(buf, target)
	}
}

// appendComposite appends what is no plain value.
func appendComposite(buf []byte, target any) ([]byte, error) {
	switch v := target.(type) {
	case *[]string:
		return appendArray(buf, *v, 25, appendText), nil
	case *[]uuid.UUID:
		return appendArray(buf, *v, 2950, func(buf []byte, id uuid.UUID) []byte {
			return append(binary.BigEndian.AppendUint32(buf, 16), id[:]...)
		}), nil
	case *map[string]string:
		return appendObject(buf, *v, appendQuoted), nil
	case *projection.Amounts:
		return appendObject(buf, *v, func(buf []byte, d decimal.Decimal) []byte { return appendQuoted(buf, d.String()) }), nil
	case *[]projection.RiskCheck:
		return sized(buf, func(buf []byte) []byte { return appendChecks(append(buf, 1), *v) }), nil
	}
	if text := reflect.ValueOf(target).Elem(); text.Kind() == reflect.String {
		return appendText(buf, text.String()), nil
	}
	return nil, fmt.Errorf("no binary form for %T", target)
}

// sized appends a value after its length.
func sized(buf []byte, value func([]byte) []byte) []byte {
	start := len(buf)
	buf = value(append(buf, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-4))
	return buf
}

func appendText(buf []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(buf, uint32(len(text))), text...)
}

// postgresEpoch is the year 2000 in microseconds since 1970: the zero of PostgreSQL's times.
const postgresEpoch = 946_684_800_000_000

func appendTime(buf []byte, at time.Time) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(buf, 8), uint64(at.UnixMicro()-postgresEpoch))
}

// Of a numeric: digits of four decimal places each, and the scale that every amount column has.
const (
	numericScale    = 18
	numericBase     = 10_000
	numericPlaces   = 4
	numericNegative = 0x4000
	// numericExponentMax bounds the zeros that an amount in exponent form may stand for.
	numericExponentMax = 58
)

var powers = [...]uint64{1, 10, 100, 1000}

// appendNumeric appends an amount with 18 places. One that has more, or is no number that a column holds, is refused as the driver
// would.
func appendNumeric(buf []byte, d decimal.Decimal) ([]byte, error) {
	if d.IsZero() {
		return append(binary.BigEndian.AppendUint32(buf, 8), 0, 0, 0, 0, 0, 0, 0, numericScale), nil
	}
	exponent := int(d.Exponent())
	if exponent < -numericScale || exponent > numericExponentMax {
		short := d.Truncate(numericScale)
		if exponent > numericExponentMax || !short.Equal(d) {
			return nil, fmt.Errorf("amount %s cannot be stored", d)
		}
		d, exponent = short, int(short.Exponent())
	}
	sign := uint16(0)
	if d.IsNegative() {
		sign = numericNegative
	}
	// digits come least first, of a number whose exponent is a multiple of four.
	var digits [64]uint16
	count, weight := 0, 0
	shift := ((exponent % numericPlaces) + numericPlaces) % numericPlaces
	weight = (exponent - shift) / numericPlaces
	if d.NumDigits() <= 15 {
		for c := unsigned(d.CoefficientInt64()) * powers[shift]; c > 0; c /= numericBase {
			digits[count] = uint16(c % numericBase)
			count++
		}
	} else {
		c := new(big.Int).Abs(d.Coefficient())
		c.Mul(c, new(big.Int).SetUint64(powers[shift]))
		base, rest := big.NewInt(numericBase), new(big.Int)
		for c.Sign() > 0 {
			if count == len(digits) {
				return nil, fmt.Errorf("amount %s cannot be stored", d)
			}
			c.QuoRem(c, base, rest)
			digits[count] = uint16(rest.Uint64())
			count++
		}
	}
	least := 0
	for digits[least] == 0 {
		least++
	}
	first := weight + count - 1
	buf = binary.BigEndian.AppendUint32(buf, uint32(8+2*(count-least)))
	buf = binary.BigEndian.AppendUint16(buf, uint16(count-least))
	buf = binary.BigEndian.AppendUint16(buf, uint16(int16(first)))
	buf = binary.BigEndian.AppendUint16(buf, sign)
	buf = binary.BigEndian.AppendUint16(buf, numericScale)
	for i := count - 1; i >= least; i-- {
		buf = binary.BigEndian.AppendUint16(buf, digits[i])
	}
	return buf, nil
}

func unsigned(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

// appendArray appends an array of one dimension, of items that are never null.
func appendArray[T any](buf []byte, items []T, oid uint32, item func([]byte, T) []byte) []byte {
	return sized(buf, func(buf []byte) []byte {
		dimensions := uint32(1)
		if len(items) == 0 {
			dimensions = 0
		}
		buf = binary.BigEndian.AppendUint32(buf, dimensions)
		buf = binary.BigEndian.AppendUint32(buf, 0)
		buf = binary.BigEndian.AppendUint32(buf, oid)
		if dimensions == 0 {
			return buf
		}
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(items)))
		buf = binary.BigEndian.AppendUint32(buf, 1)
		for _, i := range items {
			buf = item(buf, i)
		}
		return buf
	})
}

// appendObject appends a jsonb object as PostgreSQL writes it: shorter keys first, a space after each sign.
func appendObject[V any](buf []byte, object map[string]V, value func([]byte, V) []byte) []byte {
	return sized(buf, func(buf []byte) []byte {
		buf = append(buf, 1, '{')
		keys := slices.SortedFunc(maps.Keys(object), func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return bytes.Compare([]byte(a), []byte(b))
		})
		for i, key := range keys {
			if i > 0 {
				buf = append(buf, ", "...)
			}
			buf = append(appendQuoted(buf, key), ": "...)
			buf = value(buf, object[key])
		}
		return append(buf, '}')
	})
}

func appendChecks(buf []byte, checks []projection.RiskCheck) []byte {
	buf = append(buf, '[')
	for i, c := range checks {
		if i > 0 {
			buf = append(buf, ", "...)
		}
		buf = appendQuoted(append(buf, `{"name": `...), c.Name)
		buf = appendQuoted(append(buf, `, "limit": `...), c.Limit.String())
		buf = appendQuoted(append(buf, `, "value": `...), c.Value.String())
		buf = strconv.AppendBool(append(buf, `, "passed": `...), c.Passed)
		buf = appendQuoted(append(buf, `, "message": `...), c.Message)
		buf = append(buf, '}')
	}
	return append(buf, ']')
}

// appendQuoted appends a JSON string, as PostgreSQL escapes it.
func appendQuoted(buf []byte, text string) []byte {
	buf = append(buf, '"')
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			buf = append(buf, '\\', c)
			i++
		case c < 0x20:
			buf = appendControl(buf, c)
			i++
		case c < utf8.RuneSelf:
			buf = append(buf, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			buf = utf8.AppendRune(buf, r)
			i += size
		}
	}
	return append(buf, '"')
}

func appendControl(buf []byte, c byte) []byte {
	switch c {
	case '\b':
		return append(buf, `\b`...)
	case '\f':
		return append(buf, `\f`...)
	case '\n':
		return append(buf, `\n`...)
	case '\r':
		return append(buf, `\r`...)
	case '\t':
		return append(buf, `\t`...)
	default:
		return fmt.Appendf(buf, `\u%04x`, c)
	}
}
