package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// readCalls is how often each read is made.
	readCalls = 200
	// countersSettle is how long PostgreSQL may take until the counters of an idle connection are seen: 10 s, and some.
	countersSettle = 11 * time.Second
)

// readReport is one kind of read on one log.
type readReport struct {
	Name      string `json:"name"`
	LogEvents int64  `json:"log_events"`
	// Events is how many an answer had on average.
	Events float64 `json:"events"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	// PartitionsRead is how many of the log's partitions any of the calls looked into, by PostgreSQL's own counters.
	PartitionsRead int `json:"partitions_read"`
	Partitions     int `json:"partitions"`
}

// The reads that are measured.
const (
	readStream     = "a stream"
	readAgain      = "the same stream again"
	readTrace      = "by trace id"
	readTraceMonth = "by trace id, in its month"
	readNewest     = "the newest 100"
)

// reading asks one question about a random part of a log, and says how many events came.
type reading struct {
	name string
	ask  func(ctx context.Context, log eventlogv1.ReadServiceClient, t *tenant, r *rand.Rand) (int, error)
}

// readings are the questions. traceOf gives the trace of some of a tenant's filled events, of last month if need be, which
// lies between from and until.
func readings(traceOf func(t *tenant, lastMonth bool, r *rand.Rand) string, from, until time.Time) []reading {
	query := func(ctx context.Context, log eventlogv1.ReadServiceClient, filter *eventlogv1.EventFilter) (int, error) {
		out, err := log.QueryEvents(ctx, &eventlogv1.QueryEventsRequest{Filter: filter})
		return len(out.GetEvents()), err
	}
	stream := func(ctx context.Context, log eventlogv1.ReadServiceClient, account string) (int, error) {
		out, err := log.ReadStream(ctx, &eventlogv1.ReadStreamRequest{StreamKey: "account:" + account, PageSize: 1000})
		return len(out.GetEvents()), err
	}
	return []reading{
		{readStream, func(ctx context.Context, log eventlogv1.ReadServiceClient, t *tenant, r *rand.Rand) (int, error) {
			return stream(ctx, log, t.accounts[r.IntN(len(t.accounts))])
		}},
		{readAgain, func(ctx context.Context, log eventlogv1.ReadServiceClient, t *tenant, _ *rand.Rand) (int, error) {
			return stream(ctx, log, t.accounts[0])
		}},
		{readTrace, func(ctx context.Context, log eventlogv1.ReadServiceClient, t *tenant, r *rand.Rand) (int, error) {
			return query(ctx, log, &eventlogv1.EventFilter{TraceId: traceOf(t, false, r)})
		}},
		{readTraceMonth, func(ctx context.Context, log eventlogv1.ReadServiceClient, t *tenant, r *rand.Rand) (int, error) {
			return query(ctx, log, &eventlogv1.EventFilter{TraceId: traceOf(t, true, r), Since: timestamppb.New(from), Until: timestamppb.New(until)})
		}},
		{readNewest, func(ctx context.Context, log eventlogv1.ReadServiceClient, _ *tenant, _ *rand.Rand) (int, error) {
			out, err := log.ReadLog(ctx, &eventlogv1.ReadLogRequest{Direction: eventlogv1.Direction_DIRECTION_BACKWARDS, PageSize: 100})
			return len(out.GetEvents()), err
		}},
	}
}

// measure asks many times, one after the other.
func (q *reading) measure(ctx context.Context, c *client, w *world) (readReport, error) {
	var latency histogram
	events, r := 0, newRand(1)
	for range readCalls {
		t := &w.tenants[r.IntN(len(w.tenants))]
		if q.name == readAgain {
			t = &w.tenants[0]
		}
		began := now()
		n, err := q.ask(c.as(ctx, asCommand, t.id), c.reader(0), t, r)
		if err != nil {
			return readReport{}, fmt.Errorf("read %s: %w", q.name, err)
		}
		latency.record(now().Sub(began))
		events += n
	}
	return readReport{
		Name: q.name, Events: float64(events) / readCalls, Max: inMillis(latency.max),
		P50: inMillis(latency.quantile(0.5)), P99: inMillis(latency.quantile(0.99)),
	}, nil
}
