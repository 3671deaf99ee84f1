// Package reconcile holds an account's book against its venue's: every order, every trade.
//
// A run looks, waits for as long as the stream may take, and looks again: what is missing both times was missed. Each
// missed fact is told with its own command, so that it enters once however it comes, and follows from the
// DISCREPANCY_DETECTED that explains it, which is told first and is named by what it is about: a run that is broken off
// and done again tells it once. What no fact explains is raised for an operator, once, and stays open until a run finds
// that it no longer holds, or an operator has it closed. Nothing is guessed; orders and trades that are not ours are
// reported, never adopted and never canceled.
//
// A run is the workflow of its events. Its id follows from the account, from what started it and from the minute; a run
// that was broken off is gone on with under its id. A lease keeps two connectors from the same work; two at a time would
// do it twice and no harm.
package reconcile
