// Package subscription brings tenants' logs to those who follow them: every event after a position once, in the order of
// positions, without a gap, first those that are there, then each as it is committed.
//
// Who is behind reads from the database, stretch by stretch. Who is at the end of a log is served from memory: each log that is
// listened to has a ring of its newest events, which they share.
//
//	Committed (this process)        one query of all heads every PollEvery (other processes)
//	     │ the next position             │ a log goes further than its ring
//	     │        otherwise ────────────►│
//	     ▼                               ▼
//	   ring ◄──────────────── one query of the news of many logs
//	     │ wakes its cursors
//	     ▼
//	   cursor ── the ring goes on from its position ──► stretch ──► the sender
//	     │                                                ▲
//	     └── it does not ──► read in the database ────────┘
//
// A ring takes in only what has the next position and is chained to its last event, so that it is the log, or nothing. What
// wakes a cursor says only that there may be more: a wake-up or a commit that is told of late, twice or never can neither skip
// nor repeat an event. Where a ring cannot be filled it is dropped, and its cursors look into the database, where each learns
// what is wrong.
//
// The sender is a goroutine of its own, so that the next stretch is read while one is sent, and so that a receiver who does
// not take what he is sent can be left. It lives as long as the call it sends for.
//
// # All tenants
//
// Follow sends the logs of all tenants on one stream. Those who follow under one name, through whatever process, are a crew and share
// the tenants by leases; a plan says who should have how many. A tenant is free, or goes
//
//	assigned ─► behind ◄─► at the end ─► revoked (another takes him, or the lease was lost) ─► released a round later
//	   ▲           └───────────┴───────► failed (his log cannot be followed) ──┐
//	   └───────────────────────────────────────────── FollowRetry ◄────────────┘
//
// Each assignment begins at the checkpoint that is saved, so that what two holders both do around a change of hands is done twice,
// and nothing is left out.
package subscription
