// Package monitor is the stop monitor: it follows the market of every open position, tick by tick and in order, moves
// its trailing stop in its favour, and triggers the exit when the stop is hit. It is the primary guard of a position;
// the stop that rests at the venue is for the day it is down.
//
//	price stream of (account, symbol) ──tick──> each watched position ──> hold
//	                                                                 ├──> TRAILING_STOP_UPDATED
//	                                                                 └──> EXIT_TRIGGERED
//
// A position is watched from its entry on, so that no tick between its first fill and the event that says so is lost:
// the last ticks of a market are kept, and a position that turns up or changes is shown those that came since its stop
// was set. Ticks from before change nothing. Each step's command id follows from the event that set the stop, so two
// replicas that see the same tick write one event.
package monitor
