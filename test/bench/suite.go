package main

import (
	"context"
	"math/rand/v2"
	"time"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

// The names of the loads, by which targets find them.
const (
	loadRawRow1       = "raw-row-1"
	loadRawRow32      = "raw-row-32"
	loadRawStatements = "raw-statements"
	loadRawHot        = "raw-statements-hot"
	loadRawFunction   = "raw-function"
	loadRawSet        = "raw-set-100"
	loadUnary         = "unary"
	loadZipf          = "unary-zipf"
	loadHot           = "unary-hot"
	loadReplicas      = "unary-replicas"
	loadLone          = "unary-lone"
	loadSteady        = "unary-steady-1000"
	loadLife          = "order-lives"
	loadBatch10       = "batch-10"
	loadBatch100      = "batch-100"
	loadAtomic100     = "append-100"
	loadStream        = "stream"
	loadFollowOwn     = "subscribe-own"
	loadFollowOther   = "subscribe-other"
	loadReplay        = "replay"

	loadMessageHot    = "peer-message-db-hot"
	loadMessageSpread = "peer-message-db-spread"
	loadEmmett        = "peer-emmett"
	loadEmmettInline  = "peer-emmett-inline"
)

const (
	rawClients    = 32
	rawSetClients = 4
	// batchCallers append batches of 100, half as many batches of 10 again.
	batchCallers  = 8
	steadyRate    = 1000
	steadyWorkers = 256
)

// suite is the standard run: what the machine gives, and what Robson makes of it.
type suite struct {
	cfg     *config
	world   *world
	service *service
	// replicas are event logs on the same database, service among them, and all observes them.
	replicas []*service
	all      observer
	raw      *raw
	// peers are nil where they are not measured.
	peers *peers
	// ours observes the event log's database, theirs that of raw SQL.
	ours, theirs observer
}

// rawLoads are what the machine gives to SQL.
func (s *suite) rawLoads(ctx context.Context) ([]*load, error) {
	spread, one := uniform(s.cfg.tenants, s.cfg.accounts), hot(place{})
	var loads []*load
	for _, l := range []struct {
		name, title string
		clients     int
		choose      chooserMaker
		make        func(*rawWorker) call
	}{
		{loadRawRow1, "one row an insert, one client", 1, spread, func(w *rawWorker) call { return w.insertRow }},
		{loadRawRow32, "one row an insert", rawClients, spread, func(w *rawWorker) call { return w.insertRow }},
		{loadRawStatements, "an append's work, statement by statement", rawClients, spread, func(w *rawWorker) call { return w.byStatements }},
		{loadRawFunction, "an append's work, one function call", rawClients, spread, func(w *rawWorker) call { return w.byFunction }},
		{loadRawHot, "statement by statement, one hot stream", rawClients, one, func(w *rawWorker) call { return w.byStatements }},
		{loadRawSet, "set-wise, 100 events a transaction", rawSetClients, spread, func(w *rawWorker) call { return w.setWise(100) }},
	} {
		if !s.cfg.only.MatchString(l.name) {
			continue
		}
		calls, err := s.raw.workers(ctx, l.clients, l.choose, l.make)
		if err != nil {
			return nil, err
		}
		loads = append(loads, s.closed(l.name, l.title, s.theirs, calls))
	}
	return loads, nil
}

// closed is a load that goes as fast as answers come.
func (s *suite) closed(name, title string, o observer, calls []call) *load {
	return &load{name: name, title: title, callers: len(calls), observer: o, run: func(ctx context.Context, d time.Duration) (*tally, error) {
		return closedLoop(ctx, d, calls)
	}}
}

// robsonLoads are appends through the event log's RPCs.
func (s *suite) robsonLoads() []*load {
	n, spread := s.cfg.callers, uniform(s.cfg.tenants, s.cfg.accounts)
	all := []*load{
		s.closed(loadUnary, "one event an append, uniform", s.ours, s.unary(n, spread)),
		s.closed(loadZipf, "one event an append, Zipf", s.ours, s.unary(n, zipf(s.cfg.tenants, s.cfg.accounts))),
		s.closed(loadHot, "one event an append, one hot stream", s.ours, s.unary(n, hot(place{}))),
		s.closed(loadReplicas, "one event an append, uniform, three replicas", s.all, s.byReplicas(n, spread)),
		s.closed(loadLone, "one event an append, a lone caller", s.ours, s.unary(1, spread)),
		s.steady(spread),
		s.closed(loadLife, "order lives: the real mix", s.ours, s.lives(n)),
		s.closed(loadBatch10, "AppendBatch of 10", s.ours, s.batches(2*batchCallers, 10)),
		s.closed(loadBatch100, "AppendBatch of 100", s.ours, s.batches(batchCallers, 100)),
		s.closed(loadAtomic100, "one Append of 100 events", s.ours, s.atomic(batchCallers, 100)),
		s.streams(batchCallers),
	}
	if len(s.replicas) > 1 {
		all = append(all,
			s.subscribed(loadFollowOwn, "100 subscribers at the replica that appends", s.replicas[0]),
			s.subscribed(loadFollowOther, "100 subscribers at another replica", s.replicas[1]))
	}
	var chosen []*load
	for _, l := range all {
		if s.cfg.only.MatchString(l.name) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

// steady is an open loop well below what the machine can do.
func (s *suite) steady(choose chooserMaker) *load {
	calls := s.unary(steadyWorkers, choose)
	return &load{name: loadSteady, title: "open loop at 1000 events/s", callers: steadyWorkers, observer: s.ours, run: func(ctx context.Context, d time.Duration) (*tally, error) {
		return openLoop(ctx, d, steadyRate, calls)
	}}
}

// perWorker makes a call for each worker, from its client and its chance.
func (s *suite) perWorker(n int, make1 func(worker int, log eventlogv1.AppendServiceClient, r *rand.Rand) call) []call {
	calls := make([]call, n)
	for i := range calls {
		calls[i] = make1(i, s.service.client.writer(i), newRand(uint64(i)))
	}
	return calls
}

// unary appends one event a call.
func (s *suite) unary(n int, maker chooserMaker) []call {
	return s.perWorker(n, func(_ int, log eventlogv1.AppendServiceClient, r *rand.Rand) call {
		choose := maker(r)
		return func(ctx context.Context) (int, error) {
			at := choose()
			t := &s.world.tenants[at.tenant]
			_, err := appendOne(s.service.client.as(ctx, asConnector, t.id), log, sampled(r, t.accounts[at.account]))
			return 1, err
		}
	})
}

// batches append many independent events of one tenant a call.
func (s *suite) batches(n, size int) []call {
	return s.perWorker(n, func(_ int, log eventlogv1.AppendServiceClient, r *rand.Rand) call {
		return func(ctx context.Context) (int, error) {
			t := &s.world.tenants[r.IntN(len(s.world.tenants))]
			appends := sampledBatch(r, func() string { return t.accounts[r.IntN(len(t.accounts))] }, size)
			return appendBatch(s.service.client.as(ctx, asConnector, t.id), log, appends)
		}
	})
}

// atomic appends many events of one stream in one append.
func (s *suite) atomic(n, size int) []call {
	return s.perWorker(n, func(_ int, log eventlogv1.AppendServiceClient, r *rand.Rand) call {
		return func(ctx context.Context) (int, error) {
			t := &s.world.tenants[r.IntN(len(s.world.tenants))]
			_, err := appendOne(s.service.client.as(ctx, asCommand, t.id), log, signals(t.strategy, size))
			return size, err
		}
	})
}

// lives has each worker live order lives on an account of its own.
func (s *suite) lives(n int) []call {
	return s.perWorker(n, func(worker int, log eventlogv1.AppendServiceClient, _ *rand.Rand) call {
		t := &s.world.tenants[worker%len(s.world.tenants)]
		return living(s.service.client, log, t.id, t.trader[worker/len(s.world.tenants)])
	})
}

// tradersOf is how many accounts of a tenant order lives need.
func tradersOf(cfg *config) int { return (cfg.callers-1)/cfg.tenants + 1 }

// streams has each worker keep a stream of one tenant full.
func (s *suite) streams(n int) *load {
	flows := make([]flow, n)
	for i := range flows {
		t, r, log := &s.world.tenants[i%len(s.world.tenants)], newRand(uint64(i)), s.service.client.writer(i)
		flows[i] = flow{
			open: func(ctx context.Context) (eventlogv1.AppendService_AppendStreamClient, error) {
				return log.AppendStream(s.service.client.as(ctx, asConnector, t.id))
			},
			next: func() *eventlogv1.AppendRequest { return sampled(r, t.accounts[r.IntN(len(t.accounts))]) },
		}
	}
	return &load{name: loadStream, title: "AppendStream, 100 under way on each", callers: n, observer: s.ours, run: func(ctx context.Context, d time.Duration) (*tally, error) {
		return streamedLoop(ctx, d, flows)
	}}
}
