// Package executor carries out intents at the venue: at most one request to place an order ever leaves the house, and
// what became of it is found out.
//
//	Execute ── claim ORDER_SUBMITTED, expected no_stream on order:<id>
//	   ├─ our own, new ────────── send once ──┬─ accepted ─────── ORDER_ACKED, FILL_RECEIVED ..., end
//	   │                                      ├─ refused ──────── ORDER_REJECTED
//	   │                                      └─ unknown ──────── EXCHANGE_STATE_UNCERTAIN, ask
//	   ├─ duplicate, conflict, unknown ─────── never send: ask
//	   └─ refused by the log's check ───────── ORDER_REJECTED, stage local: the intent has ended
//
//	ask ──┬─ the venue has it ── its facts
//	      └─ it does not, and a request stamped with the claim's time can no longer arrive ── ORDER_REJECTED not_found
//
// The request carries the time of the claim, so that even a sender that was held up between claim and send cannot place
// an order that others have given up.
package executor
