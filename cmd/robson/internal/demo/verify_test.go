package demo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/projection"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// TestCompare finds a row that differs, one that only the tables have, and one that only the fold has.
func TestCompare(t *testing.T) {
	t.Parallel()
	key := projection.APIKeyKey
	tables := map[string]string{"api_keys_current/a": `{"q":"1"}`, "api_keys_current/b": `{"q":"2"}`, "api_keys_current/c": `{"q":"3"}`}
	same := map[projection.Key]string{key("a"): `{"q":"1"}`, key("b"): `{"q":"2"}`, key("c"): `{"q":"3"}`}
	require.Empty(t, compare(tables, same))

	differences := compare(tables, map[projection.Key]string{key("a"): `{"q":"1"}`, key("b"): `{"q":"9"}`, key("d"): `{"q":"4"}`})
	require.Len(t, differences, 3)
	require.Equal(t, "api_keys_current/b\n     table: {\"q\":\"2\"}\n     fold:  {\"q\":\"9\"}", differences[0])
	require.True(t, strings.HasPrefix(differences[1], "api_keys_current/c"))
	require.True(t, strings.HasPrefix(differences[2], "api_keys_current/d"))
}

func TestCompare_names_at_most_so_many(t *testing.T) {
	t.Parallel()
	tables := map[string]string{}
	for _, id := range "abcdefghijklmnopqrstuvwxyz" {
		tables["fills/"+string(id)] = "{}"
	}
	require.Len(t, compare(tables, nil), differencesMax)
}

// TestSums computes the worked scenarios of a long with fees in base and quote, and of a short.
func TestSums(t *testing.T) {
	t.Parallel()
	long := sums{base: "BTC"}
	for _, f := range []*projectorv1.Fill{
		{Side: eventv1.Side_SIDE_BUY, FillQuantity: "0.02", FillPrice: "95000", Fee: "0.00002", FeeAsset: "BTC", FeeQuote: "1.9"},
		{Side: eventv1.Side_SIDE_BUY, FillQuantity: "0.03", FillPrice: "95010", Fee: "0.00003", FeeAsset: "BTC", FeeQuote: "2.8503"},
		{Side: eventv1.Side_SIDE_BUY, FillQuantity: "0.01666", FillPrice: "95025.5", Fee: "0.00001666", FeeAsset: "BTC", FeeQuote: "1.58312483"},
		{Side: eventv1.Side_SIDE_SELL, FillQuantity: "0.06659", FillPrice: "96500", Fee: "6.425935", FeeAsset: "USDT", FeeQuote: "6.425935"},
	} {
		require.NoError(t, long.add(f))
	}
	d := &Demo{out: &strings.Builder{}}
	require.Equal(t, "99.16093115", long.gross(d).RoundBank(8).String())
	require.Equal(t, "12.75935983", long.fees.String())

	short := sums{short: true, base: "BTC"}
	for _, f := range []*projectorv1.Fill{
		{Side: eventv1.Side_SIDE_SELL, FillQuantity: "0.1", FillPrice: "100", Fee: "0.01", FeeAsset: "USDT", FeeQuote: "0.01"},
		{Side: eventv1.Side_SIDE_BUY, FillQuantity: "0.1001", FillPrice: "90", Fee: "0.0001", FeeAsset: "BTC", FeeQuote: "0.009"},
	} {
		require.NoError(t, short.add(f))
	}
	require.Equal(t, "1", short.gross(d).String(), "0.1 came back, at 10 less than it was sold for")
	require.Error(t, short.add(&projectorv1.Fill{FillQuantity: "x"}))
}

// TestSums_check refuses a position that says something else than its fills.
func TestSums_check(t *testing.T) {
	t.Parallel()
	d := &Demo{out: &strings.Builder{}}
	made := func() *sums {
		s := &sums{base: "BTC"}
		require.NoError(t, s.add(&projectorv1.Fill{Side: eventv1.Side_SIDE_BUY, FillQuantity: "1", FillPrice: "100", Fee: "0.1", FeeAsset: "USDT", FeeQuote: "0.1"}))
		require.NoError(t, s.add(&projectorv1.Fill{Side: eventv1.Side_SIDE_SELL, FillQuantity: "1", FillPrice: "110", Fee: "0.11", FeeAsset: "USDT", FeeQuote: "0.11"}))
		return s
	}
	require.NoError(t, made().check(d, &projectorv1.Position{RealizedPnl: "10", TotalFees: "0.21", NetPnl: "9.79"}))
	require.ErrorContains(t, made().check(d, &projectorv1.Position{RealizedPnl: "10.000000000000000001", TotalFees: "0.21", NetPnl: "9.79"}), "gross")
	require.ErrorContains(t, made().check(d, &projectorv1.Position{RealizedPnl: "10", TotalFees: "0.2", NetPnl: "9.79"}), "fees")
	require.ErrorContains(t, made().check(d, &projectorv1.Position{RealizedPnl: "10", TotalFees: "0.21"}), "net")

	positions := []*projectorv1.Position{
		{NetPnl: "9.79", DustQuantity: "0", EntryCost: "100", EntryQuantity: "1"},
		{NetPnl: "0"},
		{Side: eventv1.PositionSide_POSITION_SIDE_SHORT, NetPnl: "1", DustQuantity: "0.01", EntryCost: "50", EntryQuantity: "1"},
	}
	require.NoError(t, d.checkMoney("spot", "25011.29", positions))
	require.ErrorContains(t, d.checkMoney("spot", "25011.28", positions), "the venue says that spot has 25011.28 USDT, its positions leave 25011.29")
	require.Error(t, d.checkMoney("spot", "x", positions))
}
