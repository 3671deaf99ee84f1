package keys

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell of requests that could not be signed.
type metrics struct{ refusals metric.Int64Counter }

func newMetrics() (*metrics, error) {
	refusals, err := otel.Meter(scopeName).Int64Counter("robson.connector.key_refusals", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that were not sent for want of the account's API key, by reason."))
	if err != nil {
		return nil, fmt.Errorf("make key refusals counter: %w", err)
	}
	return &metrics{refusals: refusals}, nil
}

func (m *metrics) refused(ctx context.Context, reason string) {
	m.refusals.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason)))
}
