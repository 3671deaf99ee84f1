// Package intake decides what becomes of an append: who may make it, whether it is in the log already, whether what it
// rests on still holds, what it changes, and what in it does not fit. It is pure: what the log holds comes in, what is to
// be written comes out, and what is not loaded is asked for. An append asks at most three times, however many events it
// has, unless it raises discrepancies on several accounts, each of whose streams is asked for by itself.
//
//	New            an append, checked and brought into its stored form, before any lock is taken
//	Ledger         what is known of one tenant's log under its lock
//	Ledger.Probe   what an append will want, for loading what all appends of a batch want at once
//	Ledger.Append  one append: a receipt, or an error that changes nothing
//	WantedBy       what must be loaded before it is asked again
//	Ledger.Outcome what the transaction has to write
package intake
