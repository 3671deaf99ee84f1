// Package chaos holds Robson to its laws while what it stands on breaks. Its tests run real processes: one PostgreSQL, several
// event logs on it, a projector; between each event log and PostgreSQL is a link that can be cut, stalled and slowed.
//
//	settings   how much of it: the short form of make test, the long one of make chaos
//	process, postgres, link, rig   what is run, killed, cut and started again
//	wire (../internal)             how events are named and hashed, written a second time
//	world, ledger, send            tenants, what their clients were told, how a client finds out what became of an append
//	load       random legal histories
//	fault      what breaks
//	audit, fold   after each round: the log is what was acknowledged, whole and once; the projections are its fold
//	linear     a stream under concurrent writers, checked with porcupine
//	desk, plan, life, books   order lives over a simulated exchange, what goes wrong in them, and whether both sides' books are equal
//	rounds, once, fair, replicas, rebuild, disk, plans   the tests
//
// Every run prints its seed; -chaos.seed=N makes the same choices again, as far as the machine allows; of
// the fault plans, which are numbered, it lives the one of that number.
package chaos
