package screen

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/pkg/clock"
)

var morning = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// TestProgress_on_a_terminal draws one line anew, and leaves none.
func TestProgress_on_a_terminal(t *testing.T) {
	t.Parallel()
	clk, w := clock.NewFake(morning), &window{width: 100, height: 10}
	p := NewProgress(Look(w, false), clk, ProgressOptions{})
	p.Update(0, 1000)
	require.Equal(t, "[                        ]   0 %  0 of 1000 events", w.seen())
	clk.Advance(time.Second)
	p.Update(250, 1000)
	require.Equal(t, "[======                  ]  25 %  250 of 1000 events, 250 a second, 3s left", w.seen())
	clk.Advance(time.Millisecond)
	p.Update(251, 1000)
	require.Contains(t, w.seen(), "250 of", "an eye cannot follow")
	clk.Advance(2 * time.Second)
	p.Update(1000, 1000)
	require.Equal(t, "[========================] 100 %  1000 of 1000 events, 333 a second", w.seen())
	p.End()
	require.Empty(t, w.seen())
	p.End()
	require.NotContains(t, w.String(), "\n")
}

// TestProgress_on_a_narrow_terminal never wraps: a line that did could not be drawn over.
func TestProgress_on_a_narrow_terminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 10, 40, 60, 61, 200} {
		clk, w := clock.NewFake(morning), &window{width: width, height: 10}
		p := NewProgress(Look(w, false), clk, ProgressOptions{Things: "rows"})
		for _, done := range []int64{123456789, 5} {
			p.Told(done, 1<<40, 12345)
			clk.Advance(time.Second)
			for part := range strings.SplitSeq(w.String(), "\r") {
				require.Less(t, len(part), width+1, "%q", part)
			}
		}
		p.End()
		require.Empty(t, w.seen())
	}
}

// TestProgress_where_lines_stay writes one every few seconds, and the last one whatever the clock says.
func TestProgress_where_lines_stay(t *testing.T) {
	t.Parallel()
	clk, out := clock.NewFake(morning), &bytes.Buffer{}
	p := NewProgress(out, clk, ProgressOptions{Things: "events"})
	for i := range int64(12) {
		p.Update(10+i*10, 200)
		clk.Advance(time.Second)
	}
	p.End()
	p.End()
	require.Equal(t, "  5 %  10 of 200 events\n 30 %  60 of 200 events, 10 a second, 14s left\n 55 %  110 of 200 events, 10 a second, 9s left\n 60 %  120 of 200 events, 10 a second, 8s left\n", out.String())
}

// TestProgress_tells_the_speed_of_late, not that of a fast beginning.
func TestProgress_tells_the_speed_of_late(t *testing.T) {
	t.Parallel()
	clk, out := clock.NewFake(morning), &bytes.Buffer{}
	p := NewProgress(out, clk, ProgressOptions{})
	p.Update(0, 1_000_000)
	done := int64(100_000)
	for range 2 * rateWindow {
		clk.Advance(time.Second)
		p.Update(done, 1_000_000)
		done += 10
	}
	p.End()
	require.True(t, strings.HasSuffix(out.String(), ", 10 a second, 24h59m41s left\n"), out.String())
}

// TestProgress_without_a_total counts.
func TestProgress_without_a_total(t *testing.T) {
	t.Parallel()
	clk, out := clock.NewFake(morning), &bytes.Buffer{}
	p := NewProgress(out, clk, ProgressOptions{})
	p.Update(5, 0)
	clk.Advance(plainEvery)
	p.Update(10, 0)
	p.Told(11, 11, 0)
	p.End()
	require.Equal(t, "5 events\n10 events, 1 a second\n100 %  11 of 11 events, 0 a second\n", out.String())
}

// TestProgress_for_programs is a line of JSON each, on a terminal too.
func TestProgress_for_programs(t *testing.T) {
	t.Parallel()
	clk, w := clock.NewFake(morning), &window{width: 80, height: 10}
	p := NewProgress(Look(w, false), clk, ProgressOptions{JSON: true})
	p.Update(5, 0)
	p.Told(10, 100, 30)
	p.End()
	require.Equal(t, "{\"done\":5}\n{\"done\":10,\"total\":100,\"per_second\":30,\"seconds_left\":3}\n", w.String())
}

// TestProgress_that_is_silent tells nothing.
func TestProgress_that_is_silent(t *testing.T) {
	t.Parallel()
	w := &window{width: 80, height: 10}
	p := NewProgress(Look(w, false), clock.NewFake(morning), ProgressOptions{Silent: true})
	p.Update(5, 10)
	p.End()
	require.Empty(t, w.String())
}

// TestProgress_that_will_take_for_ever guesses no end.
func TestProgress_that_will_take_for_ever(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := NewProgress(&out, clock.NewFake(morning), ProgressOptions{})
	p.Told(1, 1<<62, 1)
	require.Equal(t, "  0 %  1 of 4611686018427387904 events, 1 a second\n", out.String())
}

// TestLook takes neither a file nor a pipe for a terminal, nor the null device, which is no file either.
func TestLook(t *testing.T) {
	t.Parallel()
	for _, path := range []string{os.DevNull, t.TempDir() + "/file"} {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		require.False(t, Look(file, false).Live(), path)
		width, height := Look(file, false).Size()
		require.Equal(t, []int{widthDefault, heightDefault}, []int{width, height})
		width, height = sizeOf(file)
		require.Equal(t, []int{widthDefault, heightDefault}, []int{width, height})
		require.NoError(t, file.Close())
	}
	require.False(t, Look(&bytes.Buffer{}, false).Live())
	width, height := Look(&window{width: 7, height: 8}, false).Size()
	require.Equal(t, []int{7, 8}, []int{width, height})
}
