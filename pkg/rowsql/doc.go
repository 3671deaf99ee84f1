// Package rowsql has the SQL of projection rows, made from the tables' descriptors, so that their columns have one home: reading
// them by key, and writing them set-wise.
//
// Each row belongs to an epoch of its tenant's state. The head of the tenant's log says which epoch is live; a rebuild writes
// another one aside and then makes that the live one. Who reads rows asks for those of the live epoch, who writes them names it.
package rowsql
