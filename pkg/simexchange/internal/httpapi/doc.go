// Package httpapi speaks Binance's REST protocol for an engine: parameters, signatures, weights, answers, errors, and what a fault plan
// does to them.
package httpapi
