package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	n := 0
	total, err := closedLoop(t.Context(), 20*time.Millisecond, []call{func(ctx context.Context) (int, error) {
		n++
		if n == 2 {
			return 0, errors.New("once")
		}
		return 3, wait(ctx, time.Millisecond)
	}})
	require.NoError(t, err)
	require.Equal(t, 1, total.errors)
	require.EqualError(t, total.firstError, "once")
	require.Equal(t, n-1, total.calls)
	require.Equal(t, 3*total.calls, total.events)
	require.InEpsilon(t, float64(total.events)/total.elapsed.Seconds(), total.rate(), 0.001)
	require.GreaterOrEqual(t, total.latency.quantile(0.5), time.Millisecond)
}

func TestClosedLoop_nothing_succeeds(t *testing.T) {
	t.Parallel()
	_, err := closedLoop(t.Context(), time.Millisecond, []call{func(context.Context) (int, error) { return 0, errors.New("down") }})
	require.ErrorContains(t, err, "down")
}

// A service that stalls is charged with the calls that should have started meanwhile, though nobody could make them.
func TestOpenLoop_counts_from_the_intended_start(t *testing.T) {
	t.Parallel()
	const stall, rate = 60 * time.Millisecond, 1000
	first := true
	total, err := openLoop(t.Context(), 2*stall, rate, []call{func(ctx context.Context) (int, error) {
		if first {
			first = false
			return 1, wait(ctx, stall)
		}
		return 1, nil
	}})
	require.NoError(t, err)
	require.Equal(t, int(2*stall/(time.Second/rate)), total.calls, "every call of the plan is made")
	require.GreaterOrEqual(t, total.latency.max, stall)
	require.GreaterOrEqual(t, total.latency.quantile(0.75), stall/3, "a half of the calls waited for the stalled one, on average half as long")
}

func TestOpenLoop_ends_with_its_context(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := openLoop(ctx, time.Hour, 1000, []call{func(context.Context) (int, error) {
		cancel()
		return 1, nil
	}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestWeave(t *testing.T) {
	t.Parallel()
	named := func(names string) (loads []*load) {
		for _, name := range names {
			loads = append(loads, &load{name: string(name)})
		}
		return loads
	}
	order := func(a, b string) string {
		text := ""
		for _, l := range weave(named(a), named(b)) {
			text += l.name
		}
		return text
	}
	require.Equal(t, "a1b2c3", order("abc", "123"))
	require.Equal(t, "a12b34", order("ab", "1234"))
	require.Equal(t, "123", order("", "123"))
	require.Equal(t, "ab", order("ab", ""))
}
