// Package engine is the exchange itself: accounts, balances, orders and their matching, without a net and without a clock.
//
// Every method that acts is told the time. All amounts are exact decimals. Each account trades against a ladder of its own that is made
// anew at each tick of the price, so that what happens to one account does not depend on how many others there are or on the order
// in which their requests come in.
//
// The states of an order:
//
//	NEW -> PARTIALLY_FILLED -> FILLED
//	NEW, PARTIALLY_FILLED -> CANCELED | EXPIRED | EXPIRED_IN_MATCH
//
// Money is never made: over all accounts, the house against which they trade, and the fees, each asset sums to what was deposited.
package engine
