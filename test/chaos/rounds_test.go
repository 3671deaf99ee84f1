package chaos_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tenantsOfRounds live histories while things break.
const tenantsOfRounds = 6

// TestLawsHoldWhateverBreaks: the parts share what is run and come one after the other, each with tenants of its own.
func TestLawsHoldWhateverBreaks(t *testing.T) {
	t.Parallel()
	seed := chosen(t)
	r := newRig(t, workDir(t), 3)
	t.Run("rounds of faults", func(t *testing.T) { runRounds(t, r, seed) })
	t.Run("once", func(t *testing.T) { runOnce(t, r, seed) })
	t.Run("a greedy tenant", func(t *testing.T) { runFair(t, r, seed) })
	t.Run("replicas", func(t *testing.T) { runReplicas(t, r, seed) })
	t.Run("rebuilds", func(t *testing.T) { runRebuilds(t, r, seed) })
}

// runRounds breaks something in each round, under load, and looks afterwards whether the laws hold.
func runRounds(t *testing.T, r *rig, seed uint64) {
	source := rand.New(rand.NewPCG(seed, 0))
	tenants := newTenants(t, r, tenantsOfRounds, seed)
	audits := make([]*audit, len(tenants))
	for i, tenant := range tenants {
		audits[i] = newAudit(r, tenant, seed)
	}
	for round, f := range plan(source) {
		began := now()
		linearized := newTenants(t, r, 1, seed+uint64(round))[0]
		operations := runRound(t, r, f, source, tenants, linearized)
		loaded := now().Sub(began)
		for _, a := range append(slices.Clip(audits), newAudit(r, linearized, seed)) {
			require.NoError(t, a.whole(t.Context()), "after round %d: %s", round+1, f.name)
		}
		t.Logf("round %d: %-35s: %s of load, %d operations on one stream, audited in %s", round+1, f.name,
			loaded.Round(time.Millisecond), operations, (now().Sub(began) - loaded).Round(time.Millisecond))
	}
	events := int64(0)
	for _, tenant := range tenants {
		a := newAudit(r, tenant, seed)
		require.NoError(t, a.whole(t.Context()), "at the end, from the first event")
		require.NoError(t, a.proven(t.Context()))
		events += a.position
	}
	t.Logf("%d events of %d tenants are whole", events, len(tenants))
}

// plan is the faults of the rounds: each once, in random order, and then one of the event logs' with one of the database's.
func plan(source *rand.Rand) []fault {
	planned := slices.Concat(ofReplicas, ofDatabase)
	source.Shuffle(len(planned), func(i, j int) { planned[i], planned[j] = planned[j], planned[i] })
	for len(planned) < *rounds {
		planned = append(planned, both(ofReplicas[source.IntN(len(ofReplicas))], ofDatabase[source.IntN(len(ofDatabase))]))
	}
	if *rounds > 0 {
		planned = planned[:*rounds]
	}
	return planned
}

// runRound breaks one thing at a random moment of the load and mends it before the load ends.
func runRound(t *testing.T, r *rig, f fault, source *rand.Rand, tenants []*tenant, linearized *tenant) (operations int) {
	t.Helper()
	ctx := t.Context()
	load := startLoad(ctx, r.replicas, tenants, f.callMax(), source.Uint64())
	writers := startLinear(ctx, r.replicas, linearized, source.Uint64())
	within(ctx, some(source, *duration/10, *duration/2))
	hold := some(source, *duration/20, *duration/3)
	struck := f.strike(ctx, r, source, func() { within(ctx, hold) })
	within(ctx, *duration/4)
	loadErr := load.stop()
	operations, linearErr := writers.stop()
	require.NoError(t, struck, f.name)
	require.NoError(t, loadErr, f.name)
	require.NoError(t, linearErr, f.name)
	require.NoError(t, f.permits(load.codes))
	return operations
}

// within lets a part of the fault plan pass.
func within(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// newTenants begins logs.
func newTenants(t *testing.T, r *rig, n int, seed uint64) []*tenant {
	t.Helper()
	c := &client{replicas: r.replicas, rand: rand.New(rand.NewPCG(seed, 1)), codes: newTally()}
	tenants := make([]*tenant, n)
	for i := range tenants {
		tenants[i] = newTenant()
		require.NoError(t, tenants[i].begin(t.Context(), c))
	}
	return tenants
}
