package postgres

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
)

const (
	// decimalPlacesMax is the scale of the schema's numeric(38,18). PostgreSQL rounds what is finer without a word;
	// money is never rounded without a word, so the codec refuses it.
	decimalPlacesMax = 18
	// decimalExponentMax bounds the zeros that a decimal in exponent form may stand for: 10^38 is over what
	// numeric(38,18) holds, and 1e1000000000 must not become a gigabyte on the way to being refused.
	decimalExponentMax = 38
	// decimalExponentMin bounds the work of finding out whether a fine decimal ends in zeros.
	decimalExponentMin = -1000
)

// RegisterCodecs teaches a connection's type map decimal.Decimal, decimal.NullDecimal, uuid.UUID and uuid.NullUUID,
// in both wire formats, alone and in arrays. New does so on every connection of a pool.
//
// These types are also database/sql Scanners and Valuers, which pgx would use otherwise: by way of text, with NULL
// taken for zero.
func RegisterCodecs(m *pgtype.Map) {
	numeric := &pgtype.Type{Name: "numeric", OID: pgtype.NumericOID, Codec: numericCodec{}}
	m.RegisterType(numeric)
	m.RegisterType(&pgtype.Type{Name: "_numeric", OID: pgtype.NumericArrayOID, Codec: &pgtype.ArrayCodec{ElementType: numeric}})
	id := &pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: uuidCodec{}}
	m.RegisterType(id)
	m.RegisterType(&pgtype.Type{Name: "_uuid", OID: pgtype.UUIDArrayOID, Codec: &pgtype.ArrayCodec{ElementType: id}})
	m.RegisterDefaultPgType(decimal.Decimal{}, "numeric")
	m.RegisterDefaultPgType(decimal.NullDecimal{}, "numeric")
	m.RegisterDefaultPgType([]decimal.Decimal{}, "_numeric")
	m.RegisterDefaultPgType(uuid.UUID{}, "uuid")
	m.RegisterDefaultPgType(uuid.NullUUID{}, "uuid")
	m.RegisterDefaultPgType([]uuid.UUID{}, "_uuid")
}

// numericCodec and uuidCodec are pgx's own, asked with the foreign types wrapped.
type (
	numericCodec struct{ pgtype.NumericCodec }
	uuidCodec    struct{ pgtype.UUIDCodec }
)

// PlanEncode implements pgtype.Codec.
func (c numericCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	switch value.(type) {
	case decimal.Decimal:
		next := c.NumericCodec.PlanEncode(m, oid, format, decimalValue{})
		return encodePlan{next, func(v any) any { return decimalValue(v.(decimal.Decimal)) }}
	case decimal.NullDecimal:
		next := c.NumericCodec.PlanEncode(m, oid, format, nullDecimalValue{})
		return encodePlan{next, func(v any) any { return nullDecimalValue(v.(decimal.NullDecimal)) }}
	default:
		return c.NumericCodec.PlanEncode(m, oid, format, value)
	}
}

// PlanScan implements pgtype.Codec.
func (c numericCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	switch target.(type) {
	case *decimal.Decimal:
		next := c.NumericCodec.PlanScan(m, oid, format, (*decimalValue)(nil))
		return scanPlan{next, func(v any) any { return (*decimalValue)(v.(*decimal.Decimal)) }}
	case *decimal.NullDecimal:
		next := c.NumericCodec.PlanScan(m, oid, format, (*nullDecimalValue)(nil))
		return scanPlan{next, func(v any) any { return (*nullDecimalValue)(v.(*decimal.NullDecimal)) }}
	default:
		return c.NumericCodec.PlanScan(m, oid, format, target)
	}
}

// PlanEncode implements pgtype.Codec.
func (c uuidCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	switch value.(type) {
	case uuid.UUID:
		next := c.UUIDCodec.PlanEncode(m, oid, format, uuidValue{})
		return encodePlan{next, func(v any) any { return uuidValue(v.(uuid.UUID)) }}
	case uuid.NullUUID:
		next := c.UUIDCodec.PlanEncode(m, oid, format, nullUUIDValue{})
		return encodePlan{next, func(v any) any { return nullUUIDValue(v.(uuid.NullUUID)) }}
	default:
		return c.UUIDCodec.PlanEncode(m, oid, format, value)
	}
}

// PlanScan implements pgtype.Codec.
func (c uuidCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	switch target.(type) {
	case *uuid.UUID:
		next := c.UUIDCodec.PlanScan(m, oid, format, (*uuidValue)(nil))
		return scanPlan{next, func(v any) any { return (*uuidValue)(v.(*uuid.UUID)) }}
	case *uuid.NullUUID:
		next := c.UUIDCodec.PlanScan(m, oid, format, (*nullUUIDValue)(nil))
		return scanPlan{next, func(v any) any { return (*nullUUIDValue)(v.(*uuid.NullUUID)) }}
	default:
		return c.UUIDCodec.PlanScan(m, oid, format, target)
	}
}

// encodePlan wraps a value and hands it on.
type encodePlan struct {
	next pgtype.EncodePlan
	wrap func(any) any
}

// Encode implements pgtype.EncodePlan.
func (p encodePlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(p.wrap(value), buf) //nolint:wrapcheck // pgx adds the context.
}

// scanPlan wraps a target and hands it on.
type scanPlan struct {
	next pgtype.ScanPlan
	wrap func(any) any
}

// Scan implements pgtype.ScanPlan.
func (p scanPlan) Scan(src []byte, target any) error {
	return p.next.Scan(src, p.wrap(target)) //nolint:wrapcheck // pgx adds the context.
}

// decimalValue, nullDecimalValue, uuidValue and nullUUIDValue give the foreign types the methods that pgx's numeric
// and uuid codecs look for.
type (
	decimalValue     decimal.Decimal
	nullDecimalValue decimal.NullDecimal
	uuidValue        uuid.UUID
	nullUUIDValue    uuid.NullUUID
)

// NumericValue implements pgtype.NumericValuer.
func (v decimalValue) NumericValue() (pgtype.Numeric, error) {
	d := decimal.Decimal(v)
	switch exponent := d.Exponent(); {
	case d.IsZero():
		return pgtype.Numeric{Int: d.Coefficient(), Valid: true}, nil
	case exponent > decimalExponentMax, exponent < decimalExponentMin:
		return pgtype.Numeric{}, fmt.Errorf("decimal with exponent %d does not fit numeric(38,18)", exponent)
	case exponent < -decimalPlacesMax:
		short := d.Truncate(decimalPlacesMax)
		if !short.Equal(d) {
			return pgtype.Numeric{}, fmt.Errorf("decimal %s has more than %d places and would be rounded", d, decimalPlacesMax)
		}
		d = short
	}
	return pgtype.Numeric{Int: d.Coefficient(), Exp: d.Exponent(), Valid: true}, nil
}

// ScanNumeric implements pgtype.NumericScanner.
func (v *decimalValue) ScanNumeric(n pgtype.Numeric) error {
	if !n.Valid {
		return fmt.Errorf("cannot scan NULL into *decimal.Decimal")
	}
	d, err := fromNumeric(n)
	if err != nil {
		return err
	}
	*v = decimalValue(d)
	return nil
}

// NumericValue implements pgtype.NumericValuer.
func (v nullDecimalValue) NumericValue() (pgtype.Numeric, error) {
	if !v.Valid {
		return pgtype.Numeric{}, nil
	}
	return decimalValue(v.Decimal).NumericValue()
}

// ScanNumeric implements pgtype.NumericScanner.
func (v *nullDecimalValue) ScanNumeric(n pgtype.Numeric) error {
	if !n.Valid {
		*v = nullDecimalValue{}
		return nil
	}
	d, err := fromNumeric(n)
	if err != nil {
		return err
	}
	*v = nullDecimalValue{Decimal: d, Valid: true}
	return nil
}

func fromNumeric(n pgtype.Numeric) (decimal.Decimal, error) {
	if n.NaN || n.InfinityModifier != pgtype.Finite {
		return decimal.Decimal{}, fmt.Errorf("cannot scan a numeric that is not a finite number into a decimal")
	}
	if n.Int == nil {
		return decimal.Decimal{}, nil
	}
	return decimal.NewFromBigInt(n.Int, n.Exp), nil
}

// UUIDValue implements pgtype.UUIDValuer.
func (v uuidValue) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: v, Valid: true}, nil
}

// ScanUUID implements pgtype.UUIDScanner.
func (v *uuidValue) ScanUUID(u pgtype.UUID) error {
	if !u.Valid {
		return fmt.Errorf("cannot scan NULL into *uuid.UUID")
	}
	*v = u.Bytes
	return nil
}

// UUIDValue implements pgtype.UUIDValuer.
func (v nullUUIDValue) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: v.UUID, Valid: v.Valid}, nil
}

// ScanUUID implements pgtype.UUIDScanner.
func (v *nullUUIDValue) ScanUUID(u pgtype.UUID) error {
	*v = nullUUIDValue{UUID: u.Bytes, Valid: u.Valid}
	return nil
}
