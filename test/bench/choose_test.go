package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// drawn is how often each tenant was chosen.
func drawn(maker chooserMaker, tenants, n int) []int {
	choose, counts := maker(newRand(7)), make([]int, tenants)
	for range n {
		counts[choose().tenant]++
	}
	return counts
}

func TestUniform(t *testing.T) {
	t.Parallel()
	for _, n := range drawn(uniform(10, 5), 10, 10_000) {
		require.InDelta(t, 1000, n, 200)
	}
	choose := uniform(3, 4)(newRand(1))
	for range 100 {
		at := choose()
		require.Less(t, at.tenant, 3)
		require.Less(t, at.account, 4)
	}
}

func TestZipf(t *testing.T) {
	t.Parallel()
	counts := drawn(zipf(100, 1), 100, 100_000)
	require.InDelta(t, 25_000, counts[0], 3000, "the first gets a quarter")
	require.Greater(t, counts[0], 2*counts[2])
	require.Greater(t, counts[2], 2*counts[20])
	last := 0
	for _, n := range counts[90:] {
		last += n
	}
	require.Positive(t, last, "and the last something")
}

func TestHot(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{0, 0, 100}, drawn(hot(place{tenant: 2, account: 1}), 3, 100))
}
