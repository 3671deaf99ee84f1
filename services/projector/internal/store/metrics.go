package store

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/projector"

// metrics tell how reads fare beyond what every RPC tells of itself.
type metrics struct {
	wait metric.Float64Histogram
	rows metric.Int64Counter
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(scopeName)
	wait, err := meter.Float64Histogram("robson.projector.position_wait", metric.WithUnit("s"),
		metric.WithDescription("How long reads waited for their min_position, and whether it came."),
		metric.WithExplicitBucketBoundaries(0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err != nil {
		return nil, fmt.Errorf("make position wait histogram: %w", err)
	}
	rows, err := meter.Int64Counter("robson.projector.exported_rows", metric.WithUnit("{row}"),
		metric.WithDescription("Rows handed over by exports of raw state."))
	if err != nil {
		return nil, fmt.Errorf("make exported rows counter: %w", err)
	}
	return &metrics{wait: wait, rows: rows}, nil
}

func (m *metrics) waited(ctx context.Context, d time.Duration, reached bool) {
	m.wait.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.Bool("reached", reached)))
}

func (m *metrics) exported(ctx context.Context, rows int) { m.rows.Add(ctx, int64(rows)) }
