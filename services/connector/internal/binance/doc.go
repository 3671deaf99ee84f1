// Package binance is the venue Binance, spot, over go-binance.
//
// REST goes through the library's services and a transport of ours beneath them, because the library gives neither HTTP status nor
// Retry-After, reads its own clock for the timestamp, and puts signed addresses into errors. The transport stamps and signs each request
// itself, holds it back when the weight is used up or the venue asked for silence, sends it once, and keeps what came back; outcomes
// are judged by that record, not by the library's error.
//
// Streams have sockets of ours, which carry the library's messages: the library's own ones do not tell when a subscription stands or
// why it was refused, drop the reason of an expiry, never notice a silent line, and take their address from a variable of the process.
package binance
