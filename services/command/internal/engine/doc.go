// Package engine decides: how much to trade (the Golden Rule), whether it may be traded (the risk gates),
// when a stop moves or is hit, how much to sell back, and what a closed position has earned.
//
// It is pure. There is no I/O, no clock and no randomness in it: the same inputs give the same answer on every
// machine, so a decision can be computed again from what its events recorded. All arithmetic is exact decimal;
// quantities are rounded toward zero, quotients half-even at 18 places, and every product is taken before its
// quotient.
//
//	signal ──> Size ──> gates ──> Decision          Decide
//	tick   ──> Trail ──> hold | move | exit          Trail
//	open quantity ──> ExitQuantity / IsDust          exits
//	fills ──> Settle ──> gross, fees, net            Settle
package engine
