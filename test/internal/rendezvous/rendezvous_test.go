package rendezvous_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/robson/robson/test/internal/rendezvous"
)

// TestRank_spreads has each of three replicas be the highest for about a third of the tenants.
func TestRank_spreads(t *testing.T) {
	t.Parallel()
	var highest [3]int
	for tenant := range 3000 {
		best := 0
		for replica := range highest {
			if rendezvous.Rank(strconv.Itoa(tenant), strconv.Itoa(replica)) > rendezvous.Rank(strconv.Itoa(tenant), strconv.Itoa(best)) {
				best = replica
			}
		}
		highest[best]++
	}
	for _, count := range highest {
		require.InDelta(t, 1000, count, 120)
	}
}
