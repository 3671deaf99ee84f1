// Package snapshot is the canonical state of a scope at a position of the log: how it is written, hashed and compressed, and
// how it is read again without decompressing more than is asked for. The snapshotter writes it, the replayer folds on from it.
//
// # Form
//
// A snapshot is text, one line a row, and a last line that says what it is of:
//
//	["accounts_current","<account>","context",{...}]
//	["orders_current","<order>","own",{...}]
//	...
//	{"as_of_position":4711,"blocks":[{"bytes":65601,"first":["accounts_current","<account>"],"rows":80,"sha256":"..."},...],...}
//
// Rows are as projection.RowJSON writes them. Own rows are the scope's; rows of the context lie outside it, and the fold of
// the scope's own reads them: see projection.Scope. Rows that are not over come first, then those that are, each sorted by table
// and key, cut into blocks of some 64 KiB. The last line has the SHA-256 of each block with its first key, how many blocks are of
// what is not over, and a Bloom filter of all keys. The snapshot's hash is the SHA-256 of the last line, and so of everything.
//
// Above a size the text is stored compressed: each block and the last line as a zstd frame of its own, then a frame that zstd
// skips, with the lengths of the frames and the SHA-256 of all bytes before it. So `zstd -d` gives the text, a reader decompresses
// the blocks that it wants, and whether any stored bit has changed shows before the first of them.
//
// # Trust
//
// A snapshot is a cache that is never trusted. Open holds the bytes against what is known of the snapshot from elsewhere: hash,
// length, rules, scope, position, place in the log. One that was made by other rules, cut short, or has one bit flipped is
// *Unfit, which says why. A block is held against its hash when it is decompressed. Whether the chain hash is that of the log is
// asked by who has the log.
package snapshot
