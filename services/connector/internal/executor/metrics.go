package executor

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/robson/robson/services/connector/internal/venue"
)

const scopeName = "github.com/robson/robson/services/connector"

// metrics tell how the venue answers.
type metrics struct{ placings metric.Int64Counter }

func newMetrics() (*metrics, error) {
	placings, err := otel.Meter(scopeName).Int64Counter("robson.connector.placings", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to place an order, by what the venue answered: accepted, rejected, limited, duplicate, not_sent, uncertain."))
	if err != nil {
		return nil, fmt.Errorf("make placings counter: %w", err)
	}
	return &metrics{placings: placings}, nil
}

func (m *metrics) placed(ctx context.Context, err error) {
	m.placings.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome(err))))
}

func outcome(err error) string {
	var rejected *venue.RejectedError
	var limited *venue.RateLimitedError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &limited):
		return "limited"
	case errors.As(err, &rejected):
		return "rejected"
	case errors.Is(err, venue.ErrDuplicateOrder):
		return "duplicate"
	case venue.IsUncertain(err):
		return "uncertain"
	default:
		return "not_sent"
	}
}
