// Package event is what an event is: its type, its stored bytes, its ids, its place in the hash chain.
//
// Everything here follows from the contract's descriptors and options (proto/robson/event/v1), so that contract and code
// cannot drift, and nothing here knows of databases or services.
//
//	registry.go   the 44 types
//	stream.go     stream keys
//	ids.go        event ids, and ids that are derived so that everybody derives the same
//	plan.go       how each message is written, compiled once
//	canonical.go  typed payload -> canonical JSON, the stored bytes
//	decode.go     stored bytes -> typed payload; lexer.go reads JSON, form.go knows the stored forms at a glance
//	upcast.go     payloads of older versions -> today's
//	normalize.go  what makes two payloads mean the same
//	record.go     the stored envelope
//	chain.go      the hash chain
package event
