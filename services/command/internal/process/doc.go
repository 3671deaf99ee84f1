// Package process is the process manager: it turns facts into the next decisions. For each tenant it follows the log,
// looks at the position that an event is about, and takes the steps that package lifecycle finds due, until none is.
//
//	log ──event──> which position? ──> lane of that position ──> look, lifecycle.Next, step, look again ...
//	sweep at start ────────────────────^
//
// Lanes are serial by position and run beside each other. A step's append is named by the event that made it due and is
// guarded by the rows it rests on, so a second replica, a restart at any point, or an event seen twice end in the same
// log. The checkpoint follows the last position up to which every event has been reacted to; what a crash leaves between
// is found again by the sweep, which looks at every position that has not ended.
package process
