// Package feed makes the price paths that the paper venue trades on: recorded bars, a seeded walk, or a script.
//
// A path is a function of its source alone. The same source gives the same ticks on every machine, every time: walks
// are counted in whole ticks by a generator of our own, bars are expanded in one fixed order, and no float is involved.
package feed
