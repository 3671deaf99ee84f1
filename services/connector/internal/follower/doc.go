// Package follower brings what a venue reports about accounts into the log: every report once, in order, across crashes.
//
// Each account has one follower at a time over all replicas, by a lease; two at a time would do double work and no harm,
// since facts are named by their identity. A follower keeps a checkpoint in the log's care: the cursor up to which every
// report is in the log. It is moved after the append, so a crash in between brings some reports again, which are
// recognised as duplicates. After a gap that the venue cannot fill it asks about every live order and samples balances.
package follower
