// Package replay folds logs again: to compare the fold with the tables, to mend them or build them anew while appends go
// on, and to tell what was at a moment of the past.
//
// # Bounded memory
//
// A Machine keeps the rows that were touched lately, in two generations. What has not been touched for a generation is
// settled: handed to a Home, which either takes it over (and gives it back when it is asked for) or leaves it in memory.
//
//	comparing   the home is a snapshot of the tables: a row that is equal to the table's is forgotten, since the table
//	            can tell it again; one that differs stays, and is what the comparison finds if it still differs at the end
//	building    the home is the epoch that is being built: a row is written, and read back from there
//
// # A rebuild
//
//	compare ──── nothing differs ─────────────────────────────────────────────────────────────────────► done
//	   │
//	   ├─ little differs ► mend: fold what came since, outside the lock, until little is left
//	   │                         └► lock the log ► fold the rest ► write the rows that differ ► generation + 1 ► commit ► done
//	   │
//	   └─ much differs, tables lost, other rules ► build: fold into a new epoch, checkpoint by checkpoint
//	                             └► lock the log ► fold the rest ► epoch, generation + 1, rules version ► commit ► sweep ► done
//
// The live rows change in one transaction or not at all, so whatever is cancelled or crashes leaves the old state whole.
// A build that was interrupted goes on from its last checkpoint: rows and checkpoint are committed together.
package replay
