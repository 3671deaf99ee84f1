package feed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	rowA = `[1588280400000, "100.10", "110.00", "90.00", "105.00", "3.0", 1588283999999, "1", 34, "1", "1", "0"]`
	rowB = `[1588284000000, "105.00", "106.00", "80.00", "81.00", "3.0", 1588287599999, "1", 34, "1", "1", "0"]`
	rowD = `[1588291200000, "81.00", "81.00", "81.00", "81.00", "3.0", 1588294799999, "1", 34, "1", "1", "0"]`
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func all(t *testing.T, source Source, limit int) []Tick {
	t.Helper()
	var out []Tick
	tick, ok := source.Next(Tick{})
	for ; ok && len(out) < limit; tick, ok = source.Next(tick) {
		out = append(out, tick)
	}
	return out
}

func TestParseKlines_Path(t *testing.T) {
	t.Parallel()
	bars, err := ParseKlines([]byte("[" + rowA + "," + rowB + "," + rowD + "]"))
	require.NoError(t, err)
	require.Equal(t, []Gap{{AfterRow: 1, From: time.UnixMilli(1588287600000).UTC(), To: time.UnixMilli(1588291200000).UTC()}}, bars.Gaps)

	source := Source{Bars: bars.Bars}
	require.NoError(t, source.Validate(dec("0.01")))
	require.EqualValues(t, 12, source.Len())
	ticks := all(t, source, 100)
	require.Len(t, ticks, 12)
	var path []string
	for n, tick := range ticks {
		require.EqualValues(t, n+1, tick.Index)
		path = append(path, tick.Price.String())
	}
	// The first bar rose: low before high. The second fell: high before low.
	require.Equal(t, []string{"100.1", "90", "110", "105", "105", "106", "80", "81", "81", "81", "81", "81"}, path)
	require.Equal(t, 15*time.Minute, ticks[1].Time.Sub(ticks[0].Time))
	require.Equal(t, 45*time.Minute, ticks[3].Time.Sub(ticks[0].Time))
	require.ErrorContains(t, source.Validate(dec("0.25")), "row 0 column 1 (open): 100.1 is no multiple of the tick size 0.25")
}

func TestParseKlines_Refuses(t *testing.T) {
	t.Parallel()
	cell := func(column int, value string) string {
		cells := strings.Split(strings.Trim(rowB, "[]"), ", ")
		cells[column] = value
		return "[" + rowA + ",[" + strings.Join(cells, ", ") + "]]"
	}
	for _, c := range []struct{ name, document, want string }{
		{"not JSON", "<html>", "not an array of rows"},
		{"an error answer", `{"code":-1121,"msg":"Invalid symbol."}`, "an object where an array of rows belongs: {\"code\":-1121"},
		{"empty", "[]", "no rows"},
		{"null", "null", "no rows"},
		{"short row", "[" + rowA + ",[1,2]]", "row 1 has 2 columns, 12 belong"},
		{"twice", "[" + rowA + "," + rowA + "]", "row 1 column 0 (open time): 2020-04-30T21:00:00.000Z is before the end of the row above"},
		{"backwards", "[" + rowB + "," + rowA + "]", "row 1 column 0 (open time)"},
		{"time as text", cell(0, `"1588284000000"`), `row 1 column 0 (open time): "1588284000000": a whole number belongs here`},
		{"time in microseconds", cell(0, "1588284000000000"), "row 1 column 0 (open time): 1588284000000000: milliseconds since 1970 belong here"},
		{"time null", cell(0, "null"), "row 1 column 0 (open time): null: a whole number"},
		{"closes before it opens", cell(6, "1588284000000"), "row 1 column 6 (close time)"},
		{"price as number", cell(1, "105.00"), "row 1 column 1 (open): 105.00: a decimal number in quotes belongs here"},
		{"price with exponent", cell(1, `"1e2"`), "row 1 column 1 (open)"},
		{"price negative", cell(3, `"-1"`), "row 1 column 3 (low)"},
		{"price zero", cell(3, `"0.00"`), "row 1 column 3 (low): 0: must be above zero"},
		{"high below low", cell(2, `"79.00"`), "row 1 column 2 (high): 79 is below low 80"},
		{"open above high", cell(1, `"107.00"`), "row 1 column 1 (open): 107 lies outside low 80 and high 106"},
		{"close below low", cell(4, `"79.99"`), "row 1 column 4 (close): 79.99 lies outside"},
		{"volume empty", cell(5, `""`), "row 1 column 5 (volume)"},
		{"trades fractional", cell(8, "1.5"), "row 1 column 8 (trades)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseKlines([]byte(c.document))
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("too many bytes", func(t *testing.T) {
		t.Parallel()
		_, err := ParseKlines(make([]byte, KlineBytesMax+1))
		require.ErrorContains(t, err, "at most")
	})
	t.Run("too many rows", func(t *testing.T) {
		t.Parallel()
		_, err := ParseKlines([]byte("[" + strings.Repeat("[],", KlineRowsMax) + "[]]"))
		require.ErrorContains(t, err, "rows, at most")
	})
}

// The recorded files of real markets decode whole.
func TestParseKlines_Recorded(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]int{"btcusdt-1h-2020-04-30.json": 1000, "btcusdt-1m-2020-05-06.json": 60} {
		bars, err := ParseKlines(recorded(t, name))
		require.NoError(t, err)
		require.Len(t, bars.Bars, rows)
		require.Empty(t, bars.Gaps)
		require.NoError(t, Source{Bars: bars.Bars}.Validate(dec("0.01")))
	}
}

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("ROBSON_MARKET_DATA")
	for up := "."; dir == "" && len(up) < 40; up = filepath.Join(up, "..") {
		if info, err := os.Stat(filepath.Join(up, "shared", "data")); err == nil && info.IsDir() {
			dir = filepath.Join(up, "shared", "data")
		}
	}
	document, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("recorded market data is absent (set ROBSON_MARKET_DATA): %v", err)
	}
	return document
}

func FuzzParseKlines(f *testing.F) {
	f.Add([]byte("[" + rowA + "," + rowB + "]"))
	f.Add([]byte(`[[1,"1","1","1","1","1",9,"1",1,"1","1",null]]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		bars, err := ParseKlines(document)
		if err != nil {
			return
		}
		ticks := all(t, Source{Bars: bars.Bars}, 1000)
		for n := 1; n < len(ticks); n++ {
			if !ticks[n].Time.After(ticks[n-1].Time) {
				t.Fatalf("tick %d: time does not grow", n)
			}
		}
	})
}

func walk(seed uint64) Walk {
	return Walk{
		Seed: seed, Start: dec("100.00"), TickSize: dec("0.01"), StepTicks: 25,
		Interval: time.Second, StartTime: time.UnixMilli(1_600_000_000_000).UTC(),
	}
}

// These numbers are for ever: another path for a seed would make recorded runs differ.
func TestWalk_Golden(t *testing.T) {
	t.Parallel()
	w := walk(42)
	var got []string
	for _, tick := range all(t, Source{Walk: &w}, 8) {
		got = append(got, fmt.Sprintf("%d %s", tick.Index, tick.Price.StringFixed(2)))
	}
	require.Equal(t, walkGolden, got)
}

func TestWalk_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := walk(rapid.Uint64().Draw(t, "seed"))
		w.Start = dec("0.01").Mul(decimal.NewFromInt(rapid.Int64Range(1, 50).Draw(t, "start")))
		w.Ticks = rapid.Int64Range(1, 200).Draw(t, "ticks")
		source := Source{Walk: &w}
		var ticks []Tick
		tick, ok := source.Next(Tick{})
		for ; ok; tick, ok = source.Next(tick) {
			ticks = append(ticks, tick)
		}
		if int64(len(ticks)) != w.Ticks {
			t.Fatalf("%d ticks, want %d", len(ticks), w.Ticks)
		}
		for n, tick := range ticks {
			if tick.Price.LessThan(w.TickSize) || !tick.Price.Mod(w.TickSize).IsZero() {
				t.Fatalf("price %s", tick.Price)
			}
			if n > 0 && tick.Price.Sub(ticks[n-1].Price).Abs().GreaterThan(w.TickSize.Mul(decimal.NewFromInt(w.StepTicks))) {
				t.Fatalf("step from %s to %s", ticks[n-1].Price, tick.Price)
			}
		}
	})
}

func TestSource_Refuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*Walk)) Source {
		w := walk(1)
		f(&w)
		return Source{Walk: &w}
	}
	at := time.UnixMilli(1).UTC()
	for _, c := range []struct {
		name   string
		source Source
		want   string
	}{
		{"nothing", Source{}, "exactly one of"},
		{"two", Source{Walk: &Walk{}, Script: []ScriptTick{{}}}, "exactly one of"},
		{"other tick size", change(func(w *Walk) { w.TickSize = dec("0.1") }), "the instrument has 0.01"},
		{"start between ticks", change(func(w *Walk) { w.Start = dec("1.005") }), "start 1.005"},
		{"start zero", change(func(w *Walk) { w.Start = dec("0") }), "start 0"},
		{"no step", change(func(w *Walk) { w.StepTicks = 0 }), "step of 0"},
		{"huge step", change(func(w *Walk) { w.StepTicks = stepTicksMax + 1 }), "step of"},
		{"no interval", change(func(w *Walk) { w.Interval = 0 }), "interval"},
		{"negative length", change(func(w *Walk) { w.Ticks = -1 }), "length -1"},
		{"script price", Source{Script: []ScriptTick{{at, dec("0.005")}}}, "price 0"},
		{"script time", Source{Script: []ScriptTick{{at, dec("1")}, {at, dec("1")}}}, "its time is not after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, c.source.Validate(dec("0.01")), c.want)
		})
	}
}

func TestSource_Script(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(5).UTC()
	source := Source{Script: []ScriptTick{{at, dec("1")}, {at.Add(time.Second), dec("2")}}}
	require.NoError(t, source.Validate(dec("0.01")))
	require.Len(t, all(t, source, 10), 2)
	_, ok := Source{}.Next(Tick{})
	require.False(t, ok)
}

var walkGolden = []string{"1 100.00", "2 99.88", "3 99.73", "4 99.54", "5 99.68", "6 99.89", "7 99.97", "8 100.03"}

// The published first outputs for seed 0.
func TestSplitmix64(t *testing.T) {
	t.Parallel()
	var state uint64
	require.Equal(t, uint64(0xe220a8397b1dcdaf), splitmix64(&state))
	require.Equal(t, uint64(0x6e789e6aa1b965f4), splitmix64(&state))
}

func TestWalk_Bounds(t *testing.T) {
	t.Parallel()
	tick := decimal.RequireFromString("0.01")
	good := Walk{Seed: 1, Start: decimal.NewFromInt(100), TickSize: tick, StepTicks: 5, Interval: time.Second, StartTime: time.Unix(0, 0).UTC(), Ticks: 10}
	for want, change := range map[string]func(*Walk){
		"at most 10000000000000": func(w *Walk) { w.Start = decimal.RequireFromString("10000000000000.01") },
		"in all":                 func(w *Walk) { w.Interval, w.Ticks = 24*time.Hour, 1_000_000 },
	} {
		w := good
		change(&w)
		require.ErrorContains(t, Source{Walk: &w}.Validate(tick), want)
	}
	require.NoError(t, Source{Walk: &good}.Validate(tick))
}

func TestSource_Within(t *testing.T) {
	t.Parallel()
	num := decimal.RequireFromString
	for _, s := range []Source{
		{Walk: &Walk{Start: num("0.5")}},
		{Bars: []Bar{{Low: num("2"), High: num("11")}}},
		{Script: []ScriptTick{{Price: num("11")}}},
	} {
		require.ErrorContains(t, s.Within(num("1"), num("10")), "must lie within 1 and 10")
		require.NoError(t, s.Within(decimal.Zero, decimal.Zero), "a bound of 0 is none")
	}
}
