package chaos_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// callersOfReplicas append at once for tenantsOfReplicas.
	callersOfReplicas, tenantsOfReplicas = 32, 16
	// measuredShort and measuredLong are how long each measurement takes.
	measuredShort, measuredLong = 1500 * time.Millisecond, 10 * time.Second
)

// runReplicas measures what several replicas on one machine do to the throughput of clients that choose by rendezvous
// hashing, and of those that do not. The figures are printed: the machine is shared with whatever else runs.
func runReplicas(t *testing.T, r *rig, seed uint64) {
	d := measuredShort
	if *long {
		d = measuredLong
	}
	tenants := newTenants(t, r, tenantsOfReplicas, seed)
	for _, m := range []struct {
		name     string
		replicas []*replica
		anywhere bool
	}{
		{"one replica", r.replicas[:1], false},
		{"three replicas, a tenant at one (rendezvous)", r.replicas, false},
		{"three replicas, a tenant at any", r.replicas, true},
	} {
		before, err := r.database.transactions(t.Context())
		require.NoError(t, err)
		rate := throughput(t, m.replicas, m.anywhere, tenants, d, seed)
		after, err := r.database.transactions(t.Context())
		require.NoError(t, err)
		t.Logf("%-46s %6.0f appends/s, %4.1f a transaction", m.name, rate, rate*d.Seconds()/float64(after-before))
	}
	for _, tenant := range tenants {
		require.NoError(t, newAudit(r, tenant, seed).follow(t.Context()))
	}
}

// throughput is how many unary appends a second callers get acknowledged.
func throughput(t *testing.T, replicas []*replica, anywhere bool, tenants []*tenant, d time.Duration, seed uint64) float64 {
	t.Helper()
	end := now().Add(d)
	var group sync.WaitGroup
	var acknowledged atomic.Int64
	errs := make([]error, callersOfReplicas)
	for i := range callersOfReplicas {
		source := rand.New(rand.NewPCG(seed, uint64(400+i)))
		c := &client{replicas: replicas, rand: source, anywhere: anywhere, codes: newTally()}
		tenant := tenants[i%len(tenants)]
		group.Go(func() {
			for now().Before(end) {
				account, _ := tenant.accounts.pick(source)
				// An append that was begun is finished: the ledger knows all.
				if _, err := c.settle(t.Context(), tenant, sampled(source, account), false); err != nil {
					errs[i] = err
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	return float64(acknowledged.Load()) / d.Seconds()
}
