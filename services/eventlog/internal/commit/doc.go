// Package commit is the group commit: appends that arrive while a transaction is under way form the next one.
//
//	senders ──► a queue per tenant ──► ready tenants, in turn ──► a worker takes a batch ──► one transaction ──► answers
//	                                          ▲                          │
//	                                          └── more in the queue ─────┤
//	                    a lane of its own ◄── somebody else holds the log┘
//
// There are no timers: a worker that is free takes what there is, so a lone append is not delayed, and under load a batch
// is what arrived during the last commit. A tenant is in one batch at a time, so its appends keep their order. While others
// wait, a tenant gets its share of a batch and no more. A tenant whose log somebody else holds, another replica or a
// rebuild, leaves the batch for a lane of its own, and nobody waits for it.
package commit
