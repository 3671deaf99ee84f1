// Package market makes the price paths on which the exchange trades: recorded klines, recorded trades, or a seeded walk. A path is a
// function of its source alone; no float is involved.
package market
