package store

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/pkg/fault"
)

const scopeName = "github.com/robson/robson/services/eventlog/internal/store"

// metrics count what becomes of appends.
type metrics struct {
	appends, events, splits, retries metric.Int64Counter
	batchEvents                      metric.Int64Histogram
}

func newMetrics() metrics {
	meter := otel.Meter(scopeName)
	counter := func(name, description string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithDescription(description))
		if err != nil {
			otel.Handle(err)
		}
		return c
	}
	sizes, err := meter.Int64Histogram("robson.eventlog.transaction.events", metric.WithDescription("Events committed by one transaction"),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
	if err != nil {
		otel.Handle(err)
	}
	return metrics{
		appends:     counter("robson.eventlog.appends", "Appends, by outcome"),
		events:      counter("robson.eventlog.events", "Events committed"),
		splits:      counter("robson.eventlog.transaction.splits", "Transactions that the database refused and that were split"),
		retries:     counter("robson.eventlog.transaction.retries", "Transactions tried again, their commit uncertain or lost against another"),
		batchEvents: sizes,
	}
}

func (m *metrics) appended(ctx context.Context, results []Result) {
	for i := range results {
		outcome := "appended"
		switch r := &results[i]; {
		case r.Busy:
			continue // it comes again
		case r.Err != nil:
			outcome = fault.KindOf(r.Err).String()
		case r.Answer.Duplicate:
			outcome = "duplicate"
		}
		m.appends.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}

func (m *metrics) committed(ctx context.Context, events int) {
	m.events.Add(ctx, int64(events))
	m.batchEvents.Record(ctx, int64(events))
}

func (m *metrics) split(ctx context.Context)   { m.splits.Add(ctx, 1) }
func (m *metrics) retried(ctx context.Context) { m.retries.Add(ctx, 1) }
