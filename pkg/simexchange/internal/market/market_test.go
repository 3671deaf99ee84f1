package market

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func prices(ticks []Tick) (out []string) {
	for _, tick := range ticks {
		out = append(out, tick.Price.String())
	}
	return out
}

// The forms are those of Binance's REST answer and of its public dumps.
func TestParse(t *testing.T) {
	t.Parallel()
	kline := "1588280400000,100.1,110,90,105,3,1588283999999,1,34,1,1,0\n"
	for name, c := range map[string]struct {
		document string
		at       int64
		want     []string
	}{
		"klines, REST":       {`[[1588280400000,"100.1","110","90","105","3",1588283999999,"1",34,"1","1","0"]]`, 1588280400000, []string{"100.1", "90", "110", "105"}},
		"klines, dump":       {kline, 1588280400000, []string{"100.1", "90", "110", "105"}},
		"klines, heading":    {"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n" + kline, 1588280400000, []string{"100.1", "90", "110", "105"}},
		"trades":             {"1,93576.00,0.01,935.76,1735689600000000,True,True\n", 1735689600000, []string{"93576"}},
		"a script":           {"0,95000\n250,95010.5\n", 0, []string{"95000", "95010.5"}},
		"aggTrades":          {"1,93576.00,0.01,1,2,1588280400000,True,True\n", 1588280400000, []string{"93576"}},
		"seconds and a side": {"1605499846,15993.5,0.026472,ANY\n", 1605499846000, []string{"15993.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ticks, err := Parse([]byte(c.document))
			require.NoError(t, err)
			require.Equal(t, c.at, ticks[0].At)
			require.Equal(t, c.want, prices(ticks))
		})
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	file, err := w.Create("BTCUSDT-1h.csv")
	require.NoError(t, err)
	_, err = file.Write([]byte(kline))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	ticks, err := Parse(archive.Bytes())
	require.NoError(t, err)
	require.Len(t, ticks, 4)
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		"":                           "0 rows",
		"1,2,3\n":                    "3 columns are of no known kind",
		"[[1]]":                      "row 0 has 1 columns",
		"5,1,1,ANY\n4,1,1,ANY\n":     "its time is before",
		"5,-1,1,ANY\n":               "is no price",
		"5,1e3,1,ANY\n":              "is no price",
		"5,9,8,7,10,1,9,1,1,1,1,1\n": "high and low must span",
		"9,9,9,9,9,1,9,1,1,1,1,1\n":  "the bar must last",
		`{"code":-1121,"msg":"no"}`:  "read CSV",
	} {
		_, err := Parse([]byte(document))
		require.ErrorContains(t, err, want, document)
	}
}

func TestWalk_is_a_function_of_its_seed(t *testing.T) {
	t.Parallel()
	walk := Walk{Seed: 42, Start: decimal.NewFromInt(100), Tick: decimal.New(1, -2), Steps: 25, Every: 1000}
	path, err := walk.Path()
	require.NoError(t, err)
	var got []Tick
	for range 8 {
		tick, _ := path.Next()
		got = append(got, tick)
	}
	// The same numbers as the paper venue's walk of this seed.
	require.Equal(t, []string{"100", "99.88", "99.73", "99.54", "99.68", "99.89", "99.97", "100.03"}, prices(got))
	walk.Steps = 0
	_, err = walk.Path()
	require.Error(t, err)
}
