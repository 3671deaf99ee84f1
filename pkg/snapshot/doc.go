// Package snapshot is the canonical state of a scope at a position of the log: how it is written, hashed and compressed, and
// how it is read again without decoding more than is asked for. The snapshotter writes it, the replayer folds on from it.
//
// # Form
//
// A snapshot is text, one line a row, sorted by table and key, and a last line that says what it is of:
//
//	["accounts_current","<account>","context",{...}]
//	["orders_current","<order>","own",{...}]
//	...
//	{"as_of_position":4711,"chain_hash":"...","context":1,"format":1,"own":2,"rules_version":2,"scope":"position",...}
//
// Rows are as projection.RowJSON writes them. Own rows are the scope's; rows of the context lie outside it, and the fold of
// the scope's own reads them: see projection.Scope. The hash is the SHA-256 of all the text. Above a size the text is stored
// compressed by zstd; which it is shows in the first bytes.
//
// # Trust
//
// A snapshot is a cache that is never trusted. Open holds the bytes against what is known of the snapshot from elsewhere: hash,
// length, rules, scope, position, place in the log. One that was made by other rules, cut short, or has one bit flipped is
// *Unfit, which says why. Whether its chain hash is that of the log is asked by who has the log.
package snapshot
