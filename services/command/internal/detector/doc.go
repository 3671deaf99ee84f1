// Package detector watches a market for an armed position: ticks become candles, and a candle with which a fast moving
// average of closes crosses a slow one is a signal, with the stop where the chart says that the idea is wrong.
//
//	tick ──Series──> closed candle ──Detect──> crossed to the position's side? ──> entry, technical stop
//
// It is pure: candles go by the venue's time, averages are compared as exact sums, and only whole candles count, so
// whoever sees the same ticks finds the same signals, wherever he began.
package detector
