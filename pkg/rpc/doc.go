// Package rpc makes gRPC servers and clients that all behave alike: who calls, for which tenant, with which ids, within
// which time, with a request that the contract allows; and errors that mean the same on both sides.
//
// The order in which a server treats a call:
//
//	telemetry     a span, whose trace id is x-robson-trace-id if the caller gave one
//	recovery      a panic becomes INTERNAL and is logged; the process lives
//	faults        kinds become codes with standard details; the chain is logged once; unknown errors show no text
//	correlation   the four ids are read, or made, and told in the reply's header
//	identity      token, permission, tenant, for a stream again every two seconds; an RPC whose contract declares no access is refused
//	deadline      a call without one gets one; one with too little left is refused
//	validation    the contract's rules; each violation names its field
package rpc
