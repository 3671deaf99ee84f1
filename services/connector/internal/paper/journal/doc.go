// Package journal keeps the paper venue's memory: a snapshot and the records after it, in one directory.
//
//	lock              held by the one process that writes
//	snapshot-<n>      the state before the first record of journal-<n>
//	journal-<n>       records, each with its length, sequence and checksums
//
// A record is durable when Sync of its sequence has returned. What a crash can leave is a torn last record, which
// Open cuts off; anything else that does not check is damage, and Open refuses (stop beats skip).
// Compact writes snapshot-<n+1> whole (aside, synced, renamed) before journal-<n+1> begins, then removes the old pair,
// so that a crash at any point leaves one complete pair.
package journal
