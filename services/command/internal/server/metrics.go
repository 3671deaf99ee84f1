package server

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/command"

// metrics tell how decisions fare beyond what every RPC tells of itself.
type metrics struct{ conflicts metric.Int64Counter }

func newMetrics() (metrics, error) {
	conflicts, err := otel.Meter(scopeName).Int64Counter("robson.command.conflicts", metric.WithUnit("{conflict}"),
		metric.WithDescription("Decisions that rested on what had changed, by method and by whether they were taken anew or given up."))
	if err != nil {
		return metrics{}, fmt.Errorf("make conflicts counter: %w", err)
	}
	return metrics{conflicts: conflicts}, nil
}

func (m metrics) conflict(ctx context.Context, method string, anew bool) {
	m.conflicts.Add(ctx, 1, metric.WithAttributes(attribute.String("method", method), attribute.Bool("anew", anew)))
}
