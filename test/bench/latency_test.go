package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHistogram_buckets(t *testing.T) {
	t.Parallel()
	for _, ns := range []uint64{0, 1, 63, 64, 65, 127, 128, 129, 1000, 123_456_789, math.MaxInt64} {
		bucket := bucketOf(ns)
		upper := upperOf(bucket)
		require.Less(t, bucket, bucketCount)
		require.GreaterOrEqual(t, upper, ns)
		require.LessOrEqual(t, float64(upper-ns), float64(ns)/subBuckets+1, "%d is told as %d", ns, upper)
		require.Equal(t, bucket, bucketOf(upper), "the upper end of a bucket is in it")
		require.Equal(t, bucket+1, bucketOf(upper+1), "and what follows is in the next")
	}
}

func TestHistogram_quantile(t *testing.T) {
	t.Parallel()
	var empty histogram
	require.Zero(t, empty.quantile(0.99))
	var h histogram
	r := newRand(1)
	durations := make([]time.Duration, 20_000)
	for i := range durations {
		durations[i] = time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		h.record(durations[i])
	}
	slices.Sort(durations)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		exact := durations[max(int(q*float64(len(durations))+0.5)-1, 0)]
		require.InEpsilon(t, exact, h.quantile(q), 1.0/subBuckets, "quantile %g", q)
	}
	require.Equal(t, durations[len(durations)-1], h.quantile(1), "the greatest is kept exactly")
}

func TestHistogram_merge(t *testing.T) {
	t.Parallel()
	var all, a, b histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		all.record(d)
		if i%3 == 0 {
			a.record(d)
		} else {
			b.record(d)
		}
	}
	a.merge(&b)
	require.Equal(t, all, a)
}

func TestHistogram_below_zero(t *testing.T) {
	t.Parallel()
	var h histogram
	h.record(-time.Second)
	require.Zero(t, h.quantile(1))
	require.EqualValues(t, 1, h.total)
}
