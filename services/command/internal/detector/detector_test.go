package detector_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	"github.com/robson/robson/services/command/internal/detector"
)

const (
	long  = eventv1.PositionSide_POSITION_SIDE_LONG
	short = eventv1.PositionSide_POSITION_SIDE_SHORT
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	cent = decimal.RequireFromString("0.01")
)

// candles reads "high/low/close" or a bare close of flat candles, a minute each.
func candles(t *testing.T, text string) []detector.Candle {
	t.Helper()
	var list []detector.Candle
	for i, word := range strings.Fields(text) {
		parts := strings.Split(word, "/")
		if len(parts) == 1 {
			parts = []string{word, word, word}
		}
		num := decimal.RequireFromString
		list = append(list, detector.Candle{
			Open: noon.Add(time.Duration(i) * time.Minute), High: num(parts[0]), Low: num(parts[1]), Close: num(parts[2]),
		})
	}
	return list
}

func config(t *testing.T, change map[string]string) detector.Config {
	t.Helper()
	made, err := detector.Parse(settings(change))
	require.NoError(t, err)
	return made
}

// Averages of 2 and 4 closes.
func TestDetect_cross(t *testing.T) {
	t.Parallel()
	byPercent := map[string]string{"stop_method": "percent", "stop_percent": "1", "stop_lookback": "5"}
	tests := []struct {
		name   string
		closes string
		side   eventv1.PositionSide
		found  bool
	}{
		// before: 97.5 under 98.5 = (100+99+98+97)/4; now: (97+104)/2 = 100.5 over (99+98+97+104)/4 = 99.5
		{"from below to above is for a long", "100 99 98 97 104", long, true},
		{"and not for a short", "100 99 98 97 104", short, false},
		// before: 102.5 over 101.5; now: (103+96)/2 = 99.5 under (101+102+103+96)/4 = 100.5
		{"from above to below is for a short", "100 101 102 103 96", short, true},
		{"and not for a long", "100 101 102 103 96", long, false},
		// before: equal at 100; now: (100+100.01)/2 over (300+100.01)/4, by 0.0025
		{"from equal to above, by a hair", "100 100 100 100 100.01", long, true},
		// before: 97.5 under 98.5; now: (97+98)/2 = 97.5 under (99+98+97+98)/4 = 98
		{"not yet", "100 99 98 97 98", long, false},
		// before: 98 under 98.5 = (100+98+98+98)/4; now: (98+98)/2 = 98 and (98*4)/4 = 98
		{"to equal is no cross", "100 98 98 98 98", long, false},
		// before: 100.5 over 99.5 already
		{"once above, no second one", "99 98 97 104 105", long, false},
		{"one candle too few", "99 98 97 104", long, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := candles(t, test.closes)
			found, ok := detector.Detect(config(t, byPercent), test.side, all, cent)
			require.Equal(t, test.found, ok)
			if ok {
				newest := all[len(all)-1]
				require.Equal(t, newest.Open, found.Open)
				require.Equal(t, newest.Open.Add(time.Minute), found.Closed)
				require.True(t, newest.Close.Equal(found.Entry))
			}
		})
	}
}

// The closes cross up with the last candle in each; the lows and highs differ.
func TestDetect_technicalStop(t *testing.T) {
	t.Parallel()
	// Lows at index 2 (95), 6 (92) and 9 (96.5), each below two candles on either side; the crossing close is 103.
	up := "100/99/99 100/98/99 99/95/98 99/97/98 99/97/98 98/94/97 97/92/96 98/97/97 99/97/97 98/96.5/97 98/97/97 99/97/97 104/97/103"
	// The same upside down, around 100: highs at 105, 108 and 103.5; the close is 97.
	down := "101/100/101 102/100/101 105/101/102 103/101/102 103/101/102 106/102/103 108/103/104 103/102/103 103/101/103 103.5/102/103 103/102/103 103/101/103 103/96/97"
	tests := []struct {
		name, candles string
		side          eventv1.PositionSide
		change        map[string]string
		want          string // method level levels price distance percent confidence; empty: no signal
	}{
		{"the second support below", up, long, nil, "swing_low 2 96.5,95,92 95 8 7.766990291262135922 high"},
		{"the nearest", up, long, map[string]string{"stop_level": "1"}, "swing_low 1 96.5,95,92 96.5 6.5 6.310679611650485437 high"},
		{"fewer than wanted: the farthest", up, long, map[string]string{"stop_level": "5"}, "swing_low 3 96.5,95,92 92 11 10.679611650485436893 medium"},
		{"only in the look-back", up, long, map[string]string{"stop_lookback": "8"}, "swing_low 1 96.5 96.5 6.5 6.310679611650485437 medium"},
		{"the second resistance above", down, short, nil, "swing_high 2 103.5,105,108 105 8 8.247422680412371134 high"},
		{
			"no level: a percentage, if the settings give one", "100 99 98 97 104", long,
			map[string]string{"stop_lookback": "5", "stop_percent": "1.255"},
			"percent 0  102.69 1.31 1.259615384615384615 low", // 104 x 0.98745 = 102.6948, down to the cent
		},
		{"a short's percentage is rounded up", "100 101 102 103 96", short, map[string]string{"stop_lookback": "5", "stop_percent": "1.255"}, "percent 0  97.21 1.21 1.260416666666666667 low"},
		{"no level and no percentage: no signal", "100 99 98 97 104", long, map[string]string{"stop_lookback": "5"}, ""},
		{"a percentage wanted, whatever the chart shows", up, long, map[string]string{"stop_method": "percent", "stop_percent": "2"}, "percent 0  100.94 2.06 2 low"},
		{"equal neighbours are one level, equal levels too", "100 99 95 95 98 99 95 99 99 98 97 104", long, map[string]string{"stop_level": "1"}, "swing_low 1 95 95 9 8.653846153846153846 high"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := candles(t, test.candles)
			change := map[string]string{"stop_lookback": strconv.Itoa(len(all))}
			for key, value := range test.change {
				change[key] = value
			}
			found, ok := detector.Detect(config(t, change), test.side, all, cent)
			require.Equal(t, test.want != "", ok)
			if !ok {
				return
			}
			stop := found.Stop
			levels := make([]string, len(stop.Levels))
			for i, level := range stop.Levels {
				levels[i] = level.String()
			}
			require.Equal(t, test.want, strings.Join([]string{
				stop.Method, strconv.Itoa(stop.Level), strings.Join(levels, ","), stop.Price.String(), stop.Distance.String(),
				stop.DistancePercent(found.Entry).String(), stop.Confidence,
			}, " "))
		})
	}
}

func tick(price string, seconds int) detector.Tick {
	return detector.Tick{Price: decimal.RequireFromString(price), At: noon.Add(time.Duration(seconds) * time.Second)}
}

// shown writes candles as "minute:high/low/close".
func shown(list []detector.Candle) string {
	var words []string
	for _, c := range list {
		words = append(words, strconv.Itoa(int(c.Open.Sub(noon)/time.Minute))+":"+c.High.String()+"/"+c.Low.String()+"/"+c.Close.String())
	}
	return strings.Join(words, " ")
}

func TestSeries(t *testing.T) {
	t.Parallel()
	series := detector.NewSeries(time.Minute)
	require.Zero(t, series.Add(tick("100", 30)))
	require.Zero(t, series.Add(tick("101", 61)), "the minute in which watching began was not seen whole")
	for _, at := range []detector.Tick{tick("99", 80), tick("104", 100), tick("103", 119)} {
		require.Zero(t, series.Add(at))
	}
	require.Equal(t, 1, series.Add(tick("105", 120)))
	require.Equal(t, "1:104/99/103", shown(series.Closed()))
	require.Equal(t, 3, series.Add(tick("106", 300)), "minutes without a tick stand at the close before")
	require.Equal(t, "1:104/99/103 2:105/105/105 3:105/105/105 4:105/105/105", shown(series.Closed()))

	gap := tick("107", 360)
	gap.Gap = true
	require.Zero(t, series.Add(gap))
	require.Empty(t, series.Closed(), "nothing rests on candles with a hole between them")
	require.Zero(t, series.Add(tick("108", 420)))
	require.Equal(t, 1, series.Add(tick("109", 480)))
	require.Equal(t, "7:108/108/108", shown(series.Closed()))

	require.Zero(t, series.Add(tick("50", 0)), "another market has taken the place of this one")
	require.Empty(t, series.Closed())
	require.Zero(t, series.Add(tick("51", 60)))
	require.Equal(t, detector.CandlesKept, series.Add(tick("52", 60*1000)), "a long silence closes no more than is kept")
	require.Len(t, series.Closed(), detector.CandlesKept)
	require.Equal(t, noon.Add(999*time.Minute), series.Closed()[detector.CandlesKept-1].Open)
}

// Whoever watches long enough finds the same, whenever he began.
func TestProperty_signals_do_not_depend_on_when_watching_began(t *testing.T) {
	t.Parallel()
	settings := config(t, map[string]string{"stop_lookback": "8", "stop_percent": "1"})
	rapid.Check(t, func(r *rapid.T) {
		prices := rapid.SliceOfN(rapid.IntRange(90, 110), 60, 200).Draw(r, "prices")
		side := rapid.SampledFrom([]eventv1.PositionSide{long, short}).Draw(r, "side")
		begin := rapid.IntRange(0, len(prices)-1).Draw(r, "begin")
		early, late := detector.NewSeries(time.Minute), detector.NewSeries(time.Minute)
		at := 0
		for i, price := range prices {
			at += rapid.SampledFrom([]int{1, 20, 59, 150}).Draw(r, "pause")
			next := tick(strconv.Itoa(price), at)
			early.Add(next)
			if i < begin {
				continue
			}
			late.Add(next)
			if len(late.Closed()) < settings.Needed() {
				continue
			}
			first, seen := detector.Detect(settings, side, early.Closed(), cent)
			second, seenToo := detector.Detect(settings, side, late.Closed(), cent)
			require.Equal(r, seen, seenToo)
			require.Equal(r, first.Open, second.Open)
			require.True(r, first.Stop.Price.Equal(second.Stop.Price))
			if seen {
				require.Equal(r, side == short, first.Stop.Price.GreaterThan(first.Entry), "the stop is where a loss is")
			}
		}
	})
}
