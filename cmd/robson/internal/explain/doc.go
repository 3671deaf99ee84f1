// Package explain answers "why": from the events of the log it puts together what began a thing, the decision and the risk
// limits that were in force then, the chain of causes, what the venue reported, and what became of the money.
//
// Everything is taken from the log, as it was written; nothing is folded or guessed. What could not be read, because there is
// too much of it or because it is not there, is named in the notes.
//
// # The JSON document
//
// Explanation, as its tags say. Positions lead from everything to events, which holds each event once, in the contract's
// form:
//
//	subject    what was asked for: kind and id, or account_id, wallet and asset
//	as_of      the position of the log that the answer is true at
//	outcome    one sentence: what became of it
//	commands   what began it, first; then the other commands that had a part in it: command_id, who (actor_type, actor_id),
//	           when, trace_id, request_digest (the log keeps the digest of a request, never the request)
//	decisions  inputs (the payload of DECISION_PROPOSED), verdict, checks with limit and value, exposure, and limits: those of
//	           account and strategy that were in force at the decision's position, and the halts
//	chain      the causes as a tree, written as lines: each event with its depth and the position of its cause; a run of events
//	           of one type is one line with through and count. left_out counts the events past the limit
//	venue      positions of the venue's reports and of what did not fit, in order
//	money      fills with their legs and fees, and sums; realized, fees and net of a position that is closed
//	balance    of a balance: samples, adjustments and fills between them, and what nobody explains
//	notes      what the answer does not hold
//
// Amounts are decimal strings, times RFC 3339 in UTC.
package explain
