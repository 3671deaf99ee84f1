// Package engine is the paper venue's matching engine with its accounts, orders, trades, loans and market clocks.
//
// It is an outside world: nothing in it comes from Robson's log. Each request changes the state by effects (an order as
// it now stands, a trade, a balance, a report), which are written to the journal and synced before the request is
// answered. Opening the journal applies the effects again and runs no matching, so that what the venue once did stays
// done when its rules change.
//
// Given the same requests and the same clock it does the same, to the last byte: matching takes orders by price and
// then by id, maps are never walked unsorted, and no float is involved.
//
// Two clocks run in it. The venue's own is real time: stamps of requests, deposits and reports are measured by it. A
// symbol's market clock is the time of its last tick: its orders and trades carry it.
//
// A tick of a symbol's market does, in this order: refill the depth ladder; fill resting limit orders as makers, best
// price first and then oldest first, all together at most tick volume a side; go on with market orders that take their
// time; trigger stop orders, oldest first.
package engine
