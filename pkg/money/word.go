package money

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"
)

// Most amounts have few digits: a price, a quantity, a fee. Here they are reckoned with in one or two machine words, which
// allocates a tenth of what arbitrary precision does. What does not fit is left to package decimal. The results are the
// same, to the exponent.

// digitsMax is how many digits a word holds, whatever they are.
const digitsMax = 18

// powers are the powers of ten that a word holds.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// word is the coefficient of an amount, if a word holds it.
func word(d decimal.Decimal) (coefficient int64, ok bool) {
	if d.NumDigits() > digitsMax {
		return 0, false
	}
	return d.CoefficientInt64(), true
}

// Add is a + b.
func Add(a, b decimal.Decimal) decimal.Decimal {
	if x, y, exponent, ok := aligned(a, b); ok {
		return decimal.New(x+y, exponent)
	}
	return a.Add(b)
}

// Sub is a - b.
func Sub(a, b decimal.Decimal) decimal.Decimal {
	if x, y, exponent, ok := aligned(a, b); ok {
		return decimal.New(x-y, exponent)
	}
	return a.Sub(b)
}

// aligned are two coefficients under the smaller exponent, if words hold them, and then their sum too.
func aligned(a, b decimal.Decimal) (x, y int64, exponent int32, ok bool) {
	x, isWord := word(a)
	y, alsoWord := word(b)
	if !isWord || !alsoWord {
		return 0, 0, 0, false
	}
	exponent = min(a.Exponent(), b.Exponent())
	if x, isWord = shifted(x, int64(a.Exponent())-int64(exponent)); !isWord {
		return 0, 0, 0, false
	}
	y, alsoWord = shifted(y, int64(b.Exponent())-int64(exponent))
	return x, y, exponent, alsoWord
}

// shifted is a coefficient with so many zeros more, if it then has at most digitsMax digits.
func shifted(coefficient, places int64) (int64, bool) {
	switch {
	case places == 0:
		return coefficient, true
	case places > digitsMax:
		return 0, false
	}
	high, low := bits.Mul64(magnitude(coefficient), powers[places])
	if high > 0 || low >= powers[digitsMax] {
		return 0, false
	}
	if coefficient < 0 {
		return -int64(low), true
	}
	return int64(low), true
}

// Mul is a x b.
func Mul(a, b decimal.Decimal) decimal.Decimal {
	x, isWord := word(a)
	y, alsoWord := word(b)
	exponent := int64(a.Exponent()) + int64(b.Exponent())
	if isWord && alsoWord && exponent == int64(int32(exponent)) {
		if high, low := bits.Mul64(magnitude(x), magnitude(y)); high == 0 && low <= math.MaxInt64 {
			if (x < 0) != (y < 0) {
				return decimal.New(-int64(low), int32(exponent))
			}
			return decimal.New(int64(low), int32(exponent))
		}
	}
	return a.Mul(b)
}

// MulDiv18 is a x b / c, rounded half to even at 18 places. Dividing by zero is a broken program: callers check first.
func MulDiv18(a, b, c decimal.Decimal) decimal.Decimal {
	x, isWord := word(a)
	y, alsoWord := word(b)
	z, divides := word(c)
	if isWord && alsoWord && divides {
		high, low := bits.Mul64(magnitude(x), magnitude(y))
		shift := int64(Scale) + int64(a.Exponent()) + int64(b.Exponent()) - int64(c.Exponent())
		if q, ok := divided(high, low, magnitude(z), shift); ok {
			return q.decimal((x < 0) != (y < 0) != (z < 0))
		}
	}
	return div18(a.Mul(b), c)
}

// Div18 divides and rounds the exact quotient half to even at 18 places. Dividing by zero is a broken program: callers
// check first.
func Div18(a, b decimal.Decimal) decimal.Decimal {
	x, isWord := word(a)
	y, alsoWord := word(b)
	if isWord && alsoWord {
		shift := int64(Scale) + int64(a.Exponent()) - int64(b.Exponent())
		if q, ok := divided(0, magnitude(x), magnitude(y), shift); ok {
			return q.decimal((x < 0) != (y < 0))
		}
	}
	return div18(a, b)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// twoWords is a magnitude of two words.
type twoWords struct{ high, low uint64 }

// divided is a magnitude of two words, shifted by so many decimal places to the left, divided by one word and rounded half
// to even; ok is false where that does not fit.
func divided(high, low, by uint64, shift int64) (q twoWords, ok bool) {
	if shift < 0 {
		if -shift >= int64(len(powers)) {
			return q, false
		}
		over, product := bits.Mul64(by, powers[-shift])
		if over > 0 {
			return q, false
		}
		by = product
	}
	for shift > 0 {
		step := min(shift, int64(len(powers)-1))
		if high, low, ok = times(high, low, powers[step]); !ok {
			return q, false
		}
		shift -= step
		if high == 0 && low == 0 {
			break
		}
	}
	if by == 0 {
		return q, false
	}
	q.high = high / by
	var rest uint64
	q.low, rest = bits.Div64(high%by, low, by)
	if half := by - rest; rest > half || rest == half && q.low&1 == 1 {
		var carry uint64
		q.low, carry = bits.Add64(q.low, 1, 0)
		q.high += carry
	}
	return q, true
}

// times is a magnitude times a word, if two words hold it.
func times(high, low, by uint64) (productHigh, productLow uint64, ok bool) {
	carry, productLow := bits.Mul64(low, by)
	over, productHigh := bits.Mul64(high, by)
	productHigh, more := bits.Add64(productHigh, carry, 0)
	return productHigh, productLow, over == 0 && more == 0
}

// decimal is the magnitude as an amount at 18 places.
func (q twoWords) decimal(negative bool) decimal.Decimal {
	if q.high == 0 && q.low <= math.MaxInt64 {
		if negative {
			return decimal.New(-int64(q.low), -Scale)
		}
		return decimal.New(int64(q.low), -Scale)
	}
	var n big.Int
	if bits.UintSize == 64 {
		n.SetBits([]big.Word{big.Word(q.low), big.Word(q.high)})
	} else {
		n.SetUint64(q.high).Lsh(&n, 64).Or(&n, new(big.Int).SetUint64(q.low))
	}
	if negative {
		n.Neg(&n)
	}
	return decimal.NewFromBigInt(&n, -Scale)
}

// Quick reads an amount in plain notation that a word holds: digits, an optional minus, an optional point. What it does not
// read may still be one.
func Quick(s string) (d decimal.Decimal, ok bool) {
	digits, negative, point := s, false, -1
	if len(s) > 0 && s[0] == '-' {
		digits, negative = s[1:], true
	}
	if len(digits) == 0 || len(digits) > digitsMax {
		return decimal.Decimal{}, false
	}
	n := int64(0)
	for i := range len(digits) {
		c := digits[i] - '0'
		switch {
		case c <= 9:
			n = 10*n + int64(c)
		case digits[i] == '.' && point < 0 && i > 0 && i < len(digits)-1:
			point = i
		default:
			return decimal.Decimal{}, false
		}
	}
	if negative {
		n = -n
	}
	if point < 0 {
		return decimal.New(n, 0), true
	}
	return decimal.New(n, int32(point+1-len(digits))), true
}
