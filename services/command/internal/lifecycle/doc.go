// Package lifecycle says what a position lacks. Next looks at a position, its orders and its intents as they stand in
// the log, and answers the steps that are due: events to append, intents to execute, orders to ask about.
//
// It is driven by state, not by events: an event only says which position to look at. So the reaction to a fact, a
// second replica's reaction to the same fact and the sweep after a crash are one and the same function, and all of them
// end in the same log, because each step is named by the event that made it due.
//
//	armed ──────> (strategy disabled) ──> POSITION_DISARMED
//	entering ───> intent not sent ──────> execute it
//	         ───> first entry fill ─────> POSITION_OPENED
//	         ───> ended without a fill ─> POSITION_CLOSED(entry_failed)
//	active ─────> entry done, no stop ──> INTENT_CREATED(insurance_stop), execute it
//	         ───> stop is off ──────────> INTENT_CREATED(cancel) ──> ended ──> a new stop
//	         ───> the stop filled ──────> EXIT_TRIGGERED(insurance_stop)
//	exiting ────> other live orders ────> end or cancel them, wait for their end
//	         ───> something is open ────> INTENT_CREATED(exit), execute it; again until nothing is
//	         ───> only dust is open ────> POSITION_CLOSED
//	error ──────> as active, or as exiting once an exit was triggered; never enters
//
// The package is pure: no I/O, no clock, no randomness.
package lifecycle
