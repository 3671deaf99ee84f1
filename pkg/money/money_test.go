package money_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/robson/robson/pkg/money"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "-0.0": "0", "1": "1", "1.10": "1.1", "100": "100", "-5.50": "-5.5", "0.06666": "0.06666",
		"12345678901234567890.123456789012345678": "12345678901234567890.123456789012345678",
		"0.100000000000000000000000":              "0.1",
	} {
		got, err := money.Canonical(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "-", ".5", "5.", "+1", "1e3", "1E3", "01", "00.1", " 1", "1 ", "1,0", "NaN", "0x1", "--1", "123456789012345678901", "0.1234567890123456789"} {
		_, err := money.Canonical(in)
		require.Error(t, err, in)
		require.Contains(t, err.Error(), in)
	}
}

func TestDiv18_rounds_half_to_even_once(t *testing.T) {
	t.Parallel()
	d := decimal.RequireFromString
	require.Equal(t, "0.333333333333333333", money.Format(money.Div18(d("1"), d("3"))))
	require.Equal(t, "0.666666666666666667", money.Format(money.Div18(d("2"), d("3"))))
	require.Equal(t, "-0.666666666666666667", money.Format(money.Div18(d("-2"), d("3"))))
	require.Equal(t, "0.000000000000000002", money.Format(money.Div18(d("0.000000000000000003"), d("2"))))
	require.Equal(t, "0.000000000000000002", money.Format(money.Div18(d("0.000000000000000005"), d("2"))))
	require.Equal(t, "-0.000000000000000002", money.Format(money.Div18(d("0.000000000000000005"), d("-2"))))
	require.Equal(t, "95010.873537353735373537", money.Format(money.Div18(d("6333.42483"), d("0.06666"))))
}

func TestDiv18_agrees_with_rationals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := decimal.New(rapid.Int64().Draw(t, "a"), rapid.Int32Range(-18, 6).Draw(t, "exp a"))
		b := decimal.New(rapid.Int64().Filter(func(v int64) bool { return v != 0 }).Draw(t, "b"), rapid.Int32Range(-18, 6).Draw(t, "exp b"))
		got := money.Div18(a, b).Rat()
		exact := new(big.Rat).Quo(a.Rat(), b.Rat())
		difference := new(big.Rat).Sub(got, exact)
		half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)))
		require.LessOrEqual(t, difference.Abs(difference).Cmp(half), 0)
	})
}

func TestSteps(t *testing.T) {
	t.Parallel()
	d := decimal.RequireFromString
	require.Equal(t, "0.06666", money.FloorStep(d("0.066666666"), d("0.00001")).String())
	require.Equal(t, "0.06667", money.CeilStep(d("0.066666666"), d("0.00001")).String())
	require.Equal(t, "-0.06667", money.CeilStep(d("-0.066666666"), d("0.00001")).String())
	require.Equal(t, "0.06666", money.CeilStep(d("0.06666"), d("0.00001")).String())
	require.Equal(t, "7.5", money.FloorStep(d("7.5"), decimal.Zero).String())
	require.Equal(t, "7.5", money.CeilStep(d("7.5"), decimal.Zero).String())
	require.True(t, money.IsMultiple(d("0.3"), d("0.1")))
	require.True(t, money.IsMultiple(d("0.33"), decimal.Zero))
	require.False(t, money.IsMultiple(d("0.33"), d("0.1")))
}

func TestFloorStep_is_a_multiple_not_above(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := decimal.New(rapid.Int64Range(0, 1<<60).Draw(t, "q"), -12)
		step := decimal.New(rapid.Int64Range(1, 1<<30).Draw(t, "step"), -8)
		floor := money.FloorStep(q, step)
		require.True(t, money.IsMultiple(floor, step))
		require.True(t, floor.LessThanOrEqual(q))
		require.True(t, q.Sub(floor).LessThan(step))
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"0", "-0.10", "1e9", strings.Repeat("9", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := money.Canonical(s)
		if err != nil {
			return
		}
		twice, err := money.Canonical(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"0", "-0.0", "1.10", "12345678901234567890.123456789012345678", "0.10000000000000000000000000000"} {
		d, err := money.Parse(in)
		require.NoError(t, err, in)
		require.True(t, decimal.RequireFromString(in).Equal(d), in)
	}
	for in, says := range map[string]string{
		"": "plain notation", "-": "plain notation", "1e3": "plain notation", "+1": "plain notation", "1.": "plain notation", ".1": "plain notation",
		"0x1": "plain notation", "NaN": "plain notation", "٣": "plain notation", "1_000": "plain notation", "00": "leading zeros",
		"123456789012345678901": "before the point", "0.1234567890123456789": "after the point",
	} {
		_, err := money.Parse(in)
		require.ErrorContains(t, err, says, in)
	}
}

// TestParse_agrees_with_Canonical: they take the same texts, and give the same amount in the same form.
func TestParse_agrees_with_Canonical(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`-?[0-9]{0,22}\.?[0-9]{0,20}0{0,3}(e1)?`)
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "text")
		d, parseErr := money.Parse(s)
		canonical, err := money.Canonical(s)
		require.Equal(t, parseErr == nil, err == nil, s)
		if err == nil {
			require.Equal(t, money.Format(d), canonical)
		}
	})
}

func TestRound18(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.0000000000000000005": "0", "0.0000000000000000015": "0.000000000000000002", "0.00000000000000000051": "0.000000000000000001",
		"-0.0000000000000000025": "-0.000000000000000002", "1.5": "1.5",
	} {
		require.Equal(t, want, money.Format(money.Round18(decimal.RequireFromString(in))), in)
	}
}
