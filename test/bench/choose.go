package main

import "math/rand/v2"

// place is a stream of the bench's world: an account of a tenant.
type place struct{ tenant, account int }

// chooser says where the next event goes.
type chooser func() place

// chooserMaker makes a worker's own chooser, so that workers share no random source.
type chooserMaker func(r *rand.Rand) chooser

// zipfExponent is how steep the Zipf distribution is: at 1.1 the first of 100 tenants gets a quarter of the events.
const zipfExponent = 1.1

// newRand is a worker's source of chance. The same seed gives the same choices.
func newRand(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // chooses tenants for a load, no secrets
}

// uniform spreads events over all accounts of all tenants.
func uniform(tenants, accounts int) chooserMaker {
	return func(r *rand.Rand) chooser {
		return func() place { return place{tenant: r.IntN(tenants), account: r.IntN(accounts)} }
	}
}

// zipf gives few tenants most of the events, as customers do.
func zipf(tenants, accounts int) chooserMaker {
	return func(r *rand.Rand) chooser {
		z := rand.NewZipf(r, zipfExponent, 1, uint64(tenants-1))
		return func() place { return place{tenant: int(z.Uint64()), account: r.IntN(accounts)} }
	}
}

// hot sends every event to one stream of one tenant.
func hot(at place) chooserMaker {
	return func(*rand.Rand) chooser { return func() place { return at } }
}
