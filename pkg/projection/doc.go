// Package projection holds the rules that make state out of a tenant's log: Check says whether a decision may follow the
// state, Fold says what the state becomes. Both are pure: the same log gives the same rows, byte for byte, on every
// machine, whoever folds it. eventlog folds inside its transaction, replay and comparison fold outside; there is one
// copy of the rules.
//
// State is rows, one struct per table; a View gives them by Key. Rows are never changed once they are in a View. What is
// not loaded is answered by *Missing, and the caller loads and asks again.
//
//	keys := Touches(event)              load them, for many events at once
//	batch := NewOverlay(cache)          the transaction's changes
//	append := NewOverlay(batch)         one append's changes: merged, or discarded alone
//	Check(append, event)                decisions only; *Missing: load more, ask again
//	anomalies := Fold(append, event)    each becomes a DISCREPANCY_DETECTED, folded like any other event
//	append.MergeInto(batch)
//	batch.Rows()                        what to write
//
// Who folds a whole log, and looks at the rows only then, folds into a Scratch; a Memory is for who keeps rows on the way.
//
// # Positions
//
//	POSITION_ARMED > armed > INTENT_CREATED(entry) > entering > POSITION_OPENED > active > EXIT_TRIGGERED > exiting
//	armed    > POSITION_DISARMED > closed
//	entering > EXIT_TRIGGERED (panic, user_close, risk_limit) > exiting
//	entering > POSITION_CLOSED (entry_failed) > closed
//	exiting  > POSITION_CLOSED > closed, which is the end
//	any but closed > DISCREPANCY_DETECTED (stale_position) > error, where stops, exits and closing stay possible
//
// What a position holds follows from its orders' fills alone, and counts even in a state that did not expect it. Only a
// closed position no longer changes: a late fill is recorded on its order, and flagged.
//
// # Orders
//
// An order's status is a function of the set of facts about it, not of their order of arrival:
//
//	filled = quantity: filled; else canceled; else expired; else filled > 0: partial;
//	else rejected; else acknowledged; else claimed: submitted; else pending
//
// Facts about an order whose claim is not in the log make a stub. Its fills touch its position when the claim is taken
// in, since nobody knows before what the order was for.
//
// # Limits
//
// From its entry intent on a position counts in the exposure and open risk of its account and strategy: with what was
// planned until the entry order has ended, with what is held from then on, and no more once it is closed.
//
// # Accounts
//
// What an event touches is partitioned by account. By table:
//
//	accounts, balances, margin loans and states, risk, P&L,
//	slots, fills, lines to venues                                the account is the first column of the key
//	positions, orders, intents, decisions, signals               by ids of which each belongs to one account: its position's,
//	                                                             its order's, its strategy's
//	strategies                                                   each has one account, for life
//	api keys                                                     the account that a key stands for; Check lets it stand for no other
//	discrepancies                                                by an id that follows from the event or run that raised it
//	reconciliation runs                                          by an id that belongs to one account
//	what the tenant's own stream tells                           the tenant
//
// No rule changes or rests on a row of another account: a position's limits, slot, strategy and orders are its account's. The
// one exception is a report that contradicts itself, naming one account and another's order or run: it is folded as told and
// flagged (law 6), and touches rows of both. Partitions deals a log out to its accounts and knows such a report.
package projection
