package follower

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell how the accounts' streams fare.
type metrics struct{ interruptions metric.Int64Counter }

func newMetrics() (*metrics, error) {
	interruptions, err := otel.Meter(scopeName).Int64Counter("robson.connector.stream_interruptions", metric.WithUnit("{interruption}"),
		metric.WithDescription("Ends of an account's stream that nobody asked for: the line broke, or a report could not be recorded."))
	if err != nil {
		return nil, fmt.Errorf("make stream interruptions counter: %w", err)
	}
	return &metrics{interruptions: interruptions}, nil
}

func (m *metrics) interrupted(ctx context.Context) { m.interruptions.Add(ctx, 1) }
