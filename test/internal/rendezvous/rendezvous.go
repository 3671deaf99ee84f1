// Package rendezvous chooses replicas for tenants as Robson's own client library does: each tenant's appends go to the replica
// that ranks highest for it.
package rendezvous

import "hash/fnv"

// Rank is a replica's rank for a tenant.
func Rank(tenant, replica string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(tenant + "\x00" + replica)) // a hash takes everything
	// FNV spreads badly over texts that differ at their end only: its sum is mixed once more.
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
