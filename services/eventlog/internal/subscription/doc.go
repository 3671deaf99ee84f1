// Package subscription brings a tenant's log to those who follow it: every event after a position once, in the order of
// positions, without a gap, first those that are there, then each as it is committed.
//
// A subscriber is a reader that sleeps where the log ends. What wakes it says only that there is more; what it sends it has
// read from the log, from where it stopped, so a wake-up that is lost, late or twice can neither skip nor repeat an event.
//
//	        Committed (this process)      one query of all heads every PollEvery (other processes)
//	                 │                              │
//	                 ▼                              ▼
//	┌──────────► wake the tenant's subscribers ─────┘
//	│                │
//	│                ▼
//	│   catching up ─► read the next stretch ─► hand it to the sender ─┐ more
//	│                     ▲                          │                 │
//	│                     └──────────────────────────┼─────────────────┘
//	│                                                ▼ the log's end
//	└──── asleep ◄─ CaughtUp, the first time, and whenever the filter has held back everything for CaughtUpEvery
//
// The sender is a goroutine of its own, so that the next stretch is read while one is sent, and so that a receiver who does
// not take what he is sent can be left. It lives as long as the call it sends for.
package subscription
