package ledger

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell what the connector brings into the log.
type metrics struct{ facts metric.Int64Counter }

func newMetrics() (*metrics, error) {
	facts, err := otel.Meter(scopeName).Int64Counter("robson.connector.facts", metric.WithUnit("{fact}"),
		metric.WithDescription("Facts and records brought to the log, by whether it knew them already."))
	if err != nil {
		return nil, fmt.Errorf("make facts counter: %w", err)
	}
	return &metrics{facts: facts}, nil
}

func (m *metrics) recorded(ctx context.Context, duplicate bool) {
	m.facts.Add(ctx, 1, metric.WithAttributes(attribute.Bool("duplicate", duplicate)))
}
