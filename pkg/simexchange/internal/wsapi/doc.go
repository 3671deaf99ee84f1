// Package wsapi serves the exchange's WebSockets: the WS API with its user data streams, and the market streams.
//
// A connection has one reader and one writer. What is to be sent waits in a bounded queue; a client that does not read is cut off, as
// Binance does, and never holds the exchange up.
package wsapi
