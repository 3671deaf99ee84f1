// Package money holds the rules for amounts: exact decimals in one normal form, rounding that is named at the call.
package money

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Bounds of an amount, those of numeric(38,18).
const (
	// IntegerDigitsMax is the most digits before the point.
	IntegerDigitsMax = 20
	// Scale is the most digits after the point.
	Scale = 18
)

// Parse reads an amount in plain notation: digits, an optional minus, an optional point; no exponent, no plus, no
// leading zeros; within the bounds. Trailing zeros are allowed and mean nothing.
func Parse(s string) (decimal.Decimal, error) {
	integer, fraction, err := split(s)
	if err != nil {
		return decimal.Decimal{}, err
	}
	if len(integer) > IntegerDigitsMax {
		return decimal.Decimal{}, fmt.Errorf("%q has more than %d digits before the point", s, IntegerDigitsMax)
	}
	if len(strings.TrimRight(fraction, "0")) > Scale {
		return decimal.Decimal{}, fmt.Errorf("%q has more than %d digits after the point", s, Scale)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("%q is no decimal: %w", s, err)
	}
	return d, nil
}

// split checks the notation and gives the digits before and after the point.
func split(s string) (integer, fraction string, err error) {
	integer, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	switch {
	case integer == "" || !digits(integer) || !digits(fraction) || (point && fraction == ""):
		return "", "", fmt.Errorf("%q is no decimal in plain notation, such as 0.06666", s)
	case len(integer) > 1 && integer[0] == '0':
		return "", "", fmt.Errorf("%q has leading zeros", s)
	}
	return integer, fraction, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Format writes an amount in its one normal form: plain notation, no trailing zeros, "0" and never "-0".
func Format(d decimal.Decimal) string {
	return d.String()
}

// Canonical brings the text of an amount to its normal form, without reading it as a number: the form is a part of the
// text, or "0".
func Canonical(s string) (string, error) {
	integer, fraction, err := split(s)
	if err != nil {
		return "", err
	}
	digitsAfter := len(strings.TrimRight(fraction, "0"))
	switch {
	case len(integer) > IntegerDigitsMax:
		return "", fmt.Errorf("%q has more than %d digits before the point", s, IntegerDigitsMax)
	case digitsAfter > Scale:
		return "", fmt.Errorf("%q has more than %d digits after the point", s, Scale)
	case digitsAfter == 0 && integer == "0":
		return "0", nil
	}
	end := len(s) - len(fraction)
	if digitsAfter > 0 {
		return s[:end+digitsAfter], nil
	}
	return strings.TrimSuffix(s[:end], "."), nil
}

// Round18 rounds half to even at 18 places, the scale in which amounts are stored.
func Round18(d decimal.Decimal) decimal.Decimal { return d.RoundBank(Scale) }

// div18 is Div18 at any size.
func div18(a, b decimal.Decimal) decimal.Decimal {
	// QuoRem gives the quotient cut at Scale places and the exact remainder, from which the rounding is decided:
	// dividing to a few places more and rounding again would round twice.
	q, r := a.QuoRem(b, Scale)
	twice := r.Abs().Mul(decimal.New(2, 0))
	unit := decimal.New(1, -Scale)
	if a.Sign()*b.Sign() < 0 {
		unit = unit.Neg()
	}
	switch twice.Cmp(b.Abs().Mul(decimal.New(1, -Scale))) {
	case 1:
		return q.Add(unit)
	case 0:
		if odd(q) {
			return q.Add(unit)
		}
	}
	return q
}

// odd says whether the last of the 18 places is odd.
func odd(q decimal.Decimal) bool {
	return !q.Shift(Scale).Mod(decimal.New(2, 0)).IsZero()
}

// FloorStep cuts a quantity down to a multiple of a step, toward zero; a step of zero leaves it as it is.
func FloorStep(q, step decimal.Decimal) decimal.Decimal {
	if step.IsZero() {
		return q
	}
	return q.Sub(q.Mod(step))
}

// CeilStep raises a quantity to a multiple of a step, away from zero; a step of zero leaves it as it is.
func CeilStep(q, step decimal.Decimal) decimal.Decimal {
	floor := FloorStep(q, step)
	if step.IsZero() || floor.Equal(q) {
		return q
	}
	if q.IsNegative() {
		return floor.Sub(step)
	}
	return floor.Add(step)
}

// IsMultiple says whether a quantity is a multiple of a step; a step of zero allows everything.
func IsMultiple(q, step decimal.Decimal) bool {
	return step.IsZero() || q.Mod(step).IsZero()
}
