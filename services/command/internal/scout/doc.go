// Package scout runs the built-in detector for armed positions: it follows the market of each, gives the ticks to package
// detector, and writes what that finds.
//
//	position armed for a strategy of type ma_cross ──> watched
//	price stream of (account, symbol) ──tick──> series per interval ──candle──> detector.Detect for each watched position
//	    ──> SIGNAL_DETECTED, TECHNICAL_STOP_ANALYZED   (the process manager answers: accepted, rejected, expired)
//
// A run begins when the position is armed, or when the signal before it has ended without an entry, and ends with its
// signal's end; its id is the workflow of all that it leads to. The append is named by the position and the beginning of
// the candle, so two replicas that watch, or one that watches again, write a signal once. Nothing is remembered: a feed
// that begins goes back far enough to have whole candles, where the venue still tells its ticks.
package scout
