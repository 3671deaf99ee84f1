package watch

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/projector"

// metrics tell how many watch, and how many could not keep up.
type metrics struct {
	watchers metric.Int64UpDownCounter
	tooSlow  metric.Int64Counter
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(scopeName)
	watchers, err := meter.Int64UpDownCounter("robson.projector.watchers", metric.WithUnit("{watcher}"), metric.WithDescription("Watchers at this replica."))
	if err != nil {
		return nil, fmt.Errorf("make watchers counter: %w", err)
	}
	tooSlow, err := meter.Int64Counter("robson.projector.watchers_too_slow", metric.WithUnit("{watcher}"), metric.WithDescription("Watchers that were sent away because they did not keep up."))
	if err != nil {
		return nil, fmt.Errorf("make slow watchers counter: %w", err)
	}
	return &metrics{watchers: watchers, tooSlow: tooSlow}, nil
}

func (m *metrics) watching(ctx context.Context, n int64) { m.watchers.Add(ctx, n) }
func (m *metrics) sentAway(ctx context.Context)          { m.tooSlow.Add(ctx, 1) }
