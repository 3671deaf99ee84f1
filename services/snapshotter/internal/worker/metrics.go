package worker

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/services/snapshotter/internal/checkpoint"
)

const scopeName = "github.com/robson/robson/services/snapshotter"

// metrics tell how the work goes.
type metrics struct {
	snapshots metric.Int64Counter
	failures  metric.Int64Counter
	duration  metric.Float64Histogram
	size      metric.Int64Histogram
	due       metric.Int64Gauge
	oldest    metric.Float64Gauge
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(scopeName)
	m := &metrics{}
	var err error
	if m.snapshots, err = meter.Int64Counter("robson.snapshotter.snapshots", metric.WithUnit("{snapshot}"),
		metric.WithDescription("Snapshots made, by scope and by what made them due.")); err != nil {
		return nil, fmt.Errorf("make snapshots counter: %w", err)
	}
	if m.failures, err = meter.Int64Counter("robson.snapshotter.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("What went wrong with making or telling, by step; each is tried again.")); err != nil {
		return nil, fmt.Errorf("make failures counter: %w", err)
	}
	if m.duration, err = meter.Float64Histogram("robson.snapshotter.make_duration", metric.WithUnit("s"),
		metric.WithDescription("How long making a snapshot took, reading to telling."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)); err != nil {
		return nil, fmt.Errorf("make duration histogram: %w", err)
	}
	if m.size, err = meter.Int64Histogram("robson.snapshotter.stored_size", metric.WithUnit("By"),
		metric.WithDescription("Bytes of a snapshot as it is stored."),
		metric.WithExplicitBucketBoundaries(1<<10, 1<<12, 1<<14, 1<<16, 1<<18, 1<<20, 1<<22, 1<<24, 1<<26, 1<<28)); err != nil {
		return nil, fmt.Errorf("make size histogram: %w", err)
	}
	if m.due, err = meter.Int64Gauge("robson.snapshotter.due", metric.WithUnit("{snapshot}"),
		metric.WithDescription("Snapshots that are due and not made.")); err != nil {
		return nil, fmt.Errorf("make due gauge: %w", err)
	}
	if m.oldest, err = meter.Float64Gauge("robson.snapshotter.due_oldest", metric.WithUnit("s"),
		metric.WithDescription("For how long the longest due snapshot has been due.")); err != nil {
		return nil, fmt.Errorf("make oldest gauge: %w", err)
	}
	return m, nil
}

func (m *metrics) made(ctx context.Context, s checkpoint.Snapshot, took time.Duration) {
	scope := attribute.String("scope", string(s.Scope.Kind))
	m.snapshots.Add(ctx, 1, metric.WithAttributes(scope, attribute.String("trigger", string(s.Trigger))))
	m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(scope))
	m.size.Record(ctx, s.StoredBytes, metric.WithAttributes(scope))
}

func (m *metrics) failed(ctx context.Context, step string) {
	m.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("step", step)))
}

func (m *metrics) waiting(ctx context.Context, count int, oldest time.Duration) {
	m.due.Record(ctx, int64(count))
	m.oldest.Record(ctx, oldest.Seconds())
}
