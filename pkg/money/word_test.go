package money

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyAmount draws amounts of all sizes: those that a word holds, those that just do or just do not, and long ones.
func anyAmount() *rapid.Generator[decimal.Decimal] {
	return rapid.Custom(func(t *rapid.T) decimal.Decimal {
		digits := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{1,12}`), rapid.StringMatching(`-?[0-9]{17,20}`), rapid.StringMatching(`-?[0-9]{30,45}`),
			rapid.SampledFrom([]string{
				"0", "1", "-1", "5", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "999999999999999999", "1000000000000000000",
			}),
		).Draw(t, "digits")
		d, err := decimal.NewFromString(digits)
		require.NoError(t, err)
		return d.Shift(rapid.Int32Range(-40, 22).Draw(t, "exponent"))
	})
}

// What is reckoned in words is what arbitrary precision comes to, to the exponent.
func TestProperty_words_reckon_as_decimals_do(t *testing.T) {
	t.Parallel()
	same := func(t *rapid.T, expected, found decimal.Decimal) {
		require.Equal(t, expected.Exponent(), found.Exponent())
		require.Zero(t, expected.Coefficient().Cmp(found.Coefficient()), "%s is not %s", found, expected)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyAmount().Draw(t, "a"), anyAmount().Draw(t, "b"), anyAmount().Draw(t, "c")
		same(t, a.Add(b), Add(a, b))
		same(t, a.Sub(b), Sub(a, b))
		same(t, a.Mul(b), Mul(a, b))
		if !b.IsZero() {
			same(t, div18(a, b), Div18(a, b))
		}
		if !c.IsZero() {
			same(t, div18(a.Mul(b), c), MulDiv18(a, b, c))
		}
	})
}

func TestDiv18_at_the_bounds_of_words(t *testing.T) {
	t.Parallel()
	for _, tc := range [][3]string{
		{"1", "3", "0.333333333333333333"},
		{"-2", "3", "-0.666666666666666667"},
		{"0.000000000000000001", "2", "0"},
		{"0.000000000000000003", "2", "0.000000000000000002"},
		{"-0.000000000000000003", "2", "-0.000000000000000002"},
		{"999999999999999999", "0.000000000000000001", "999999999999999999000000000000000000"},
		{"9.223372036854775807", "1", "9.223372036854775807"},
		{"18.446744073709551615", "1", "18.446744073709551615"},
		{"0", "7", "0"},
		{"10000", "0.1", "100000"},
	} {
		a, b := decimal.RequireFromString(tc[0]), decimal.RequireFromString(tc[1])
		require.Equal(t, tc[2], Div18(a, b).String())
		require.Equal(t, tc[2], MulDiv18(a, decimal.New(1, 0), b).String())
	}
	require.Panics(t, func() { Div18(decimal.New(1, 0), decimal.Zero) })
	require.Panics(t, func() { MulDiv18(decimal.New(1, 0), decimal.New(1, 0), decimal.Zero) })
}

func TestQuick_reads_what_is_plain_and_short(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "-0", "1", "-1", "007", "0.10", "-12.50", "95000.12", "999999999999999999", "0.0000000000000001", "123456789.12345678"} {
		expected, err := decimal.NewFromString(text)
		require.NoError(t, err)
		d, ok := Quick(text)
		require.True(t, ok, text)
		require.Equal(t, expected.Exponent(), d.Exponent(), text)
		require.Zero(t, expected.Coefficient().Cmp(d.Coefficient()), text)
	}
	for _, text := range []string{"", "-", ".", "-.", ".5", "5.", "-.5", "1..2", "1.2.3", "1e3", "+1", " 1", "1 ", "--1", "1-", "0x1", "١", "1234567890123456789", "−1"} {
		_, ok := Quick(text)
		require.False(t, ok, text)
	}
}

func FuzzQuick(f *testing.F) {
	for _, text := range []string{"0", "-0.10", "1e3", "95000.12", ".5", "1.2.3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := Quick(text)
		if !ok {
			return
		}
		expected, err := decimal.NewFromString(text)
		require.NoError(t, err)
		require.Equal(t, expected.Exponent(), d.Exponent())
		require.Zero(t, expected.Coefficient().Cmp(d.Coefficient()))
	})
}
