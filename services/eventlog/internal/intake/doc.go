// Package intake decides what becomes of an append: who may make it, whether it is in the log already, whether what it
// rests on still holds, what it changes, and what in it does not fit. It is pure: what the log holds comes in, what is to
// be written comes out, and rows that are not loaded are asked for by *projection.Missing.
//
//	New            an append, checked and brought into its stored form, before any lock is taken
//	Ledger         what is known of one tenant's log under its lock
//	Ledger.Append  one append: a receipt, or an error that changes nothing
//	Ledger.Outcome what the transaction has to write
package intake
