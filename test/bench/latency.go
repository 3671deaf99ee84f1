package main

import (
	"math/bits"
	"time"
)

// The histogram's buckets: each power of two is cut into subBuckets parts, so that a value is known to one part in
// subBuckets (1.6 %) whatever its size, and recording costs a few instructions and no memory.
const (
	subBucketBits = 6
	subBuckets    = 1 << subBucketBits
	bucketCount   = (64 - subBucketBits + 1) * subBuckets
)

// histogram counts durations. The zero value is empty. It is not for use by several goroutines: each has its own, and
// they are merged.
type histogram struct {
	counts [bucketCount]uint64
	total  uint64
	max    time.Duration
}

// bucketOf is where a number of nanoseconds is counted.
func bucketOf(ns uint64) int {
	if ns < subBuckets {
		return int(ns)
	}
	shift := bits.Len64(ns) - subBucketBits - 1
	return (shift+1)*subBuckets + int(ns>>shift) - subBuckets
}

// upperOf is the largest number of nanoseconds that a bucket counts.
func upperOf(bucket int) uint64 {
	if bucket < subBuckets {
		return uint64(bucket)
	}
	shift := bucket/subBuckets - 1
	return uint64(bucket%subBuckets+subBuckets+1)<<shift - 1
}

// record counts one duration; one below zero counts as zero.
func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// merge adds what another has counted.
func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// quantile is the duration that a part q of all, 0 to 1, did not exceed; 0 if nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q*float64(h.total) + 0.5)
	rank = min(max(rank, 1), h.total)
	var seen uint64
	for bucket, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(upperOf(bucket)), h.max)
		}
	}
	return h.max
}
