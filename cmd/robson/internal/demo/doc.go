// Package demo plays the whole life of an order through a running stack, over its RPCs only, and then proves what it
// played: the tables against the fold of the log, the log against its hash chain, the money against the fills.
//
//	set up      tenant, a spot and an isolated-margin account, a strategy, paper money, market data
//	scene 1     a long: decided by the Golden Rule, filled in parts, its stop trailing, left by the stop
//	scene 2     the same command again: one outcome
//	scene 3     a trade too big: refused by the risk gates, recorded
//	scene 4     two openings race for one account: one is decided anew
//	scene 5     a limit entry that is canceled before it fills
//	scene 6     a short on borrowed coins, left by command
//	report      timeline, positions, balances, P&L by hand, counts, proof
//
// Every step carries a command id made from the run and the step's name, so a step whose answer was lost is sent again
// safely: the stack may be killed and started while the demo plays.
package demo
