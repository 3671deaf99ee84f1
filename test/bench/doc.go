// Command bench measures how fast and how evenly Robson's event log takes events in, on the machine it runs on.
//
// It starts a private PostgreSQL with durable settings (robson postgres) and the event log alone (robson serve eventlog),
// and appends through the RPCs as Robson's own services do. In the same run, in turn with those loads, it measures what the
// machine gives to raw SQL: the same rows written statement by statement, by one server-side function call, and set-wise.
// Absolute figures depend on the machine; the ratios between the two are what says something about Robson.
//
//	load.go      closed loop (as fast as answers come) and open loop (at a rate, latency from the intended start)
//	streamed.go  the streaming RPC, many appends under way
//	latency.go   the histogram
//	choose.go    which tenant and account an event is for: uniform, Zipf, one hot
//	payload.go   balance samples; life.go the order life; identity.go how facts are named
//	world.go     the tenants and accounts
//	raw*.go      what the machine gives without Robson
//	peers.go     message-db (messagedb.go) and Emmett (emmett.go, child.go, peers/emmett.mjs) in the same run
//	suite.go     what is measured; observe.go one measurement with CPU, WAL and disk
//	size.go      SIZE=10m: ten million events over twelve months
//	targets.go   what is to be reached; report.go how it is told
//
// Run it by `make bench`; `go run ./bench -help` in this module lists the flags.
package main
