// Package audit finds what does not fit in a tenant's log: what was altered, removed, inserted or swapped behind Robson's
// back. It looks at rows as the database gives them and makes no Record of any, since it looks at all there are.
//
// The log is cut into stretches of consecutive positions, which several workers follow at once:
//
//	      after                                                          end
//	        │ ── Stretch ── │ ── Stretch ── │ ── Stretch ── │ …  ── Stretch ── │
//	hashes    each begins at the stored hash of the event before it, which the stretch before finds good or bad
//	streams   Spans of each stretch, put together in order by Streams, then held against the heads of streams
//	receipts  a sum over all entries that the events should have, held against the sum over those that are stored
//
// A stretch in itself says nothing: the log is whole up to its end when it and all before it are.
package audit
