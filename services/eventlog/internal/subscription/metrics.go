package subscription

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/eventlog/internal/subscription"

// metrics tell how subscriptions fare.
type metrics struct {
	subscribers metric.Int64UpDownCounter
	slow        metric.Int64Counter
	failures    metric.Int64Counter
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
	subscribers, err := meter.Int64UpDownCounter("robson.eventlog.subscribers", metric.WithDescription("Subscriptions that run"))
	if err != nil {
		otel.Handle(err)
	}
	return metrics{
		subscribers: subscribers,
		slow:        counter("robson.eventlog.subscribers.too_slow", "Subscribers who were left because they took nothing"),
		failures:    counter("robson.eventlog.heads.failures", "Times that the heads of logs could not be asked for"),
	}
}

func (m *metrics) leftSlow(ctx context.Context)   { m.slow.Add(ctx, 1) }
func (m *metrics) pollFailed(ctx context.Context) { m.failures.Add(ctx, 1) }
